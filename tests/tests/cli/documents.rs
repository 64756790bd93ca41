//! The documents are correct: their commands run, their flags exist, and their links have targets.
//!
//! The lines of code blocks that begin with `$ ` run, in order, in one home per document, against a lab. The binary
//! only parses every other `docker-machine` line. Separate tests run or check the commands that install, build and
//! enable.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use ec2_lab::ec2::Lab;
use ec2_lab::hosts::{HostOptions, SimulatedHosts};
use machine_tests::built;
use machine_tests::flows::{Ended, Home};
use tokio::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// All documents, with their text.
fn documents() -> Vec<(PathBuf, String)> {
    let mut paths: Vec<PathBuf> = ["", "docs"]
        .iter()
        .flat_map(|directory| std::fs::read_dir(root().join(directory)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        (path, text)
    };
    paths.into_iter().map(read).collect()
}

/// The lines of a document's code blocks: fenced, or indented by four columns after an empty line.
fn code(text: &str) -> Vec<&str> {
    let (mut lines, mut fenced, mut set_in, mut empty) = (Vec::new(), false, false, true);
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        set_in = line.starts_with("    ") && (empty || set_in);
        if fenced || set_in {
            lines.push(line.trim());
        }
        empty = line.trim().is_empty();
    }
    lines
}

/// Runs the commands of a document that begin with `$ `, in one shell.
async fn run(document: &Path, text: &str) -> Option<Ended> {
    let commands: Vec<&str> = code(text)
        .into_iter()
        .filter_map(|line| line.strip_prefix("$ "))
        .collect();
    if commands.is_empty() {
        return None;
    }
    let hosts = std::sync::Arc::new(SimulatedHosts::new(HostOptions::default()).unwrap());
    let lab = Lab::builder()
        .public_loopback()
        .hosts(hosts)
        .start()
        .await
        .unwrap();
    let mut home = Home::new();
    home.set("AWS_ENDPOINT", lab.endpoint());
    home.set("AWS_SSH_PORT", "2222");
    // An interactive shell continues after a failure. Here, a failure ends the script and reports the line.
    let script: String = commands
        .iter()
        .map(|command| format!("echo '+ {}'\n{command}\n", command.replace('\'', "'\\''")))
        .collect();
    let ended = home.shell(&script).await;
    assert_eq!(ended.code, Some(0), "{}: {ended}", document.display());
    assert_eq!(
        lab.left_over(),
        Vec::<String>::new(),
        "{}",
        document.display()
    );
    Some(ended)
}

#[tokio::test(flavor = "multi_thread")]
async fn shown_commands_run() {
    let mut commands = 0;
    for (path, text) in documents() {
        if let Some(ended) = run(&path, &text).await {
            commands += ended
                .out
                .lines()
                .filter(|line| line.starts_with("+ "))
                .count();
        }
    }
    assert!(commands >= 8, "{commands}");
}

/// First words of lines that contain the program's name without running it. The last three are `doctor`'s.
const NO_COMMANDS: [&str; 6] = ["mv", "cp", "chmod", "ok", "note", "WRONG"];

