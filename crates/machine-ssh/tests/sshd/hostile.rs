//! Peers that are not SSH servers: closed, silent, flooding or disconnecting. These tests need no OpenSSH.

use std::time::{Duration, Instant};

use machine_ssh::{
    ConnectError, Credentials, HostKeys, KeyType, Layer, connect, generate_key_pair,
};
use machine_types::SshEndpoint;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::server::{cx, free_port, told};

fn key() -> (TempDir, Credentials) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("id");
    let pair = generate_key_pair(KeyType::Ed25519).unwrap();
    std::fs::write(&file, pair.private.expose()).unwrap();
    (directory, Credentials::KeyFile(file))
}

async fn attempt(host: &str, port: u16, within: Duration) -> ConnectError {
    let (_directory, credentials) = key();
    let endpoint = SshEndpoint {
        host: host.into(),
        port,
        user: "ubuntu".into(),
        key: None,
    };
    connect(&endpoint, &credentials, &HostKeys::AcceptAny, &cx(), within)
        .await
        .err()
        .unwrap()
}

/// Runs `server` on one connection, and returns the client's error.
async fn against<F: Future<Output = ()> + Send + 'static>(
    within: Duration,
    server: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> ConnectError {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        server(stream).await;
    });
    let error = attempt("127.0.0.1", port, within).await;
    served.abort();
    error
}

const SOON: Duration = Duration::from_millis(600);
const LATE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_name_without_an_address_is_an_error() {
    // RFC 6761 guarantees that this name has no address.
    let error = attempt("machine.invalid", 22, LATE).await;
    assert_eq!(error.layer(), Some(Layer::Address), "{}", told(&error));
    assert!(error.to_string().contains("machine.invalid"));
}

#[tokio::test]
async fn a_refused_connection_is_reported_at_once() {
    let port = free_port();
    let begun = Instant::now();
    let error = attempt("127.0.0.1", port, LATE).await;
    assert_eq!(error.layer(), Some(Layer::Port), "{}", told(&error));
    assert_eq!(
        error.to_string(),
        format!("127.0.0.1:{port} refuses connections")
    );
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_full_backlog_times_out() {
    // No process accepts, and the backlog is full: packets are dropped, as by a firewall.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let _first = TcpStream::connect(address).await.unwrap();
    let second = tokio::time::timeout(SOON, TcpStream::connect(address)).await;
    assert!(second.is_err(), "the backlog is longer than requested");
    let error = attempt("127.0.0.1", address.port(), SOON).await;
    assert_eq!(error.layer(), Some(Layer::Route), "{}", told(&error));
    assert!(error.to_string().contains("does not answer"), "{error}");
}

#[tokio::test]
async fn a_silent_server_times_out() {
    let error = against(SOON, async |stream| {
        let _open = stream;
        std::future::pending().await
    })
    .await;
    assert_eq!(error.layer(), Some(Layer::Banner));
    assert!(error.to_string().contains("says nothing"), "{error}");
}

#[tokio::test]
async fn a_server_that_disconnects_is_reported_with_its_text() {
    let error = against(LATE, async |mut stream| {
        let mut hello = [0; 8];
        stream.read_exact(&mut hello).await.unwrap();
    })
    .await;
    assert_eq!(error.layer(), Some(Layer::Banner));
    let error = against(LATE, async |mut stream| {
        stream
            .write_all(b"Not allowed at this time\r\n")
            .await
            .unwrap();
        // Reads the client's greeting. Otherwise the kernel would answer it with a reset.
        let mut hello = [0; 8];
        stream.read_exact(&mut hello).await.unwrap();
        stream.shutdown().await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    assert_eq!(error.layer(), Some(Layer::Banner));
    assert!(
        error.to_string().contains("Not allowed at this time"),
        "{error}"
    );
}

#[tokio::test]
async fn flooding_banners_are_limited_and_sanitized() {
    for line in [
        "\u{1b}]0;owned\u{7}",
        "HTTP/1.1 400 Bad Request\r\n\u{1b}[2J\r\n",
        "a",
    ] {
        let flood = line.repeat(100).into_bytes();
        let error = against(
            LATE,
            async move |mut stream| {
                while stream.write_all(&flood).await.is_ok() {}
            },
        )
        .await;
        assert_eq!(error.layer(), Some(Layer::Banner), "{}", told(&error));
        let text = told(&error);
        assert!(!text.contains(char::is_control), "{text:?}");
        assert!(text.len() < 6000, "{} bytes of error", text.len());
    }
}

#[tokio::test]
async fn a_slow_banner_times_out() {
    let error = against(SOON, async |mut stream| {
        let mut pace = tokio::time::interval(Duration::from_millis(50));
        while stream.write_all(b"x").await.is_ok() {
            pace.tick().await;
        }
    })
    .await;
    assert_eq!(error.layer(), Some(Layer::Banner));
    assert!(
        error.to_string().contains("has not named its version"),
        "{error}"
    );
}

#[tokio::test]
async fn failed_key_exchanges_are_reported() {
    let error = against(SOON, async |mut stream| {
        stream.write_all(b"SSH-2.0-x\r\n").await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    assert!(
        matches!(
            error,
            ConnectError::Stalled {
                layer: Layer::KeyExchange,
                ..
            }
        ),
        "{error}"
    );

    for packet in [
        &b"\xff\xff\xff\xff\xff\xff\xff\xff"[..],
        b"\0\0\0\x0c\x0a\x14garbage garbage",
    ] {
        let error = against(LATE, async move |mut stream| {
            stream.write_all(b"SSH-2.0-x\r\n").await.unwrap();
            while stream.write_all(packet).await.is_ok() {}
        })
        .await;
        assert_eq!(error.layer(), Some(Layer::KeyExchange), "{}", told(&error));
    }
}

#[tokio::test]
async fn a_failed_attempt_closes_its_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"SSH-2.0-x\r\n").await.unwrap();
        let mut all = Vec::new();
        // Ends only when the client disconnects.
        let _ = stream.read_to_end(&mut all).await;
    });
    attempt("127.0.0.1", port, SOON).await;
    tokio::time::timeout(LATE, served).await.unwrap().unwrap();
}
