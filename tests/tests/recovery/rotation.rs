//! Rotation of server certificates: the old and the new one are accepted until it is complete, however often it is
//! interrupted. Also the timeout of a stop.

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
async fn an_interrupted_rotation_never_locks_clients_out() {
    let places = Fixture::places(Places::Files, Command::RegenerateCerts).await;
    let at = |what: &str| {
        places
            .iter()
            .position(|place| place.contains(what))
            .unwrap()
    };
    // The new certificate is in the store and not on the machine; then on the machine and not in the store.
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
    assert!(!pending.exists(), "the rotation is incomplete");
    fixture.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_times_out_without_an_answer_of_ec2() {
    let fixture = Fixture::new().await;
    fixture.run(Command::Create).await.ok();
    let held = Gate::new();
    fixture
        .lab()
        .inject(Fault::on("StopInstances", Effect::Hold(held.clone())).always());
    let begun = fixture.lab().clock().now();
    let Ended::Failed(why) = fixture.run(Command::Stop).await else {
        panic!("the machine must not have stopped")
    };
    assert!(why.contains("did not stop within 44 s"), "{why}");
    let took = fixture.lab().clock().now().duration_since(begun).unwrap();
    assert!(took >= Duration::from_secs(44));
    held.open();
    fixture.leave().await;
}
