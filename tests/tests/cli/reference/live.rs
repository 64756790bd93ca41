//! The cases with machines that answer: two machines, created once, with a Docker of the recording's version.

use std::os::unix::process::CommandExt as _;

use ec2_lab::hosts::HostOptions;
use machine_tests::flows::Flow;
use tokio::process::Command;

use crate::reference::case::Case;
use crate::reference::compare;
use crate::reference::home::Replayed;

/// The content of the recorded machine's `/tmp/f1`.
const FILE: &str = "here it is\n";

/// Runs all cases on the same machines, in order.
pub(crate) async fn replay(cases: &[Case]) {
    let mut flow = Flow::with_hosts(HostOptions {
        docker_version: "20.10.24+dfsg1".to_owned(),
        ..HostOptions::default()
    })
    .await;
    for name in ["gm2", "gm3"] {
        flow.create(name, &[]).await.ok();
    }
    let file = flow.home.file("f1", FILE);
    let file = file.to_string_lossy();
    flow.home.run(["scp", &file, "gm2:/tmp/f1"]).await.ok();
    let mut differ = Vec::new();
    for case in cases {
        let replayed = run(&mut flow, case).await;
        differ.extend(compare::all(case, &replayed));
    }
    for copy in ["f2", "f3"] {
        let copied = std::fs::read_to_string(flow.home.path().join(copy));
        assert_eq!(copied.ok().as_deref(), Some(FILE), "{copy}");
    }
    assert!(
        differ.is_empty(),
        "{} of {} cases differ:\n\n{}",
        differ.len(),
        cases.len(),
        differ.join("\n\n")
    );
}

async fn run(flow: &mut Flow, case: &Case) -> Replayed {
    let address = flow.home.run(["ip", "gm2"]).await.ok().out;
    let other = flow.home.run(["ip", "gm3"]).await.ok().out;
    let store = flow.home.store().display().to_string();
    let root = flow.home.path().display().to_string();
    let values = [
        ("$STORE", store.as_str()),
        ("$ROOT", root.as_str()),
        ("$IP3", other.trim()),
        ("$IP", address.trim()),
    ];
    let filled = |text: &str| {
        values.iter().fold(text.to_owned(), |text, (name, value)| {
            text.replace(name, value)
        })
    };
    // All addresses become one placeholder, as in the comparison.
    let placed = |text: &str| {
        let text = values.iter().fold(text.to_owned(), |text, (name, value)| {
            text.replace(value, name)
        });
        text.replace("$IP3", "$IP")
    };
    for (name, value) in &case.env {
        flow.home
            .set(name, filled(value.as_deref().unwrap_or_default()));
    }
    let mut command = std::process::Command::new(machine_tests::binary());
    command
        .arg0("docker-machine")
        .args(case.argv.iter().map(|word| filled(word)));
    let ended = flow
        .home
        .end(Command::from(command), case.stdin.as_bytes())
        .await;
    for name in case.env.keys() {
        flow.home.unset(name);
    }
    flow.home.set("SHELL", "/bin/bash");
    Replayed {
        code: ended.code,
        stdout: placed(&ended.out),
        stderr: placed(&ended.err),
        files_left: Vec::new(),
        config: None,
        wire: Vec::new(),
    }
}
