//! `ec2-lab demo`: creates a machine without an AWS account and without root.
//!
//! Runs a transcript: builds the real `docker-machine`, starts an endpoint with simulated hosts on loopback, and runs
//! one shell line after the other against them, each printed with its output. All files are in a temporary directory,
//! which is removed with the demo, however it ends.

use std::ffi::OsString;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use clap::{Arg, ArgMatches, Command, value_parser};
use ec2_lab::ec2::{ACCESS_KEY, Lab, StartError};
use ec2_lab::hosts::{HostOptions, SimulatedHosts};
use serde_json::Value;
use tempfile::TempDir;

/// The cause of a failed demo.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    /// A temporary file or directory could not be created.
    #[error("cannot create {}", path.display())]
    Place {
        /// The path.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        source: std::io::Error,
    },
    /// A program could not be started.
    #[error("cannot run {program}")]
    Run {
        /// Its name.
        program: String,
        /// The operating system's error.
        #[source]
        source: std::io::Error,
    },
    /// The build of the binary failed.
    #[error("cannot build docker-machine ({0})")]
    Build(ExitStatus),
    /// Cargo's output has no path of the binary.
    #[error("cargo reported no docker-machine executable")]
    NotBuilt,
    /// The endpoint could not be started.
    #[error("cannot start the lab")]
    Lab(#[source] StartError),
    /// A line of the transcript failed.
    #[error("'{line}' failed ({status})")]
    Line {
        /// The line as printed.
        line: String,
        /// Its exit status.
        status: ExitStatus,
    },
    /// Resources are left in the account.
    #[error("resources left after rm: {}", .0.join(", "))]
    Left(Vec<String>),
    /// Interrupted by a signal.
    #[error("interrupted")]
    Interrupted,
}

/// Returns the command line of `demo`.
pub(crate) fn command() -> Command {
    Command::new("demo")
        .about("Run docker-machine through the life of a machine, without AWS and without root")
        .arg(
            Arg::new("bin")
                .long("bin")
                .value_name("PATH")
                .value_parser(value_parser!(PathBuf))
                .help("Path of a docker-machine to use instead of building one"),
        )
        .arg(
            Arg::new("profile")
                .long("profile")
                .value_name("NAME")
                .default_value("release")
                .help("Cargo profile for the build"),
        )
}

/// Runs the demo to its end, or until a signal asks to end.
///
/// # Errors
/// The first failing line ends the demo. In either case no files or processes are left behind.
pub(crate) async fn run(options: &ArgMatches) -> Result<(), DemoError> {
    tokio::select! {
        ended = show(options) => ended,
        Ok(()) = crate::interrupted() => Err(DemoError::Interrupted),
    }
}

async fn show(options: &ArgMatches) -> Result<(), DemoError> {
    let binary = match options.get_one::<PathBuf>("bin") {
        Some(path) => std::path::absolute(path).map_err(|source| DemoError::Place {
            path: path.clone(),
            source,
        })?,
        None => {
            let profile = options.get_one::<String>("profile");
            build(profile.map_or("release", String::as_str)).await?
        }
    };
    let nowhere = |source| DemoError::Place {
        path: std::env::temp_dir(),
        source,
    };
    let hosts = Arc::new(SimulatedHosts::new(HostOptions::default()).map_err(nowhere)?);
    let lab = Lab::builder()
        .loopback()
        .hosts(hosts.clone())
        .start()
        .await
        .map_err(DemoError::Lab)?;
    let visitor = Visitor::new(&binary)?;

    println!(
        "# An EC2 on {} with hosts in {}.",
        lab.endpoint(),
        lab.vpc_cidr()
    );
    println!("# The store and all other files are in a temporary directory.");
    visitor.show("docker-machine --version").await?;
    let create = format!(
        "docker-machine create --driver amazonec2 --amazonec2-endpoint {} \
         --amazonec2-region eu-central-1 --amazonec2-use-private-address \
         --amazonec2-ssh-port 2222 --engine-label demo=yes m1",
        lab.endpoint()
    );
    visitor.show(&create).await?;
    for line in [
        "docker-machine ls",
        "docker-machine env m1",
        "docker-machine url m1",
        "docker-machine config m1",
        "docker-machine ssh m1 'hostname; grep ExecStart=/ $MACHINE_ROOT/etc/systemd/system/docker.service.d/10-machine.conf'",
    ] {
        visitor.show(line).await?;
    }
    if visitor.has("docker") {
        let line = "eval $(docker-machine env m1) && docker version";
        visitor.show(line).await?;
    } else {
        println!("\n# There is no docker client in the PATH: skipping 'docker version'.");
    }
    for line in [
        "docker-machine inspect m1 -f '{{.Driver.InstanceId}} {{.HostOptions.EngineOptions.Labels}}'",
        "docker-machine stop m1",
        "docker-machine ls",
        "docker-machine start m1",
        "docker-machine status m1",
        "docker-machine rm -y m1",
        "docker-machine ls",
    ] {
        visitor.show(line).await?;
    }
    if !lab.clean() {
        return Err(DemoError::Left(lab.left_over()));
    }
    println!("\n# Nothing is left: no instance, no key pair, no directory.");
    Ok(())
}

