//! Broken standard streams: full disks, closed pipes, a terminal that disappears. No command panics or loses a machine.

use std::process::Stdio;

use ec2_lab::hosts::{HostOptions, Moment};
use machine_tests::flows::{Flow, Home};
use machine_tests::sshd::Sshd;
use machine_tests::terminal::{TIMEOUT, Terminal};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

const WAITS: &str = "Waiting for SSH to be available...";

/// Hosts that accept logins only when the test says so: a create waits for them.
async fn hosts_that_wait() -> Flow {
    Flow::with_hosts(HostOptions {
        listens: Moment::WhenTold,
        ..HostOptions::default()
    })
    .await
}

fn create(flow: &Flow) -> Vec<String> {
    flow.creating("m1", &[])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_without_writable_output_creates_its_machine() {
    let flow = Flow::start().await;
    let line = create(&flow).join(" ");
    for streams in [">/dev/full 2>/dev/full", ">&- 2>&- <&-"] {
        let made = format!("docker-machine {line} {streams}");
        let ended = flow.home.shell(&made).await.ok();
        assert_eq!((ended.out.as_str(), ended.err.as_str()), ("", ""));
        flow.home.run(["config", "m1"]).await.ok();
        let removed = format!("docker-machine rm -y m1 {streams}");
        flow.home.shell(&removed).await.ok();
        flow.assert_clean();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_whose_pipes_close_midway_creates_its_machine() {
    let flow = hosts_that_wait().await;
    let mut command = Command::new(machine_tests::binary());
    flow.home
        .surround(command.args(create(&flow)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while lines.next_line().await.unwrap().expect("it ended") != WAITS {}
    drop((lines, child.stderr.take()));
    flow.let_listen().await;
    let ended = tokio::time::timeout(TIMEOUT, child.wait()).await;
    assert!(ended.expect("still running").unwrap().success());
    flow.home.run(["config", "m1"]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_whose_terminal_disappears_leaves_nothing() {
    let flow = hosts_that_wait().await;
    let mut terminal = Terminal::start(&flow.home, create(&flow), (80, 24));
    terminal.expect(WAITS).await;
    let status = terminal.vanish().await;
    assert_eq!(status.code(), Some(1), "{status}");
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_continues_under_nohup() {
    let flow = hosts_that_wait().await;
    let binary = machine_tests::binary().display().to_string();
    let argv = std::iter::once(binary).chain(create(&flow));
    let terminal = Terminal::run(&flow.home, "nohup", argv, (80, 24));
    // nohup(1) has redirected the output to this file. While the create waits, it polls its instance.
    let log = flow.home.path().join("nohup.out");
    let waits = || {
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        said.contains(WAITS)
    };
    flow.lab.until(|_| waits()).await;
    let ended = terminal.vanish();
    let (status, ()) = tokio::join!(ended, flow.let_listen());
    assert!(status.success(), "{status}");
    flow.home.run(["config", "m1"]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_cannot_be_written_is_an_error() {
    let flow = Flow::start().await;
    let none = ["create", "-d=none", "--url=tcp://127.0.0.1:1", "n1"];
    flow.home.run(none).await.ok();
    let asked = [
        "url n1",
        "inspect n1",
        "ls",
        "ls -q",
        "ls --format json",
        "env -u",
        "version",
        "--version",
        "--help",
        "rm --help",
        "help create",
    ];
    for asked in asked {
        let full = format!("docker-machine {asked} >/dev/full");
        let full = flow.home.shell(&full).await;
        let full = full.failed(1, &["standard output", "No space left on device"]);
        assert!(!full.err.contains("os error"), "{full}");
        // A reader that has read enough closes the pipe: this is no error.
        let line = format!("set -o pipefail; docker-machine {asked} | true");
        let ended = flow.home.shell(&line).await.ok();
        assert_eq!(ended.err, "", "{ended}");
    }
    // The output of a removal is not its result.
    flow.home
        .shell("docker-machine rm -y n1 >/dev/full")
        .await
        .ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_pipe_after_ssh_causes_no_message() {
    let Some(sshd) = Sshd::start("a closed pipe after ssh") else {
        return;
    };
    let home = Home::new();
    sshd.adopt(&home, "m1");
    let line = "docker-machine ssh m1 yes | head -1; echo ${PIPESTATUS[0]}";
    let ended = home.shell(line).await.ok();
    assert_eq!((ended.out.as_str(), ended.err.as_str()), ("y\n1\n", ""));
}
