//! Debian package and RPM, built by cargo-deb and cargo-generate-rpm. Their contents are declared in
//! `crates/docker-machine/Cargo.toml`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::architecture::Architecture;
use crate::materials::Materials;
use crate::{Result, run};

/// Creates both in `out`; returns their file names.
///
/// # Errors
/// Fails if a tool is missing or fails.
pub(crate) fn make(
    root: &Path,
    materials: &Materials,
    architecture: Architecture,
    executable: &Path,
    notices: &Path,
    out: &Path,
) -> Result<[String; 2]> {
    let version = &materials
        .packages
        .get(&materials.root)
        .ok_or("no root")?
        .version;
    // The tools take the files of `target/release` from a target directory: here from a separate one.
    let stage = out.join("stage");
    let release = stage.join(architecture.target()).join("release");
    fs::create_dir_all(&release)?;
    fs::copy(executable, release.join("docker-machine"))?;
    fs::copy(notices, release.join("THIRD-PARTY-NOTICES.txt"))?;
    let deb = format!("docker-machine_{version}_{}.deb", architecture.debian());
    let rpm = format!("docker-machine-{version}-1.{}.rpm", architecture.linux());
    run(tool("cargo-deb", root, materials, &stage)
        .args(["--package=docker-machine", "--no-build", "--no-strip"])
        // Compressed by gzip(1): the tool's own compressor takes minutes in a build without optimisation.
        .args(["--compress-type=gzip", "--compress-system"])
        .arg(format!("--target={}", architecture.target()))
        .arg("--output")
        .arg(out.join(&deb)))?;
    run(tool("cargo-generate-rpm", root, materials, &stage)
        .args(["--package=crates/docker-machine", "--payload-compress=gzip"])
        .arg(format!("--target={}", architecture.target()))
        .arg("--target-dir")
        .arg(&stage)
        .arg("--output")
        .arg(out.join(&rpm)))?;
    fs::remove_dir_all(stage)?;
    Ok([deb, rpm])
}

/// Returns a command for a cargo subcommand, called by its own name. Timestamps in its output are the commit's.
fn tool(name: &str, root: &Path, materials: &Materials, target_directory: &Path) -> Command {
    let mut command = Command::new(PathBuf::from(name));
    command
        .arg(name.trim_start_matches("cargo-"))
        .current_dir(root)
        .env("CARGO_TARGET_DIR", target_directory)
        .env("SOURCE_DATE_EPOCH", materials.epoch.to_string())
        .stdout(Stdio::null());
    command
}
