//! Layers: allowed dependencies between crates, libraries that only one crate may use, and folders of a crate that
//! import only from folders below.
//!
//! The test reads `cargo metadata`, so it also rejects a dependency that is declared but unused.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Every dependency between released crates: `crate -> allowed dependencies`.
const DEPENDENCIES: &[(&str, &[&str])] = &[
    ("machine-types", &[]),
    ("go-template", &[]),
    ("machine-net", &[]),
    ("machine-ops", &["machine-types"]),
    ("machine-store", &["machine-ops", "machine-types"]),
    ("machine-driver", &["machine-ops", "machine-types"]),
    (
        "machine-tls",
        &["machine-net", "machine-ops", "machine-types"],
    ),
    (
        "machine-ssh",
        &["machine-net", "machine-ops", "machine-types"],
    ),
    (
        "machine-provision",
        &["machine-ssh", "machine-tls", "machine-ops", "machine-types"],
    ),
    (
        "libmachine",
        &[
            "machine-driver",
            "machine-store",
            "machine-tls",
            "machine-ssh",
            "machine-provision",
            "machine-ops",
            "machine-types",
        ],
    ),
    ("fleeting-plugin", &["libmachine", "machine-types"]),
    (
        "docker-machine",
        &[
            "fleeting-plugin",
            "libmachine",
            "machine-net",
            "machine-driver",
            "machine-types",
            "go-template",
        ],
    ),
];

/// Dependencies that every driver may have: each directory of `drivers` and each driver of `examples`.
const OF_A_DRIVER: &[&str] = &[
    "machine-net",
    "machine-driver",
    "machine-ops",
    "machine-types",
];

/// The crate that may depend on every driver: it contains the table of drivers.
const HAS_THE_TABLE: &str = "docker-machine";

/// The table of drivers: the only file outside a driver's directory that may name a driver or its cloud.
const TABLE: &str = "crates/docker-machine/src/drivers.rs";

/// Crates that are never released. They may depend on any crate; no released crate may depend on them.
const DEVELOPMENT: &[&str] = &["ec2-lab", "machine-tests", "benches", "xtask"];

/// Libraries that only one crate may depend on.
const ONE_USER: &[(&str, &str)] = &[
    ("aws-config", "driver-amazonec2"),
    ("aws-runtime", "driver-amazonec2"),
    ("aws-sdk-", "driver-amazonec2"),
    ("aws-types", "driver-amazonec2"),
    ("aws-smithy-http-client", "machine-net"),
    ("clap", "docker-machine"),
    ("prost", "fleeting-plugin"),
    ("russh", "machine-ssh"),
    ("tonic", "fleeting-plugin"),
    ("hickory-", "machine-net"),
];

struct Package {
    uses: BTreeSet<String>,
    directory: PathBuf,
    is_driver: bool,
}

impl Package {
    /// Returns the files below `src`, with their text.
    fn sources(&self) -> Vec<(PathBuf, String)> {
        let mut sources = Vec::new();
        let mut folders = vec![self.directory.join("src")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => {
                        let text = std::fs::read_to_string(&path).unwrap();
                        sources.push((path, text));
                    }
                }
            }
        }
        sources
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

fn crates() -> BTreeMap<String, Package> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| {
            let uses = package["dependencies"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|dependency| dependency["kind"].as_str() != Some("dev"))
                .map(|dependency| dependency["name"].as_str().unwrap().to_owned())
                .collect();
            let manifest = Path::new(package["manifest_path"].as_str().unwrap());
            let directory = manifest.parent().unwrap().to_owned();
            let parent = directory.parent().unwrap();
            let is_driver = ["drivers", "examples"]
                .iter()
                .any(|of| parent.ends_with(of));
            let name = package["name"].as_str().unwrap().to_owned();
            let package = Package {
                uses,
                directory,
                is_driver,
            };
            (name, package)
        })
        .collect()
}

fn shipped(crates: &BTreeMap<String, Package>) -> impl Iterator<Item = (&String, &Package)> {
    crates
        .iter()
        .filter(|(name, _)| !DEVELOPMENT.contains(&name.as_str()))
}

