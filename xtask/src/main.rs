//! Development tasks: `check` (format, lints, documentation), `fast` (quick tests), `full` (`tests/run`), and `dist`:
//! all release files of one commit.
//!
//! ```text
//! target/dist/docker-machine-Linux-x86_64             the static executable
//!             docker-machine-Linux-x86_64.cdx.json    what is in it (CycloneDX)
//!             docker-machine_VERSION_amd64.deb        it, completions, man page, units, policies, notices
//!             docker-machine-VERSION-1.x86_64.rpm     the same for Amazon Linux and Fedora
//!             …aarch64, …arm64                        the same four for arm64
//!             THIRD-PARTY-NOTICES.txt                 whose it is, and under which licences
//!             SHA256SUMS                              of all these
//! ```
//!
//! The same commit gives the same bytes: every timestamp in them is the commit's, or `SOURCE_DATE_EPOCH`
//! (reproducible-builds.org). Needs git, getconf, sha256sum, cargo-deb and cargo-generate-rpm besides cargo.

mod architecture;
mod materials;
mod notices;
mod packages;
mod sbom;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use architecture::Architecture;
use materials::Materials;

/// Errors are printed unchanged to the release engineer.
type Result<T> = std::result::Result<T, Box<dyn Error>>;

const USAGE: &str = "usage: cargo xtask check | fast | full | dist [--binary FILE]... [--out DIRECTORY]\n\n\
    check             format, lints, documentation\n\
    fast              unit tests, recorded cases, command line (cargo-nextest, profile fast)\n\
    full              everything that has to hold: tests/run\n\
    dist              everything that is released, for x86-64 and arm64\n\
    --binary FILE     package this executable instead of building; once for each architecture\n\
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
    let (mut binaries, mut out) = (Vec::new(), None);
    while let Some(word) = words.next() {
        let value = words.next().ok_or(USAGE)?;
        match word.as_str() {
            "--binary" => binaries.push(PathBuf::from(value)),
            "--out" => out = Some(PathBuf::from(value)),
            _ => return Err(USAGE.into()),
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .ok_or("xtask lies in the workspace")?;
    let target_directory = materials::target_directory(root)?;
    if binaries.is_empty() {
        for architecture in Architecture::ALL {
            binaries.push(build(root, &target_directory, architecture)?);
        }
    }
    let out = out.unwrap_or_else(|| target_directory.join("dist"));
    dist(root, &binaries, &std::path::absolute(out)?)
}

/// Builds the static executable. Replaces paths of this computer, which it would otherwise contain.
fn build(root: &Path, target: &Path, architecture: Architecture) -> Result<PathBuf> {
    let home = std::env::var("CARGO_HOME")
        .or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")))?;
    // The last match counts: the target directory may be inside the clone.
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
    let triple = architecture.target();
    let flags = format!("target.{triple}.rustflags = [{}]", rust.join(", "));
    run(Command::new("cargo")
        .args([architecture.alias(), "--locked", "--config", &flags])
        .env("CFLAGS", c.join(" "))
        .env_remove("RUSTFLAGS")
        .current_dir(root))?;
    Ok(target.join(triple).join("release/docker-machine"))
}

fn dist(root: &Path, binaries: &[PathBuf], out: &Path) -> Result<()> {
    fs::create_dir_all(out)?;
    let mut files = Vec::new();
    let notices = out.join("THIRD-PARTY-NOTICES.txt");
    for binary in binaries {
        let architecture = Architecture::of(binary)?;
        let materials = Materials::read(root, architecture)?;
        if files.is_empty() {
            fs::write(&notices, notices::text(&materials)?)?;
            files.push("THIRD-PARTY-NOTICES.txt".to_owned());
        }
        let name = format!("docker-machine-Linux-{}", architecture.linux());
        let executable = out.join(&name);
        fs::copy(binary, &executable).map_err(|error| format!("{}: {error}", binary.display()))?;
        let sbom = format!("{name}.cdx.json");
        fs::write(out.join(&sbom), sbom::cyclonedx(&materials)?)?;
        files.extend([name, sbom]);
        let packages = packages::make(root, &materials, architecture, &executable, &notices, out)?;
        files.extend(packages);
    }
    let sums = output(Command::new("sha256sum").args(&files).current_dir(out))?;
    fs::write(out.join("SHA256SUMS"), &sums)?;
    print(&format!("{}:\n{sums}", out.display()))
}

/// Runs a program and waits for it.
fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .map_err(|error| format!("{command:?}: {error}"))?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("{command:?}: {status}").into()),
    }
}

/// Runs a program and returns its output.
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
