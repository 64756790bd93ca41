//! `config.json` of every version and author.

use std::fs;

use machine_store::{MachineFile, MachineRecord, Store, StoreError};
use serde_json::{Value, json};

use crate::{entries, name, store};

/// Writes a configuration to the path that the Go binary uses.
fn put(store: &Store, machine: &str, config: &str) {
    let directory = store.directory(&name(machine));
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("config.json"), config).unwrap();
}

/// The Go binary's output for `create -d none --url tcp://1.2.3.4:2376 n1`, plus a few unknown fields.
const THREE: &str = r#"{
    "ConfigVersion": 3,
    "Driver": {
        "IPAddress": "1.2.3.4:2376",
        "MachineName": "n1",
        "Later": 18446744073709551615
    },
    "DriverName": "none",
    "HostOptions": {
        "Driver": "",
        "Memory": 0,
        "Disk": 0,
        "EngineOptions": {
            "ArbitraryFlags": [],
            "Dns": null,
            "GraphDir": "",
            "Env": [],
            "Ipv6": false,
            "InsecureRegistry": [],
            "Labels": [
                "a=<b>&c"
            ],
            "LogLevel": "",
            "StorageDriver": "",
            "SelinuxEnabled": false,
            "TlsVerify": true,
            "RegistryMirror": [],
            "InstallURL": "https://get.docker.com",
            "Later": null
        },
        "SwarmOptions": {
            "IsSwarm": false,
            "Address": "",
            "Discovery": "",
            "Agent": false,
            "Master": false,
            "Host": "tcp://0.0.0.0:3376",
            "Image": "swarm:latest",
            "Strategy": "spread",
            "Heartbeat": 0,
            "Overcommit": 0,
            "ArbitraryFlags": [],
            "ArbitraryJoinFlags": [],
            "Env": null,
            "IsExperimental": false
        },
        "AuthOptions": {
            "CertDir": "/s/certs",
            "CaCertPath": "/s/certs/ca.pem",
            "CaPrivateKeyPath": "/s/certs/ca-key.pem",
            "CaCertRemotePath": "",
            "ServerCertPath": "/s/machines/n1/server.pem",
            "ServerKeyPath": "/s/machines/n1/server-key.pem",
            "ClientKeyPath": "/s/certs/key.pem",
            "ServerCertRemotePath": "",
            "ServerKeyRemotePath": "",
            "ClientCertPath": "/s/certs/cert.pem",
            "ServerCertSANs": [],
            "StorePath": "/s/machines/n1"
        },
        "Later": {
            "a": [
                1,
                5e-324,
                1.0000000000000002,
                31.245270191439438
            ]
        }
    },
    "Name": "n1",
    "Later": "kept"
}"#;

#[test]
fn version_three_is_written_back_byte_for_byte() {
    let base = tempfile::tempdir().unwrap();
    let store = store(base.path());
    put(&store, "n1", THREE);
    let record = store.try_load(&name("n1")).unwrap();
    assert_eq!(record.extra["Later"], "kept");
    let lock = store.try_lock_machine(&name("n1")).unwrap().unwrap();
    store.save(&lock, &record).unwrap();
    let path = store.file(&name("n1"), MachineFile::Config);
    assert_eq!(fs::read_to_string(path).unwrap(), THREE);
    assert_eq!(entries(&store.directory(&name("n1"))), ["config.json"]);
}

#[test]
fn gaps_are_filled_as_go_fills_them() {
    let base = tempfile::tempdir().unwrap();
    let store = store(base.path());
    let config = r#"{"ConfigVersion":3,"Driver":{"MachineName":"u1"},"DriverName":"nosuch",
        "HostOptions":{"EngineOptions":{"GraphDir":null},"SwarmOptions":{},"AuthOptions":{"StorePath":"x"}},"Name":"u1"}"#;
    put(&store, "u1", config);
    let record = store.try_load(&name("u1")).unwrap();
    assert_eq!(record.driver, json!({"MachineName": "u1"}));
    let engine = &record.host_options.engine_options;
    assert!(!engine.tls_verify);
    assert_eq!((&engine.labels, &*engine.graph_dir), (&None, ""));
    assert_eq!(record.host_options.auth_options.store_path, "x");
}

#[test]
fn a_newer_version_is_read_and_never_rewritten() {
    let base = tempfile::tempdir().unwrap();
    let store = store(base.path());
    let newer = THREE.replace("\"ConfigVersion\": 3", "\"ConfigVersion\": 4");
    put(&store, "n1", &newer);
    let record = store.try_load(&name("n1")).unwrap();
    assert_eq!((record.config_version, &*record.name), (4, "n1"));
    let lock = store.try_lock_machine(&name("n1")).unwrap().unwrap();
    let mut ours = record.clone();
    ours.config_version = 3;
    for refused in [record, ours] {
        let error = store.save(&lock, &refused).unwrap_err();
        assert!(matches!(error, StoreError::Newer { version: 4, .. }));
    }
    let path = store.file(&name("n1"), MachineFile::Config);
    assert_eq!(fs::read_to_string(path).unwrap(), newer);
}

fn migrated(machine: &str, old: &Value) -> (tempfile::TempDir, MachineRecord) {
    let base = tempfile::tempdir().unwrap();
    let store = store(base.path());
    put(&store, machine, &old.to_string());
    let record = store.try_load(&name(machine)).unwrap();
    // Reading does not change the file; the first save keeps a copy of it next to the new one.
    let path = store.file(&name(machine), MachineFile::Config);
    assert_eq!(fs::read_to_string(&path).unwrap(), old.to_string());
    let lock = store.try_lock_machine(&name(machine)).unwrap().unwrap();
    store.save(&lock, &record).unwrap();
    let kept = path.with_file_name("config.json.bak");
    assert_eq!(fs::read_to_string(kept).unwrap(), old.to_string());
    let again = store.try_load(&name(machine)).unwrap();
    assert_eq!(again.config_version, 3);
    assert_eq!(
        (&again.driver, &again.host_options, &again.name),
        (&record.driver, &record.host_options, &record.name)
    );
    (base, again)
}

