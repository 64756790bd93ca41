//! What the documents show is true: their commands run, their flags exist, and what they point at is there.
//!
//! In a code block, a line that begins with `$ ` is run, in order, in a home of the document's own, against a lab;
//! every other `docker-machine` line is only read by the binary's own parser.

use std::path::{Path, PathBuf};

use ec2_lab::ec2::{Cidr, Lab};
use ec2_lab::hosts::{HostOptions, SimulatedHosts};
use machine_tests::flows::{Ended, Home};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// All documents, with their texts.
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

/// The lines of a document's code blocks: fenced, or set in by four columns behind an empty line.
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
    let id = std::process::id();
    let public = format!("127.{}.{}.0/24", 130 + id / 250 % 100, id % 250);
    let hosts = std::sync::Arc::new(SimulatedHosts::new(HostOptions::default()).unwrap());
    let lab = Lab::builder()
        .loopback()
        .public_addresses([Cidr::parse(&public).unwrap()])
        .hosts(hosts)
        .start()
        .await
        .unwrap();
    let mut home = Home::new();
    home.set("AWS_ENDPOINT", lab.endpoint());
    home.set("AWS_SSH_PORT", "2222");
    // A shell that people type into goes on after a failure; here it is the end, and names the line.
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
async fn commands_that_are_shown_run() {
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

/// The words of a command line, without what a shell does behind them.
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
async fn every_command_and_flag_that_is_shown_exists() {
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
            if !is_command || !is_shown || ["mv", "cp", "chmod"].contains(&first(line)) {
                continue;
            }
            // Whatever stands behind `ssh NAME` is the machine's business.
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

fn first(line: &str) -> &str {
    line.split_whitespace().next().unwrap_or_default()
}

#[test]
fn what_is_pointed_at_is_there() {
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
        // Programs of this repository that a block begins with.
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
