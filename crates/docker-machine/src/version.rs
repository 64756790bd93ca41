//! Output of `--version`.

/// Returns `X.Y.Z, build H`: the package's version, and the commit if it is known (see `build.rs`).
pub fn version() -> &'static str {
    concat!(
        env!("CARGO_PKG_VERSION"),
        ", build ",
        env!("DOCKER_MACHINE_BUILD")
    )
}

/// Returns the complete version line, which scripts parse.
pub fn line() -> String {
    format!("docker-machine version {}", version())
}
