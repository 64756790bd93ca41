//! Commands cut at every operation of the store on a file: by an error, by a disk that is full or
//! read-only from then on, by a crash.

use std::sync::Arc;
use std::time::Duration;

use crate::knife::{Knife, Places, Way};
use crate::room::{Command, Ended, Room};
use crate::store;
use crate::sweep::Sweep;
use crate::weather::Weather;

/// The ways of the n-th place. A single error is `EIO` or `EACCES`, a broken disk full (`ENOSPC`) or
/// read-only (`EROFS`): each is met at every other place.
fn ways(nth: usize) -> [Way; 3] {
    let [once, for_good] = [[5, 28], [13, 30]][nth % 2];
    [Way::Fails(once), Way::IsBroken(for_good), Way::Crashes]
}

/// Runs a command under the knife, and looks at the store afterwards.
async fn cut(room: &Room, command: Command, nth: usize, way: Way) -> Ended {
    let knife = Arc::new(Knife::at(Places::Files, nth, way));
    let ended = room.cut(command, &knife).await;
    assert!(knife.has_cut(), "it never came there: {ended:?}");
    store::assert_sound(&room.flow.home);
    match (way, &ended) {
        (Way::Crashes, ended) => assert_eq!(*ended, Ended::Crashed),
        (Way::Fails(errno) | Way::IsBroken(errno), Ended::Badly(why)) => {
            // The system's words, without Rust's number behind them.
            let reason = std::io::Error::from_raw_os_error(errno).to_string();
            let reason = reason.split(" (os error").next().unwrap();
            let said = format!("{why}\n{}", knife.warnings());
            assert!(said.contains(reason), "{reason:?} is not said: {said}");
        }
        // Not every file is needed.
        _ => {}
    }
    ended
}

/// What was never finished and never removed is gone after the commands of the next hours.
async fn sweep_up(room: &Room) {
    if store::half_made(&room.flow.home).is_empty() {
        return;
    }
    room.lab().clock().advance(Duration::from_secs(2 * 3600));
    room.run(Command::Create).await.ok();
    room.run(Command::Remove).await.ok();
    assert_eq!(store::half_made(&room.flow.home), Vec::<String>::new());
}

async fn cut_create(nth: usize, way: Way, weather: Weather) {
    let room = Room::new().await;
    weather.over(room.lab());
    let ended = cut(&room, Command::Create, nth, way).await;
    if ended == Ended::Well {
        room.run(Command::Config).await.ok();
    }
    room.leave().await;
    sweep_up(&room).await;
}

async fn cut_remove(nth: usize, way: Way, weather: Weather) {
    let room = Room::new().await;
    weather.over(room.lab());
    room.run(Command::Create).await.ok();
    cut(&room, Command::Remove, nth, way).await;
    room.leave().await;
    sweep_up(&room).await;
}

/// Every way in fair weather; in any other one of them at each place, since it is EC2 that is different there.
fn ways_and_weathers(nth: usize) -> Vec<(Way, Weather)> {
    let fair = ways(nth).map(|way| (way, Weather::Fair));
    let foul = [Weather::Throttled, Weather::Flickering];
    let foul = foul.into_iter().enumerate();
    let foul = foul.map(|(which, weather)| (ways(nth)[(nth + which) % 3], weather));
    fair.into_iter().chain(foul).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_cut_at_any_file_leaves_nothing_behind() {
    let mut sweep = Sweep::default();
    for nth in 0..Room::places(Places::Files, Command::Create).await.len() {
        for (way, weather) in ways_and_weathers(nth) {
            let name = format!("{way:?} at file {nth}, {weather:?}");
            sweep.add(name, cut_create(nth, way, weather));
        }
    }
    sweep.make("create at every file").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_does_a_removal() {
    let mut sweep = Sweep::default();
    for nth in 0..Room::places(Places::Files, Command::Remove).await.len() {
        for (way, weather) in ways_and_weathers(nth) {
            let name = format!("{way:?} at file {nth}, {weather:?}");
            sweep.add(name, cut_remove(nth, way, weather));
        }
    }
    sweep.make("rm at every file").await;
}

/// Cuts a command on a machine at every file, in one way; after each cut the machine is as good as new,
/// and at last it goes.
async fn cut_change(command: Command, places: usize, which: usize) {
    let room = Room::new().await;
    room.run(Command::Create).await.ok();
    for nth in 0..places {
        room.prepare(command).await;
        let ended = cut(&room, command, nth, ways(nth)[which]).await;
        room.assert_usable(command, &ended).await;
    }
    room.leave().await;
    sweep_up(&room).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_survives_every_command_that_is_cut_at_a_file() {
    let mut sweep = Sweep::default();
    for command in Command::CHANGES {
        let places = Room::places(Places::Files, command).await.len();
        for which in 0..ways(0).len() {
            let name = format!("{command:?} at each of {places} files, way {which}");
            sweep.add_many(places, name, cut_change(command, places, which));
        }
    }
    sweep
        .make("start, provision, regenerate-certs at every file")
        .await;
}
