//! Machines of a pool: membership, states by the store's tag, removal of many with one call, and no TLS.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use libmachine::{
    CreateRequest, Error, Library, MemberState, PoolDocker, PoolLock, PoolMember, Removal,
    RemoveOptions, Stage,
};
use machine_driver::fake::FakeFault;
use machine_types::MachineState;

use crate::fixture::{FAKE, Fixture};

/// Creates a machine of the pool `ci`.
async fn create(fixture: &Fixture, name: &str) {
    let request = CreateRequest {
        pool: Some(PoolMember {
            name: "ci".into(),
            docker: PoolDocker::Install,
            ready: false,
        }),
        ..fixture.request(name, FAKE, &[])
    };
    libmachine::create(&fixture.library(), request)
        .await
        .unwrap();
}

async fn take(library: &Library, pool: &str) -> Result<PoolLock, Error> {
    libmachine::lock_pool(library, pool, Duration::ZERO).await
}

#[tokio::test]
async fn a_pool_lists_its_own_machines() {
    let fixture = Fixture::new();
    create(&fixture, "m1").await;
    fixture.create("other").await.unwrap();
    for name in ["broken", "gone"] {
        create(&fixture, name).await;
    }
    fixture.spoil(&fixture.config("broken"));
    std::fs::remove_file(fixture.config("gone")).unwrap();
    let is_meant = |name: &str| name == "broken" || name == "gone";
    let members = libmachine::pool_members(&fixture.library(), "ci", is_meant).await;
    let members = members.unwrap();
    let stages: Vec<(&str, &Stage)> = members
        .iter()
        .map(|member| (member.name.as_str(), &member.stage))
        .collect();
    let [("broken", Stage::Unreadable(_)), rest @ ..] = stages.as_slice() else {
        panic!("{stages:?}");
    };
    assert_eq!(rest, [("gone", &Stage::HalfMade), ("m1", &Stage::Ready)]);
    let others = libmachine::pool_members(&fixture.library(), "cd", |_| false).await;
    assert!(others.unwrap().is_empty());
}

#[tokio::test]
async fn one_process_keeps_a_pool() {
    let fixture = Fixture::new();
    fixture.create("m1").await.unwrap();
    let (one, other) = (fixture.library(), fixture.library());
    let lock = take(&one, "ci").await.unwrap();
    let refused = take(&other, "ci").await.unwrap_err();
    let expected = format!(
        "the pool \"ci\" is kept by another plugin, process {}",
        std::process::id()
    );
    assert_eq!(refused.to_string(), expected);
    let second = take(&other, "cd").await.unwrap();
    drop(lock);
    let taken = take(&other, "ci").await.unwrap();
    drop((second, taken));
}

#[tokio::test]
async fn a_machine_of_a_pool_has_no_tls() {
    let fixture = Fixture::new();
    create(&fixture, "m1").await;
    let library = fixture.library();
    let refused = libmachine::url(&library, "m1").await.unwrap_err();
    assert!(matches!(refused, Error::OfPool { .. }), "{refused}");
    // No certificate was made for it.
    assert!(!fixture.directory.path().join("certs").exists());
    let items = fixture.list(Duration::from_secs(10)).await;
    assert_eq!(items[0].state, MachineState::Running);
    assert_eq!((items[0].url.as_str(), items[0].error.as_str()), ("", ""));
}

#[tokio::test]
async fn one_call_tells_the_states_of_a_pool() {
    let fixture = Fixture::new();
    for name in ["m1", "m2", "m3"] {
        create(&fixture, name).await;
    }
    fixture.cloud.clear_calls();
    let names: BTreeSet<String> = ["m1", "m2", "m3", "m4"].map(str::to_owned).into();
    let wait = Duration::from_secs(10);
    let states = libmachine::member_states(&fixture.library(), &names, wait).await;
    assert!(matches!(states["m4"], MemberState::Unknown(_)));
    for name in ["m1", "m2", "m3"] {
        let state = &states[name];
        assert!(
            matches!(state, MemberState::Known(MachineState::Running, _)),
            "{state:?}"
        );
    }
    assert_eq!(fixture.cloud.calls().len(), 1);
}

