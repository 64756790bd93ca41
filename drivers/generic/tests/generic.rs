//! The driver `generic` through the driver trait.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use driver_generic::GenericKind;
use machine_driver::{
    Base, Driver, DriverError, DriverErrorKind, DriverKind, KeyPlan, OptionValue, Options, Restart,
};
use machine_ops::{Cx, MemoryJournal};
use machine_types::MachineState;
use serde_json::json;

fn base() -> Base {
    Base {
        name: "g1".parse().unwrap(),
        store: "/store".into(),
        directory: "/store/machines/g1".into(),
        store_id: String::new(),
        exposes_engine: true,
        swarm_master: false,
        swarm_host: String::new(),
        swarm_discovery: String::new(),
    }
}

fn configured(given: &[(&'static str, &str)]) -> Result<Box<dyn Driver>, DriverError> {
    let given: BTreeMap<_, _> = given
        .iter()
        .map(|(name, value)| {
            let values = vec![(*value).to_owned()];
            (
                *name,
                OptionValue {
                    values,
                    from_env: None,
                },
            )
        })
        .collect();
    GenericKind.configure(&base(), &Options::new(GenericKind.flags(), given).unwrap())
}

fn context() -> Cx {
    Cx::new(Arc::<MemoryJournal>::default())
}

#[test]
fn an_address_and_valid_ports_are_required() {
    assert_eq!(
        configured(&[]).err().unwrap().to_string(),
        "generic driver requires the --generic-ip-address option"
    );
    let error = configured(&[("generic-ip-address", "h"), ("generic-ssh-port", "70000")])
        .err()
        .unwrap();
    assert_eq!(error.kind, DriverErrorKind::Configuration);
    assert!(
        error
            .to_string()
            .contains("invalid value 70000 for flag --generic-ssh-port"),
        "{error}"
    );
}

#[test]
fn addresses_that_cannot_work_are_refused() {
    for (address, hint) in [
        ("dev@10.0.0.5", "give the user with --generic-ssh-user"),
        ("host:22", "give the port with --generic-ssh-port"),
        ("[::1]:22", "give the port with --generic-ssh-port"),
        ("fe80::1%eth0", "a zone is not supported"),
        ("[::1]", "without brackets"),
        ("ssh://host", "without a scheme"),
        ("a host", "expected a host name or an IP address"),
        (" host", "expected a host name or an IP address"),
        ("-oProxyCommand=x", "expected a host name or an IP address"),
    ] {
        let error = configured(&[("generic-ip-address", address)])
            .err()
            .unwrap();
        assert_eq!(error.kind, DriverErrorKind::Configuration);
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("invalid address {address:?}: ")) && text.contains(hint),
            "{text}"
        );
    }
    for address in [
        "::1",
        "fe80::1",
        "10.0.0.5",
        "host",
        "host.example.com",
        "my_host",
    ] {
        configured(&[("generic-ip-address", address)]).unwrap();
    }
    for user in ["-l", "a b"] {
        let given = [("generic-ip-address", "h"), ("generic-ssh-user", user)];
        let error = configured(&given).err().unwrap();
        assert!(error.to_string().starts_with("invalid user "), "{error}");
    }
}

#[tokio::test]
async fn a_name_without_an_address_is_found_before_anything_is_made() {
    // Names below .invalid have none (RFC 6761).
    let mut driver = configured(&[("generic-ip-address", "no-such-host.invalid")]).unwrap();
    let error = driver.preflight(&context()).await.unwrap_err();
    assert_eq!(error.kind, DriverErrorKind::PreCreate);
    assert_eq!(error.to_string(), "cannot resolve no-such-host.invalid");
    let mut driver = configured(&[("generic-ip-address", "127.0.0.1")]).unwrap();
    driver.preflight(&context()).await.unwrap();
}

