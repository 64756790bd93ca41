//! Invariants of a store on disk, at any moment.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use machine_tests::flows::Home;

/// Files that every user who can enter the directory may read: certificates.
const PUBLIC: [&str; 4] = ["ca.pem", "cert.pem", "server.pem", ".server-next.pem"];

/// Returns all files and directories of the store.
fn entries(home: &Home) -> Vec<PathBuf> {
    let mut entries = Vec::new();
    let mut directories = vec![home.store()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path.clone());
            }
            entries.push(path);
        }
    }
    entries
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// Asserts that every `config.json` is complete, every machine has one, and that other users cannot read secret
/// files.
#[track_caller]
pub(crate) fn assert_sound(home: &Home) {
    for path in entries(home) {
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        let (name, shown) = (name(&path), path.display());
        if path.is_dir() {
            assert_eq!(mode, 0o700, "{shown}");
            let parent = path.parent().unwrap();
            if parent.ends_with("machines") && !name.starts_with('.') {
                assert!(path.join("config.json").is_file(), "{shown} has none");
            }
            continue;
        }
        let certificate =
            |public: &&str| name == **public || name.starts_with(&format!(".writing-{public}-"));
        let allowed = if PUBLIC.iter().any(certificate) {
            0o644
        } else {
            0o600
        };
        assert_eq!(mode & !allowed, 0, "{shown} has mode {mode:o}");
        if name == "config.json" && !shown.to_string().contains("/.creating-") {
            let text = fs::read_to_string(&path).unwrap();
            let whole = serde_json::from_str::<serde_json::Value>(&text);
            assert!(whole.is_ok(), "{shown} is cut short: {text:?}");
        }
    }
}

/// Returns incomplete files and directories.
pub(crate) fn half_made(home: &Home) -> Vec<String> {
    let beginnings = [".writing-", ".creating-", ".removing-"];
    let names = entries(home);
    let half = |path: &&PathBuf| beginnings.iter().any(|b| name(path).starts_with(b));
    names
        .iter()
        .filter(half)
        .map(|path| path.display().to_string())
        .collect()
}

/// Returns the machines as the runner, the Go binary and `ls` count them: names that begin with a dot are ignored.
pub(crate) fn machines(home: &Home) -> Vec<String> {
    let mut names = home.directories();
    names.retain(|name| !name.starts_with('.'));
    names
}
