//! Generates the completions and the man page from the table of commands, and compares them with the committed files.
//! `UPDATE=1 cargo test -p docker-machine -p ec2-lab --test generated` writes them.

#![allow(
    clippy::unwrap_used,
    reason = "unexpected input of a generator fails the test"
)]

use std::path::{Path, PathBuf};

use clap_complete::{Shell, generate};
use clap_mangen::Man;
use docker_machine::cli::Cli;
use docker_machine::commands::TABLE;
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
    // The version changes with every commit, but the generated files must not.
    cli.clap_whole().version(env!("CARGO_PKG_VERSION"))
}

fn script(shell: Shell) -> String {
    let mut bytes = Vec::new();
    generate(shell, &mut declared(), "docker-machine", &mut bytes);
    String::from_utf8(bytes).unwrap()
}

/// The commands that take names of machines.
fn with_names() -> Vec<&'static str> {
    let takes_names = |arguments: &str| arguments.contains("NAME") || arguments.contains("MACHINE");
    let commands = TABLE.iter().map(|command| command.about());
    let commands = commands.filter(|about| takes_names(about.arguments) && about.name != "create");
    commands.map(|about| about.name).collect()
}

/// bash: after the generated function, adds names where a command takes them.
fn bash() -> String {
    // clap_complete 4.6 spells a program name with a dash in two ways, which do not match.
    let generated = script(Shell::Bash).replace("docker__subcmd__machine", "docker__machine");
    let (function, _) = generated.split_once("\nif [[ \"${BASH_VERSINFO").unwrap();
    let commands = with_names().join("|");
    format!(
        r#"{function}

_docker-machine_with_names() {{
    _docker__machine "$@"
    local word current="${{COMP_WORDS[COMP_CWORD]}}"
    [[ $current == -* ]] && return 0
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case $word in
            {commands})
                COMPREPLY+=($(compgen -W "$(docker-machine ls -q 2>/dev/null)" -- "$current"))
                return 0
                ;;
        esac
    done
    return 0
}}

complete -F _docker-machine_with_names -o bashdefault -o default docker-machine
"#
    )
}

/// zsh: a function completes the positional arguments of commands that take names.
fn zsh() -> String {
    let mut text = script(Shell::Zsh);
    for command in with_names() {
        let begin = text.find(&format!("({command})\n")).unwrap();
        let end = begin + text[begin..].find("&& ret=0").unwrap();
        let block = text[begin..end].replace(":_default' \\\n", ":_docker-machine_names' \\\n");
        // Option values keep their completion. Only the positional, which begins with `*`, changes.
        let block: String = text[begin..end]
            .lines()
            .zip(block.lines())
            .map(|(old, new)| format!("{}\n", if old.starts_with("'*::") { new } else { old }))
            .collect();
        text.replace_range(begin..end, &block);
    }
    let (head, tail) = text.split_once("\nif [ \"$funcstack[1]\"").unwrap();
    format!(
        r#"{head}
(( $+functions[_docker-machine_names] )) ||
_docker-machine_names() {{
    local -a names
    names=(${{(f)"$(docker-machine ls -q 2>/dev/null)"}})
    compadd -a names
    _files
}}

if [ "$funcstack[1]"{tail}"#
    )
}

/// fish: adds a rule for the commands that take names.
fn fish() -> String {
    let generated = script(Shell::Fish);
    let commands = with_names().join(" ");
    format!(
        "{generated}complete -c docker-machine -n \"__fish_seen_subcommand_from {commands}\" -a \"(docker-machine ls -q 2>/dev/null)\" -d \"Machine\"\n"
    )
}

/// The sections of the man page besides commands and options.
const MORE: &str = include_str!("more.roff");

/// The man page: the program, then each command with its options.
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
        let page = Man::new(command.clone());
        page.render_description_section(&mut section).unwrap();
        page.render_options_section(&mut section).unwrap();
        let text = String::from_utf8(section).unwrap();
        let usage = command.clone().render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ").replace('-', "\\-");
        let title = format!(
            ".SH \"{}\"\n\\fB{usage}\\fR\n.PP",
            command.get_name().to_uppercase()
        );
        let text = text
            .replacen(".SH DESCRIPTION", &title, 1)
            .replace(".SH OPTIONS\n", "");
        bytes.extend(text.bytes());
    }
    bytes.extend(MORE.bytes());
    String::from_utf8(bytes).unwrap()
}

#[test]
fn generated_files_equal_the_committed_ones() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../completions");
    let files: [(&str, String); 4] = [
        ("docker-machine.bash", bash()),
        ("_docker-machine", zsh()),
        ("docker-machine.fish", fish()),
        ("docker-machine.1", man()),
    ];
    let update = std::env::var_os("UPDATE").is_some();
    for (name, text) in files {
        let path: PathBuf = directory.join(name);
        if update {
            std::fs::create_dir_all(&directory).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == text,
            "{} is stale: UPDATE=1 cargo test -p docker-machine -p ec2-lab --test generated",
            path.display()
        );
    }
}