/// The words of a command line, without pipes and redirections.
fn words(line: &str) -> Vec<String> {
    let line = line.split(" #").next().unwrap_or_default();
    let line = line
        .split(['|', '>', ';', '&', ')'])
        .next()
        .unwrap_or_default();
    let words = line.split_whitespace();
    words
        .map(|word| word.trim_matches(['"', '\'', '`']).to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shown_command_and_flag_exists() {
    let home = Home::new();
    let mut seen = 0;
    for (path, text) in documents() {
        for line in code(&text) {
            let Some(at) = line.find("docker-machine ") else {
                continue;
            };
            let is_command = line[..at].is_empty() || line[..at].ends_with([' ', '(']);
            let mut argv = words(&line[at + "docker-machine ".len()..]);
            let is_shown = argv.first().is_some_and(|word| {
                word.starts_with('-') || word.chars().all(|c| c.is_ascii_lowercase() || c == '-')
            });
            if !is_command || !is_shown || NO_COMMANDS.contains(&first(line)) {
                continue;
            }
            // The arguments after `ssh NAME` are a command of the machine.
            let is_ssh = argv.first().is_some_and(|word| word == "ssh");
            argv.insert(usize::from(!argv[0].starts_with('-')), "--help".into());
            let ended = home
                .run(if is_ssh { argv[..2].to_vec() } else { argv })
                .await;
            assert_eq!(ended.code, Some(0), "{}: {line}\n{ended}", path.display());
            seen += 1;
        }
        // The runner's options are flags without their dashes.
        let options = code(&text).into_iter().filter_map(|line| {
            let option = line
                .strip_prefix('"')?
                .trim_end_matches(',')
                .strip_suffix('"')?;
            option
                .starts_with("amazonec2-")
                .then(|| format!("--{option}"))
        });
        let options: Vec<String> = options.collect();
        if !options.is_empty() {
            let argv = ["create", "--driver=amazonec2", "--help"].map(str::to_owned);
            let ended = home.run(argv.into_iter().chain(options.clone())).await;
            assert_eq!(
                ended.code,
                Some(0),
                "{}: {options:?}\n{ended}",
                path.display()
            );
            seen += options.len();
        }
    }
    assert!(seen > 20, "{seen}");
}

/// The long flags in a command's help.
async fn flags(home: &Home, argv: &[&str]) -> BTreeSet<String> {
    let help = home.run(argv.iter().chain(&["--help"])).await.ok();
    let words = help.out.split([' ', '\n', ',', '[', '=', '.']);
    let flags = words.filter(|word| word.starts_with("--"));
    flags.map(str::to_owned).collect()
}

/// Flags in backquotes in prose and tables.
#[tokio::test(flavor = "multi_thread")]
async fn every_mentioned_flag_exists() {
    let home = Home::new();
    let help = home.run(["--help"]).await.ok();
    let is_command = |line: &&str| line.starts_with("  ") && !line.trim().starts_with('-');
    let commands = help.out.lines().filter(is_command).map(first);
    let mut known = BTreeMap::new();
    for command in commands.filter(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
    {
        known.insert(command.to_owned(), flags(&home, &[command]).await);
    }
    for driver in ["amazonec2", "generic", "none"] {
        let more = flags(&home, &["create", "--driver", driver]).await;
        known.get_mut("create").unwrap().extend(more);
    }
    let all: BTreeSet<&String> = known.values().flatten().collect();
    let global = flags(&home, &[]).await;
    let span = regex::Regex::new("`([^`\n]+)`").unwrap();
    let flag = regex::Regex::new("--[a-z][a-z0-9-]*[a-z0-9]").unwrap();
    let is_ours = |flag: &str| {
        ["amazonec2", "engine", "generic", "tls", "swarm"]
            .iter()
            .any(|prefix| flag.starts_with(&format!("--{prefix}-")))
    };
    let mut seen = 0;
    for (path, text) in documents() {
        for span in span.captures_iter(&text) {
            let span = &span[1];
            let command = known.get(first(span.trim_start_matches("docker-machine ")));
            for found in flag.find_iter(span).map(|found| found.as_str().to_owned()) {
                let exists = match command {
                    Some(flags) => flags.contains(&found),
                    None if is_ours(&found) => all.contains(&found) || global.contains(&found),
                    None => continue,
                };
                assert!(exists, "{}: {found} in `{span}`", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 30, "{seen}");
}

/// The lines of a document that begin with one of these programs.
fn lines_of(document: &str, programs: &[&str]) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(document)).unwrap();
    let lines = code(&text)
        .into_iter()
        .filter(|line| programs.contains(&first(line)));
    lines.map(str::to_owned).collect()
}

/// Runs the documented installation, replacement and restoration, in a directory instead of `/usr/local/bin`.
#[tokio::test(flavor = "multi_thread")]
async fn the_documented_replacement_and_restoration_work() {
    let home = Home::new();
    let binaries = home.path().join("bin");
    let made = "target/x86_64-unknown-linux-gnu/release";
    for directory in [&binaries, &home.path().join(made)] {
        std::fs::create_dir_all(directory).unwrap();
    }
    let here = |line: &str| line.replace("/usr/local/bin", binaries.to_str().unwrap());
    let installed = || std::fs::read_to_string(binaries.join("docker-machine")).unwrap();
    home.file(&format!("{made}/docker-machine"), "built");
    for line in lines_of("README.md", &["mv"]) {
        home.shell(&here(&line)).await.ok();
    }
    assert_eq!(installed(), "built");

    home.file("bin/docker-machine", "old");
    home.file("docker-machine-Linux-x86_64", "new");
    let mut lines = lines_of("docs/migration.md", &["cp", "chmod", "mv"]);
    let back = lines.pop().unwrap();
    for line in lines {
        home.shell(&here(&line)).await.ok();
    }
    assert_eq!(installed(), "new");
    home.shell(&here(&back)).await.ok();
    assert_eq!(installed(), "old");
}

/// Description of a flag in the help or in a document.
#[derive(Debug, Default, PartialEq, Eq)]
struct Described {
    variable: Option<String>,
    /// `None` without a default, or if it is described in words.
    default: Option<String>,
}

/// The flags of a driver in its help, without the driver's prefix.
async fn flags_of_help(driver: &str) -> BTreeMap<String, Described> {
    let help = Home::new()
        .run(["create", "-d", driver, "--help"])
        .await
        .ok()
        .out;
    let default = regex::Regex::new(r"\[default: ([^\]]+)\]").unwrap();
    let variable = regex::Regex::new(r"\[\$(\w+)\]").unwrap();
    let first = |pattern: &regex::Regex, text: &str| {
        pattern.captures(text).map(|found| found[1].to_owned())
    };
    let mut described = BTreeMap::new();
    for flag in help.split(&format!("\n      --{driver}-")).skip(1) {
        // After an empty line, another group begins.
        let flag = flag.split("\n\n").next().unwrap();
        let text = flag.split_whitespace().collect::<Vec<_>>().join(" ");
        let (name, text) = text.split_once(' ').unwrap();
        described.insert(
            name.to_owned(),
            Described {
                variable: first(&variable, text),
                default: first(&default, text),
            },
        );
    }
    described
}

/// Returns the flags in the tables of a driver's document: names, variables and the text of the default.
fn flags_of_document(path: &str) -> BTreeMap<String, (Option<String>, String)> {
    let text = std::fs::read_to_string(root().join(path)).unwrap();
    let (_, text) = text.split_once("\n## Flags\n").unwrap();
    let text = text.split("\n## ").next().unwrap();
    let flag = regex::Regex::new(r"`([a-z0-9-]+)`(?: \[(\w+)\])?").unwrap();
    let mut described = BTreeMap::new();
    let mut is_of_flags = false;
    for row in text.lines() {
        if row.starts_with("| ") && !row.starts_with("| `") {
            is_of_flags = row.starts_with("| flag |");
        }
        if !is_of_flags || !row.starts_with("| `") {
            continue;
        }
        let cells: Vec<&str> = row.split(" | ").collect();
        for found in flag.captures_iter(cells[0]) {
            let variable = found.get(2).map(|name| name.as_str().to_owned());
            described.insert(found[1].to_owned(), (variable, cells[1].to_owned()));
        }
    }
    described
}

/// Help and document name the same flags, variables and defaults. Both describe a create: the help is generated from
/// the table that also supplies the values.
#[tokio::test(flavor = "multi_thread")]
async fn help_and_document_agree_on_flags_defaults_and_variables() {
    let (help, document) = (
        flags_of_help("amazonec2").await,
        flags_of_document("docs/amazonec2.md"),
    );
    let names = |names: Vec<&String>| names.into_iter().cloned().collect::<BTreeSet<_>>();
    assert_eq!(
        names(help.keys().collect()),
        names(document.keys().collect())
    );
    // The default of these depends on the image.
    let of_the_image = ["device-name", "ssh-user"];
    for (flag, (variable, default)) in &document {
        let said = &help[flag];
        assert_eq!(*variable, said.variable, "{flag}");
        match &said.default {
            Some(value) if !of_the_image.contains(&flag.as_str()) => {
                let words = default.split([' ', ',']);
                assert!(
                    words.clone().any(|word| word == value),
                    "{flag}: {value} or {default:?}?"
                );
            }
            _ => {}
        }
    }
    // In the same groups; classic swarm comes last.
    let home = Home::new();
    let shown = home
        .run(["help", "create", "--driver", "amazonec2"])
        .await
        .ok()
        .out;
    let text = std::fs::read_to_string(root().join("docs/amazonec2.md")).unwrap();
    let (_, text) = text.split_once("\n## Flags\n").unwrap();
    let groups = text.split("\n## ").next().unwrap().split("\n### ").skip(1);
    let groups = groups.filter(|group| group.contains("| flag |"));
    let mut places: Vec<usize> = groups
        .map(|group| {
            let heading = group.lines().next().unwrap();
            shown
                .find(&format!("\n{heading}:\n"))
                .unwrap_or_else(|| panic!("no {heading}: {shown}"))
        })
        .collect();
    assert!(places.len() >= 6, "{places:?}");
    places.push(shown.find("\nClassic swarm").unwrap());
    places.push(shown.find("\nExamples:\n").unwrap());
    assert!(places.is_sorted(), "{places:?}: {shown}");
    let unknown = home.run(["help", "create", "--driver", "nimbus"]).await;
    unknown.failed(
        1,
        &[
            "Driver \"nimbus\" not found",
            "hint: the drivers are amazonec2, generic, none",
        ],
    );
    // Named in the help of the Go binary, but ignored by both.
    let ignored = Home::new()
        .run(["create", "-d", "amazonec2", "--help"])
        .await
        .ok()
        .out;
    assert!(
        ignored.contains("($AWS_SECURITY_GROUP is ignored)"),
        "{ignored}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_of_the_readme_succeeds() {
    let lines = lines_of("README.md", &["cargo"]);
    let demo = lines
        .iter()
        .find(|line| line.contains("-p ec2-lab"))
        .unwrap();
    let (_, argument) = demo.split_once(" -- ").unwrap();
    let home = Home::new();
    let mut lab = Command::new(built("ec2-lab"));
    lab.arg(argument).arg("--bin").arg(home.binary());
    let shown = home.end(lab, b"").await.ok();
    assert!(shown.out.contains("# Nothing is left"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_shows_the_progress_and_the_errors_of_its_build() {
    let mut home = Home::new();
    let cargo = home.file(
        "cargo",
        "#!/bin/sh\necho 'error: expected expression' >&2\nexit 101\n",
    );
    std::fs::set_permissions(&cargo, PermissionsExt::from_mode(0o755)).unwrap();
    home.set("CARGO", &cargo);
    let mut lab = Command::new(built("ec2-lab"));
    lab.arg("demo");
    let said = ["error: expected expression", "cannot build docker-machine"];
    home.end(lab, b"").await.failed(1, &said);
}

/// Cargo's own commands, this repository's aliases, and systemd units.
#[test]
fn cargo_commands_and_systemd_units_in_documents_exist() {
    let config = std::fs::read_to_string(root().join(".cargo/config.toml")).unwrap();
    let mut seen = 0;
    for (path, text) in documents() {
        for line in code(&text) {
            let words: Vec<&str> = line.trim_start_matches("$ ").split_whitespace().collect();
            let is_there = match words.as_slice() {
                ["cargo", word, ..] => {
                    ["build", "install", "run", "test"].contains(word)
                        || config.contains(&format!("\n{word} = "))
                }
                ["systemctl", .., unit] => root().join("contrib/systemd").join(unit).is_file(),
                _ => continue,
            };
            assert!(is_there, "{}: {line}", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 5, "{seen}");
}

/// Each documented difference from the Go binary names, in a comment, a test that shows it.
#[test]
fn every_difference_has_its_test() {
    let document = std::fs::read_to_string(root().join("docs/migration.md")).unwrap();
    let (_, list) = document
        .split_once("\n## Differences from the Go binary\n")
        .unwrap();
    let list = list.split("\n## ").next().unwrap();
    let items: Vec<&str> = list.split("\n- ").skip(1).collect();
    assert!(items.len() >= 15, "{}", items.len());
    let tests = tests_of(&root());
    let comment = regex::Regex::new("<!-- ([a-z0-9_ ]+) -->").unwrap();
    for item in items {
        let named = comment.captures(item);
        let named = named.unwrap_or_else(|| panic!("missing test name: {item}"));
        for test in named[1].split(' ') {
            assert!(tests.contains(test), "there is no test {test}: {item}");
        }
    }
}

/// The names of all test functions below a directory.
fn tests_of(directory: &Path) -> BTreeSet<String> {
    let function =
        regex::Regex::new(r"#\[(?:tokio::)?test[^\n]*\n\s*(?:async )?fn ([a-z0-9_]+)").unwrap();
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            names.extend(tests_of(&path));
        } else if name.ends_with(".rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            names.extend(
                function
                    .captures_iter(&text)
                    .map(|found| found[1].to_owned()),
            );
        }
    }
    names
}

fn first(line: &str) -> &str {
    line.split_whitespace().next().unwrap_or_default()
}

#[test]
fn links_packages_and_programs_in_documents_exist() {
    let link = regex::Regex::new(r"\]\(([^)#:]+)(#[^)]*)?\)").unwrap();
    let package = regex::Regex::new(r"(?:-p|--package) ([a-z0-9-]+)").unwrap();
    let target = regex::Regex::new(r"--test ([a-z0-9_]+)").unwrap();
    let metadata = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata = String::from_utf8(metadata.stdout).unwrap();
    let mut seen = 0;
    for (path, text) in documents() {
        let directory = path.parent().unwrap();
        for found in link.captures_iter(&text) {
            assert!(
                directory.join(&found[1]).exists(),
                "{}: {}",
                path.display(),
                &found[1]
            );
            seen += 1;
        }
        for named in [&package, &target] {
            for found in named.captures_iter(&text) {
                let name = format!("\"name\":\"{}\"", &found[1]);
                assert!(
                    metadata.contains(&name),
                    "{}: {}",
                    path.display(),
                    &found[0]
                );
                seen += 1;
            }
        }
        // Programs of this repository at the start of a line.
        for line in code(&text) {
            let program = first(line);
            if ["tests/", "contrib/", ".ci/"]
                .iter()
                .any(|place| program.starts_with(place))
            {
                assert!(root().join(program).is_file(), "{}: {line}", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 10, "{seen}");
}
