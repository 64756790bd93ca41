//! Server certificates on their way to a machine: old and new count until it is over, however often the
//! rotation is cut off. And the end of a stop.

use std::sync::Arc;
use std::time::Duration;

use ec2_lab::ec2::{Effect, Fault, Gate};

use crate::fault_injection::{FaultInjector, Places, Way};
use crate::fixture::{Command, Ended, Fixture};

async fn crash_at(fixture: &Fixture, places: &[String], index: usize) {
    let fault_injection = Arc::new(FaultInjector::at(Places::Files, index, Way::Crashes));
    let ended = fixture
        .cut(Command::RegenerateCerts, &fault_injection)
        .await;
    assert_eq!(ended, Ended::Crashed, "at {}", places[index]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_is_cut_off_again_and_again_cuts_nobody_off() {
    let places = Fixture::places(Places::Files, Command::RegenerateCerts).await;
    let at = |what: &str| {
        places
            .iter()
            .position(|place| place.contains(what))
            .unwrap()
    };
    // The new certificate is written down, and not on the machine; on the machine, and not written down.
    let on_its_way = at("/.server-next.pem") + 1;
    let unrecorded = at(".writing-server-key.pem-");
    assert!(on_its_way < unrecorded);
    let fixture = Fixture::new().await;
    fixture.run(Command::Create).await.ok();
    for index in [
        unrecorded, on_its_way, on_its_way, unrecorded, unrecorded, on_its_way,
    ] {
        crash_at(&fixture, &places, index).await;
        fixture.until_reached().await;
    }
    fixture.run(Command::RegenerateCerts).await.ok();
    fixture.run(Command::Config).await.ok();
    let pending = fixture
        .flow
        .home
        .machine(crate::fixture::NAME)
        .join(".server-next.pem");
    assert!(!pending.exists(), "the rotation is over");
    fixture.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_in_time_though_ec2_never_answers() {
    let fixture = Fixture::new().await;
    fixture.run(Command::Create).await.ok();
    let held = Gate::new();
    fixture
        .lab()
        .inject(Fault::on("StopInstances", Effect::Hold(held.clone())).always());
    let begun = fixture.lab().clock().now();
    let Ended::Badly(why) = fixture.run(Command::Stop).await else {
        panic!("it cannot have stopped")
    };
    assert!(why.contains("did not stop within 44 s"), "{why}");
    let took = fixture.lab().clock().now().duration_since(begun).unwrap();
    assert!(took >= Duration::from_secs(44));
    held.open();
    fixture.leave().await;
}