#[test]
fn the_go_drivers_fields_are_saved_and_others_kept() {
    let saved = configured(&[("generic-ip-address", "10.0.0.5")])
        .unwrap()
        .save();
    assert_eq!(
        saved,
        json!({
            "IPAddress": "10.0.0.5", "MachineName": "g1", "SSHUser": "root", "SSHPort": 22,
            "SSHKeyPath": "", "StorePath": "/store", "SwarmMaster": false, "SwarmHost": "",
            "SwarmDiscovery": "", "EnginePort": 2376, "SSHKey": "",
        })
    );
    let loaded = json!({"IPAddress": "h", "EnginePort": 2377, "Novel": 1});
    let driver = GenericKind.load(&base(), &loaded).unwrap();
    assert_eq!(driver.docker_host().unwrap(), "tcp://h:2377");
    assert_eq!(driver.save()["Novel"], json!(1));
}

#[test]
fn a_key_copy_under_its_former_name_is_still_used() {
    let store = tempfile::tempdir().unwrap();
    let base = Base {
        directory: store.path().to_owned(),
        ..base()
    };
    let saved = json!({"IPAddress": "h", "SSHKeyPath": "", "SSHKey": "/keys/k"});
    let driver = GenericKind.load(&base, &saved).unwrap();
    let key = || driver.ssh().unwrap().key.unwrap();
    std::fs::write(store.path().join("id_rsa"), "a key").unwrap();
    assert_eq!(key(), store.path().join("id_rsa"));
    std::fs::write(store.path().join("k"), "a key").unwrap();
    assert_eq!(key(), store.path().join("k"));
}

#[test]
fn a_given_key_is_copied_into_the_machines_directory() {
    let driver =
        configured(&[("generic-ip-address", "h"), ("generic-ssh-key", "/keys/k")]).unwrap();
    assert_eq!(
        driver.key_plan(),
        KeyPlan::Copy {
            private: "/keys/k".into(),
            public: false,
            name: "k".into(),
            keeps_modes: false,
        }
    );
    assert_eq!(
        driver.ssh().unwrap().key.unwrap(),
        std::path::Path::new("/store/machines/g1/k")
    );
    // A copied key must not have the name of one of the store's own files.
    for key in [
        "/keys/ca.pem",
        "/keys/config.json",
        "/keys/.k",
        "/keys/k.pub",
    ] {
        let given = [("generic-ip-address", "h"), ("generic-ssh-key", key)];
        let driver = configured(&given).unwrap();
        assert_eq!(
            driver.ssh().unwrap().key.unwrap(),
            std::path::Path::new("/store/machines/g1/id_rsa"),
            "{key}"
        );
    }
    let driver = configured(&[("generic-ip-address", "h")]).unwrap();
    assert_eq!(
        (driver.key_plan(), driver.ssh().unwrap().key),
        (KeyPlan::Nothing, None)
    );
}

#[tokio::test]
async fn a_missing_key_is_an_error_before_anything_is_created() {
    let mut driver = configured(&[
        ("generic-ip-address", "h"),
        ("generic-ssh-key", "/nonexistent/k"),
    ])
    .unwrap();
    let error = driver.preflight(&context()).await.unwrap_err();
    assert_eq!(error.kind, DriverErrorKind::PreCreate);
    assert_eq!(
        error.to_string(),
        r#"SSH key does not exist: "/nonexistent/k""#
    );
}

#[tokio::test]
async fn the_state_follows_from_sshds_answer() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let given = [
        ("generic-ip-address", "127.0.0.1"),
        ("generic-ssh-port", port.as_str()),
    ];
    let driver = configured(&given).unwrap();
    assert_eq!(
        driver.state(&context()).await.unwrap().state,
        MachineState::Running
    );
    drop(listener);
    assert_eq!(
        driver.state(&context()).await.unwrap().state,
        MachineState::Stopped
    );
}

#[tokio::test]
async fn only_restart_is_supported_over_ssh() {
    let mut driver = configured(&[("generic-ip-address", "h")]).unwrap();
    assert_eq!(
        driver.restart(&context()).await.unwrap(),
        Restart::Command("sudo shutdown -r now")
    );
    let error = driver.stop(&context()).await.unwrap_err();
    assert_eq!(
        (error.kind, error.to_string()),
        (
            DriverErrorKind::Unsupported,
            "generic driver does not support stop".into()
        )
    );
}
