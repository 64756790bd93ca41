//! Simulated hosts that boot slowly or fail half-way.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "test helpers may panic and print"
)]

mod hosts_client;

use std::net::SocketAddr;
use std::time::Duration;

use ec2_lab::hosts::{ExecFault, HostOptions, HostSpec, HostView, Hosts, Moment, SimulatedHosts};
use hosts_client::{connect, key, login, spec};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

async fn booted(options: HostOptions) -> (SimulatedHosts, HostSpec, HostView) {
    let hosts = SimulatedHosts::new(options).unwrap();
    let spec = spec("i-1");
    hosts.boot(spec.clone()).await.unwrap();
    let view = hosts.host("i-1").unwrap();
    (hosts, spec, view)
}

fn sshd(spec: &HostSpec) -> SocketAddr {
    SocketAddr::new(spec.address, 2222)
}

#[tokio::test]
async fn a_booting_host_refuses_connections_until_it_listens() {
    let (_hosts, spec, view) = booted(HostOptions {
        listens: Moment::WhenTold,
        ..HostOptions::default()
    })
    .await;
    assert!(TcpStream::connect(sshd(&spec)).await.is_err());
    view.let_listen();
    let mut tries = 0;
    while TcpStream::connect(sshd(&spec)).await.is_err() {
        tries += 1;
        assert!(tries < 10_000, "the host does not listen");
        tokio::task::yield_now().await;
    }
    assert_eq!(
        connect(&spec, 2222).await.run("echo up", b"").await.out(),
        "up\n"
    );
}

#[tokio::test]
async fn a_host_can_listen_some_time_after_its_boot() {
    let later = Moment::After(Duration::from_millis(150));
    let (_hosts, spec, _) = booted(HostOptions {
        listens: later,
        ..HostOptions::default()
    })
    .await;
    assert!(TcpStream::connect(sshd(&spec)).await.is_err());
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    while TcpStream::connect(sshd(&spec)).await.is_err() {
        tick.tick().await;
    }
}

#[tokio::test]
async fn a_silent_sshd_accepts_and_sends_nothing_until_it_greets() {
    let (_hosts, spec, _) = booted(HostOptions {
        greets: Moment::After(Duration::from_millis(500)),
        ..HostOptions::default()
    })
    .await;
    let mut stream = TcpStream::connect(sshd(&spec)).await.unwrap();
    let mut byte = [0];
    let silence = tokio::time::timeout(Duration::from_millis(100), stream.read(&mut byte)).await;
    assert!(silence.is_err(), "{silence:?}");
    assert_eq!(stream.read(&mut byte).await.unwrap(), 1);
    assert_eq!(&byte, b"S");
}

#[tokio::test]
async fn the_key_is_refused_until_cloud_init_has_put_it_there() {
    let (_hosts, spec, _) = booted(HostOptions {
        accepts_key: Moment::After(Duration::from_millis(500)),
        ..HostOptions::default()
    })
    .await;
    assert!(login(sshd(&spec), "admin", key(1)).await.unwrap().is_none());
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    while login(sshd(&spec), "admin", key(1)).await.unwrap().is_none() {
        tick.tick().await;
    }
}

#[tokio::test]
async fn the_host_key_is_kept_across_boots() {
    let (hosts, spec, view) = booted(HostOptions::default()).await;
    let first = connect(&spec, 2222).await.host_key;
    assert_eq!(first.to_openssh().unwrap(), view.host_key());
    hosts.stop("i-1").await;
    let elsewhere = HostSpec {
        address: hosts_client::address(),
        ..spec.clone()
    };
    hosts.boot(elsewhere.clone()).await.unwrap();
    assert!(
        TcpStream::connect(sshd(&spec)).await.is_err(),
        "the old address is still in use"
    );
    assert_eq!(connect(&elsewhere, 2222).await.host_key, first);
}

