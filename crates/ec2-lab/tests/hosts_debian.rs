//! Real Debian hosts in containers. They require root and a minute for the first image, so they run only with
//! `LAB_REAL_HOSTS=1`; then a missing prerequisite is a failure.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "test helpers may panic and print"
)]

mod hosts_client;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ec2_lab::hosts::{DebianHosts, DebianImage, DebianOptions, HostSpec, Hosts};
use hosts_client::{Client, Output, key, login};

/// Returns the lab's options, or none if the tests are skipped.
fn options() -> Option<DebianOptions> {
    if std::env::var_os("LAB_REAL_HOSTS").is_none_or(|value| value != "1") {
        eprintln!("skipped: real hosts, without LAB_REAL_HOSTS=1");
        return None;
    }
    let variable = std::env::var_os;
    let directory = DebianOptions::cache_directory(
        variable("XDG_CACHE_HOME").as_deref(),
        variable("HOME").as_deref(),
    );
    let options =
        DebianOptions::in_directory(directory.expect("neither XDG_CACHE_HOME nor HOME is set"));
    if let Err(reason) = DebianHosts::possible(&options) {
        panic!("real hosts were requested, but {reason}");
    }
    Some(options)
}

fn spec(instance_id: &str, last: u8) -> HostSpec {
    HostSpec {
        instance_id: instance_id.to_owned(),
        address: IpAddr::from([172, 31, 7, last]),
        user: "admin".to_owned(),
        public_key: Some(key(1).public_key().to_openssh().unwrap()),
        user_data: Vec::new(),
    }
}

/// Logs in as soon as sshd accepts the login: a real boot takes time.
async fn reach(spec: &HostSpec) -> Client {
    let address = SocketAddr::new(spec.address, 22);
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    for _ in 0..600 {
        tick.tick().await;
        if let Ok(Some(client)) = login(address, &spec.user, key(1)).await {
            return client;
        }
    }
    panic!("login refused at {address}");
}

/// Returns whether a process listens; a connection to a host that is off may time out, as on EC2.
async fn answers(spec: &HostSpec) -> bool {
    let connect = tokio::net::TcpStream::connect((spec.address, 22));
    matches!(
        tokio::time::timeout(Duration::from_secs(1), connect).await,
        Ok(Ok(_))
    )
}

fn assert_ok(output: &Output) {
    assert_eq!(output.status, Some(0), "{}{}", output.out(), output.err());
}

#[tokio::test(flavor = "multi_thread")]
async fn debian_hosts_boot_run_containers_and_survive_a_stop() {
    let Some(options) = options() else { return };
    let hosts = DebianHosts::prepare(options).await.unwrap();

    // Docker installed.
    let one = spec("i-1", 1);
    hosts.boot(one.clone()).await.unwrap();
    let client = reach(&one).await;
    let facts = client.run("sudo -n id -u; . /etc/os-release; echo $ID $VERSION_ID; hostname; command -v dockerd || ls /usr/sbin/dockerd", b"").await;
    assert_eq!(
        facts.out(),
        "0\ndebian 12\nip-172-31-7-1\n/usr/sbin/dockerd\n"
    );
    assert_ok(
        &client
            .run(
                "sudo systemctl start docker && sudo systemctl is-active docker",
                b"",
            )
            .await,
    );
    assert_ok(&client.run("sudo hostnamectl set-hostname m1 && test \"$(cat /etc/hostname)\" = m1 && sudo sed -i '$a 127.0.1.1 m1' /etc/hosts", b"").await);

    // An image needs no registry: a program with its libraries is an image.
    let import = "cd / && sudo tar -c bin lib lib64 usr/lib64 usr/bin/echo usr/lib/*/libc.so.6 usr/lib/*/ld-linux*.so.* | sudo docker import - echo";
    assert_ok(&client.run(import, b"").await);
    let inside = client
        .run("sudo docker run --rm echo /usr/bin/echo inside", b"")
        .await;
    assert_eq!(inside.out(), "inside\n", "{}", inside.err());

    let seen = hosts
        .exec(
            "i-1",
            &["sh", "-c", "tr '\\0' ' ' </proc/$(pidof dockerd)/cmdline"],
        )
        .await
        .unwrap();
    let seen = String::from_utf8_lossy(&seen.stdout).into_owned();
    assert!(seen.starts_with("/usr/sbin/dockerd -H fd://"), "{seen}");

    // The disk survives, with the key and the name; the address is a new one.
    hosts.stop("i-1").await;
    assert!(!answers(&one).await);
    let moved = HostSpec {
        address: IpAddr::from([172, 31, 7, 99]),
        ..one.clone()
    };
    hosts.boot(moved.clone()).await.unwrap();
    let again = reach(&moved).await;
    assert_eq!(again.host_key, client.host_key);
    assert_eq!(again.run("hostname", b"").await.out(), "m1\n");
    assert!(
        hosts
            .console("i-1")
            .await
            .contains("OpenBSD Secure Shell server")
    );

    // Docker installed from the packages on the image, without a network.
    let two = spec("i-2", 2);
    hosts
        .boot_image(two.clone(), DebianImage::WithoutDocker)
        .await
        .unwrap();
    let client = reach(&two).await;
    assert_ne!(client.host_key, again.host_key);
    assert_eq!(
        client.run("ls /usr/sbin/dockerd", b"").await.status,
        Some(2)
    );
    assert_ok(&client.run("sudo apt-get -q update && sudo DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install docker.io", b"").await);
    assert_ok(&client.run("sudo systemctl is-active docker", b"").await);

    hosts.terminate("i-2").await;
    assert!(!answers(&two).await);
    assert!(hosts.exec("i-2", &["true"]).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_can_come_after_sshd_as_with_cloud_init() {
    let Some(options) = options() else { return };
    let options = DebianOptions {
        key_after: Some(Duration::from_secs(2)),
        dockerd_in_usr_bin: true,
        ..options
    };
    let hosts = DebianHosts::prepare(options).await.unwrap();
    let spec = spec("i-3", 3);
    hosts.boot(spec.clone()).await.unwrap();
    let address = SocketAddr::new(spec.address, 22);
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    let mut refused = 0;
    while refused == 0 {
        tick.tick().await;
        match login(address, "admin", key(1)).await {
            Ok(None) => refused += 1,
            Ok(Some(_)) => panic!("the key was accepted before its delay"),
            Err(_) => {}
        }
    }
    let client = reach(&spec).await;
    assert_eq!(
        client.run("readlink -f /usr/bin/dockerd", b"").await.out(),
        "/usr/sbin/dockerd\n"
    );
}
