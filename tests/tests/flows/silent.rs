//! Machines that accept a connection and never answer: timeouts of the commands that connect to them.

use machine_tests::flows::{Ended, Home};
use tokio::net::TcpListener;

/// A store with two machines. `silent` accepts connections (the kernel does, as long as the listener lives);
/// `refusing` refuses them.
async fn store() -> (Home, TcpListener, String) {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refusing = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let home = Home::new();
    let mut urls = Vec::new();
    for (name, listener) in [("silent", &silent), ("refusing", &refusing)] {
        let url = format!("--url=tcp://{}", listener.local_addr().unwrap());
        let argv = ["create", "-d", "none", url.as_str(), name];
        home.run(argv).await.ok();
        urls.push(url["--url=".len()..].to_owned());
    }
    drop(refusing);
    (home, silent, urls.swap_remove(0))
}

fn rows(ended: &Ended) -> Vec<&str> {
    ended.out.lines().collect()
}

#[tokio::test]
async fn ls_waits_for_a_silent_machine_until_its_timeout() {
    let (home, _silent, _) = store().await;
    for timeout in ["-t=1", "--timeout=1", "-timeout=1"] {
        let argv = ["ls", timeout, "--format", "{{.Name}} {{.State}} {{.Error}}"];
        let ended = home.run(argv).await.ok();
        let refused = "refusing Running Unable to query docker version: \
                       Cannot connect to the docker engine endpoint";
        assert_eq!(rows(&ended), [refused, "silent Timeout "], "{ended}");
    }
    // A timeout of zero gives every machine no time.
    let ended = home.run(["ls", "-t", "0", "-f", "{{.State}}"]).await.ok();
    assert_eq!(rows(&ended), ["Timeout", "Timeout"]);
    let ended = home.run(["ls", "--timeout", "soon"]).await;
    ended.failed(1, &["timeout", "soon"]);
}

#[tokio::test]
async fn active_waits_for_a_silent_machine_until_its_timeout() {
    let (mut home, _silent, url) = store().await;
    home.set("DOCKER_HOST", url);
    let ended = home.run(["active", "-t", "1"]).await;
    ended.failed(1, &["Error getting active host: timeout"]);
}

#[tokio::test]
async fn version_times_out() {
    let (home, _silent, _) = store().await;
    let ended = home.run(["version", "silent"]).await;
    ended.failed(1, &["Unable to query docker version", "timeout"]);
    let ended = home.run(["version", "refusing"]).await;
    ended.failed(1, &["Cannot connect to the docker engine endpoint"]);
}
