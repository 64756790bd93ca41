//! The completions, in their shells: the Tab key's effect on a line. And the man page.

use std::path::{Path, PathBuf};

use machine_tests::flows::Home;
use machine_tests::terminal::Terminal;

/// Typed text before Tab, and the arguments that docker-machine then receives.
const LINES: [(&str, &str); 18] = [
    ("regen", "regenerate-certs"),
    ("ssh sol", "ssh solo-machine"),
    ("rm -y sol", "rm -y solo-machine"),
    ("--debug stop sol", "--debug stop solo-machine"),
    ("create --driver amaz", "create --driver amazonec2"),
    ("create -d gene", "create -d generic"),
    (
        "create -d generic --generic-ip",
        "create -d generic --generic-ip-address",
    ),
    (
        "create --amazonec2-request-s",
        "create --amazonec2-request-spot-instance",
    ),
    ("create --driver=gene", "create --driver=generic"),
    ("env --shell power", "env --shell powershell"),
    ("completion fi", "completion fish"),
    (
        "create --amazonec2-region eu-nor",
        "create --amazonec2-region eu-north-1",
    ),
    (
        "create -d amazonec2 --amazonec2-volume-type=sta",
        "create -d amazonec2 --amazonec2-volume-type=standard",
    ),
    ("ls --filter state=Runn", "ls --filter state=Running"),
    ("ls --format js", "ls --format json"),
    ("scp sol", "scp solo-machine:"),
    // File names where a file is expected, and not where a machine is.
    ("trace local-f", "trace local-file"),
    ("ssh local-f", "ssh local-f"),
];

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../completions")
        .join(name)
        .canonicalize()
        .unwrap()
}

/// Types the lines in a shell whose function `docker-machine` prints its arguments.
async fn complete(shell: &str, argv: &[&str], set_up: &str) {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .any(|directory| directory.join(shell).is_file());
    if !found {
        machine_tests::left_out("completions", &format!("no {shell}"));
        return;
    }
    let home = Home::new();
    let machine = [
        "create",
        "-d=none",
        "--url=tcp://127.0.0.1:1",
        "solo-machine",
    ];
    home.run(machine).await.ok();
    home.file("local-file", "");
    let mut terminal = Terminal::run(&home, shell, argv, (200, 50));
    // The quotes distinguish the echo of the typed line from its output.
    terminal.keys(&format!("{set_up}; echo rea''dy\n")).await;
    terminal.expect("ready\r\n").await;
    for (typed, wanted) in LINES {
        terminal.keys(&format!("docker-machine {typed}\t\n")).await;
        terminal.expect("got:").await;
        let got = terminal.expect("\r\n").await;
        assert_eq!(got.trim(), wanted, "{shell}");
    }
}

const STUB: &str = "docker-machine() { echo \"go\"\"t: $*\"; }";

#[tokio::test(flavor = "multi_thread")]
async fn the_committed_scripts_are_what_the_binary_prints() {
    let home = Home::new();
    for (shell, name) in [
        ("bash", "docker-machine.bash"),
        ("zsh", "_docker-machine"),
        ("fish", "docker-machine.fish"),
    ] {
        let printed = home.run(["completion", shell]).await.ok().out;
        assert_eq!(printed, std::fs::read_to_string(script(name)).unwrap());
    }
    let refused = home.run(["completion", "tcsh"]).await;
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.err.contains("unknown shell \"tcsh\""),
        "{}",
        refused.err
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bash_completes_lines() {
    let source = format!("source {}; {STUB}", script("docker-machine.bash").display());
    complete("bash", &["--norc", "--noprofile", "-i"], &source).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn zsh_completes_lines() {
    let directory = script("_docker-machine");
    let directory = directory.parent().unwrap().display();
    let load = format!("fpath=({directory} $fpath); autoload -U compinit; compinit -D -u");
    complete("zsh", &["-f", "-i"], &format!("{load}; {STUB}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fish_completes_lines() {
    let source = format!(
        "source {}; function docker-machine; echo \"go\"\"t: $argv\"; end",
        script("docker-machine.fish").display()
    );
    complete("fish", &["--no-config", "--interactive"], &source).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_are_those_of_the_store_on_the_line() {
    let home = Home::new();
    let create = ["create", "-d=none", "--url=tcp://127.0.0.1:1"];
    for (flags, name) in [(&[][..], "here"), (&["-s", "other"], "there")] {
        let argv = flags.iter().chain(&create).copied().chain([name]);
        home.run(argv).await.ok();
    }
    for line in [
        &["ssh", ""][..],
        &["-s", "other", "ssh", ""],
        &["--storage-path", "'other'", "ssh", ""],
        &["--storage-path", "=", "other", "ssh", ""],
        &["--storage-path=other", "rm", ""],
    ] {
        let argv = ["completion", "candidates"].iter().chain(line);
        let offered = home.run(argv).await.ok().out;
        let expected = if line.len() == 2 { "here\n" } else { "there\n" };
        assert_eq!(offered, expected, "{line:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_man_page_is_formatted_without_warnings() {
    let home = Home::new();
    if home.shell("command -v groff").await.code != Some(0) {
        machine_tests::left_out("the man page", "no groff");
        return;
    }
    let page = script("docker-machine.1");
    let checked = format!("groff -man -Tutf8 -ww -z {}", page.display());
    assert_eq!(home.shell(&checked).await.ok().err, "");
    let text = format!("groff -man -Tascii -P-cbou {}", page.display());
    let text = home.shell(&text).await.ok().out;
    for said in [
        "[[USER@]MACHINE:]PATH",
        "EXIT STATUS",
        "response_ms",
        "NO_COLOR",
    ] {
        assert!(text.contains(said), "{said}");
    }
}
