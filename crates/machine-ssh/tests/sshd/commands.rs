//! Commands: streams, exit statuses, limits, cancellation and lost connections.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use machine_ops::{Event, Events, SpanKind, SpanOutcome};
use machine_ssh::{Command, SshError, shell_quote};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::need_openssh;
use crate::server::{Server, TIMEOUT, cx};

/// 5 MB that contain every byte, without repeated sequences.
fn noise() -> Vec<u8> {
    let mut state = 1u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(5 << 20).collect()
}

#[tokio::test]
async fn streams_are_separate_and_exit_codes_are_returned() {
    need_openssh!();
    let server = Server::started();
    let session = server.session().await;
    let command = Command::new("both", "printf out; printf err >&2; exit 7");
    let output = session.run(&command, &cx()).await.unwrap();
    assert_eq!(output.stdout, b"out");
    assert_eq!(output.stderr, b"err");
    assert_eq!(output.status.code(), Some(7));
    assert!(!output.status.success() && !output.truncated);

    let signal = session
        .run(&Command::new("kill", "kill -KILL $$"), &cx())
        .await
        .unwrap();
    assert_eq!(signal.status.signal(), Some("KILL"));
    assert_eq!(signal.status.code(), None);
    assert_eq!(signal.status.to_string(), "signal KILL");
}

#[tokio::test]
async fn the_error_of_a_failed_command_quotes_its_output() {
    need_openssh!();
    let server = Server::started();
    let session = server.session().await;
    let command = Command::new(
        "install docker",
        r"printf 'first\nE: no \033[31mspace\n' >&2; exit 100",
    );
    let error = session.check(&command, &cx()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "install docker failed on {}: exit status 100: first | E: no \\u{{1b}}[31mspace",
            session.host()
        )
    );
    let fine = session
        .check(&Command::new("fine", "echo yes"), &cx())
        .await
        .unwrap();
    assert_eq!(fine.text(), "yes");
}

#[tokio::test]
async fn five_megabytes_pass_in_both_directions() {
    need_openssh!();
    let server = Server::started();
    let session = server.session().await;
    let sent = noise();
    let command = Command::new("cat", "cat");
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    session
        .pipe(&command, &sent[..], &mut stdout, &mut stderr, &cx())
        .await
        .unwrap();
    assert!(stdout == sent, "received {} bytes", stdout.len());
    assert!(stderr.is_empty());
}

#[tokio::test]
async fn output_beyond_the_limit_is_dropped_and_the_command_still_ends() {
    need_openssh!();
    let server = Server::started();
    let session = server.session().await;
    let command = Command::new("flood", "head -c 3000000 /dev/zero; printf end >&2");
    let output = session.run(&command, &cx()).await.unwrap();
    assert_eq!(output.stdout.len(), 1 << 20);
    assert!(output.truncated && output.status.success());
    assert_eq!(output.stderr, b"end");
}

#[tokio::test]
async fn unread_input_does_not_block() {
    need_openssh!();
    let server = Server::started();
    let session = server.session().await;
    let command = Command::new("head", "head -c 3; exit 4");
    let mut stdout = Vec::new();
    let status = session
        .pipe(
            &command,
            &noise()[..],
            &mut stdout,
            tokio::io::sink(),
            &cx(),
        )
        .await
        .unwrap();
    assert_eq!((stdout.len(), status.code()), (3, Some(4)));

    // Endless input: the call returns when the command ends.
    let (_open, never) = tokio::io::duplex(1);
    let command = Command::new("true", "true");
    let (out, err) = (tokio::io::sink(), tokio::io::sink());
    let status = session.pipe(&command, never, out, err, &cx()).await;
    assert!(status.unwrap().success());
}

#[tokio::test]
async fn a_dialogue_is_copied_without_delay() {
    need_openssh!();
    let server = Server::started();
    let session = server.session().await;
    let (mut to, stdin) = tokio::io::duplex(64);
    let (stdout, from) = tokio::io::duplex(64);
    let command = Command::new("echo", "while read line; do echo \"<$line>\"; done");
    let cx = cx();
    let talk = async {
        let mut from = BufReader::new(from).lines();
        for word in ["one", "two"] {
            to.write_all(format!("{word}\n").as_bytes()).await.unwrap();
            assert_eq!(
                from.next_line().await.unwrap().unwrap(),
                format!("<{word}>")
            );
        }
        drop(to);
    };
    let pipe = session.pipe(&command, stdin, stdout, tokio::io::sink(), &cx);
    let (status, ()) = tokio::join!(pipe, talk);
    assert!(status.unwrap().success());
}

#[tokio::test]
async fn a_closed_local_pipe_ends_the_command() {
    need_openssh!();
    let server = Server::started();
    let session = server.session().await;
    let (stdout, from) = tokio::io::duplex(64);
    drop(from);
    let command = Command::new("yes", "yes");
    let error = session
        .pipe(
            &command,
            tokio::io::empty(),
            stdout,
            tokio::io::sink(),
            &cx(),
        )
        .await
        .unwrap_err();
    assert!(matches!(error, SshError::Local { .. }), "{error}");
    let after = session
        .run(&Command::new("after", "echo on"), &cx())
        .await
        .unwrap();
    assert_eq!(after.text(), "on");
}

