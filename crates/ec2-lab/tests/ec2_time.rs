//! Time in the lab: states, hosts, token buckets, addresses.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "test helpers may panic"
)]

mod ec2_raw;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use ec2_lab::ec2::{
    ACCOUNT, Cidr, Clock, Durations, InstanceState, Lab, OTHER_ACCESS_KEY, Throttling,
};
use ec2_lab::hosts::{HostError, HostSpec, Hosts};
use ec2_raw::{Caller, LAUNCH, seconds};

/// Records its calls.
#[derive(Debug, Default)]
struct Diary(Mutex<Vec<String>>);

impl Diary {
    fn note(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

#[async_trait]
impl Hosts for Diary {
    async fn boot(&self, host: HostSpec) -> Result<(), HostError> {
        self.note(format!("boot {} as {}", host.address, host.user));
        if host.user_data == b"fail" {
            return Err(HostError {
                instance_id: host.instance_id,
                address: host.address,
                reason: "told to".to_owned(),
            });
        }
        Ok(())
    }
    async fn stop(&self, _id: &str) {
        self.note("stop".to_owned());
    }
    async fn reboot(&self, _id: &str) {
        self.note("reboot".to_owned());
    }
    async fn terminate(&self, _id: &str) {
        self.note("terminate".to_owned());
    }
    async fn console(&self, _id: &str) -> String {
        "login: ".to_owned()
    }
}

async fn state(caller: &Caller, id: &str) -> String {
    let answer = caller.look(id).await;
    if answer.status == 200 {
        answer.one("name").to_owned()
    } else {
        answer.error().0.to_owned()
    }
}

#[tokio::test]
async fn states_change_with_a_manual_clock() {
    let durations = Durations {
        pending: seconds(6),
        stopping: seconds(30),
        shutting_down: seconds(20),
        remembered: seconds(3600),
    };
    let lab = Lab::builder().clock(Clock::manual()).durations(durations);
    let lab = lab.start().await.unwrap();
    let caller = Caller::new(&lab);
    let id = caller.launch().await;
    let named = [("InstanceId.1", id.as_str())];
    let mut seen = Vec::new();
    for (wait, call) in [
        (5, None),
        (1, Some("StopInstances")),
        (29, None),
        (1, Some("StartInstances")),
        (6, Some("TerminateInstances")),
        (20, None),
        (3599, None),
        (1, None),
    ] {
        lab.clock().advance(seconds(wait));
        seen.push(state(&caller, &id).await);
        if let Some(action) = call {
            assert_eq!(caller.call(action, &named).await.status, 200);
        }
    }
    let expected = [
        "pending",
        "running",
        "stopping",
        "stopped",
        "running",
        "terminated",
        "terminated",
        "InvalidInstanceID.NotFound",
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn hosts_receive_orders_without_any_call() {
    let diary = Arc::new(Diary::default());
    let lab = Lab::builder()
        .hosts(diary.clone())
        .loopback()
        .start()
        .await
        .unwrap();
    let caller = Caller::new(&lab);
    let id = caller.launch().await;
    let named = [("InstanceId.1", id.as_str())];
    let private = lab.instance(&id).unwrap().private_ip.unwrap();
    assert!(private.is_loopback() && lab.vpc_cidr().contains(private));
    for action in [
        "RebootInstances",
        "StopInstances",
        "StartInstances",
        "TerminateInstances",
    ] {
        assert_eq!(caller.call(action, &named).await.status, 200, "{action}");
        if action == "StopInstances" {
            let off = |lab: &Lab| lab.instance(&id).unwrap().state == InstanceState::Stopped;
            lab.until(off).await;
        }
    }
    let gone = |lab: &Lab| lab.instance(&id).unwrap().state == InstanceState::Terminated;
    lab.until(|lab| gone(lab) && diary.lines().len() == 5).await;
    let boot = format!("boot {private} as ubuntu");
    let expected = [&boot, "reboot", "stop", &boot, "terminate"];
    let lines = diary.lines();
    assert_eq!(
        lines.iter().map(String::as_str).collect::<Vec<_>>(),
        expected
    );
}

/// Hosts that take until a test releases them to stop and to terminate.
#[derive(Debug, Default)]
struct Slow(tokio::sync::Notify);

#[async_trait]
impl Hosts for Slow {
    async fn boot(&self, _host: HostSpec) -> Result<(), HostError> {
        Ok(())
    }
    async fn stop(&self, _id: &str) {
        self.0.notified().await;
    }
    async fn reboot(&self, _id: &str) {}
    async fn terminate(&self, _id: &str) {
        self.0.notified().await;
    }
    async fn console(&self, _id: &str) -> String {
        String::new()
    }
}

#[tokio::test]
async fn an_instance_is_stopped_and_terminated_once_its_host_is_off() {
    let hosts = Arc::new(Slow::default());
    let lab = Lab::builder().hosts(hosts.clone()).start().await.unwrap();
    let caller = Caller::new(&lab);
    let id = caller.launch().await;
    let named = [("InstanceId.1", id.as_str())];
    lab.until(|lab| lab.instance(&id).unwrap().state == InstanceState::Running)
        .await;
    for (action, on, off) in [
        ("StopInstances", "stopping", InstanceState::Stopped),
        ("StartInstances", "running", InstanceState::Running),
        (
            "TerminateInstances",
            "shutting-down",
            InstanceState::Terminated,
        ),
    ] {
        assert_eq!(caller.call(action, &named).await.status, 200, "{action}");
        assert_eq!(state(&caller, &id).await, on);
        if on != "running" {
            hosts.0.notify_one();
        }
        lab.until(|lab| lab.instance(&id).unwrap().state == off)
            .await;
    }
}

#[tokio::test]
async fn an_instance_whose_host_cannot_be_made_is_terminated_with_the_reason() {
    let lab = Lab::builder()
        .hosts(Arc::new(Diary::default()))
        .start()
        .await
        .unwrap();
    let caller = Caller::new(&lab);
    let failing = [LAUNCH.as_slice(), &[("UserData", "ZmFpbA==")]].concat();
    caller.call("RunInstances", &failing).await;
    lab.until(|lab| lab.instances()[0].state == InstanceState::Terminated)
        .await;
    let reason = lab.instances()[0].reason.clone().unwrap();
    assert_eq!(reason.code, "Server.InternalError");
    assert!(reason.message.contains("told to"), "{}", reason.message);
}

#[tokio::test]
async fn a_shutdown_from_inside_stops_or_terminates_as_launched() {
    let lab = Lab::builder().start().await.unwrap();
    let caller = Caller::new(&lab);
    let lease = [("InstanceInitiatedShutdownBehavior", "terminate")];
    caller
        .call("RunInstances", &[LAUNCH.as_slice(), &lease].concat())
        .await;
    let leased = lab.instances()[0].id.clone();
    let plain = caller.launch().await;
    assert!(lab.shut_down_from_inside(&leased) && lab.shut_down_from_inside(&plain));
    assert_eq!(state(&caller, &leased).await, "terminated");
    assert_eq!(state(&caller, &plain).await, "stopped");
    assert!(!lab.shut_down_from_inside(&plain));
    assert!(!lab.clean());
}

#[tokio::test]
async fn a_reclaimed_spot_instance_has_its_state_reason() {
    let lab = Lab::builder().start().await.unwrap();
    let caller = Caller::new(&lab);
    let spot = [("InstanceMarketOptions.MarketType", "spot")];
    let made = caller
        .call("RunInstances", &[LAUNCH.as_slice(), &spot].concat())
        .await;
    let id = made.one("instanceId").to_owned();
    assert!(lab.reclaim(&id));
    let answer = caller.look(&id).await;
    assert!(
        answer
            .one("stateReason")
            .contains("Server.SpotInstanceTermination")
    );
    assert_eq!(lab.spot_requests()[0].state, "closed");
}

#[tokio::test]
async fn documented_buckets_throttle_and_refill_per_account() {
    let lab = Lab::builder()
        .clock(Clock::manual())
        .throttling(Throttling::documented());
    let lab = lab.start().await.unwrap();
    let caller = Caller::new(&lab);
    let other = Caller {
        access_key: OTHER_ACCESS_KEY.to_owned(),
        ..caller.clone()
    };
    let passes = async |caller: &Caller, action: &str, params: &[(&str, &str)]| {
        for n in 0..200 {
            let answer = caller.call(action, params).await;
            if answer.error() == ("RequestLimitExceeded", 503) {
                return n;
            }
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
        200
    };
    let narrow = [
        ("Filter.1.Name", "instance-id"),
        ("Filter.1.Value.1", "i-0"),
    ];
    let forget = [("KeyName", "x")];
    assert_eq!(passes(&caller, "RunInstances", &LAUNCH).await, 5);
    assert_eq!(passes(&caller, "DeleteKeyPair", &forget).await, 50);
    // Each action has a separate bucket.
    let delete = [("GroupName", "x")];
    let gone = caller.call("DeleteSecurityGroup", &delete).await;
    assert_ne!(gone.error().0, "RequestLimitExceeded");
    assert_eq!(passes(&caller, "DescribeInstances", &narrow).await, 100);
    assert_eq!(passes(&caller, "DescribeInstances", &[]).await, 50);
    lab.clock().advance(seconds(1));
    assert_eq!(passes(&caller, "RunInstances", &LAUNCH).await, 2);
    assert_eq!(passes(&caller, "DeleteKeyPair", &forget).await, 5);
    assert_eq!(passes(&caller, "DescribeInstances", &narrow).await, 20);
    assert_eq!(passes(&caller, "DescribeInstances", &[]).await, 10);
    assert_eq!(passes(&other, "RunInstances", &LAUNCH).await, 5);
    lab.throttle(Some(Throttling::shared_by_class()));
    assert_eq!(passes(&caller, "DeleteKeyPair", &forget).await, 50);
    let gone = caller.call("DeleteSecurityGroup", &delete).await;
    assert_eq!(gone.error().0, "RequestLimitExceeded");
}

#[tokio::test]
async fn labs_on_loopback_never_share_addresses() {
    let one = Lab::builder().loopback().start().await.unwrap();
    let two = Lab::builder().loopback().start().await.unwrap();
    assert_ne!(one.vpc_cidr(), two.vpc_cidr());
}

#[tokio::test]
async fn subnets_run_out_of_addresses() {
    let lab = Lab::builder().start().await.unwrap();
    let caller = Caller::new(&lab);
    let vpc = lab.add_vpc(ACCOUNT, "us-east-1", Cidr::parse("10.9.0.0/24").unwrap());
    let block = Cidr::parse("10.9.0.0/28").unwrap();
    let subnet = lab.add_subnet(ACCOUNT, "us-east-1", &vpc, "us-east-1c", block);
    let mut params = [LAUNCH.as_slice(), &[("SubnetId", subnet.as_str())]].concat();
    params[3] = ("MaxCount", "11");
    assert_eq!(caller.call("RunInstances", &params).await.status, 200);
    let full = caller.call("RunInstances", &params).await;
    assert_eq!(full.error(), ("InsufficientFreeAddressesInSubnet", 400));
    assert!(
        lab.instances()
            .iter()
            .all(|i| i.zone == "us-east-1c" && i.vpc == vpc)
    );
}

#[tokio::test]
async fn a_client_token_is_zonal_and_survives_a_lost_launch() {
    let lab = Lab::builder().start().await.unwrap();
    let caller = Caller::new(&lab);
    let with = |zone| {
        let more = [("ClientToken", "t1"), ("Placement.AvailabilityZone", zone)];
        [LAUNCH.as_slice(), &more].concat()
    };
    let first = caller.call("RunInstances", &with("us-east-1a")).await;
    let again = caller.call("RunInstances", &with("us-east-1a")).await;
    assert_eq!(first.one("instanceId"), again.one("instanceId"));
    assert_eq!(again.one("name"), "running");
    let other_zone = caller.call("RunInstances", &with("us-east-1b")).await;
    assert_ne!(first.one("instanceId"), other_zone.one("instanceId"));
    assert_eq!(lab.instances().len(), 2);
}
