//! What the executable is made of: the packages that are linked into it, out of `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::architecture::Architecture;
use crate::{Result, output};

/// A package that is linked into the executable.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// An SPDX expression; empty where the package says none.
    pub(crate) licence: String,
    pub(crate) directory: PathBuf,
    /// SHA-256 of the package's archive, out of Cargo.lock; none for the crates of this workspace.
    pub(crate) checksum: Option<String>,
    /// The identities of what it uses.
    pub(crate) uses: Vec<String>,
}

impl Package {
    /// Tells whether it is not of this workspace.
    pub(crate) fn is_foreign(&self) -> bool {
        self.checksum.is_some()
    }

    /// Its package URL (github.com/package-url/purl-spec).
    pub(crate) fn purl(&self) -> String {
        format!("pkg:cargo/{}@{}", self.name, self.version)
    }
}

/// All that goes into a release.
#[derive(Debug)]
pub(crate) struct Materials {
    /// By cargo's identity; in order.
    pub(crate) packages: BTreeMap<String, Package>,
    /// The identity of `docker-machine`.
    pub(crate) root: String,
    /// Unix time of the commit, or `SOURCE_DATE_EPOCH`.
    pub(crate) epoch: i64,
    /// The version of the C library that is linked in.
    pub(crate) libc: String,
}

impl Materials {
    pub(crate) fn read(root: &Path, architecture: Architecture) -> Result<Self> {
        let metadata = metadata(root, &["--filter-platform", architecture.target()])?;
        let checksums = checksums(&std::fs::read_to_string(root.join("Cargo.lock"))?);
        let mut all = BTreeMap::new();
        let mut macros = BTreeSet::new();
        for package in list(&metadata["packages"]) {
            let kinds = list(&package["targets"])
                .iter()
                .flat_map(|t| list(&t["kind"]));
            if kinds.into_iter().any(|kind| kind == "proc-macro") {
                macros.insert(text(&package["id"]));
            }
            let (name, version) = (text(&package["name"]), text(&package["version"]));
            let manifest = PathBuf::from(text(&package["manifest_path"]));
            let checksum = checksums.get(&(name.clone(), version.clone())).cloned();
            let licence = text(&package["license"]).replace('/', " OR ");
            let directory = manifest.parent().unwrap_or(root).to_owned();
            let package_of = Package {
                name,
                version,
                licence,
                directory,
                checksum,
                uses: Vec::new(),
            };
            all.insert(text(&package["id"]), package_of);
        }
        let uses = uses(&metadata, &macros);
        let root_id = all
            .iter()
            .find(|(_, package)| package.name == "docker-machine")
            .map(|(id, _)| id.clone())
            .ok_or("there is no package docker-machine")?;
        let mut packages = BTreeMap::new();
        let mut open = vec![root_id.clone()];
        while let Some(id) = open.pop() {
            if let Some(mut package) = all.remove(&id) {
                package.uses = uses.get(&id).cloned().unwrap_or_default();
                open.extend(package.uses.iter().cloned());
                packages.insert(id, package);
            }
        }
        Ok(Self {
            packages,
            root: root_id,
            epoch: epoch(root)?,
            libc: output(Command::new("getconf").arg("GNU_LIBC_VERSION"))?
                .trim()
                .to_owned(),
        })
    }

    /// What is not of this workspace, by name and version.
    pub(crate) fn foreign(&self) -> Vec<&Package> {
        let mut foreign: Vec<_> = self.packages.values().filter(|p| p.is_foreign()).collect();
        foreign.sort_by_key(|package| (&package.name, &package.version));
        foreign
    }
}

/// Where cargo builds.
pub(crate) fn target_directory(root: &Path) -> Result<PathBuf> {
    let metadata = metadata(root, &["--no-deps"])?;
    Ok(PathBuf::from(text(&metadata["target_directory"])))
}

fn metadata(root: &Path, more: &[&str]) -> Result<Value> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["metadata", "--format-version=1", "--locked"])
        .args(more)
        .current_dir(root);
    Ok(serde_json::from_str(&output(&mut cargo)?)?)
}

/// Which package links which: no build scripts, no tests, no macros.
fn uses(metadata: &Value, macros: &BTreeSet<String>) -> BTreeMap<String, Vec<String>> {
    let nodes = list(&metadata["resolve"]["nodes"]).iter().map(|node| {
        let linked = list(&node["deps"]).iter().filter(|dependency| {
            let kinds = list(&dependency["dep_kinds"]);
            kinds.iter().any(|kind| kind["kind"].is_null())
        });
        let linked = linked.map(|dependency| text(&dependency["pkg"]));
        let linked = linked.filter(|id| !macros.contains(id)).collect();
        (text(&node["id"]), linked)
    });
    nodes.collect()
}

/// Reads the archives' checksums out of Cargo.lock, whose form is fixed: a key and a value a line.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let (mut name, mut version) = (String::new(), String::new());
    let mut checksums = BTreeMap::new();
    for line in lock.lines() {
        let Some((key, value)) = line.split_once(" = ") else {
            continue;
        };
        let value = value.trim_matches('"').to_owned();
        match key {
            "name" => name = value,
            "version" => version = value,
            "checksum" => {
                checksums.insert((name.clone(), version.clone()), value);
            }
            _ => {}
        }
    }
    checksums
}

fn epoch(root: &Path) -> Result<i64> {
    if let Ok(epoch) = std::env::var("SOURCE_DATE_EPOCH") {
        return Ok(epoch.parse()?);
    }
    let mut git = Command::new("git");
    git.args(["log", "-1", "--format=%ct"]).current_dir(root);
    Ok(output(&mut git)?.trim().parse()?)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
