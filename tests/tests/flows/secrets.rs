//! Secrets in the values of options: no output, log, trace, metric or command line of a started program shows one,
//! whether the option is accepted or not.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use ec2_lab::ec2::ACCESS_KEY;
use ec2_lab::hosts::HostOptions;
use machine_tests::flows::{Flow, Home};
use machine_tests::keys::all_files;
use machine_tests::left_out;
use tempfile::TempDir;
use tokio::sync::Semaphore;

/// The secret of these tests.
const SECRET: &str = "MARKED0SECRET";

/// Number of concurrent creates.
const AT_ONCE: usize = 4;

/// The options of `create` that take a text, from the binary's help.
async fn options(flow: &Flow, driver: &str) -> Vec<String> {
    let help = flow
        .home
        .run(["create", "--driver", driver, "--help"])
        .await;
    let option = regex::Regex::new(r"(?m)^ +(?:-\w, )?--([a-z0-9-]+) <(\w[^>]*)>").unwrap();
    let found = option.captures_iter(&help.out);
    let texts = found.filter(|found| !["NUMBER", "INT"].contains(&&found[2]));
    texts.map(|found| found[1].to_owned()).collect()
}

/// The values that contain the secret.
fn values(option: &str) -> Vec<String> {
    let url = format!("https://user:{SECRET}@127.0.0.1:1/x?sig={SECRET}");
    let named = format!("log-opt=splunk-token={SECRET}");
    let mut values = vec![url, named];
    let is_secret = ["secret", "session-token"];
    if is_secret.iter().any(|word| option.contains(word)) {
        values = vec![SECRET.to_owned()];
    }
    values
}

fn has_strace() -> bool {
    Path::new("/usr/bin/strace").exists()
}