#[tokio::test]
async fn many_commands_share_a_session() {
    need_openssh!();
    let server = Server::started();
    let session = server.session().await;
    let cx = cx();
    // Ten is OpenSSH's default limit of sessions per connection (MaxSessions).
    let runs = (0..10).map(|number| {
        let command = Command::new(
            "echo",
            format!("head -c 200000 /dev/zero; echo {number} >&2"),
        );
        let (session, cx) = (&session, &cx);
        async move { session.run(&command, cx).await.unwrap() }
    });
    let outputs = futures_util::future::join_all(runs).await;
    let numbers: BTreeSet<_> = outputs.iter().map(|o| o.stderr.clone()).collect();
    assert_eq!(numbers.len(), 10);
    assert!(outputs.iter().all(|o| o.stdout.len() == 200_000));
    for _ in 0..30 {
        session
            .check(&Command::new("again", "true"), &cx)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn quoted_words_arrive_unchanged() {
    need_openssh!();
    let server = Server::started();
    let session = server.session().await;
    let odd = "a 'b' \"c\" $HOME `id` \\ \n !x *";
    let command = Command::new("words", format!("printf %s {}", shell_quote(odd)));
    let output = session.check(&command, &cx()).await.unwrap();
    assert_eq!(output.stdout, odd.as_bytes());
}

#[tokio::test]
async fn a_command_times_out_and_its_process_ends() {
    need_openssh!();
    let server = Server::started();
    let session = server.session().await;
    // The process ends because its output fails after the channel is closed. (OpenSSH also delivers the signal for all
    // users except root.)
    let mark = server.path("ended");
    let text = format!("(while echo; do sleep 0.1; done); touch {}", mark.display());
    let command = Command::new("wait", text).within(Duration::from_millis(700));
    let error = session.run(&command, &cx()).await.unwrap_err();
    assert!(matches!(error, SshError::TimedOut { .. }), "{error}");
    let look = format!("until [ -e {} ]; do sleep 0.1; done", mark.display());
    let look = Command::new("look", look).within(TIMEOUT);
    session.check(&look, &cx()).await.unwrap();
}

#[tokio::test]
async fn a_cancellation_ends_a_command_and_not_the_session() {
    need_openssh!();
    let server = Server::started();
    let session = server.session().await;
    let cancelled = cx();
    let (stdout, from) = tokio::io::duplex(64);
    let command = Command::new("sleep", "echo started; sleep 600");
    let cancel = async {
        BufReader::new(from).lines().next_line().await.unwrap();
        cancelled.cancel.cancel("SIGTERM");
    };
    let run = session.pipe(
        &command,
        tokio::io::empty(),
        stdout,
        tokio::io::sink(),
        &cancelled,
    );
    let (result, ()) = tokio::join!(run, cancel);
    let error = result.unwrap_err();
    assert_eq!(error.to_string(), "sleep: cancelled by SIGTERM");
    session
        .check(&Command::new("after", "true"), &cx())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_lost_connection_is_an_error() {
    need_openssh!();
    let server = Server::started();
    let session = server.session().await;
    // The parent of the shell is the server's process for this connection.
    let command = Command::new("suicide", "kill -9 $PPID; sleep 600");
    let error = session.run(&command, &cx()).await.unwrap_err();
    assert!(matches!(error, SshError::Lost { .. }), "{error}");
    let told = error.to_string();
    assert!(told.starts_with(&format!(
        "the connection to {} was lost during suicide",
        session.host()
    )));
    let after = session
        .run(&Command::new("after", "true"), &cx())
        .await
        .unwrap_err();
    assert!(matches!(after, SshError::Lost { .. }), "{after}");
    assert!(session.is_closed());
}

#[derive(Default)]
struct Spans(Mutex<Vec<(SpanKind, String, SpanOutcome)>>);

impl Events for Spans {
    fn emit(&self, event: Event) {
        if let Event::Ended(span) = event {
            let mut spans = self.0.lock().unwrap();
            spans.push((span.kind, span.name, span.outcome));
        }
    }
}

#[tokio::test]
async fn the_reason_of_a_refused_session_is_in_words() {
    need_openssh!();
    let mut server = Server::prepared();
    server.option("MaxSessions 0");
    server.start();
    let session = server.session().await;
    let error = session.run(&Command::new("list", "ls"), &cx()).await;
    let said = format!(
        "{} refuses to start list: it opens no further session (MaxSessions)",
        session.host()
    );
    assert_eq!(error.unwrap_err().to_string(), said);
}

#[tokio::test]
async fn each_command_is_a_span() {
    need_openssh!();
    let server = Server::started();
    let session = server.session().await;
    let spans = Arc::new(Spans::default());
    let mut cx = cx();
    cx.events = spans.clone();
    session
        .run(&Command::new("fine", "true"), &cx)
        .await
        .unwrap();
    let late = Command::new("late", "sleep 600").within(Duration::from_millis(200));
    session.run(&late, &cx).await.unwrap_err();
    assert_eq!(
        *spans.0.lock().unwrap(),
        [
            (SpanKind::Ssh, "fine".into(), SpanOutcome::Ok),
            (
                SpanKind::Ssh,
                "late".into(),
                SpanOutcome::Failed("timeout".into())
            ),
        ]
    );
}
