//! Tells the compiler which commit this is (the same commit gives the same binary), and the linker what to leave out of
//! the executable that ships.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=DOCKER_MACHINE_BUILD");
    // Packagers build from archives without a repository: they say it themselves.
    let build = std::env::var("DOCKER_MACHINE_BUILD")
        .ok()
        .filter(|build| !build.is_empty())
        .or_else(commit)
        .unwrap_or_else(|| "HEAD".to_owned());
    println!("cargo:rustc-env=DOCKER_MACHINE_BUILD={build}");
    // `cargo static` sets this feature, and links with lld.
    if std::env::var_os("CARGO_FEATURE_NO_LOGS").is_some() {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/without-unwind-tables.ld");
        println!("cargo:rerun-if-changed={script}");
        println!("cargo:rustc-link-arg-bins=-Wl,-T,{script}");
    }
}

fn commit() -> Option<String> {
    let head = git(&["rev-parse", "--git-path", "HEAD"])?;
    println!("cargo:rerun-if-changed={head}");
    if let Some(branch) = git(&["symbolic-ref", "-q", "HEAD"]) {
        let file = git(&["rev-parse", "--git-path", &branch])?;
        println!("cargo:rerun-if-changed={file}");
    }
    git(&["rev-parse", "--short=9", "HEAD"])
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
