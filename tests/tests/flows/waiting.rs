//! Waiting for machines, and the outcome if they never become ready: through the binary, on simulated hosts.

use std::time::Duration;

use ec2_lab::ec2::{Builder, Durations, InstanceState, Lab};
use ec2_lab::hosts::{ExecFault, HostOptions, Moment};
use machine_tests::flows::{Ended, Flow};

/// Flags of a create that connects to the machine's public address.
fn public_flags(flow: &Flow) -> Vec<String> {
    let mut flags = flow.flags();
    flags.retain(|flag| flag != "--amazonec2-use-private-address");
    flags
}

async fn create_public(flow: &Flow, name: &str) -> Ended {
    let mut argv = vec!["create".to_owned()];
    argv.extend(public_flags(flow));
    argv.push(name.to_owned());
    flow.home.run(argv).await
}

/// Waits until there is a host, and returns the id of its instance.
async fn host_of(flow: &Flow) -> String {
    let launched = |lab: &Lab| lab.live_instances().first().map(|i| i.id.clone());
    flow.lab
        .until(|lab| launched(lab).is_some_and(|id| flow.hosts.host(&id).is_some()))
        .await;
    launched(&flow.lab).unwrap()
}

fn config(flow: &Flow, name: &str) -> serde_json::Value {
    let text = std::fs::read_to_string(flow.home.machine(name).join("config.json"));
    serde_json::from_str(&text.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_reclaimed_during_provisioning_ends_the_create_with_its_reason() {
    let flow = Flow::with_hosts(HostOptions {
        exec_faults: (1..9).map(|n| (n, ExecFault::Hang)).collect(),
        ..HostOptions::default()
    })
    .await;
    let reclaimed = async {
        let id = host_of(&flow).await;
        let host = flow.hosts.host(&id).unwrap();
        // The first command hangs: only the instance's end can then end the create.
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        while host.counts().execs.is_empty() {
            tick.tick().await;
        }
        assert!(flow.lab.reclaim(&id));
        id
    };
    let create = flow.create("m1", &["--amazonec2-request-spot-instance"]);
    let (ended, id) = tokio::join!(create, reclaimed);
    // The instance may be shutting down or terminated; the error quotes its state reason.
    ended.failed(1, &[&id, "Server.SpotInstanceTermination"]);
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_shuts_itself_down_ends_the_wait_with_its_reason() {
    let flow = Flow::with_hosts(HostOptions {
        listens: Moment::WhenTold,
        ..HostOptions::default()
    })
    .await;
    let shut_down = async {
        let id = host_of(&flow).await;
        assert!(flow.lab.shut_down_from_inside(&id));
        id
    };
    let (ended, id) = tokio::join!(flow.create("m1", &[]), shut_down);
    ended.failed(1, &[&id, "Client.InstanceInitiatedShutdown"]);
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_boot_costs_at_most_two_polls_and_a_late_key_few_logins() {
    let flow = Flow::with_hosts(HostOptions {
        listens: Moment::After(Duration::from_secs(9)),
        accepts_key: Moment::After(Duration::from_secs(12)),
        ..HostOptions::default()
    })
    .await;
    flow.create("m1", &[]).await.ok();
    assert!(
        flow.lab.count("DescribeInstances") <= 2,
        "{:?}",
        flow.lab.counts()
    );
    let host = flow.host().counts();
    // OpenSSH's penalties block clients that fail more than three times in a row at a higher rate.
    assert!(host.ssh_connections <= 4, "{host:?}");
    flow.home.run(["config", "m1"]).await.ok();
}

fn with_public_addresses(lab: Builder) -> Builder {
    lab.public_loopback().durations(Durations {
        pending: Duration::from_secs(3),
        stopping: Duration::from_secs(1),
        ..Durations::default()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_address_changes_after_a_start() {
    let flow = Flow::with(HostOptions::default(), with_public_addresses).await;
    let home = &flow.home;
    create_public(&flow, "m1").await.ok();
    assert!(
        flow.lab.count("DescribeInstances") <= 2,
        "{:?}",
        flow.lab.counts()
    );
    let instance = flow.lab.live_instances().remove(0);
    let first = instance.public_ip.unwrap().to_string();
    assert_eq!(home.run(["ip", "m1"]).await.ok().out, format!("{first}\n"));
    assert_eq!(config(&flow, "m1")["Driver"]["IPAddress"], first);
    let pem = || std::fs::read(home.machine("m1").join("server.pem")).unwrap();
    let certificate = pem();

    home.run(["stop", "m1"]).await.ok();
    assert_eq!(home.run(["ip", "m1"]).await.ok().out, format!("{first}\n"));
    home.run(["config", "m1"])
        .await
        .failed(1, &["Host is not running"]);
    home.run(["start", "m1"]).await.ok();

    let second = flow.lab.live_instances()[0].public_ip.unwrap().to_string();
    assert_ne!(second, first);
    assert_eq!(home.run(["ip", "m1"]).await.ok().out, format!("{second}\n"));
    assert_eq!(config(&flow, "m1")["Driver"]["IPAddress"], second);
    let url = format!("tcp://{second}:2376\n");
    assert_eq!(home.run(["url", "m1"]).await.ok().out, url);
    // The client verifies the address against the certificate, which must therefore be a new one.
    home.run(["config", "m1"]).await.ok();
    assert_ne!(pem(), certificate);

    // A restart keeps the address and thus the certificate.
    let certificate = pem();
    home.run(["restart", "m1"]).await.ok();
    home.run(["config", "m1"]).await.ok();
    assert_eq!(home.run(["ip", "m1"]).await.ok().out, format!("{second}\n"));
    assert_eq!(pem(), certificate);
    home.run(["kill", "m1"]).await.ok();
    assert_eq!(home.run(["status", "m1"]).await.ok().out, "Stopped\n");
    home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subnet_without_public_addresses_is_reported() {
    let flow = Flow::with(HostOptions::default(), |lab| lab.public_addresses([])).await;
    let ended = create_public(&flow, "m1").await;
    ended.failed(
        1,
        &["has no public address", "--amazonec2-use-private-address"],
    );
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_is_removed_in_any_state() {
    for state in [
        InstanceState::Pending,
        InstanceState::Running,
        InstanceState::Stopping,
        InstanceState::Stopped,
        InstanceState::ShuttingDown,
        InstanceState::Terminated,
    ] {
        let slow = Duration::from_secs(3600);
        let flow = Flow::with(HostOptions::default(), |lab| {
            let mut times = Durations::default();
            match state {
                InstanceState::Pending => times.pending = slow,
                InstanceState::Stopping => times.stopping = slow,
                InstanceState::ShuttingDown => times.shutting_down = slow,
                _ => {}
            }
            lab.durations(times)
        })
        .await;
        let mut argv = vec!["create".to_owned()];
        argv.extend(flow.flags());
        argv.push("m1".to_owned());
        if state == InstanceState::Pending {
            let mut create = flow.home.start(argv);
            flow.lab.until(|lab| !lab.live_instances().is_empty()).await;
            create.kill().await.unwrap();
        } else {
            flow.home.run(argv).await.ok();
        }
        let id = flow.lab.live_instances()[0].id.clone();
        match state {
            InstanceState::Stopping => {
                let _ = flow.lab.shut_down_from_inside(&id);
            }
            InstanceState::Stopped => {
                flow.home.run(["stop", "m1"]).await.ok();
            }
            InstanceState::ShuttingDown | InstanceState::Terminated => {
                assert!(flow.lab.reclaim(&id));
            }
            _ => {}
        }
        let now = |lab: &Lab| {
            lab.instances()
                .into_iter()
                .find(|i| i.id == id)
                .map(|i| i.state)
        };
        // An instance has ended when its address no longer answers.
        flow.lab.until(|lab| now(lab) == Some(state)).await;
        flow.home.run(["rm", "-y", "m1"]).await.ok();
        let after = now(&flow.lab);
        assert!(
            matches!(
                after,
                Some(InstanceState::ShuttingDown | InstanceState::Terminated)
            ),
            "{state:?}: {after:?}"
        );
        assert!(flow.lab.key_pairs().is_empty(), "{state:?}");
        assert_eq!(flow.home.directories(), Vec::<String>::new(), "{state:?}");
    }
}
