//! The tasks of a developer: `check` (format, lints, documentation), `fast` (the tests of the inner loop), `full`
//! (`tests/run`), and `dist`: everything that is released, out of one commit.
//!
//! ```text
//! target/dist/docker-machine-Linux-x86_64             the static executable
//!             docker-machine-Linux-x86_64.cdx.json    what is in it (CycloneDX)
//!             THIRD-PARTY-NOTICES.txt                 whose it is, and under which licences
//!             docker-machine_VERSION_amd64.deb        it, completions, man page, units, notices
//!             SHA256SUMS                              of all these
//! ```
//!
//! The same commit gives the same bytes: every time in them is the commit's, or `SOURCE_DATE_EPOCH`
//! (reproducible-builds.org). Needs git, getconf, sha256sum, gzip and dpkg-deb besides
//! cargo.

mod debian;
mod materials;
mod notices;
mod sbom;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use materials::Materials;

/// What goes wrong here is told to whoever releases, as it is.
type Result<T> = std::result::Result<T, Box<dyn Error>>;

const TARGET: &str = "x86_64-unknown-linux-gnu";
const EXECUTABLE: &str = "docker-machine-Linux-x86_64";
const USAGE: &str = "usage: cargo xtask check | fast | full | dist [--binary FILE] [--out DIRECTORY]\n\n\
    check             format, lints, documentation\n\
    fast              unit tests, recorded cases, command line (cargo-nextest, profile fast)\n\
    full              everything that has to hold: tests/run\n\
    dist              everything that is released\n\
    --binary FILE     package this executable instead of building one with `cargo static`\n\
    --out DIRECTORY   write the release here (default: target/dist)";

/// Runs cargo in the workspace; warnings of rustdoc are errors.
fn cargo(arguments: &[&str]) -> Result<()> {
    run(Command::new(env!("CARGO"))
        .args(arguments)
        .env("RUSTDOCFLAGS", "-D warnings")
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")))
}

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    match words.next().as_deref() {
        Some("check") => {
            cargo(&["fmt", "--all", "--check"])?;
            cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ])?;
            return cargo(&["doc", "--workspace", "--no-deps"]);
        }
        Some("fast") => {
            cargo(&["build", "--workspace", "--bins"])?;
            return cargo(&["nextest", "run", "--workspace", "--profile", "fast"]);
        }
        Some("full") => {
            return run(&mut Command::new(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../tests/run"
            )));
        }
        Some("dist") => {}
        _ => return Err(USAGE.into()),
    }
    let (mut binary, mut out) = (None, None);
    while let Some(word) = words.next() {
        let value = words.next().ok_or(USAGE)?;
        match word.as_str() {
            "--binary" => binary = Some(PathBuf::from(value)),
            "--out" => out = Some(PathBuf::from(value)),
            _ => return Err(USAGE.into()),
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .ok_or("xtask lies in the workspace")?;
    let materials = Materials::read(root)?;
    let binary = match binary {
        Some(binary) => binary,
        None => build(root, &materials.target_directory)?,
    };
    dist(
        root,
        &materials,
        &binary,
        &out.unwrap_or_else(|| materials.target_directory.join("dist")),
    )
}

/// Builds the static executable. Paths of this computer would be in it: they are replaced.
fn build(root: &Path, target: &Path) -> Result<PathBuf> {
    let home = std::env::var("CARGO_HOME")
        .or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")))?;
    // The last one that fits counts: the target directory may lie in the clone.
    let replaced = [
        (home, "/cargo"),
        (root.display().to_string(), "/docker-machine"),
        (target.display().to_string(), "/target"),
    ];
    let rust: Vec<String> = replaced
        .iter()
        .map(|(from, to)| format!("\"--remap-path-prefix={from}={to}\""))
        .collect();
    let c: Vec<String> = replaced
        .iter()
        .map(|(from, to)| format!("-ffile-prefix-map={from}={to}"))
        .collect();
    let flags = format!("target.{TARGET}.rustflags = [{}]", rust.join(", "));
    run(Command::new("cargo")
        .args(["static", "--locked", "--config", &flags])
        .env("CFLAGS", c.join(" "))
        .env_remove("RUSTFLAGS")
        .current_dir(root))?;
    Ok(target.join(TARGET).join("release/docker-machine"))
}

fn dist(root: &Path, materials: &Materials, binary: &Path, out: &Path) -> Result<()> {
    fs::create_dir_all(out)?;
    let executable = out.join(EXECUTABLE);
    fs::copy(binary, &executable).map_err(|error| format!("{}: {error}", binary.display()))?;
    let sbom = format!("{EXECUTABLE}.cdx.json");
    fs::write(out.join(&sbom), sbom::cyclonedx(materials)?)?;
    let notices = "THIRD-PARTY-NOTICES.txt".to_owned();
    fs::write(out.join(&notices), notices::text(materials)?)?;
    let package = debian::package(root, materials, &executable, &out.join(&notices), out)?;
    let files = [EXECUTABLE.to_owned(), sbom, notices, package];
    let sums = output(Command::new("sha256sum").args(&files).current_dir(out))?;
    fs::write(out.join("SHA256SUMS"), &sums)?;
    print(&format!("{}:\n{sums}", out.display()))
}

/// Runs a program to its end.
fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .map_err(|error| format!("{command:?}: {error}"))?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("{command:?}: {status}").into()),
    }
}

/// Runs a program and returns what it says.
fn output(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?}: {}\n{said}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn print(text: &str) -> Result<()> {
    use std::io::Write as _;
    Ok(writeln!(std::io::stdout(), "{text}")?)
}
