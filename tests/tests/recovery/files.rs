//! Fault injection at every file operation of the store: an error, a disk that stays full or read-only, a crash.

use std::sync::Arc;
use std::time::Duration;

use crate::conditions::Conditions;
use crate::fault_injection::{FaultInjector, Places, Way};
use crate::fixture::{Command, Ended, Fixture};
use crate::store;
use crate::sweep::Sweep;

/// The faults of the n-th place. A single error is `EIO` or `EACCES`, a broken disk is full (`ENOSPC`) or read-only
/// (`EROFS`): each alternates between places.
fn ways(nth: usize) -> [Way; 3] {
    let [once, for_good] = [[5, 28], [13, 30]][nth % 2];
    [Way::Fails(once), Way::IsBroken(for_good), Way::Crashes]
}

/// Runs a command under the fault injector, and checks the store afterwards.
async fn cut(fixture: &Fixture, command: Command, nth: usize, way: Way) -> Ended {
    let fault_injection = Arc::new(FaultInjector::at(Places::Files, nth, way));
    let ended = fixture.cut(command, &fault_injection).await;
    assert!(
        fault_injection.has_cut(),
        "the place was not reached: {ended:?}"
    );
    store::assert_sound(&fixture.flow.home);
    match (way, &ended) {
        (Way::Crashes, ended) => assert_eq!(*ended, Ended::Crashed),
        (Way::Fails(errno) | Way::IsBroken(errno), Ended::Failed(why)) => {
            // The operating system's message, without Rust's error number.
            let reason = std::io::Error::from_raw_os_error(errno).to_string();
            let reason = reason.split(" (os error").next().unwrap();
            let said = format!("{why}\n{}", fault_injection.warnings());
            assert!(said.contains(reason), "{reason:?} is not said: {said}");
        }
        // Not every file is required.
        _ => {}
    }
    ended
}

/// Checks that incomplete files and directories are gone after the commands of the next hours.
async fn sweep_up(fixture: &Fixture) {
    if store::half_made(&fixture.flow.home).is_empty() {
        return;
    }
    fixture.lab().clock().advance(Duration::from_secs(2 * 3600));
    fixture.run(Command::Create).await.ok();
    fixture.run(Command::Remove).await.ok();
    assert_eq!(store::half_made(&fixture.flow.home), Vec::<String>::new());
}

async fn cut_create(nth: usize, way: Way, conditions: Conditions) {
    let fixture = Fixture::new().await;
    conditions.over(fixture.lab());
    let ended = cut(&fixture, Command::Create, nth, way).await;
    if ended == Ended::Succeeded {
        fixture.run(Command::Config).await.ok();
    }
    fixture.leave().await;
    sweep_up(&fixture).await;
}

async fn cut_remove(nth: usize, way: Way, conditions: Conditions) {
    let fixture = Fixture::new().await;
    conditions.over(fixture.lab());
    fixture.run(Command::Create).await.ok();
    cut(&fixture, Command::Remove, nth, way).await;
    fixture.leave().await;
    sweep_up(&fixture).await;
}

/// All faults in fair conditions; in any other condition one of them at each place, because only EC2's behaviour
/// differs.
fn ways_and_conditions(nth: usize) -> Vec<(Way, Conditions)> {
    let fair = ways(nth).map(|way| (way, Conditions::Fair));
    let foul = [Conditions::Throttled, Conditions::Flickering];
    let foul = foul.into_iter().enumerate();
    let foul = foul.map(|(which, conditions)| (ways(nth)[(nth + which) % 3], conditions));
    fair.into_iter().chain(foul).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_failing_at_any_file_leaves_nothing_behind() {
    let mut sweep = Sweep::default();
    for nth in 0..Fixture::places(Places::Files, Command::Create).await.len() {
        for (way, conditions) in ways_and_conditions(nth) {
            let name = format!("{way:?} at file {nth}, {conditions:?}");
            sweep.add(name, cut_create(nth, way, conditions));
        }
    }
    sweep.make("create at every file").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_failing_at_any_file_leaves_nothing_behind() {
    let mut sweep = Sweep::default();
    for nth in 0..Fixture::places(Places::Files, Command::Remove).await.len() {
        for (way, conditions) in ways_and_conditions(nth) {
            let name = format!("{way:?} at file {nth}, {conditions:?}");
            sweep.add(name, cut_remove(nth, way, conditions));
        }
    }
    sweep.make("rm at every file").await;
}

/// Injects one fault at every file operation of a command on a machine; after each fault the machine still works, and
/// at the end it is removed.
async fn cut_change(command: Command, places: usize, which: usize) {
    let fixture = Fixture::new().await;
    fixture.run(Command::Create).await.ok();
    for nth in 0..places {
        fixture.prepare(command).await;
        let ended = cut(&fixture, command, nth, ways(nth)[which]).await;
        fixture.assert_usable(command, &ended).await;
    }
    fixture.leave().await;
    sweep_up(&fixture).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_survives_commands_failing_at_any_file() {
    let mut sweep = Sweep::default();
    for command in Command::CHANGES {
        let places = Fixture::places(Places::Files, command).await.len();
        for which in 0..ways(0).len() {
            let name = format!("{command:?} at each of {places} files, way {which}");
            sweep.add_many(places, name, cut_change(command, places, which));
        }
    }
    sweep
        .make("start, provision, regenerate-certs at every file")
        .await;
}
