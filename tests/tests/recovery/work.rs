//! Commands cut when a call of EC2 or a command over SSH has just ended: by a crash, or by a cancellation.

use std::sync::Arc;

use crate::knife::{Knife, Places, Way};
use crate::room::{Command, Ended, Room};
use crate::sweep::Sweep;
use crate::weather::Weather;

const WAYS: [Way; 2] = [Way::Crashes, Way::IsCancelled];

async fn cut(room: &Room, command: Command, nth: usize, way: Way) -> Ended {
    let knife = Arc::new(Knife::at(Places::Work, nth, way));
    let ended = room.cut(command, &knife).await;
    assert!(knife.has_cut(), "it never came there: {ended:?}");
    if way == Way::Crashes {
        assert_eq!(ended, Ended::Crashed);
    }
    ended
}

async fn cut_create(nth: usize, way: Way, weather: Weather) {
    let room = Room::new().await;
    weather.over(room.lab());
    let ended = cut(&room, Command::Create, nth, way).await;
    if matches!(ended, Ended::Badly(_)) && weather != Weather::Blind {
        room.flow.assert_clean();
    }
    room.leave().await;
}

async fn cut_remove(nth: usize, way: Way, weather: Weather) {
    let room = Room::new().await;
    weather.over(room.lab());
    room.run(Command::Create).await.ok();
    cut(&room, Command::Remove, nth, way).await;
    room.leave().await;
}

async fn cut_change(command: Command, places: usize, way: Way, weather: Weather) {
    let room = Room::new().await;
    room.run(Command::Create).await.ok();
    for nth in 0..places {
        room.prepare(command).await;
        weather.over(room.lab());
        let ended = cut(&room, command, nth, way).await;
        room.assert_usable(command, &ended).await;
    }
    room.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_cut_after_any_call_or_remote_command_loses_nothing() {
    let mut sweep = Sweep::default();
    let create = Room::places(Places::Work, Command::Create).await;
    let remove = Room::places(Places::Work, Command::Remove).await;
    for way in WAYS {
        for weather in Weather::ALL {
            for (nth, name) in create.iter().enumerate() {
                let title = format!("create, {way:?} at {name}, {weather:?}");
                sweep.add(title, cut_create(nth, way, weather));
            }
            for (nth, name) in remove.iter().enumerate() {
                let title = format!("rm, {way:?} at {name}, {weather:?}");
                sweep.add(title, cut_remove(nth, way, weather));
            }
        }
        for command in Command::CHANGES {
            let places = Room::places(Places::Work, command).await.len();
            // What is there already is seen: no blindness.
            for weather in [Weather::Fair, Weather::Throttled, Weather::Twice] {
                let name = format!("{command:?}, {way:?} at each of {places} places, {weather:?}");
                sweep.add_many(places, name, cut_change(command, places, way, weather));
            }
        }
    }
    sweep.make("after every call and remote command").await;
}