#[tokio::test]
async fn exec_faults_apply_to_the_nth_request() {
    let (_hosts, spec, view) = booted(HostOptions::default()).await;
    view.change(|options| {
        options.exec_faults = [
            (1, ExecFault::Refuse),
            (2, ExecFault::Hang),
            (3, ExecFault::DropBeforeStatus),
        ]
        .into();
    });
    let client = connect(&spec, 2222).await;
    assert_eq!(client.run("true", b"").await.err(), "request refused");
    // Abort only after the host has counted the request: otherwise the next one would be the second.
    let counted = async {
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        while view.counts().execs.len() < 2 {
            tick.tick().await;
        }
    };
    let mut request = std::pin::pin!(client.run("true", b""));
    tokio::select! {
        output = &mut request => panic!("a hanging request was answered: {output:?}"),
        () = counted => {}
    }
    let silence = tokio::time::timeout(Duration::from_millis(100), request).await;
    assert!(silence.is_err(), "{silence:?}");
    // The command ran; its end is not reported.
    let cut = client.try_run("echo done >done", b"").await;
    assert!(cut.is_err() || cut.is_ok_and(|output| output.status.is_none()));
    assert_eq!(
        std::fs::read_to_string(view.root().join("home/admin/done")).unwrap(),
        "done\n"
    );
    let client = connect(&spec, 2222).await;
    assert_eq!(client.run("true", b"").await.status, Some(0));
    assert_eq!(view.counts().ssh_connections, 2);
    assert_eq!(view.counts().execs.len(), 4);
}

#[tokio::test]
async fn a_full_disk_fails_writes_and_the_stubs_still_answer() {
    let (_hosts, spec, view) = booted(HostOptions::default()).await;
    view.change(|options| options.file_size_limit = Some(8));
    let client = connect(&spec, 2222).await;
    let output = client
        .run(
            "head -c 100000 /dev/zero >big; echo $?; sudo systemctl is-active docker",
            b"",
        )
        .await;
    assert_eq!(output.out(), "1\nactive\n", "{}", output.err());
    assert!(output.err().contains("File too large"), "{}", output.err());
}

#[tokio::test]
async fn termination_ends_connections_and_processes_and_removes_the_disk() {
    let (hosts, spec, view) = booted(HostOptions::default()).await;
    let client = connect(&spec, 2222).await;
    let running = client.try_run("echo $$ >pid; exec sleep 600", b"");
    let pid = view.root().join("home/admin/pid");
    let ending = async {
        let mut tick = tokio::time::interval(Duration::from_millis(10));
        let id = loop {
            tick.tick().await;
            match std::fs::read_to_string(&pid) {
                Ok(id) if id.ends_with('\n') => break id.trim().to_owned(),
                _ => {}
            }
        };
        hosts.terminate("i-1").await;
        id
    };
    let (cut, id) = tokio::join!(running, ending);
    assert!(cut.is_err() || cut.is_ok_and(|output| output.status.is_none()));
    assert!(!view.root().exists());
    assert!(hosts.host("i-1").is_none());
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    while std::fs::read_to_string(format!("/proc/{id}/cmdline"))
        .is_ok_and(|line| line.contains("sleep"))
    {
        tick.tick().await;
    }
}

#[tokio::test]
async fn an_address_in_use_is_an_error_of_the_boot() {
    let (hosts, spec, _) = booted(HostOptions::default()).await;
    let second = HostSpec {
        instance_id: "i-2".to_owned(),
        ..spec
    };
    let error = hosts.boot(second).await.unwrap_err().to_string();
    assert!(error.starts_with("no host for i-2 at 127."), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_hosts_are_cheap() {
    let hosts = SimulatedHosts::new(HostOptions::default()).unwrap();
    let specs: Vec<HostSpec> = (0..200).map(|n| spec(&format!("i-{n}"))).collect();
    for spec in &specs {
        hosts.boot(spec.clone()).await.unwrap();
    }
    let logins = specs
        .iter()
        .step_by(20)
        .map(|spec| async { connect(spec, 2222).await.run("hostname", b"").await.out() });
    for (name, spec) in futures_util::future::join_all(logins)
        .await
        .iter()
        .zip(specs.iter().step_by(20))
    {
        assert_eq!(
            name.trim(),
            format!("ip-{}", spec.address.to_string().replace('.', "-"))
        );
    }
    // A host is a few directories and links: its programs are shared.
    let root = hosts.host("i-0").unwrap().root().to_owned();
    let entries = walk(&root);
    assert!(entries < 80, "{entries} entries");
}

fn walk(directory: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(directory).unwrap().flatten();
    entries
        .map(|entry| {
            1 + if entry.file_type().unwrap().is_dir() {
                walk(&entry.path())
            } else {
                0
            }
        })
        .sum()
}
