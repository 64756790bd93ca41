//! Server certificates on their way to a machine: old and new count until it is over, however often the
//! rotation is cut off. And the end of a stop.

use std::sync::Arc;
use std::time::Duration;

use ec2_lab::ec2::{Effect, Fault, Gate};

use crate::knife::{Knife, Places, Way};
use crate::room::{Command, Ended, Room};

async fn crash_at(room: &Room, places: &[String], index: usize) {
    let knife = Arc::new(Knife::at(Places::Files, index, Way::Crashes));
    let ended = room.cut(Command::RegenerateCerts, &knife).await;
    assert_eq!(ended, Ended::Crashed, "at {}", places[index]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_is_cut_off_again_and_again_cuts_nobody_off() {
    let places = Room::places(Places::Files, Command::RegenerateCerts).await;
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
    let room = Room::new().await;
    room.run(Command::Create).await.ok();
    for index in [
        unrecorded, on_its_way, on_its_way, unrecorded, unrecorded, on_its_way,
    ] {
        crash_at(&room, &places, index).await;
        room.until_reached().await;
    }
    room.run(Command::RegenerateCerts).await.ok();
    room.run(Command::Config).await.ok();
    let pending = room
        .flow
        .home
        .machine(crate::room::NAME)
        .join(".server-next.pem");
    assert!(!pending.exists(), "the rotation is over");
    room.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_in_time_though_ec2_never_answers() {
    let room = Room::new().await;
    room.run(Command::Create).await.ok();
    let held = Gate::new();
    room.lab()
        .inject(Fault::on("StopInstances", Effect::Hold(held.clone())).always());
    let begun = room.lab().clock().now();
    let Ended::Badly(why) = room.run(Command::Stop).await else {
        panic!("it cannot have stopped")
    };
    assert!(why.contains("did not stop within 44 s"), "{why}");
    let took = room.lab().clock().now().duration_since(begun).unwrap();
    assert!(took >= Duration::from_secs(44));
    held.open();
    room.leave().await;
}
