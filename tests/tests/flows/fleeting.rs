//! The plugin for GitLab Runner's autoscaler, under GitLab's own library.

use std::collections::BTreeSet;
use std::time::Duration;

use ec2_lab::ec2::{ACCOUNT, Effect, Fault, Shortage};
use ec2_lab::hosts::{DockerAtBoot, ExecFault, HostOptions, Moment};
use machine_tests::fleeting::{self, FleetingHost, States};
use machine_tests::flows::{Flow, REGION};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::process::Command;

/// The signals that systemd or a terminal sends to the whole process group.
const SIGNALS: [Signal; 4] = [Signal::TERM, Signal::INT, Signal::QUIT, Signal::HUP];

/// The plugin's interval between two reads of EC2, with a margin.
const POLL: Duration = Duration::from_secs(20);

fn ids(states: &States) -> Vec<&String> {
    states.keys().collect()
}

/// Asserts that the plugin has no secret, and no other, in a process's arguments.
fn assert_no_secret(flow: &Flow, secret: &str) {
    for line in fleeting::processes(&flow.home).values() {
        // The host itself gets the configuration as an argument.
        assert!(line.contains("-config") || !line.contains(secret), "{line}");
    }
}

/// Updates for this long, ten times a second, and asserts that no Update differs from these states.
async fn assert_stays(host: &FleetingHost, states: &States, time: Duration) {
    let watching = async {
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        loop {
            tick.tick().await;
            assert_eq!(host.update().await, *states);
        }
    };
    let _ = tokio::time::timeout(time, watching).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_live_from_increase_to_decrease() {
    let flow = Flow::with_hosts(HostOptions {
        docker: DockerAtBoot::Missing,
        ..HostOptions::default()
    })
    .await;
    let Some(host) = fleeting::pool(&flow, json!({})).await else {
        return;
    };
    assert_eq!(host.update().await, States::new());
    assert_eq!(host.increase(2).await.ok(), 2);
    let creating = host.update().await;
    assert_eq!(creating.len(), 2, "{creating:?}");
    let running = host.until_running(2).await;
    assert_eq!(ids(&creating), ids(&running));
    for id in running.keys() {
        assert!(id.starts_with("machine-ci-"), "{id}");
        let info = host
            .call("connectinfo", json!({ "instance": id }))
            .await
            .ok();
        assert_eq!(info["protocol"], "ssh");
        assert_eq!(info["os"], "linux");
        assert_eq!(info["arch"], "amd64");
        assert_eq!(info["username"], "ubuntu");
        assert_eq!(info["id"], **id);
        // Those of the host's settings: with 0 the library would send keepalives without a pause.
        assert_eq!(info["keepalive"], 30_000_000_000_u64);
        assert_eq!(info["timeout"], 600_000_000_000_u64);
        let address = info["internal_addr"].as_str().unwrap();
        assert!(
            address.starts_with("127.") && address.ends_with(":2222"),
            "{address}"
        );

        let ran = host.run(id, "echo $USER; exit 3").await.ok();
        assert_eq!(
            ran,
            json!({ "code": 3, "stdout": "ubuntu\n", "stderr": "" })
        );
        let answer = host.docker(id, "GET", "/_ping", None).await.ok();
        assert_eq!(answer, json!({ "status": 200, "body": "OK" }));

        // It is a machine like any other.
        let said = flow.home.run(["ssh", id, "echo $USER"]).await.ok().out;
        assert_eq!(said, "ubuntu\n");
    }
    let listed = flow.home.run(["ls", "-q"]).await.ok().out;
    let listed: BTreeSet<_> = listed.lines().collect();
    assert_eq!(listed, running.keys().map(String::as_str).collect());
    // Nothing listens for TLS.
    for host in flow.hosts.hosts() {
        let address = (host.spec().address, 2376);
        assert!(tokio::net::TcpStream::connect(address).await.is_err());
    }

    let accepted = host.decrease(running.keys()).await.ok();
    assert_eq!(accepted.as_array().unwrap().len(), 2, "{accepted}");
    assert!(flow.lab.live_instances().is_empty());
    // A second request is no error, and names no other instance.
    let repeated = host.decrease(running.keys()).await.ok();
    for id in repeated.as_array().into_iter().flatten() {
        assert!(running.contains_key(id.as_str().unwrap()), "{repeated}");
    }
    host.until_none().await;
    host.call("shutdown", json!({})).await.ok();
    host.stop().await;
    fleeting::all_gone(&flow.home).await;
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loop_of_the_library_creates_and_removes_instances() {
    let flow = Flow::start().await;
    let config = fleeting::config(&flow.flags_with_ids(), json!({ "max_size": 3 }));
    let plugin = fleeting::plugin(&flow.home);
    let what = "the plugin in the library's loop";
    let Some(host) = FleetingHost::start(&flow.home, &plugin, &config, what).await else {
        return;
    };
    let settings = json!({ "max_size": 3, "expect_interval": 200, "shutdown_interval": 200 });
    host.call("provision", settings).await.ok();
    host.call("request", json!({ "n": 5 })).await.ok();
    let all = json!({ "running": 3, "pending": 0, "creating": 0 });
    let capacity = host.call("await", json!({ "capacity": all })).await.ok();
    assert_eq!(capacity["requested"], 2, "{capacity}");
    assert_eq!(capacity["max"], 3);
    let instances = host.call("instances", json!({})).await.ok();
    let instances = instances.as_array().unwrap();
    let ids: Vec<&Value> = instances.iter().map(|instance| &instance["id"]).collect();
    assert!(
        instances
            .iter()
            .all(|instance| instance["cause"] == "requested")
    );
    // The two that were too many are created now.
    host.call("delete", json!({ "instances": ids })).await.ok();
    let rest = json!({ "running": 2, "deleting": 0, "requested": 0 });
    host.call("await", json!({ "capacity": rest })).await.ok();
    let instances = host.call("instances", json!({})).await.ok();
    let ids: Vec<&Value> = instances
        .as_array()
        .unwrap()
        .iter()
        .map(|i| &i["id"])
        .collect();
    host.call("delete", json!({ "instances": ids })).await.ok();
    host.call("stop", json!({})).await.ok();
    host.stop().await;
    fleeting::all_gone(&flow.home).await;
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn increase_answers_before_ec2_does() {
    let flow = Flow::start().await;
    let Some(host) = fleeting::pool(&flow, json!({})).await else {
        return;
    };
    let gate = flow.lab.hold("RunInstances");
    assert_eq!(host.increase(3).await.ok(), 3);
    gate.arrived(1).await;
    let states = host.update().await;
    assert_eq!(states.len(), 3);
    assert!(
        states.values().all(|state| state == "creating"),
        "{states:?}"
    );
    gate.open();
    host.until_running(3).await;
    host.decrease(states.keys()).await.ok();
    host.until_none().await;
    host.stop().await;
}

/// An instance can be given up before it runs.
#[tokio::test(flavor = "multi_thread")]
async fn an_instance_can_be_removed_while_it_is_created() {
    let flow = Flow::with_hosts(HostOptions {
        listens: Moment::WhenTold,
        ..HostOptions::default()
    })
    .await;
    let Some(host) = fleeting::pool(&flow, json!({})).await else {
        return;
    };
    host.increase(1).await.ok();
    flow.lab.until(|lab| !lab.live_instances().is_empty()).await;
    let states = host.update().await;
    host.decrease(states.keys()).await.ok();
    assert!(flow.lab.live_instances().is_empty());
    host.until_none().await;
    host.stop().await;
    fleeting::all_gone(&flow.home).await;
    flow.assert_clean();
}

/// A failure of a create, and a word of the reason.
fn failures() -> Vec<(HostOptions, Option<Fault>, Value, &'static str)> {
    let refused = |code: &str| Fault::error("RunInstances", code).always();
    let options = HostOptions::default;
    vec![
        (
            options(),
            Some(refused("InsufficientInstanceCapacity")),
            json!({}),
            "InsufficientInstanceCapacity",
        ),
        (
            options(),
            Some(refused("UnauthorizedOperation")),
            json!({}),
            "UnauthorizedOperation",
        ),
        (
            options(),
            Some(Fault::error("ImportKeyPair", "UnauthorizedOperation").always()),
            json!({}),
            "UnauthorizedOperation",
        ),
        (
            HostOptions {
                listens: Moment::WhenTold,
                ..options()
            },
            None,
            json!({ "create_timeout": "3s" }),
            "create_timeout",
        ),
        // Also before anything is created.
        (
            options(),
            Some(Fault::on("*", Effect::Delay(Duration::from_secs(600))).always()),
            json!({ "create_timeout": "3s" }),
            "create_timeout",
        ),
        (
            HostOptions {
                docker_start_fails: Some("no space left".to_owned()),
                docker: DockerAtBoot::Missing,
                ..options()
            },
            None,
            json!({ "MachineOptions+": ["engine-registry-mirror=https://mirror.test"] }),
            "docker",
        ),
        (
            HostOptions {
                install_fails: Some("E: no such package".to_owned()),
                docker: DockerAtBoot::Missing,
                ..options()
            },
            None,
            json!({}),
            "no such package",
        ),
        (
            HostOptions {
                exec_faults: [(1, ExecFault::Refuse)].into(),
                ..options()
            },
            None,
            json!({}),
            "create failed",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_failed_create_is_told_as_deleted_and_logged() {
    for (options, fault, mut more, reason) in failures() {
        let flow = Flow::with_hosts(options).await;
        let added = more.as_object_mut().unwrap().remove("MachineOptions+");
        let mut config = fleeting::config(&flow.flags_with_ids(), more);
        for option in added.iter().flat_map(|added| added.as_array().unwrap()) {
            config["MachineOptions"]
                .as_array_mut()
                .unwrap()
                .push(option.clone());
        }
        let plugin = fleeting::plugin(&flow.home);
        let what = "failed creates of the plugin";
        let Some(host) = FleetingHost::start(&flow.home, &plugin, &config, what).await else {
            return;
        };
        host.init().await.ok();
        fault.map(|fault| flow.lab.inject(fault));
        assert_eq!(host.increase(1).await.ok(), 1);
        host.logged(reason).await;
        // The host learns of the instance once, even if it failed at once: without that it would be pending for ever.
        let first = host.update().await;
        assert_eq!(first.len(), 1, "{reason}: {first:?}");
        let id = first.keys().next().unwrap();
        let ended = host.until(|states| states.get(id).is_none_or(|state| state == "deleted"));
        ended.await;
        host.stop().await;
        fleeting::all_gone(&flow.home).await;
        flow.assert_clean();
    }
}

/// The library counts an instance as pending until an Update reports it as something else than deleted.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_stays_pending_in_the_librarys_loop() {
    let flow = Flow::start().await;
    flow.lab
        .inject(Fault::error("RunInstances", "UnauthorizedOperation").always());
    let config = fleeting::config(&flow.flags_with_ids(), json!({}));
    let plugin = fleeting::plugin(&flow.home);
    let what = "failed creates in the library's loop";
    let Some(host) = FleetingHost::start(&flow.home, &plugin, &config, what).await else {
        return;
    };
    let settings = json!({ "max_size": 10, "expect_interval": 500 });
    host.call("provision", settings).await.ok();
    host.call("request", json!({ "n": 4 })).await.ok();
    let none = json!({ "requested": 0, "pending": 0, "creating": 0, "running": 0, "deleting": 0 });
    host.call("await", json!({ "capacity": none })).await.ok();
    host.call("stop", json!({})).await.ok();
    host.stop().await;
    fleeting::all_gone(&flow.home).await;
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_capacity_leads_to_the_next_candidate() {
    let flow = Flow::start().await;
    let subnets = flow.lab.subnets(ACCOUNT, REGION);
    let subnet = |zone| {
        &subnets
            .iter()
            .find(|s| s.zone == format!("{REGION}{zone}"))
            .unwrap()
            .id
    };
    let mut flags = flow.flags();
    flags.retain(|flag| !flag.starts_with("--amazonec2-zone"));
    // The last value comes first.
    for zone in ["b", "a"] {
        flags.push(format!("--amazonec2-subnet-id={}", subnet(zone)));
    }
    let config = fleeting::config(&flags, json!({}));
    let plugin = fleeting::plugin(&flow.home);
    let what = "fallback of the plugin";
    let Some(host) = FleetingHost::start(&flow.home, &plugin, &config, what).await else {
        return;
    };
    host.init().await.ok();
    let none = || Shortage::new("InsufficientInstanceCapacity");
    flow.lab.shortage(none().in_zone(format!("{REGION}a")));
    host.increase(1).await.ok();
    let states = host.until_running(1).await;
    assert_eq!(flow.lab.live_instances()[0].zone, format!("{REGION}b"));
    host.decrease(states.keys()).await.ok();
    host.until_none().await;

    // None anywhere: the reason is logged, and the next create comes after a minute, whatever the host requests.
    flow.lab.shortage(none());
    flow.lab.clear_calls();
    let asking = async {
        loop {
            host.increase(1).await.ok();
            host.until(|states| states.values().all(|state| state == "deleted"))
                .await;
        }
    };
    let time = Duration::from_secs(20);
    assert!(tokio::time::timeout(time, asking).await.is_err());
    host.logged("InsufficientInstanceCapacity").await;
    // One create has at most two candidates.
    let launches = flow.lab.count("RunInstances");
    assert!(
        (1..=2).contains(&launches),
        "{launches} launches in {time:?}"
    );
    host.stop().await;
    fleeting::all_gone(&flow.home).await;
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_end_neither_the_plugin_nor_its_creates() {
    let flow = Flow::start().await;
    let Some(host) = fleeting::pool(&flow, json!({})).await else {
        return;
    };
    host.increase(1).await.ok();
    host.until_running(1).await;
    let gate = flow.lab.hold("RunInstances");
    host.increase(1).await.ok();
    gate.arrived(1).await;
    for signal in SIGNALS {
        host.signal(signal);
        // systemd sends it to every process of the unit.
        for (id, line) in fleeting::processes(&flow.home) {
            if line.contains("fleeting-child") {
                let id = rustix::process::Pid::from_raw(id.try_into().unwrap()).unwrap();
                rustix::process::kill_process(id, signal).unwrap();
            }
        }
    }
    gate.open();
    let states = host.until_running(2).await;
    let accepted = host.decrease(states.keys()).await.ok();
    assert_eq!(accepted.as_array().unwrap().len(), 2);
    assert!(host.plugin_lives());
    host.until_none().await;
    host.call("shutdown", json!({})).await.ok();
    host.stop().await;
    fleeting::all_gone(&flow.home).await;
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_cancels_creates() {
    let flow = Flow::with_hosts(HostOptions {
        listens: Moment::WhenTold,
        ..HostOptions::default()
    })
    .await;
    let Some(host) = fleeting::pool(&flow, json!({})).await else {
        return;
    };
    host.increase(2).await.ok();
    flow.lab.until(|lab| lab.live_instances().len() == 2).await;
    host.call("shutdown", json!({})).await.ok();
    host.stop().await;
    fleeting::all_gone(&flow.home).await;
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_host_leaves_whole_machines_only() {
    let flow = Flow::start().await;
    let Some(mut host) = fleeting::pool(&flow, json!({})).await else {
        return;
    };
    host.increase(1).await.ok();
    let running = host.until_running(1).await;
    flow.hosts
        .plan(|_, options| options.listens = Moment::WhenTold);
    host.increase(2).await.ok();
    flow.lab.until(|lab| lab.live_instances().len() == 3).await;
    host.kill().await;
    let took = fleeting::all_gone(&flow.home).await;
    // Ten seconds without a connection, and the rollback of two creates.
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert_eq!(flow.lab.live_instances().len(), 1);

    // The next plugin finds it under its name.
    let host = fleeting::pool(&flow, json!({})).await.unwrap();
    assert_eq!(host.update().await, running);
    host.run(ids(&running)[0], "true").await.ok();
    host.decrease(running.keys()).await.ok();
    host.until_none().await;
    host.stop().await;
    fleeting::all_gone(&flow.home).await;
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ec2_that_does_not_answer_changes_no_state() {
    let flow = Flow::start().await;
    let Some(host) = fleeting::pool(&flow, json!({})).await else {
        return;
    };
    host.increase(2).await.ok();
    let running = host.until_running(2).await;
    let denied = Effect::Error {
        code: "UnauthorizedOperation".to_owned(),
        message: "You are not authorized to perform this operation.".to_owned(),
        status: None,
    };
    for effect in [Effect::Drop, throttled(), denied] {
        let fault = flow.lab.inject(Fault::on("*", effect).always());
        flow.lab.clock().advance(Duration::from_secs(600));
        assert_stays(&host, &running, POLL).await;
        assert!(flow.lab.hits(fault) > 0, "EC2 was not asked");
        flow.lab.heal();
    }
    // The first reason was another one.
    let told = host.logged("UnauthorizedOperation").await;
    let begin = "states of instances are unknown: ";
    assert!(told.message.starts_with(begin), "{told:?}");
    assert_eq!(flow.lab.live_instances().len(), 2);
    host.decrease(running.keys()).await.ok();
    host.until_none().await;
    host.stop().await;
    fleeting::all_gone(&flow.home).await;
    flow.assert_clean();
}

fn throttled() -> Effect {
    Effect::Error {
        code: "RequestLimitExceeded".to_owned(),
        message: "Request limit exceeded.".to_owned(),
        status: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stable_pool_asks_ec2_four_times_a_minute() {
    let flow = Flow::start().await;
    let Some(host) = fleeting::pool(&flow, json!({})).await else {
        return;
    };
    host.increase(2).await.ok();
    let running = host.until_running(2).await;
    let calls = flow.lab.calls().len();
    assert!(calls <= 2 * 5, "{:?}", flow.lab.counts());
    flow.lab.clear_calls();
    // Two intervals, with ten Updates a second.
    assert_stays(&host, &running, 2 * POLL).await;
    let asked = flow.lab.counts();
    assert!((1..=3).contains(&asked["DescribeInstances"]), "{asked:?}");
    assert_eq!(asked.len(), 1, "{asked:?}");
    flow.lab.clear_calls();
    host.decrease(running.keys()).await.ok();
    assert_eq!(flow.lab.count("TerminateInstances"), 1);
    host.until_none().await;
    host.stop().await;
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_end_without_the_plugin_are_told_and_cleaned_up() {
    let flow = Flow::start().await;
    let Some(host) = fleeting::pool(&flow, json!({})).await else {
        return;
    };
    host.increase(4).await.ok();
    let running = host.until_running(4).await;
    let ids = ids(&running);
    let format = ["inspect", "-f", "{{.Driver.InstanceId}}"];
    let instance = async |id: &str| {
        let said = flow.home.run(format.into_iter().chain([id])).await.ok().out;
        said.trim().to_owned()
    };
    assert!(flow.lab.shut_down_from_inside(&instance(ids[0]).await));
    flow.home.run(["stop", ids[1]]).await.ok();
    flow.home.run(["rm", "-y", ids[2]]).await.ok();
    let gone = |states: &States, id: &str| states.get(id).is_none_or(|state| state == "deleted");
    let states = host
        .until(|states| ids[..3].iter().all(|id| gone(states, id)))
        .await;
    assert_eq!(states[ids[3]], "running");
    flow.lab.until(|lab| lab.live_instances().len() == 1).await;
    host.decrease([ids[3]]).await.ok();
    host.until_none().await;
    host.stop().await;
    fleeting::all_gone(&flow.home).await;
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_configurations_fail_with_their_key() {
    let flow = Flow::start().await;
    let plugin = fleeting::plugin(&flow.home);
    let what = "the plugin's configuration";
    for (more, said) in [
        (json!({ "machineoptions": [] }), "machineoptions"),
        (json!({ "name": "" }), "name"),
        (json!({ "name": "a/b" }), "a/b"),
        (json!({ "MachineName": "machine" }), "%s"),
        (
            json!({ "MachineDriver": "none", "MachineOptions": ["url=tcp://127.0.0.1:1"] }),
            "none",
        ),
        (json!({ "MachineDriver": "azure" }), "azure"),
        (
            json!({ "MachineOptions": ["amazonec2-regoin=x"] }),
            "amazonec2-regoin",
        ),
        (json!({ "docker": "no" }), "docker"),
        (json!({ "create_timeout": "ten" }), "create_timeout"),
        (
            json!({ "max_concurrent_creates": 0 }),
            "max_concurrent_creates",
        ),
    ] {
        let config = fleeting::config(&flow.flags_with_ids(), more.clone());
        let Some(host) = FleetingHost::start(&flow.home, &plugin, &config, what).await else {
            return;
        };
        let error = host.init().await.error();
        assert!(error.contains(said), "{more}: {error}");
        host.stop().await;
    }
    fleeting::all_gone(&flow.home).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_plugin_serves_a_pool() {
    let flow = Flow::start().await;
    let Some(host) = fleeting::pool(&flow, json!({})).await else {
        return;
    };
    let plugin = fleeting::plugin(&flow.home);
    let start = |name: &str| {
        let config = fleeting::config(&flow.flags_with_ids(), json!({ "name": name }));
        let (home, plugin) = (&flow.home, &plugin);
        async move {
            let started = FleetingHost::start(home, plugin, &config, "a second plugin");
            started.await.unwrap()
        }
    };
    let second = start("ci").await;
    let error = second.init().await.error();
    assert!(error.contains("ci"), "{error}");
    second.stop().await;
    // Another pool in the same store has instances of its own.
    let other = start("other").await;
    other.init().await.ok();
    other.increase(1).await.ok();
    let running = other.until_running(1).await;
    assert_eq!(host.update().await, States::new());
    other.decrease(running.keys()).await.ok();
    other.until_none().await;
    other.stop().await;
    host.stop().await;
    fleeting::all_gone(&flow.home).await;
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn with_docker_expect_the_host_stays_as_it_is() {
    let flow = Flow::start().await;
    let Some(host) = fleeting::pool(&flow, json!({ "docker": "expect" })).await else {
        return;
    };
    host.increase(1).await.ok();
    let running = host.until_running(1).await;
    let counts = flow.host().counts();
    assert_eq!(
        (counts.installations, counts.docker_restarts),
        (0, 0),
        "{counts:?}"
    );
    host.decrease(running.keys()).await.ok();
    host.until_none().await;
    host.stop().await;
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_an_argument_or_in_the_log() {
    let mut flow = Flow::start().await;
    flow.home.unset("AWS_ACCESS_KEY_ID");
    flow.home.unset("AWS_SECRET_ACCESS_KEY");
    let secret = "MARKED0SECRET";
    let mut flags = flow.flags_with_ids();
    flags.push(format!(
        "--amazonec2-access-key={}",
        ec2_lab::ec2::ACCESS_KEY
    ));
    flags.push(format!("--amazonec2-secret-key={secret}"));
    let config = fleeting::config(&flags, json!({}));
    let plugin = fleeting::plugin(&flow.home);
    let what = "secrets of the plugin";
    let Some(host) = FleetingHost::start(&flow.home, &plugin, &config, what).await else {
        return;
    };
    host.init().await.ok();
    let gate = flow.lab.hold("RunInstances");
    host.increase(1).await.ok();
    gate.arrived(1).await;
    assert_no_secret(&flow, secret);
    gate.open();
    let running = host.until_running(1).await;
    let gate = flow.lab.hold("TerminateInstances");
    let (decreased, ()) = tokio::join!(host.decrease(running.keys()), async {
        gate.arrived(1).await;
        assert_no_secret(&flow, secret);
        gate.open();
    });
    decreased.ok();
    host.until_none().await;
    for log in host.logs() {
        assert!(!format!("{log:?}").contains(secret), "{log:?}");
    }
    host.stop().await;
    fleeting::all_gone(&flow.home).await;
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn by_hand_it_says_how_it_is_configured() {
    let flow = Flow::start().await;
    let plugin = fleeting::plugin(&flow.home);
    let ended = flow.home.end(Command::new(&plugin), b"").await;
    assert_eq!(ended.code, Some(1), "{ended}");
    let said = format!("{}{}", ended.out, ended.err);
    for text in [
        "GitLab Runner",
        "[runners.autoscaler]",
        "fleeting-plugin-docker-machine",
    ] {
        assert!(said.contains(text), "{text}\n{said}");
    }
    let mut version = Command::new(&plugin);
    version.arg("--version");
    let version = flow.home.end(version, b"").await.ok();
    assert!(
        version.out.starts_with("docker-machine version"),
        "{version}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_the_document_works() {
    let document = include_str!("../../../docs/fleeting.md");
    let (_, example) = document.split_once("```toml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let example: toml::Table = toml::from_str(example).unwrap();
    assert_eq!(example["executor"].as_str(), Some("docker-autoscaler"));
    let autoscaler = &example["runners"]["autoscaler"];
    let mut flow = Flow::start().await;
    let mut config = serde_json::to_value(&autoscaler["plugin_config"]).unwrap();
    let options = config["MachineOptions"].as_array_mut().unwrap();
    for flag in flow.flags() {
        if let Some(option) = flag.strip_prefix("--amazonec2-") {
            options.push(format!("amazonec2-{option}").into());
        }
    }
    // GitLab Runner finds the plugin in its PATH.
    let name = fleeting::plugin(&flow.home);
    let directories = flow.home.environment()[std::ffi::OsStr::new("PATH")].clone();
    let directories = format!("{}:{}", flow.home.path().display(), directories.display());
    flow.home.set("PATH", directories);
    let plugin = autoscaler["plugin"].as_str().unwrap();
    assert_eq!(name.file_name().unwrap(), plugin);
    let what = "the document about the plugin";
    let Some(host) = FleetingHost::start(&flow.home, plugin.as_ref(), &config, what).await else {
        return;
    };
    let settings = json!({ "max_size": autoscaler["max_instances"].as_integer(),
        "expect_interval": 200, "shutdown_interval": 200 });
    host.call("provision", settings).await.ok();
    let idle = autoscaler["policy"][0]["idle_count"].as_integer();
    host.call("request", json!({ "n": idle })).await.ok();
    let running = json!({ "capacity": { "running": idle, "pending": 0 } });
    host.call("await", running).await.ok();
    let instances = host.call("instances", json!({})).await.ok();
    let instances = instances.as_array().unwrap().iter();
    let ids: Vec<&str> = instances
        .map(|instance| instance["id"].as_str().unwrap())
        .collect();
    for id in &ids {
        assert!(id.starts_with("gitlab-docker-machine-ci-"), "{id}");
        let answer = host.docker(id, "GET", "/_ping", None).await.ok();
        assert_eq!(answer["body"], "OK");
    }
    host.call("delete", json!({ "instances": ids })).await.ok();
    host.call("stop", json!({})).await.ok();
    host.stop().await;
    fleeting::all_gone(&flow.home).await;
    flow.assert_clean();
}
