//! Addresses that changed outside docker-machine.

use std::time::Duration;

use machine_store::Store;

use crate::fixture::Fixture;

const LONG: Duration = Duration::from_secs(20);

// Connections to these addresses are refused at once.
const BEFORE: &str = "127.0.0.2";
const NOW: &str = "127.0.0.3";

/// A machine whose address has changed since its creation.
async fn moved() -> Fixture {
    let fixture = Fixture::new();
    fixture.cloud.set_address("m1", BEFORE);
    fixture.create("m1").await.unwrap();
    fixture.cloud.set_address("m1", NOW);
    fixture.cloud.clear_calls();
    fixture
}

async fn saved(fixture: &Fixture) -> Option<String> {
    fixture.library().open("m1").await.unwrap().address()
}

#[tokio::test]
async fn a_listing_uses_a_new_address_and_saves_it() {
    let fixture = moved().await;
    assert_eq!(saved(&fixture).await.as_deref(), Some(BEFORE));
    let items = fixture.list(LONG).await;
    assert_eq!(items[0].url, format!("tcp://{NOW}:2376"));
    assert_eq!(saved(&fixture).await.as_deref(), Some(NOW));
    let told = fixture.told();
    let line = format!("(m1) The machine's address is {NOW} now; it was {BEFORE}");
    assert_eq!(told.matches(&line).count(), 1, "{told}");
    assert_eq!(fixture.cloud.calls(), ["states of 1 in here"]);
    fixture.list(LONG).await;
    assert_eq!(fixture.told().matches(&line).count(), 1);
}

#[tokio::test]
async fn the_new_address_of_a_locked_machine_is_used_and_not_saved() {
    let fixture = moved().await;
    let store = Store::new(
        fixture.directory.path(),
        std::sync::Arc::new(libmachine::SystemAmbient::new()),
    );
    let lock = store.try_lock_machine(&"m1".parse().unwrap()).unwrap();
    let items = fixture.list(LONG).await;
    assert_eq!(items[0].url, format!("tcp://{NOW}:2376"));
    assert_eq!(saved(&fixture).await.as_deref(), Some(BEFORE));
    drop(lock);
    fixture.list(LONG).await;
    assert_eq!(saved(&fixture).await.as_deref(), Some(NOW));
}

#[tokio::test]
async fn a_missing_address_is_looked_up_unless_the_machine_is_being_created() {
    let fixture = Fixture::new();
    fixture.create("m1").await.unwrap();
    assert_eq!(saved(&fixture).await, None);
    fixture.cloud.set_address("m1", NOW);
    let store = Store::new(
        fixture.directory.path(),
        std::sync::Arc::new(libmachine::SystemAmbient::new()),
    );
    let lock = store.try_lock_machine(&"m1".parse().unwrap()).unwrap();
    assert_eq!(fixture.list(LONG).await[0].url, "");
    drop(lock);
    let url = libmachine::url(&fixture.library(), "m1").await.unwrap();
    assert_eq!(url, format!("tcp://{NOW}:2376"));
    assert_eq!(saved(&fixture).await.as_deref(), Some(NOW));
    assert!(fixture.told().contains("(m1) The machine's address is"));
}

/// `server.pem` shows that the machine was set up: only its create would be waited for.
#[tokio::test]
async fn a_missing_address_of_a_locked_machine_is_used_and_not_saved() {
    let fixture = Fixture::new();
    fixture.create("m1").await.unwrap();
    std::fs::write(fixture.config("m1").with_file_name("server.pem"), "").unwrap();
    let items = fixture.list(LONG).await;
    assert_eq!(
        items[0].error,
        "Unable to query docker version: machine \"m1\" has no address yet"
    );
    fixture.cloud.set_address("m1", NOW);
    let store = Store::new(
        fixture.directory.path(),
        std::sync::Arc::new(libmachine::SystemAmbient::new()),
    );
    let _lock = store.try_lock_machine(&"m1".parse().unwrap()).unwrap();
    assert_eq!(fixture.list(LONG).await[0].url, format!("tcp://{NOW}:2376"));
    assert_eq!(saved(&fixture).await, None);
    let told = fixture.told();
    assert!(
        told.contains(&format!("(m1) The machine's address is {NOW}")),
        "{told}"
    );
}

#[tokio::test]
async fn a_start_of_a_running_machine_saves_its_new_address() {
    let fixture = moved().await;
    let started = libmachine::start(&fixture.library(), "m1").await;
    assert!(started.unwrap_err().to_string().contains("already running"));
    assert_eq!(saved(&fixture).await.as_deref(), Some(NOW));
}

#[tokio::test]
async fn a_stopped_machine_keeps_its_address() {
    let fixture = moved().await;
    fixture
        .cloud
        .set_state("m1", machine_types::MachineState::Stopped);
    fixture.list(LONG).await;
    assert_eq!(saved(&fixture).await.as_deref(), Some(BEFORE));
}