#[test]
fn version_zero_is_flat() {
    let (base, record) = migrated(
        "dev",
        &json!({
            "DriverName": "virtualbox",
            "Driver": {"IPAddress": "192.168.99.100", "MachineName": "dev"},
            "StorePath": "/home/u/.docker/machine/machines/dev",
            "CaCertPath": "/c/ca.pem", "PrivateKeyPath": "/c/ca-key.pem",
            "ClientCertPath": "/c/cert.pem", "ClientKeyPath": "/c/key.pem",
            "ServerCertPath": "/m/server.pem", "ServerKeyPath": "/m/server-key.pem",
            "SwarmHost": "tcp://0.0.0.0:3376", "SwarmMaster": true, "SwarmDiscovery": "token://x",
        }),
    );
    let base = base.path().display().to_string();
    assert_eq!((&*record.name, &*record.driver_name), ("dev", "virtualbox"));
    assert_eq!(record.driver["StorePath"], base);
    assert_eq!(record.driver["IPAddress"], "192.168.99.100");
    let options = &record.host_options;
    assert!(options.engine_options.tls_verify);
    assert_eq!(options.engine_options.install_url, "https://get.docker.com");
    assert_eq!(options.swarm_options.discovery, "token://x");
    assert!(options.swarm_options.master);
    let auth = &options.auth_options;
    assert_eq!(auth.ca_cert_path, "/c/ca.pem");
    assert_eq!(auth.ca_private_key_path, "/c/ca-key.pem");
    assert_eq!(auth.client_key_path, "/c/key.pem");
    assert_eq!(auth.server_cert_path, "/m/server.pem");
    assert_eq!(auth.cert_dir, format!("{base}/certs"));
    assert_eq!(auth.store_path, format!("{base}/machines/dev"));
    assert!(record.extra.is_empty(), "{:?}", record.extra);
}

#[test]
fn version_one_has_another_name_for_the_ca_key() {
    let (base, record) = migrated(
        "dev",
        &json!({
            "ConfigVersion": 1, "DriverName": "none", "Driver": {"URL": "tcp://h:1"}, "StorePath": "/old",
            "HostOptions": {
                "EngineOptions": {"Labels": ["a=b"], "TlsVerify": true, "InstallURL": "https://example.com"},
                "SwarmOptions": {"Host": "tcp://0.0.0.0:3376"},
                "AuthOptions": {"StorePath": "/old", "PrivateKeyPath": "/c/ca-key.pem"},
            },
        }),
    );
    let base = base.path().display().to_string();
    let options = &record.host_options;
    assert_eq!(options.engine_options.install_url, "https://example.com");
    assert_eq!(options.engine_options.labels, Some(vec!["a=b".to_owned()]));
    assert_eq!(options.auth_options.ca_private_key_path, "/c/ca-key.pem");
    assert_eq!(
        options.auth_options.store_path,
        format!("{base}/machines/dev")
    );
    assert!(options.auth_options.extra.is_empty());
}

#[test]
fn version_two_lacks_the_drivers_store() {
    let (base, record) = migrated(
        "dev",
        &json!({
            "ConfigVersion": 2, "DriverName": "none", "Name": "dev", "Driver": {"URL": "tcp://h:1"},
            "HostOptions": {"EngineOptions": {"TlsVerify": true}, "SwarmOptions": {},
                            "AuthOptions": {"StorePath": "/s/machines/dev", "CertDir": "/s/certs"}},
        }),
    );
    assert_eq!(
        record.driver,
        json!({"URL": "tcp://h:1", "StorePath": base.path().display().to_string()})
    );
    assert_eq!(record.host_options.auth_options.cert_dir, "/s/certs");
}

#[test]
fn an_error_names_a_broken_configuration() {
    let base = tempfile::tempdir().unwrap();
    let store = store(base.path());
    let path = store.file(&name("n1"), MachineFile::Config);
    let deep = "[".repeat(100_000);
    for config in [
        "{not json",
        "[]",
        "null",
        "3",
        r#"{"ConfigVersion":3,"DriverName":7}"#,
        // A version that is present but unreadable must not count as the oldest and be migrated.
        r#"{"ConfigVersion":"3"}"#,
        r#"{"ConfigVersion":3.5}"#,
        r#"{"ConfigVersion":4.0}"#,
        r#"{"ConfigVersion":18446744073709551615}"#,
        r#"{"ConfigVersion":3,"HostOptions":"x"}"#,
        r#"{"ConfigVersion":3,"HostOptions":{"EngineOptions":[]}}"#,
        &deep,
    ] {
        put(&store, "n1", config);
        let error = store.try_load(&name("n1")).unwrap_err();
        assert!(matches!(error, StoreError::Broken { .. }), "{error:?}");
        assert!(error.to_string().contains(path.to_str().unwrap()));
    }
    for config in ["", " \n"] {
        put(&store, "n1", config);
        let error = store.try_load(&name("n1")).unwrap_err();
        assert!(matches!(error, StoreError::Empty { .. }), "{error:?}");
    }
}

#[test]
fn a_machines_name_is_its_directorys() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    put(&store, "other", THREE);
    assert_eq!(store.try_load(&name("other")).unwrap().name, "other");
}
