//! A transcript for every system: its `os-release`, the output of its programs, and the commands that provisioning
//! and an upgrade then run there. The top of each names the sources of its facts. `UPDATE=1 cargo test -p
//! machine-provision --test host_script` writes the commands.

use std::fs;
use std::path::Path;

use machine_provision::upgrade;

use crate::host::{Host, INSTALL, context, plan};

/// A section of a transcript: `== WORDS`, then lines.
struct Part {
    words: Vec<String>,
    lines: String,
}

fn parts(text: &str) -> (String, Vec<Part>) {
    let mut pieces = text.split("\n== ");
    let facts = pieces.next().unwrap().to_owned();
    let parts = pieces.map(|piece| {
        let (head, lines) = piece.split_once('\n').unwrap_or((piece, ""));
        Part {
            words: head.split_whitespace().map(str::to_owned).collect(),
            lines: lines.trim_end().to_owned(),
        }
    });
    (facts, parts.collect())
}

/// Returns the commands that change something or wait for something, without the read-only ones.
fn commands(host: &Host) -> String {
    let looks = [
        "id ",
        "uname",
        "systemctl show",
        "systemctl is-active",
        "dockerd --version",
    ];
    let root = host.path("").display().to_string();
    let calls = host
        .calls()
        .into_iter()
        .filter(|call| !looks.iter().any(|look| call.starts_with(look)));
    let calls = calls.map(|call| match call.split_once("docker-machine.") {
        // The name of the scratch directory differs each time.
        Some((before, after)) => {
            let after = after.split_once('/').map_or("", |(_, after)| after);
            format!("{before}docker-machine.XXXXXX/{after}")
        }
        None => call,
    });
    let lines: Vec<String> = calls.map(|call| call.replace(&root, "/")).collect();
    lines.join("\n")
}

async fn play(host: &Host, part: &Part) -> Option<String> {
    host.forget_calls();
    match part.words[0].as_str() {
        "os-release" => host.put("/etc/os-release", &part.lines),
        "program" => host.program(&part.words[1], &part.lines.replace("INSTALL", INSTALL)),
        "docker" => {
            host.install(&part.words[1], "29.1.2");
            host.put("/state/active", "active\n");
        }
        "provision" => {
            host.provisioned(&plan()).await;
            return Some(commands(host));
        }
        "upgrade" => {
            let mut plan = plan();
            plan.engine_version = Some(part.words[1].clone());
            let (cx, heard) = context();
            let upgraded = upgrade(host, &plan, &cx).await;
            assert!(upgraded.is_ok(), "{upgraded:?}\n{}", heard.debug());
            return Some(commands(host));
        }
        other => panic!("unknown section {other}"),
    }
    None
}

#[tokio::test]
async fn every_system_runs_the_commands_in_its_transcript() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut played = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let (facts, parts) = parts(&text);
        assert!(
            facts.contains("os-release"),
            "{} has no source",
            path.display()
        );
        let host = Host::bare();
        host.without("apt-get");
        for distribution in ["centos", "fedora", "rhel", "rocky"] {
            let url = format!("https://download.docker.com/linux/{distribution}/docker-ce.repo");
            host.web(&url, "[docker-ce-stable]\n");
        }
        fs::create_dir_all(host.path("/etc/yum.repos.d")).unwrap();
        let mut now = facts;
        for part in &parts {
            let lines = play(&host, part).await.unwrap_or(part.lines.clone());
            now += &format!("\n== {}\n{lines}", part.words.join(" "));
            now = now.trim_end().to_owned();
        }
        now.push('\n');
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, &now).unwrap();
        }
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, now, "{}", path.display());
        played += 1;
    }
    assert!(played >= 18, "{played} transcripts");
}
