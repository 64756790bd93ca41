//! The start of a stopped machine, and its addresses afterwards.

#![allow(clippy::unwrap_used, clippy::panic)]

mod fixture;

use std::time::Duration;

use ec2_lab::ec2::{Durations, Effect, Fault, Lab};
use fixture::Fixture;
use machine_driver::{Driver, DriverErrorKind};

fn instance_id(machine: &dyn Driver) -> String {
    machine.save()["InstanceId"].as_str().unwrap().to_owned()
}

/// A stopped machine, in a fixture where a start is `pending` for this number of seconds.
async fn stopped(pending: u64) -> (Fixture, Box<dyn Driver>) {
    let fixture = Fixture::with(Lab::builder().pending(Duration::from_secs(pending))).await;
    let mut machine = fixture.created(&[]).await;
    fixture.lab.clock().advance(Duration::from_secs(pending));
    machine.stop(&fixture.cx).await.unwrap();
    (fixture, machine)
}

#[tokio::test]
async fn a_start_waits_for_an_instance_that_is_still_stopping() {
    let stopping = Durations {
        stopping: Duration::from_secs(90),
        ..Durations::default()
    };
    let fixture = Fixture::with(Lab::builder().durations(stopping)).await;
    let mut machine = fixture.created(&[]).await;
    assert!(fixture.lab.shut_down_from_inside(&instance_id(&*machine)));
    machine.start(&fixture.cx).await.unwrap();
    assert_eq!(fixture.lab.live_instances()[0].state.name(), "running");
}

#[tokio::test]
async fn a_start_that_leads_back_to_stopped_fails_at_once_with_the_reason() {
    for pending in [0, 20] {
        let (fixture, mut machine) = stopped(pending).await;
        let id = instance_id(&*machine);
        let text = "Client error on launch";
        assert!(
            fixture
                .lab
                .fail_next_start(&id, "Client.InternalError", text)
        );
        let begun = fixture.lab.clock().now();
        let error = machine.start(&fixture.cx).await.unwrap_err();
        let took = fixture.lab.clock().now().duration_since(begun).unwrap();
        assert!(took < Duration::from_secs(60), "{took:?}");
        assert_eq!(error.kind, DriverErrorKind::Ended);
        assert_eq!(
            error.to_string(),
            format!("the instance {id} is stopped: Client.InternalError: {text}")
        );
        assert!(error.hint.unwrap().contains("kms:CreateGrant"));
        // The next start succeeds.
        machine.start(&fixture.cx).await.unwrap();
    }
}

#[tokio::test]
async fn only_a_valid_address_is_saved() {
    for bad in [
        "-oProxyCommand=reboot",
        "10.0.0.1;reboot",
        "host.example",
        "10.0.0.256",
    ] {
        let (fixture, mut machine) = stopped(0).await;
        let (id, saved) = (instance_id(&*machine), machine.save());
        let body = format!(
            "<DescribeInstancesResponse><reservationSet><item><instancesSet><item><instanceId>{id}</instanceId>\
             <instanceState><name>running</name></instanceState><privateIpAddress>{bad}</privateIpAddress>\
             </item></instancesSet></item></reservationSet></DescribeInstancesResponse>"
        );
        fixture
            .lab
            .inject(Fault::on("DescribeInstances", Effect::Garble(body)).always());
        let error = machine.start(&fixture.cx).await.unwrap_err();
        assert!(
            error.to_string().contains("expected an IP address"),
            "{error}"
        );
        assert_eq!(machine.save(), saved, "{bad}");
    }
}
