//! The house's arrows: which room may use which, and which library is for which room alone.
//!
//! Read from `cargo metadata`, so a dependency that is merely declared fails already.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Every edge between rooms that ships. `crate -> what it may use`.
const ARROWS: &[(&str, &[&str])] = &[
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
    (
        "driver-amazonec2",
        &[
            "machine-net",
            "machine-driver",
            "machine-ops",
            "machine-types",
        ],
    ),
    (
        "driver-generic",
        &[
            "machine-net",
            "machine-driver",
            "machine-ops",
            "machine-types",
        ],
    ),
    (
        "driver-none",
        &["machine-driver", "machine-ops", "machine-types"],
    ),
    (
        "docker-machine",
        &[
            "libmachine",
            "machine-net",
            "machine-driver",
            "machine-types",
            "go-template",
            "driver-amazonec2",
            "driver-generic",
            "driver-none",
        ],
    ),
];

/// What never ships: it may use anything, and nothing that ships may use it.
const WORKSHOP: &[&str] = &["ec2-lab", "machine-tests", "benches", "xtask"];

/// Libraries that one room alone may name.
const ONE_ROOM: &[(&str, &str)] = &[
    ("aws-", "driver-amazonec2"),
    ("clap", "docker-machine"),
    ("russh", "machine-ssh"),
    ("hickory-", "machine-net"),
];

struct Room {
    uses: BTreeSet<String>,
}

fn rooms() -> BTreeMap<String, Room> {
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
            (package["name"].as_str().unwrap().to_owned(), Room { uses })
        })
        .collect()
}

fn shipped(rooms: &BTreeMap<String, Room>) -> impl Iterator<Item = (&String, &Room)> {
    rooms
        .iter()
        .filter(|(name, _)| !WORKSHOP.contains(&name.as_str()))
}

#[test]
fn every_room_is_on_the_map() {
    let rooms = rooms();
    let unknown: Vec<_> = shipped(&rooms)
        .filter(|(name, _)| !ARROWS.iter().any(|(room, _)| room == name))
        .map(|(name, _)| name)
        .collect();
    assert!(
        unknown.is_empty(),
        "not on the map of the house: {unknown:?}"
    );
    assert!(ARROWS.iter().all(|(room, _)| rooms.contains_key(*room)));
}

#[test]
fn no_room_uses_another_than_the_arrows_say() {
    let rooms = rooms();
    let mut wrong = Vec::new();
    for (name, room) in shipped(&rooms) {
        let (_, allowed) = ARROWS.iter().find(|(room, _)| room == name).unwrap();
        for used in room.uses.iter().filter(|used| rooms.contains_key(*used)) {
            if !allowed.contains(&used.as_str()) {
                wrong.push(format!("{name} -> {used}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "edges that the house does not have: {wrong:?}"
    );
}

#[test]
fn each_heavy_library_has_one_room() {
    let rooms = rooms();
    for (library, home) in ONE_ROOM {
        let users: Vec<_> = shipped(&rooms)
            .filter(|(_, room)| room.uses.iter().any(|used| used.starts_with(library)))
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(users, [*home], "who uses {library}");
    }
}

/// Every file below `tests/tests` is a module of a test binary: one that no `mod` names is never compiled.
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
