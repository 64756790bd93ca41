//! `docker-machine ssh` by a person at a terminal.

use machine_tests::flows::{Flow, Home};
use machine_tests::sshd::{Sshd, adopt, new_key};
use machine_tests::terminal::{PATIENCE, Terminal};
use rustix::process::Signal;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::net::unix::pipe;

const WINDOW: (u16, u16) = (97, 31);

/// Logs in to `m1`, up to the first prompt that the test has set itself.
async fn log_in(home: &Home) -> Terminal {
    let mut terminal = Terminal::start(home, ["ssh", "m1"], WINDOW);
    // The quotes keep the echo of what is typed from looking like the answer.
    terminal.keys("PS1=; echo rea''dy\n").await;
    terminal.expect("ready\r\n").await;
    terminal
}

/// What every interactive login has to do, whichever server it is to.
async fn a_whole_session(home: &Home) {
    let mut terminal = log_in(home).await;
    assert!(terminal.is_raw());

    // A terminal of the type and size of this one, which follows it.
    terminal.keys("echo \"term=$TERM\"; stty size\n").await;
    terminal.expect("term=xterm\r\n").await;
    terminal.expect("31 97\r\n").await;
    terminal.resize(120, 50);
    terminal
        .keys("until stty size | grep '50 120'; do :; done\n")
        .await;
    terminal.expect("50 120\r\n").await;

    // Control-C interrupts what runs there, and the session goes on.
    terminal
        .keys("sh -c \"trap 'echo caught''-it; exit' INT; echo wait''ing; while :; do :; done\"\n")
        .await;
    terminal.expect("waiting\r\n").await;
    terminal.keys("\x03").await;
    terminal.expect("caught-it\r\n").await;

    // Bytes that are no ASCII pass in both directions.
    terminal.keys("echo 'zażółć'\n").await;
    terminal.expect("zażółć\r\n").await;

    terminal.keys("exit 23\n").await;
    let left = terminal.end().await;
    assert_eq!(left.status.code(), Some(1), "{left:?}");
    assert!(left.shown.contains("exit status 23"), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_with_a_machine_of_the_lab() {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    a_whole_session(&flow.home).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_with_openssh() {
    let Some(sshd) = Sshd::start("an interactive login") else {
        return;
    };
    let home = Home::new();
    sshd.adopt(&home, "m1");
    a_whole_session(&home).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_terminal_is_put_back_on_every_way_out() {
    let Some(sshd) = Sshd::start("the ways out of a login") else {
        return;
    };
    let home = Home::new();
    sshd.adopt(&home, "m1");
    let before = Terminal::start(&home, ["version"], WINDOW).end().await;

    // The shell's end.
    let mut terminal = log_in(&home).await;
    terminal.keys("exit\n").await;
    let left = terminal.end().await;
    assert_eq!(left.status.code(), Some(0), "{left:?}");
    assert_eq!(left.settings, before.settings);

    // A signal.
    for signal in [Signal::TERM, Signal::INT, Signal::QUIT, Signal::HUP] {
        let terminal = log_in(&home).await;
        terminal.signal(signal);
        let left = terminal.end().await;
        assert_eq!(left.status.code(), Some(1), "{signal:?}: {left:?}");
        assert!(left.shown.contains("cancelled by SIG"), "{left:?}");
        assert_eq!(left.settings, before.settings, "{signal:?}");
    }

    // A connection that drops: the shell's parent is the server's end of it.
    let mut terminal = log_in(&home).await;
    terminal.keys("kill -9 $PPID\n").await;
    let left = terminal.end().await;
    assert_eq!(left.status.code(), Some(1), "{left:?}");
    assert!(left.shown.contains("lost"), "{left:?}");
    assert_eq!(left.settings, before.settings);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_closes_ends_the_session() {
    let Some(sshd) = Sshd::start("a window that closes") else {
        return;
    };
    let home = Home::new();
    sshd.adopt(&home, "m1");
    let mut terminal = log_in(&home).await;
    let path = sshd.path("pipe");
    let make = format!("pipe={}; mkfifo $pipe; echo ma''de\n", path.display());
    terminal.keys(&make).await;
    terminal.expect("made\r\n").await;
    let mut pipe = pipe::OpenOptions::new().open_receiver(path).unwrap();
    terminal
        .keys("sh -c 'echo up; exec sleep 600' > $pipe\n")
        .await;
    let mut up = [0; 3];
    let read = tokio::time::timeout(PATIENCE, pipe.read_exact(&mut up)).await;
    read.expect("nothing runs").unwrap();

    let status = terminal.vanish().await;
    assert_eq!(status.code(), Some(1), "{status}");
    // What ran there has ended, too: its end of the pipe is closed.
    let mut more = Vec::new();
    let read = tokio::time::timeout(PATIENCE, pipe.read_to_end(&mut more)).await;
    read.expect("it runs on").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn until_somebody_is_logged_in_control_c_is_an_interrupt() {
    // A host that accepts and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let home = Home::new();
    let key = home.path().join("key");
    new_key(&key);
    adopt(&home, "m1", silent.local_addr().unwrap(), &key);
    let mut terminal = Terminal::start(&home, ["ssh", "m1"], WINDOW);
    let accepted = tokio::time::timeout(PATIENCE, silent.accept()).await;
    let _connection = accepted.expect("nobody connects").unwrap();
    assert!(!terminal.is_raw());
    terminal.keys("\x03").await;
    let left = terminal.end().await;
    assert_eq!(left.status.code(), Some(1), "{left:?}");
    assert!(left.shown.contains("cancelled by SIGINT"), "{left:?}");
}
