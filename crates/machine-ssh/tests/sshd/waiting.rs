//! Waiting for a machine that is not ready yet.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use machine_ops::{Ambient, Event, Events, SpanKind, SystemAmbient};
use machine_ssh::{
    Command, Credentials, HostKeys, Layer, WaitForSshError, WaitLimits, wait_for_ssh,
};

use crate::need_openssh;
use crate::server::{Server, TIMEOUT, cx, keygen, told};

#[tokio::test]
async fn a_server_that_starts_later_is_reached() {
    need_openssh!();
    let mut server = Server::prepared();
    let (endpoint, credentials) = (server.endpoint.clone(), server.credentials());
    let cx = cx();
    let wait = wait_for_ssh(&endpoint, &credentials, &HostKeys::AcceptAny, &cx, TIMEOUT);
    let start = async {
        let start = || {
            server.start();
            (server, Instant::now())
        };
        tokio::task::spawn_blocking(start).await.unwrap()
    };
    let (session, (_server, up)) = tokio::join!(wait, start);
    let session = session.unwrap();
    assert!(up.elapsed() < Duration::from_secs(5));
    session
        .check(&Command::new("there", "true"), &cx)
        .await
        .unwrap();
}

/// A host that is already up: permanent errors end the wait.
#[tokio::test]
async fn a_host_that_is_up_is_not_waited_for_in_vain() {
    need_openssh!();
    let hour = WaitLimits::of_host_that_is_up(Duration::from_secs(3600));
    let mut server = Server::prepared();
    let cx = cx();
    let wait = async |endpoint: &machine_types::SshEndpoint, file: PathBuf| {
        let credentials = Credentials::KeyFile(file);
        let begun = Instant::now();
        let waited = wait_for_ssh(
            endpoint,
            &credentials,
            &HostKeys::AcceptAny,
            &cx,
            hour.clone(),
        )
        .await;
        let error = waited.err().unwrap();
        assert!(matches!(error, WaitForSshError::Hopeless(_)), "{error}");
        (error.layer(), begun.elapsed())
    };
    let mut unknown = server.endpoint.clone();
    unknown.host = "no-such-host.invalid".into();
    let (layer, took) = wait(&unknown, server.path("id")).await;
    assert_eq!(layer, Some(Layer::Address));
    assert!(took < Duration::from_secs(30), "{took:?}");

    let (layer, took) = wait(&server.endpoint, server.path("id")).await;
    assert_eq!(layer, Some(Layer::Port));
    assert!((10..30).contains(&took.as_secs()), "{took:?}");

    server.start();
    let stranger = keygen(server.directory.path(), "stranger", &["-t", "ed25519"]);
    let (layer, took) = wait(&server.endpoint, stranger).await;
    assert_eq!(layer, Some(Layer::Authentication));
    assert!((7..30).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test]
async fn a_key_that_is_authorized_later_logs_in() {
    need_openssh!();
    let server = Server::started();
    let other = keygen(server.directory.path(), "other", &["-t", "ed25519"]);
    server.authorize(&other.with_extension("pub"));
    let cx = cx();
    let credentials = server.credentials();
    let begun = Instant::now();
    let wait = wait_for_ssh(
        &server.endpoint,
        &credentials,
        &HostKeys::AcceptAny,
        &cx,
        TIMEOUT,
    );
    let put = async {
        // The first attempt is made at once and refused; the next one follows 2 s later.
        tokio::time::timeout(Duration::from_millis(1200), std::future::pending::<()>())
            .await
            .unwrap_err();
        server.authorize(&server.path("id.pub"));
    };
    let (session, ()) = tokio::join!(wait, put);
    session.unwrap();
    assert!(
        begun.elapsed() >= Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn the_error_names_the_layer_that_was_reached() {
    need_openssh!();
    let server = Server::prepared();
    let within = Duration::from_millis(700);
    let wait = async || {
        wait_for_ssh(
            &server.endpoint,
            &server.credentials(),
            &HostKeys::AcceptAny,
            &cx(),
            within,
        )
        .await
        .err()
        .unwrap()
    };
    let WaitForSshError::TimedOut { reached, .. } = wait().await else {
        panic!("not a timeout");
    };
    assert_eq!(reached, Layer::Port);

    let server = Server::started();
    std::fs::write(server.path("authorized"), "").unwrap();
    let error = wait_for_ssh(
        &server.endpoint,
        &server.credentials(),
        &HostKeys::AcceptAny,
        &cx(),
        Duration::from_secs(3),
    )
    .await
    .err()
    .unwrap();
    let text = told(&error);
    assert!(
        text.contains("no further than the authentication"),
        "{text}"
    );
    assert!(text.contains("refuses to log in"), "{text}");
}

#[derive(Default)]
struct Waits(Mutex<Vec<SpanKind>>);

impl Events for Waits {
    fn emit(&self, event: Event) {
        if let Event::Ended(span) = event {
            self.0.lock().unwrap().push(span.kind);
        }
    }
}

#[tokio::test]
async fn a_wait_is_a_span_and_can_be_cancelled() {
    need_openssh!();
    let server = Server::prepared();
    let waits = Arc::new(Waits::default());
    let mut cx = cx();
    cx.events = waits.clone();
    let credentials = server.credentials();
    let wait = wait_for_ssh(
        &server.endpoint,
        &credentials,
        &HostKeys::AcceptAny,
        &cx,
        TIMEOUT,
    );
    let (result, ()) = tokio::join!(wait, async { cx.cancel.cancel("SIGTERM") });
    assert!(matches!(result, Err(WaitForSshError::Cancelled("SIGTERM"))));
    assert_eq!(*waits.0.lock().unwrap(), [SpanKind::Wait]);
}

#[tokio::test]
async fn a_wait_is_send() {
    need_openssh!();
    let server = Server::started();
    let (endpoint, credentials) = (server.endpoint.clone(), server.credentials());
    let status = tokio::spawn(async move {
        let cx = cx();
        let session = wait_for_ssh(&endpoint, &credentials, &HostKeys::AcceptAny, &cx, TIMEOUT)
            .await
            .unwrap();
        session
            .run(&Command::new("there", "true"), &cx)
            .await
            .unwrap()
            .status
    });
    assert!(status.await.unwrap().success());
}

/// A clock that runs twenty times as fast.
struct Fast(SystemAmbient);

#[async_trait]
impl Ambient for Fast {
    fn now(&self) -> SystemTime {
        self.0.now()
    }
    fn monotonic(&self) -> Duration {
        self.0.monotonic() * 20
    }
    async fn sleep(&self, duration: Duration) {
        self.0.sleep(duration / 20).await;
    }
    fn random(&self) -> u64 {
        self.0.random()
    }
}

#[derive(Default)]
struct Warnings(Mutex<Vec<String>>);

impl Events for Warnings {
    fn emit(&self, event: Event) {
        if let Event::Warn(line) = event {
            self.0.lock().unwrap().push(line);
        }
    }
}

#[tokio::test]
async fn a_login_that_is_refused_for_long_is_warned_of_once() {
    need_openssh!();
    let mut server = Server::prepared();
    server.without_penalties();
    server.start();
    std::fs::write(server.path("authorized"), "").unwrap();
    for (seconds, expected) in [(50, &[][..]), (100, &["the wrong user"])] {
        let warnings = Arc::new(Warnings::default());
        let cx = machine_ops::Cx {
            ambient: Arc::new(Fast(SystemAmbient::new())),
            events: warnings.clone(),
            ..cx()
        };
        let limits = WaitLimits::from(Duration::from_secs(seconds));
        let limits = limits.with_warning_of_refusals("the wrong user".into());
        let credentials = server.credentials();
        let any = HostKeys::AcceptAny;
        let waited = wait_for_ssh(&server.endpoint, &credentials, &any, &cx, limits).await;
        let error = waited.err().unwrap();
        assert_eq!(error.layer(), Some(Layer::Authentication), "{error}");
        assert_eq!(*warnings.0.lock().unwrap(), expected);
    }
}
