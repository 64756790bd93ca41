//! The driver `none` through the driver trait.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use driver_none::NoneKind;
use machine_driver::{Base, Driver, DriverErrorKind, DriverKind, OptionValue, Options};
use machine_ops::{Cx, MemoryJournal};
use machine_types::MachineState;
use serde_json::json;

fn base() -> Base {
    Base {
        name: "n1".parse().unwrap(),
        store: "/store".into(),
        directory: "/store/machines/n1".into(),
        store_id: String::new(),
        exposes_engine: true,
        swarm_master: true,
        swarm_host: "tcp://0.0.0.0:3376".into(),
        swarm_discovery: String::new(),
    }
}

fn configured(url: &str) -> Result<Box<dyn Driver>, machine_driver::DriverError> {
    let value = OptionValue {
        values: vec![url.into()],
        from_env: None,
    };
    let options = Options::new(NoneKind.flags(), BTreeMap::from([("url", value)])).unwrap();
    NoneKind.configure(&base(), &options)
}

#[test]
fn saved_fields_match_the_go_binarys() {
    let saved = configured("tcp://1.2.3.4:2376").unwrap().save();
    let recorded = json!({
        "IPAddress": "1.2.3.4:2376", "MachineName": "n1", "SSHUser": "", "SSHPort": 0,
        "SSHKeyPath": "", "StorePath": "/store", "SwarmMaster": false, "SwarmHost": "",
        "SwarmDiscovery": "", "URL": "tcp://1.2.3.4:2376",
    });
    assert_eq!(
        serde_json::to_string(&saved).unwrap(),
        serde_json::to_string(&recorded).unwrap()
    );
}

#[test]
fn a_url_without_a_host_has_no_address() {
    for (url, address) in [
        ("unix:///var/run/docker.sock", ""),
        ("localhost", ""),
        ("tcp://u@h:1/x", "h:1"),
    ] {
        let driver = configured(url).unwrap();
        assert_eq!(driver.saved_address().unwrap(), address);
        assert_eq!(driver.docker_host().unwrap(), url);
    }
}

#[test]
fn a_url_is_required() {
    let error = configured("").err().unwrap();
    assert_eq!(error.kind, DriverErrorKind::Configuration);
    assert_eq!(
        error.to_string(),
        "--url option is required when no driver is selected"
    );
}

#[test]
fn fields_of_another_version_survive() {
    let loaded = json!({"URL": "tcp://h:1", "Novel": {"a": 1}});
    let saved = NoneKind.load(&base(), &loaded).unwrap().save();
    assert_eq!(
        (&saved["Novel"], &saved["URL"]),
        (&json!({"a": 1}), &json!("tcp://h:1"))
    );
}

#[tokio::test]
async fn the_state_is_running_and_power_actions_are_unsupported() {
    let cx = Cx::new(Arc::<MemoryJournal>::default());
    let mut driver = configured("tcp://h:1").unwrap();
    assert_eq!(
        driver.state(&cx).await.unwrap().state,
        MachineState::Running
    );
    let error = driver.kill(&cx).await.unwrap_err();
    assert_eq!(error.to_string(), "hosts without a driver cannot be killed");
    assert_eq!(error.kind, DriverErrorKind::Unsupported);
}