fn program(path: &Path, script: &str) {
    std::fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A flow whose runs record each program that they start, as `/proc/PID/cmdline` shows it.
struct Watched {
    flow: Flow,
    /// The programs of the runs: `docker-machine` under strace, and others that do nothing.
    _programs: TempDir,
}

impl Watched {
    async fn start() -> Self {
        let mut flow = Flow::with_hosts(HostOptions::default()).await;
        let programs = TempDir::with_prefix("programs-").unwrap();
        let strace = match has_strace() {
            true => "strace -f --seccomp-bpf -qq -e trace=execve -s 65536 -A -o \"$HOME/started\"",
            false => "",
        };
        let binary = flow.home.binary().display();
        let watched = programs.path().join("docker-machine");
        program(&watched, &format!("exec {strace} {binary} \"$@\""));
        for name in ["ssh", "rsync", "sshfs", "fusermount"] {
            program(&programs.path().join(name), "");
        }
        flow.home = Home::of(watched);
        let _programs = programs;
        Self { flow, _programs }
    }

    /// Returns the started programs with their arguments, except `docker-machine` itself, whose arguments are the
    /// user's.
    fn started(&self) -> String {
        let own = format!("execve(\"{}\"", machine_tests::binary().display());
        let started = std::fs::read_to_string(self.flow.home.path().join("started"));
        let started = started.unwrap_or_default();
        let others = started.lines().filter(|line| !line.contains(&own));
        others.map(|line| format!("{line}\n")).collect()
    }
}

/// Creates a machine with an option, and returns the output line that contains the secret, if there is one.
async fn told(option: String, value: String, json: bool) -> Option<String> {
    let mut watched = Watched::start().await;
    let flow = &mut watched.flow;
    let trace = flow.home.path().join("trace");
    let metrics = flow.home.path().join("metrics");
    flow.home.set("MACHINE_TRACE", &trace);
    flow.home.set("MACHINE_METRICS_FILE", &metrics);
    let mut argv = vec!["--debug".to_owned()];
    argv.extend(flow.creating("m1", &["--dry-run", &format!("--{option}={value}")]));
    let mut told = String::new();
    if json {
        flow.home.set("MACHINE_LOG", "json");
    }
    let created = flow.home.run(&argv).await;
    told.push_str(&format!("{}\n{}\n", created.out, created.err));
    if created.code == Some(0) {
        for command in [&["--debug", "ls"][..], &["--debug", "rm", "-y", "m1"]] {
            let ended = flow.home.run(command).await;
            told.push_str(&format!("{}\n{}\n", ended.out, ended.err));
        }
    }
    for file in [trace, metrics] {
        told.push_str(&std::fs::read_to_string(file).unwrap_or_default());
    }
    told.push_str(&watched.started());
    let line = told.lines().find(|line| line.contains(SECRET))?;
    Some(format!("--{option}={value}: {line}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_option_tells_a_secret() {
    let flow = Flow::start().await;
    let mut options = options(&flow, "amazonec2").await;
    // A volume type is an enum of EC2's API: the check against the API model counts any other value as a fault.
    options.retain(|option| !["driver", "amazonec2-volume-type"].contains(&&**option));
    assert!(options.len() > 50, "{options:?}");
    for known in ["engine-opt", "engine-registry-mirror", "amazonec2-endpoint"] {
        assert!(options.iter().any(|option| option == known), "{known}");
    }
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut tried = Vec::new();
    for option in options {
        for (index, value) in values(&option).into_iter().enumerate() {
            let (turns, option) = (turns.clone(), option.clone());
            tried.push(tokio::spawn(async move {
                let _turn = turns.acquire().await.unwrap();
                told(option, value, index == 1).await
            }));
        }
    }
    let mut wrong = Vec::new();
    for one in tried {
        wrong.extend(one.await.unwrap());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Each command that starts a program, for a machine with secrets in its options.
#[tokio::test(flavor = "multi_thread")]
async fn no_started_program_receives_a_secret() {
    if !has_strace() {
        return left_out(
            "command lines of started programs",
            "strace is not installed",
        );
    }
    let mut watched = Watched::start().await;
    let flow = &mut watched.flow;
    let proxy = format!("http://user:{SECRET}@127.0.0.1:1");
    flow.home.set("HTTPS_PROXY", &proxy);
    let keys = format!(
        r#"{{"Version": 1, "AccessKeyId": "{ACCESS_KEY}", "SecretAccessKey": "{SECRET}", "SessionToken": "{SECRET}"}}"#
    );
    let keys = flow.home.file("keys", keys);
    let profile = format!("[default]\ncredential_process = cat {}\n", keys.display());
    let profile = flow.home.file("profile", profile);
    flow.home.set("AWS_CONFIG_FILE", profile);
    flow.home.unset("AWS_ACCESS_KEY_ID");
    flow.home.unset("AWS_SECRET_ACCESS_KEY");
    let data = flow
        .home
        .file("data", format!("#cloud-config\n# {SECRET}\n"));
    let options = [
        format!("--engine-env=HTTPS_PROXY={proxy}"),
        format!("--engine-opt=log-opt=splunk-token={SECRET}"),
        format!("--amazonec2-tags=key,{SECRET}"),
        format!("--amazonec2-userdata={}", data.display()),
    ];
    let options = options.each_ref().map(String::as_str);
    flow.create("m1", &options).await.ok();
    flow.home.file("f", "f");
    for line in [
        "ssh m1 -A true",
        "scp -d f m1:f",
        "mount m1:/ point",
        "mount -u m1:/ point",
        "ls",
    ] {
        flow.home.run(line.split(' ')).await.ok();
    }
    let started = watched.started();
    for name in ["cat", "ssh", "rsync", "sshfs", "fusermount"] {
        assert!(
            started.contains(&format!("/{name}\", [")),
            "{name}: {started}"
        );
    }
    let told = started.lines().find(|line| line.contains(SECRET));
    assert_eq!(told, None);
    // A secret would be seen: the words of the user's own command are passed on.
    let own = ["ssh", "m1", "-A", SECRET];
    watched.flow.home.run(own).await.ok();
    assert!(watched.started().contains(SECRET));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_create_has_no_secret() {
    let flow = Flow::start().await;
    let options = [
        format!("--engine-env=API_TOKEN={SECRET}"),
        format!("--engine-opt=log-opt=splunk-token={SECRET}"),
        format!("--engine-install-url=http://user:{SECRET}@127.0.0.1:1/x?sig={SECRET}"),
    ];
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    // With or without success.
    let created = flow.create("m1", &options).await;
    let logs = all_files(&flow.home.store().join(".logs"));
    assert!(logs.contains("RunInstances"), "{created}\n{logs}");
    assert!(!logs.contains(SECRET), "{logs}");
}