#[test]
fn every_crate_has_its_layer() {
    let crates = crates();
    let unknown: Vec<_> = shipped(&crates)
        .filter(|(_, package)| !package.is_driver)
        .filter(|(name, _)| !DEPENDENCIES.iter().any(|(layer, _)| layer == name))
        .map(|(name, _)| name)
        .collect();
    assert!(
        unknown.is_empty(),
        "crates without a row in DEPENDENCIES: {unknown:?}"
    );
    assert!(
        DEPENDENCIES
            .iter()
            .all(|(layer, _)| crates.contains_key(*layer))
    );
}

#[test]
fn no_crate_depends_on_another_than_its_row_allows() {
    let crates = crates();
    let mut wrong = Vec::new();
    for (name, package) in shipped(&crates) {
        let row = DEPENDENCIES.iter().find(|(layer, _)| layer == name);
        let allowed = match row {
            Some((_, allowed)) => allowed,
            None => OF_A_DRIVER,
        };
        for used in package
            .uses
            .iter()
            .filter(|used| crates.contains_key(*used))
        {
            let is_in_the_table = name == HAS_THE_TABLE && crates[used].is_driver;
            if !is_in_the_table && !allowed.contains(&used.as_str()) {
                wrong.push(format!("{name} -> {used}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "dependencies that no row allows: {wrong:?}"
    );
}

#[test]
fn each_heavy_library_has_one_user() {
    let crates = crates();
    for (library, home) in ONE_USER {
        let users: Vec<_> = shipped(&crates)
            .filter(|(_, package)| package.uses.iter().any(|used| used.starts_with(library)))
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(users, [*home], "crates that use {library}");
    }
}

/// Returns whether a line names a cloud: `amazonec2`, `EC2`, a variable of the AWS SDK. `aws_lc_rs` is a cryptography
/// library.
fn names_a_cloud(line: &str) -> bool {
    line.to_lowercase().contains("ec2") || line.contains("AWS_")
}

#[test]
fn no_crate_but_its_driver_names_a_cloud() {
    let (crates, table) = (crates(), root().join(TABLE));
    let mut named = Vec::new();
    for (name, package) in shipped(&crates).filter(|(name, _)| *name != "driver-amazonec2") {
        for (path, text) in package
            .sources()
            .into_iter()
            .filter(|(path, _)| *path != table)
        {
            for (number, line) in text.lines().enumerate() {
                if names_a_cloud(line) {
                    named.push(format!("{name}: {}:{}: {line}", path.display(), number + 1));
                }
            }
        }
    }
    assert!(named.is_empty(), "names of a cloud: {named:#?}");
}

/// A driver is a directory and two lines: its dependency and its row in the table.
#[test]
fn a_driver_needs_two_lines_outside_its_directory() {
    let crates = crates();
    let drivers = shipped(&crates)
        .filter(|(_, package)| package.directory.parent().unwrap().ends_with("drivers"));
    let manifest =
        std::fs::read_to_string(crates[HAS_THE_TABLE].directory.join("Cargo.toml")).unwrap();
    let table = std::fs::read_to_string(root().join(TABLE)).unwrap();
    let mut seen = 0;
    for (name, _) in drivers {
        seen += 1;
        let module = name.replace('-', "_");
        let lines =
            |text: &str, word: &str| text.lines().filter(|line| line.contains(word)).count();
        assert_eq!(
            (lines(&manifest, name), lines(&table, &module)),
            (1, 1),
            "{name}"
        );
        for (other, package) in shipped(&crates).filter(|(other, _)| *other != name) {
            for (path, text) in package.sources() {
                let is_table = path == root().join(TABLE);
                assert!(
                    is_table || !text.contains(&module),
                    "{other}: {} names {name}",
                    path.display()
                );
            }
        }
    }
    assert!(seen >= 3, "{seen} drivers");
}

/// Every file below `tests/tests` is a module of a test binary. A file without a `mod` is never compiled.
#[test]
fn every_test_file_is_a_module_of_a_test_binary() {
    let tests = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut forgotten = Vec::new();
    let mut folders = vec![tests];
    while let Some(folder) = folders.pop() {
        let entries: Vec<_> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        let root = ["main.rs", "mod.rs"]
            .iter()
            .find_map(|name| std::fs::read_to_string(folder.join(name)).ok())
            .unwrap_or_default();
        for path in entries {
            let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let declared = root.lines().any(|line| line == format!("mod {stem};"));
            let is_root = ["main", "mod"].contains(&stem.as_str());
            let is_binary = path.is_dir() && path.join("main.rs").exists();
            if !is_root && !is_binary && !declared {
                forgotten.push(path.clone());
            }
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    assert!(forgotten.is_empty(), "no `mod` names {forgotten:?}");
}

/// Source folders in which the imports between modules must form layers, and the path of each module there.
const LAYERED: &[(&str, &str)] = &[
    ("crates/docker-machine/src", "crate::"),
    ("crates/docker-machine/src/cli", "crate::cli::"),
    ("crates/docker-machine/src/listing", "crate::listing::"),
    ("crates/docker-machine/src/output", "crate::output::"),
    ("crates/docker-machine/src/remote", "crate::remote::"),
    ("crates/docker-machine/src/telemetry", "crate::telemetry::"),
    ("crates/ec2-lab/src", "crate::"),
    ("crates/ec2-lab/src/ec2", "crate::ec2::"),
    ("crates/fleeting-plugin/src", "crate::"),
    ("crates/libmachine/src", "crate::"),
    ("crates/libmachine/src/access", "crate::access::"),
    (
        "crates/libmachine/src/certificates",
        "crate::certificates::",
    ),
    ("crates/libmachine/src/doctor", "crate::doctor::"),
    ("crates/libmachine/src/lifecycle", "crate::lifecycle::"),
    ("crates/libmachine/src/recovery", "crate::recovery::"),
    ("crates/machine-driver/src", "crate::"),
    ("crates/machine-net/src", "crate::"),
    ("crates/machine-ops/src", "crate::"),
    ("crates/machine-provision/src", "crate::"),
    ("crates/machine-ssh/src", "crate::"),
    ("crates/machine-store/src", "crate::"),
    ("crates/machine-tls/src", "crate::"),
    ("crates/machine-types/src", "crate::"),
    ("drivers/amazonec2/src", "crate::"),
    ("drivers/amazonec2/src/api", "crate::api::"),
    ("drivers/amazonec2/src/config", "crate::config::"),
    ("drivers/amazonec2/src/inspect", "crate::inspect::"),
    ("drivers/amazonec2/src/launch", "crate::launch::"),
    ("drivers/amazonec2/src/network", "crate::network::"),
    ("drivers/amazonec2/src/recovery", "crate::recovery::"),
];

/// The modules of a folder, and the other modules that each of them imports by their path, without tests.
fn imports_between_modules(
    src: &std::path::Path,
    prefix: &str,
) -> BTreeMap<String, BTreeSet<String>> {
    fn sources(path: &std::path::Path) -> String {
        if path.is_dir() {
            let entries = std::fs::read_dir(path).unwrap();
            return entries
                .map(|entry| sources(&entry.unwrap().path()))
                .collect();
        }
        let text = std::fs::read_to_string(path).unwrap();
        text.split("#[cfg(test)]").next().unwrap().to_owned()
    }
    let modules: BTreeMap<String, String> = std::fs::read_dir(src)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap();
            (name.to_owned(), sources(&path))
        })
        .filter(|(name, _)| !["lib", "main", "mod"].contains(&name.as_str()))
        .collect();
    let path = format!(r"\b{prefix}(?:(\w+)|\{{([^}}]*)\}})");
    let path = regex::Regex::new(&path).unwrap();
    let name = regex::Regex::new(r"(?:^|,)\s*(\w+)").unwrap();
    modules
        .iter()
        .map(|(module, text)| {
            let named = path.captures_iter(text).flat_map(|found| {
                let list = found.get(1).or(found.get(2)).unwrap().as_str();
                name.captures_iter(list)
                    .map(|found| found[1].to_owned())
                    .collect::<Vec<_>>()
            });
            let used = named.filter(|used| modules.contains_key(used) && used != module);
            (module.clone(), used.collect())
        })
        .collect()
}

#[test]
fn no_folder_imports_back() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (layered, prefix) in LAYERED {
        let mut above = imports_between_modules(&root.join(layered), prefix);
        // Removes, layer by layer, the modules that import no remaining module.
        loop {
            let base: Vec<String> = above
                .iter()
                .filter(|(_, used)| used.iter().all(|used| !above.contains_key(used)))
                .map(|(module, _)| module.clone())
                .collect();
            if base.is_empty() {
                break;
            }
            above.retain(|module, _| !base.contains(module));
        }
        assert!(above.is_empty(), "{layered}: circular imports: {above:#?}");
    }
}
