//! Generates the man page from the table of commands, and compares it with the committed file.
//! `UPDATE=1 cargo test -p docker-machine -p ec2-lab --test generated` writes it.

#![allow(
    clippy::unwrap_used,
    reason = "unexpected input of a generator fails the test"
)]

use std::path::Path;

use clap_mangen::Man;
use docker_machine::cli::Cli;
use docker_machine::drivers;
use docker_machine::environment::Environment;

fn declared() -> clap::Command {
    let (drivers, environment) = (drivers::table(), Environment::default());
    let cli = Cli {
        commands: docker_machine::commands::TABLE,
        drivers: &drivers,
        environment: &environment,
        columns: 100,
    };
    // The version changes with every commit, but the generated file must not.
    cli.clap_whole().version(env!("CARGO_PKG_VERSION"))
}

/// Sections of the man page besides commands and options.
const MORE: &str = include_str!("more.roff");

/// Hides the drivers' flags, unless the command is the one that describes them.
fn without_driver_flags(command: &clap::Command) -> clap::Command {
    let kinds = drivers::table();
    let flags: Vec<&str> = kinds
        .iter()
        .flat_map(|kind| kind.flags())
        .map(|flag| flag.name)
        .collect();
    let is_described = command.get_name() == "create";
    command.clone().mut_args(
        |arg| match flags.contains(&arg.get_id().as_str()) && !is_described {
            true => arg.hide(true),
            false => arg,
        },
    )
}

/// The examples of a command.
fn examples(name: &str) -> String {
    let mut commands = docker_machine::commands::TABLE.iter();
    let command = commands.find(|command| command.about().name == name);
    let mut examples = command.map_or(Vec::new(), |command| command.examples().to_vec());
    if name == "create" {
        let kinds = drivers::table();
        examples.extend(kinds.iter().flat_map(|kind| kind.examples()));
    }
    if examples.is_empty() {
        return String::new();
    }
    let lines = examples.join("\n").replace('\\', "\\e").replace('-', "\\-");
    format!(".SS Examples\n.nf\n{}\n.fi\n", lines.replace('\'', "\\(aq"))
}

/// The man page: the program, then each command with its options and examples.
fn man() -> String {
    let program = declared();
    let mut bytes = Vec::new();
    let page = Man::new(program.clone())
        .title("DOCKER-MACHINE")
        .section("1");
    page.render_title(&mut bytes).unwrap();
    page.render_name_section(&mut bytes).unwrap();
    page.render_synopsis_section(&mut bytes).unwrap();
    page.render_options_section(&mut bytes).unwrap();
    for command in program.get_subcommands() {
        let mut section = Vec::new();
        let command = without_driver_flags(command);
        let page = Man::new(command.clone());
        page.render_description_section(&mut section).unwrap();
        page.render_options_section(&mut section).unwrap();
        let text = String::from_utf8(section).unwrap();
        let usage = command.clone().render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ").replace('-', "\\-");
        let title = format!(
            ".SH \"{}\"\n\\fB{usage}\\fR\n.PP\n",
            command.get_name().to_uppercase()
        );
        let text = text
            .replace(".SH OPTIONS\n", "")
            .replacen(".SH DESCRIPTION", "", 1)
            .replace("\n.SH ", "\n.SS ");
        bytes.extend(title.bytes());
        bytes.extend(text.bytes());
        bytes.extend(examples(command.get_name()).bytes());
    }
    bytes.extend(MORE.bytes());
    String::from_utf8(bytes).unwrap()
}

#[test]
fn the_man_page_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../completions/docker-machine.1");
    let text = man();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == text,
        "{} is stale: UPDATE=1 cargo test -p docker-machine -p ec2-lab --test generated",
        path.display()
    );
}