#[tokio::test]
async fn a_store_without_its_machines_is_not_in_place() {
    let fixture = Fixture::new();
    create(&fixture, "m1").await;
    assert!(libmachine::is_in_place(&fixture.library()));
    let machines = fixture.directory.path().join("machines");
    std::fs::rename(&machines, fixture.directory.path().join("elsewhere")).unwrap();
    std::fs::create_dir(&machines).unwrap();
    assert!(!libmachine::is_in_place(&fixture.library()));
}

#[tokio::test]
async fn a_silent_cloud_tells_nothing_about_a_pool() {
    let fixture = Fixture::new();
    create(&fixture, "m1").await;
    fixture.cloud.fail("states in here", FakeFault::Refused);
    let wait = Duration::from_secs(10);
    let names: BTreeSet<String> = ["m1".to_owned()].into();
    let states = libmachine::member_states(&fixture.library(), &names, wait).await;
    let MemberState::Unknown(why) = &states["m1"] else {
        panic!("{states:?}");
    };
    assert!(why.contains("refused"), "{why}");
}

#[tokio::test]
async fn many_machines_are_ended_by_one_call() {
    let fixture = Fixture::new();
    let names = ["m1", "m2", "m3"].map(str::to_owned);
    for name in &names {
        create(&fixture, name).await;
    }
    fixture.cloud.clear_calls();
    let ending = Mutex::new(Vec::new());
    let told = |name: &str, removal: Removal| match removal {
        Removal::Ending => ending.lock().unwrap().push(name.to_owned()),
        Removal::Ended(result) => assert!(result.unwrap().left.is_empty()),
    };
    let options = RemoveOptions::default();
    libmachine::remove_all(&fixture.library(), &names, &options, &told).await;
    assert_eq!(fixture.cloud.calls()[0], "end 3");
    let again = fixture.cloud.calls();
    assert!(!again.contains(&"remove instance".to_owned()), "{again:?}");
    assert!(fixture.cloud.resources().is_empty());
    assert!(fixture.names().is_empty());
    assert_eq!(*ending.lock().unwrap(), names);
    assert!(!fixture.directory.path().join(".logs/m1").exists());
}

#[tokio::test]
async fn machines_that_no_call_ended_are_removed_one_by_one() {
    let fixture = Fixture::new();
    let names = ["m1", "m2"].map(str::to_owned);
    for name in &names {
        create(&fixture, name).await;
    }
    fixture.cloud.fail("end 2", FakeFault::Refused);
    let options = RemoveOptions::default();
    let told = |_: &str, removal: Removal| match removal {
        Removal::Ending => panic!("no call ended it"),
        Removal::Ended(result) => assert!(result.is_ok()),
    };
    libmachine::remove_all(&fixture.library(), &names, &options, &told).await;
    assert!(fixture.cloud.resources().is_empty());
}

#[tokio::test]
async fn what_no_machine_of_the_pool_owns_is_removed() {
    let fixture = Fixture::new();
    for name in ["m1", "lost", "mine"] {
        create(&fixture, name).await;
    }
    for name in ["lost", "mine"] {
        std::fs::remove_dir_all(fixture.directory.path().join("machines").join(name)).unwrap();
    }
    let place = fixture.options(FAKE, &[]);
    let is_meant = |name: &str| name != "mine";
    let removed = libmachine::remove_orphans(&fixture.library(), FAKE, &place, is_meant).await;
    let (removed, left) = removed.unwrap();
    assert!(removed > 0 && left.is_empty(), "{removed} {left:?}");
    let machines: BTreeSet<String> = fixture
        .cloud
        .resources()
        .into_values()
        .map(|resource| resource.machine)
        .collect();
    assert_eq!(machines, ["m1", "mine"].map(str::to_owned).into());
}