/// Builds the binary, and returns its path from cargo's output.
async fn build(profile: &str) -> Result<PathBuf, DemoError> {
    // Set by `cargo run`; otherwise cargo from the PATH.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let argv = [
        "build",
        "--profile",
        profile,
        "--workspace",
        "--bin",
        "docker-machine",
    ];
    println!("$ cargo {}", argv.join(" "));
    let failed = |source| DemoError::Run {
        program: cargo.to_string_lossy().into_owned(),
        source,
    };
    let built = tokio::process::Command::new(&cargo)
        .args(argv)
        .arg("--message-format=json-render-diagnostics")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // Progress and compiler errors. tokio's `output` would capture them.
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?
        .wait_with_output()
        .await
        .map_err(failed)?;
    if !built.status.success() {
        return Err(DemoError::Build(built.status));
    }
    // One JSON object per line; the object of a program has its path (Cargo book, "External tools").
    let text = String::from_utf8_lossy(&built.stdout);
    text.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == "docker-machine")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .ok_or(DemoError::NotBuilt)
}

/// A user at a shell, with a separate home directory.
struct Visitor {
    path: OsString,
    home: TempDir,
}

impl Visitor {
    /// Makes the home directory, and a directory for the `PATH` with `docker-machine` in it.
    fn new(binary: &Path) -> Result<Self, DemoError> {
        let made = tempfile::Builder::new().prefix("demo-").tempdir();
        let home = made.map_err(|source| DemoError::Place {
            path: std::env::temp_dir(),
            source,
        })?;
        let programs = home.path().join("bin");
        let link = programs.join("docker-machine");
        std::fs::create_dir(&programs)
            .and_then(|()| symlink(binary, &link))
            .map_err(|source| DemoError::Place { path: link, source })?;
        let mut path = programs.into_os_string();
        if let Some(rest) = std::env::var_os("PATH") {
            path.push(":");
            path.push(rest);
        }
        Ok(Self { path, home })
    }

    /// Returns whether the `PATH` has a program.
    fn has(&self, program: &str) -> bool {
        std::env::split_paths(&self.path).any(|directory| directory.join(program).is_file())
    }

    /// Prints a line, and runs it in a shell with the same output.
    async fn show(&self, line: &str) -> Result<(), DemoError> {
        println!("\n$ {line}");
        let home = self.home.path();
        let status = tokio::process::Command::new("sh")
            .args(["-c", line])
            .current_dir(home)
            .env_clear()
            .env("PATH", &self.path)
            .env("HOME", home)
            .env("USER", "demo")
            .env("SHELL", "/bin/sh")
            .env("TERM", "dumb")
            .env("MACHINE_STORAGE_PATH", home.join("machine"))
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", "any-secret-is-accepted")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .status()
            .await
            .map_err(|source| DemoError::Run {
                program: "sh".to_owned(),
                source,
            })?;
        if status.success() {
            return Ok(());
        }
        Err(DemoError::Line {
            line: line.to_owned(),
            status,
        })
    }
}
