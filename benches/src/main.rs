//! Speed and size of `docker-machine` against the lab: medians, and ratios to another executable.
//!
//! Everything runs on loopback and on this machine: the endpoint and the hosts use processor time too, so figures of
//! `create` are upper bounds. Nothing is asserted here; `tests/tests/flows/budgets.rs` asserts the counts.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the benches print their results"
)]

mod bench;
mod creates;
mod lists;
mod measure;
mod short;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Arg, ArgAction, Command, value_parser};

use bench::Result;
use table::Row;

fn main() -> ExitCode {
    let path = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("PATH")
            .value_parser(value_parser!(PathBuf))
            .help(help)
    };
    let matches = Command::new("benches")
        .about("Measures docker-machine against the lab")
        .arg(path(
            "bin",
            "Which docker-machine, instead of what cargo static has built",
        ))
        .arg(path("beside", "Another one to compare it with"))
        .arg(
            Arg::new("only")
                .long("only")
                .value_name("PART")
                .action(ArgAction::Append)
                .value_parser(PARTS)
                .help("Measures this part alone"),
        )
        .subcommand(
            Command::new("measure")
                .hide(true)
                .arg(
                    Arg::new("runs")
                        .required(true)
                        .value_parser(value_parser!(u32)),
                )
                .arg(Arg::new("argv").num_args(1..).last(true)),
        )
        .get_matches();
    let done = match matches.subcommand_matches("measure") {
        Some(measured) => {
            let argv = measured.get_many::<String>("argv").unwrap_or_default();
            let argv: Vec<String> = argv.cloned().collect();
            let runs = measured.get_one("runs").copied().unwrap_or(1);
            measure::measure(&argv, runs).map_err(Into::into)
        }
        None => {
            let binary = matches.get_one::<PathBuf>("bin");
            let binary = binary.cloned().unwrap_or_else(bench::shipped);
            let beside = matches.get_one::<PathBuf>("beside");
            let only = matches.get_many::<String>("only").unwrap_or_default();
            let only: Vec<&str> = only.map(String::as_str).collect();
            compare(&binary, beside.map(PathBuf::as_path), &only)
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("benches: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The parts that can be measured separately.
const PARTS: [&str; 6] = ["short", "create", "pending", "creates", "ls", "size"];

fn compare(binary: &Path, beside: Option<&Path>, only: &[&str]) -> Result<()> {
    let rows = all(binary, only)?;
    let others = beside.map(|path| all(path, only)).transpose()?;
    table::print(&rows, others.as_deref());
    Ok(())
}

fn all(binary: &Path, only: &[&str]) -> Result<Vec<Row>> {
    let binary = binary.canonicalize().map_err(|error| {
        let path = binary.display();
        format!("no docker-machine at {path} ({error}): build one with cargo static")
    })?;
    let mut rows = Vec::new();
    for part in PARTS {
        if !only.is_empty() && !only.contains(&part) {
            continue;
        }
        match part {
            "short" => rows.extend(alone(short::rows(&binary))?),
            "create" => rows.push(alone(creates::ready(&binary))?),
            "pending" => rows.push(alone(creates::pending(&binary))?),
            "creates" => rows.push(alone(creates::at_once(&binary))?),
            "ls" => rows.extend(alone(lists::rows(&binary))?),
            _ => rows.push(size(&binary)?),
        }
    }
    Ok(rows)
}

fn size(binary: &Path) -> Result<Row> {
    let size = binary.metadata()?.len();
    Ok(Row {
        what: "the executable",
        goal: "≤ 14.5 MB",
        is: format!("{:.1} MB", size as f64 / 1e6),
        time: Duration::ZERO,
    })
}

/// Runs a part in a separate runtime: all sockets of its lab are closed when the next part begins.
fn alone<T>(part: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Runtime::new()?.block_on(part)
}
