//! Stores of older and newer versions, through the binary. An older configuration is used, migrated and copied. A newer
//! one is used and never rewritten.

use machine_tests::flows::{Flow, Home};
use serde_json::{Map, Value, json};

/// Converts a running machine's configuration to an older version, as that version wrote it.
fn aged(mut config: Map<String, Value>, version: u64) -> Value {
    let driver = config["Driver"].as_object_mut().unwrap();
    driver.remove("StorePath");
    config["ConfigVersion"] = version.into();
    if version < 2 {
        config.remove("Name");
        let options = config["HostOptions"].as_object_mut().unwrap();
        let auth = options["AuthOptions"].as_object_mut().unwrap();
        auth.remove("CertDir");
        auth.remove("StorePath");
        let key = auth.remove("CaPrivateKeyPath").unwrap();
        auth.insert("PrivateKeyPath".into(), key);
        config.insert("StorePath".into(), "/home/of/old".into());
    }
    if version < 1 {
        config.remove("ConfigVersion");
        let options = config.remove("HostOptions").unwrap();
        for (name, value) in options["AuthOptions"].as_object().unwrap() {
            if name.ends_with("Path") && !name.contains("Remote") {
                config.insert(name.clone(), value.clone());
            }
        }
        config.insert("SwarmHost".into(), "tcp://0.0.0.0:3376".into());
        config.insert("SwarmMaster".into(), false.into());
        config.insert("SwarmDiscovery".into(), "".into());
    }
    config.into()
}

/// Writes this configuration, then runs the commands of a runner and of a user.
async fn put_and_use(flow: &Flow, config: &Value) -> (String, std::path::PathBuf) {
    let home = &flow.home;
    let path = home.machine("m1").join("config.json");
    let text = config.to_string();
    std::fs::write(&path, &text).unwrap();
    let store_path = "{{.HostOptions.AuthOptions.StorePath}}";
    let read = home.run(["inspect", "m1", "-f", store_path]).await.ok();
    assert_eq!(read.out.trim(), home.machine("m1").to_str().unwrap());
    for command in ["url", "config", "ip", "status"] {
        home.run([command, "m1"]).await.ok();
    }
    let listed = home.run(["ls", "--format", "{{.State}}{{.Error}}"]).await;
    assert_eq!(listed.ok().out, "Running\n");
    // Reading commands change nothing.
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    home.run(["stop", "m1"]).await.ok();
    home.run(["start", "m1"]).await.ok();
    home.run(["config", "m1"]).await.ok();
    (text, path)
}

