//! Contents of the executable: the linked packages, from `cargo metadata`.

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
    /// SPDX expression; empty if the package declares none.
    pub(crate) licence: String,
    pub(crate) directory: PathBuf,
    /// SHA-256 of the package's archive, from Cargo.lock; none for the crates of this workspace.
    pub(crate) checksum: Option<String>,
    /// Package IDs of its dependencies.
    pub(crate) uses: Vec<String>,
}

impl Package {
    /// Returns whether it is not part of this workspace.
    pub(crate) fn is_foreign(&self) -> bool {
        self.checksum.is_some()
    }

    /// Returns its package URL (github.com/package-url/purl-spec).
    pub(crate) fn purl(&self) -> String {
        format!("pkg:cargo/{}@{}", self.name, self.version)
    }
}

/// Contents of a release.
#[derive(Debug)]
pub(crate) struct Materials {
    /// Packages by cargo's package ID, sorted.
    pub(crate) packages: BTreeMap<String, Package>,
    /// Package ID of `docker-machine`.
    pub(crate) root: String,
    /// Unix time of the commit, or `SOURCE_DATE_EPOCH`.
    pub(crate) epoch: i64,
    /// Version of the linked C library.
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

    /// Returns the packages outside this workspace, by name and version.
    pub(crate) fn foreign(&self) -> Vec<&Package> {
        let mut foreign: Vec<_> = self.packages.values().filter(|p| p.is_foreign()).collect();
        foreign.sort_by_key(|package| (&package.name, &package.version));
        foreign
    }
}

/// Returns cargo's target directory.
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

/// Returns the link-time dependencies of each package: no build scripts, no tests, no macros.
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

/// Reads the archives' checksums from Cargo.lock, whose format is fixed: one key and value per line.
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
