//! The Go programs of the tests, in `tests/go`: peers that are written in the language of the programs that they
//! stand for.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns the executable of a program in `tests/go`, built if its source has changed, or prints that the test is
/// skipped.
///
/// # Panics
/// The program cannot be compiled.
pub fn program(name: &'static str, what: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&path).map(|directory| directory.join("go"));
    let Some(go) = found.find(|go| go.is_file()) else {
        crate::left_out(what, "go is not installed");
        return None;
    };
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("go").join(name);
    let test = std::env::current_exe().unwrap();
    let executable = test.ancestors().nth(2).unwrap().join(name);
    // Tests run in processes of their own: the first one builds, the others wait.
    let lock = std::fs::File::create(executable.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    if is_older(&executable, &source) {
        // Without a proxy, this succeeds only if tests/setup has downloaded the modules.
        let mut look = Command::new(&go);
        look.arg("-C").arg(&source).args(["mod", "download"]);
        let looked = look.env("GOPROXY", "off").output().unwrap();
        if !looked.status.success() {
            let reason = String::from_utf8_lossy(&looked.stderr);
            crate::left_out(what, &format!("run tests/setup: no Go modules: {reason}"));
            return None;
        }
        let mut build = Command::new(&go);
        build.arg("-C").arg(&source).args(["build", "-o"]);
        let built = build
            .arg(&executable)
            .env("CGO_ENABLED", "0")
            .env("GOPROXY", "off")
            .output()
            .unwrap();
        let reason = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "{name}: {reason}");
    }
    Some(executable)
}

/// Returns whether a file is missing, or older than a file of the directory.
fn is_older(file: &Path, directory: &Path) -> bool {
    let changed = |path: &Path| path.metadata().unwrap().modified().unwrap();
    !file.exists()
        || std::fs::read_dir(directory)
            .unwrap()
            .any(|entry| changed(&entry.unwrap().path()) > changed(file))
}
