//! A create cut at every moment of every step: before the intent, after it, after the call, after the
//! record; by an error, a crash, a cancellation.

use std::sync::Arc;

use machine_flow::Moment;

use crate::knife::{Knife, Places, Way};
use crate::room::{Command, Ended, Room};
use crate::sweep::Sweep;
use crate::weather::Weather;

/// The errno is not looked at: a step that fails here fails with an error of its own.
const WAYS: [Way; 3] = [Way::Fails(0), Way::Crashes, Way::IsCancelled];

async fn cut_create(nth: usize, name: String, way: Way, weather: Weather) {
    let room = Room::new().await;
    weather.over(room.lab());
    let knife = Arc::new(Knife::at(Places::Moments, nth, way));
    let ended = room.cut(Command::Create, &knife).await;
    assert!(knife.has_cut(), "it never came there: {ended:?}");
    assert_eq!(knife.seen()[nth], name);
    match way {
        Way::Crashes => assert_eq!(ended, Ended::Crashed),
        _ => assert!(matches!(ended, Ended::Badly(_)), "{ended:?}"),
    }
    if way != Way::Crashes && weather != Weather::Blind {
        // It has rolled back by itself: only what nobody could see yet may still be on record.
        assert_eq!(room.lab().left_over(), Vec::<String>::new());
    }
    room.leave().await;
}

async fn matrix(weather: Weather) {
    let moments = Room::places(Places::Moments, Command::Create).await;
    assert_eq!(moments.len() % Moment::ALL.len(), 0, "{moments:?}");
    let mut sweep = Sweep::default();
    for (nth, name) in moments.iter().enumerate() {
        for way in WAYS {
            let cut = cut_create(nth, name.clone(), way, weather);
            sweep.add(format!("{way:?} at {name}, {weather:?}"), cut);
        }
    }
    let title = format!("create at every moment of its steps, {weather:?}");
    sweep.make(&title).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_cut_at_any_moment_of_a_step_leaves_nothing_behind() {
    for weather in Weather::ALL {
        matrix(weather).await;
    }
}