fn parsed(path: &std::path::Path) -> Map<String, Value> {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn older_configurations_are_migrated_and_a_copy_is_kept() {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    let current = parsed(&flow.home.machine("m1").join("config.json"));
    for version in [0, 1, 2] {
        let old = aged(current.clone(), version);
        let (text, path) = put_and_use(&flow, &old).await;
        let kept = path.with_file_name("config.json.bak");
        assert_eq!(std::fs::read_to_string(&kept).unwrap(), text, "{version}");
        std::fs::remove_file(kept).unwrap();
        let migrated = parsed(&path);
        assert_eq!(migrated["ConfigVersion"], 3);
        assert_eq!(migrated["Name"], "m1");
        let store = flow.home.store();
        assert_eq!(migrated["Driver"]["StorePath"], json!(store));
        let auth = &migrated["HostOptions"]["AuthOptions"];
        assert_eq!(auth["CertDir"], json!(store.join("certs")));
        let keys = |map: &Map<String, Value>| map.keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&migrated), keys(&current), "{version}");
        assert_eq!(
            auth["CaPrivateKeyPath"],
            current["HostOptions"]["AuthOptions"]["CaPrivateKeyPath"]
        );
    }
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_configuration_is_used_and_never_rewritten() {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    let mut newer = parsed(&flow.home.machine("m1").join("config.json"));
    newer["ConfigVersion"] = 4.into();
    newer.insert("OfLater".into(), json!({"kept": [1, 2.5]}));
    let (text, path) = put_and_use(&flow, &newer.into()).await;
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    assert!(!path.with_file_name("config.json.bak").exists());
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_storage_directory_nothing_is_listed_and_nothing_is_created() {
    let mut home = Home::new();
    home.unset("MACHINE_STORAGE_PATH");
    home.unset("HOME");
    for (argv, out) in [
        (vec!["ls", "-q"], ""),
        (vec!["ls", "--format", "{{.Name}}"], ""),
        (vec!["completion", "candidates", "rm", ""], ""),
    ] {
        let listed = home.run(argv).await.ok();
        assert_eq!(listed.out, out, "{listed}");
    }
    for (argv, said) in [
        (vec!["version"], "docker-machine version"),
        (vec!["help", "create"], "Usage: docker-machine create"),
        (vec!["env", "-u", "--shell", "sh"], "unset DOCKER_HOST"),
        (vec!["completion", "bash"], "bash completion"),
    ] {
        let ended = home.run(argv).await.ok();
        assert!(ended.out.contains(said), "{ended}");
    }
    let table = home.run(["ls"]).await.ok();
    assert_eq!(table.out.lines().count(), 1, "{table}");
    for argv in [
        vec![
            "create",
            "--driver=none",
            "--url=tcp://127.0.0.1:2376",
            "n1",
        ],
        vec!["status", "n1"],
        vec!["version", "n1"],
        vec!["env", "n1"],
        vec!["rm", "-y", "n1"],
    ] {
        let refused = home.run(argv).await;
        refused.failed(1, &["no storage directory: set --storage-path"]);
    }
    let entries = std::fs::read_dir(home.path()).unwrap();
    assert_eq!(entries.count(), 0);
}

/// The store can be moved along with the working directory, as one of the Go binary's can.
#[tokio::test(flavor = "multi_thread")]
async fn a_relative_storage_path_stays_relative() {
    let mut flow = Flow::start().await;
    flow.home.set("MACHINE_STORAGE_PATH", "sub/../relative");
    flow.create("m1", &[]).await.ok();
    let template = "{{.Driver.StorePath}} {{.Driver.SSHKeyPath}} {{.HostOptions.AuthOptions.StorePath}} \
                    {{.HostOptions.AuthOptions.CaCertPath}}";
    let home = &flow.home;
    let written = home.run(["inspect", "m1", "-f", template]).await.ok();
    assert_eq!(
        written.out,
        "relative relative/machines/m1/id_rsa relative/machines/m1 relative/certs/ca.pem\n"
    );
    let env = home.run(["env", "m1"]).await.ok();
    let line = "export DOCKER_CERT_PATH=\"relative/machines/m1\"\n";
    assert!(env.out.contains(line), "{env}");
    // Moved along with the working directory.
    let line = "mkdir elsewhere; mv relative elsewhere; cd elsewhere; docker-machine";
    let elsewhere = async |command: &str| home.shell(&format!("cd elsewhere; {command}")).await;
    home.shell(&format!("{line} ssh m1 hostname")).await.ok();
    elsewhere("docker-machine config m1").await.ok();
    let hostname = elsewhere("docker-machine ssh m1 -o Compression=yes hostname").await;
    assert_eq!(hostname.ok().out, "m1\n");
    elsewhere("docker-machine provision m1").await.ok();
    elsewhere("docker-machine rm -y m1").await.ok();
    assert_eq!(flow.lab.left_over(), Vec::<String>::new());
    elsewhere("docker-machine -s . create --driver=none --url=tcp://127.0.0.1:1 n1")
        .await
        .ok();
    assert!(
        home.path()
            .join("elsewhere/machines/n1/config.json")
            .exists()
    );
    let template = "{{.HostOptions.AuthOptions.StorePath}} {{.HostOptions.AuthOptions.CaCertPath}}";
    let written = elsewhere(&format!("docker-machine -s . inspect -f '{template}' n1")).await;
    assert_eq!(written.ok().out, "machines/n1 certs/ca.pem\n");
}
