//! Frequent commands of a runner have little cost. The tests count system calls, which reveal threads, connections,
//! certificates and child processes.

use std::path::Path;

use machine_tests::flows::{Ended, Flow};
use machine_tests::left_out;
use tokio::process::Command;

/// The maximum number of system calls of a command that only reads. In a test build, some 60 are the dynamic linker's.
const CALLS: usize = 200;

/// The system calls of a command, one per line.
struct Asked(Vec<String>);

impl Asked {
    fn count(&self, calls: &[&str]) -> usize {
        let is_one = |line: &&String| {
            calls
                .iter()
                .any(|call| line.starts_with(&format!("{call}(")))
        };
        self.0.iter().filter(is_one).count()
    }

    fn opened(&self, what: &str) -> Vec<&String> {
        let lines = self.0.iter();
        lines
            .filter(|line| line.starts_with("open") && line.contains(what))
            .collect()
    }
}

/// Runs a command under strace. Returns `None` if strace is not installed.
async fn strace(flow: &Flow, argv: &[&str]) -> Option<(Ended, Asked)> {
    if !["/usr/bin/strace", "/bin/strace"]
        .iter()
        .any(|path| Path::new(path).exists())
    {
        left_out(&argv.join(" "), "strace is not installed");
        return None;
    }
    let file = flow.home.path().join("strace");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-s", "256", "-o"]).arg(&file);
    command.arg(flow.home.binary()).args(argv);
    let ended = flow.home.end(command, b"").await.ok();
    let text = std::fs::read_to_string(&file).unwrap();
    // Each line begins with the thread's id.
    let calls = text.lines().filter_map(|line| line.split_once(' '));
    let calls = calls.map(|(_, call)| call.trim_start().to_owned());
    Some((ended, Asked(calls.collect())))
}

async fn with_a_machine() -> Flow {
    let flow = Flow::start().await;
    let mut argv = vec!["create".to_owned()];
    argv.extend(flow.flags_with_ids());
    argv.push("m1".to_owned());
    flow.home.run(argv).await.ok();
    flow.lab.clear_calls();
    flow
}

const THREADS: &[&str] = &["clone", "clone3", "fork", "vfork"];

#[tokio::test(flavor = "multi_thread")]
async fn commands_on_saved_values_only_read_the_store() {
    let flow = with_a_machine().await;
    for argv in [
        &["--version"][..],
        &["inspect", "m1"],
        &[
            "inspect",
            "m1",
            "-f",
            "{{.HostOptions.AuthOptions.StorePath}}",
        ],
        &["ip", "m1"],
        &["ls", "-q"],
    ] {
        let Some((ended, asked)) = strace(&flow, argv).await else {
            return;
        };
        assert_eq!(asked.count(THREADS), 0, "a thread: {ended}");
        assert_eq!(
            asked.count(&["socket", "connect"]),
            0,
            "a connection: {ended}"
        );
        assert_eq!(
            asked.opened("key.pem"),
            Vec::<&String>::new(),
            "TLS: {ended}"
        );
        assert_eq!(
            asked.opened("/etc/ssl"),
            Vec::<&String>::new(),
            "TLS: {ended}"
        );
        let calls = asked.0.len();
        assert!(calls <= CALLS, "{calls} system calls: {ended}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn url_connects_once_without_tls_and_config_once_with_it() {
    let flow = with_a_machine().await;
    for (argv, keys, most) in [
        (["url", "m1"], 0, CALLS),
        (["config", "m1"], 1, CALLS + 100),
    ] {
        let Some((ended, asked)) = strace(&flow, &argv).await else {
            return;
        };
        assert_eq!(asked.count(THREADS), 0, "a thread: {ended}");
        assert_eq!(asked.count(&["connect"]), 1, "{ended}");
        assert_eq!(asked.opened("/key.pem").len(), keys, "{ended}");
        assert_eq!(asked.opened("/etc/ssl"), Vec::<&String>::new(), "{ended}");
        let calls = asked.0.len();
        assert!(calls <= most, "{calls} system calls: {ended}");
    }
    assert_eq!(flow.lab.calls().len(), 0);
}

/// For each machine, `ls -q` checks its directory, and opens, stats, reads to the end and closes its `config.json`.
#[tokio::test(flavor = "multi_thread")]
async fn ls_q_makes_six_system_calls_per_machine() {
    let flow = with_a_machine().await;
    let Some((_, one)) = strace(&flow, &["ls", "-q"]).await else {
        return;
    };
    let text = std::fs::read_to_string(flow.home.machine("m1").join("config.json")).unwrap();
    for number in 2..=41 {
        let name = format!("m{number}");
        let text = text.replace(r#""m1""#, &format!("{name:?}"));
        std::fs::create_dir(flow.home.machine(&name)).unwrap();
        std::fs::write(flow.home.machine(&name).join("config.json"), text).unwrap();
    }
    let (ended, many) = strace(&flow, &["ls", "-q"]).await.unwrap();
    assert_eq!(ended.out.lines().count(), 41, "{ended}");
    // In addition, the heap grows a few times.
    let each = (many.0.len() - one.0.len()) as f64 / 40.0;
    assert!(each < 6.5, "{each} system calls for each machine");
}

/// One thread waits for signals, because a create can be rolled back. Everything else runs on one thread.
#[tokio::test(flavor = "multi_thread")]
async fn a_create_has_two_threads_and_starts_no_program() {
    let flow = Flow::start().await;
    let mut argv = vec!["create".to_owned()];
    argv.extend(flow.flags_with_ids());
    argv.push("m1".to_owned());
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    let Some((ended, asked)) = strace(&flow, &argv).await else {
        return;
    };
    assert!(asked.count(THREADS) <= 1, "{ended}");
    assert_eq!(asked.count(&["execve"]), 1, "{ended}");
}
