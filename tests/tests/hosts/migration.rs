//! Migration from the Go binary and back.
//!
//! The Go binary is represented by its recorded `config.json`, and by a Go program that reads a store by its rules
//! (`tests/go/read-store`).

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use machine_tests::flows::{Ended, Flow};
use serde_json::{Map, Value};
use tokio::process::Command;

/// Returns the recorded `config.json` of the Go binary after a plain create.
fn recorded() -> Map<String, Value> {
    let cases: Vec<Value> =
        serde_json::from_str(include_str!("../../data/reference/ec2.json")).unwrap();
    let plain = cases
        .iter()
        .find(|case| case["id"] == "ec2.create.plain")
        .unwrap();
    plain["config"].as_object().unwrap().clone()
}

/// Returns the recorded structure, with every field of it and no other, filled with this machine's values.
fn dress(recorded: &Map<String, Value>, ours: &Value) -> Map<String, Value> {
    let fields = recorded.iter().map(|(field, was)| {
        let now = match (was, &ours[field]) {
            (Value::Object(was), now) => Value::Object(dress(was, now)),
            (was, Value::Null) => was.clone(),
            (_, now) => now.clone(),
        };
        (field.clone(), now)
    });
    fields.collect()
}

/// Turns a machine into one of the Go binary: its fields, its files, and no files of this program.
fn make_it_gos(flow: &Flow, name: &str) {
    let directory = flow.home.machine(name);
    let path = directory.join("config.json");
    let ours: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let mut config = dress(&recorded(), &ours);
    // With an endpoint the Go binary saves no region.
    config["Driver"]["Region"] = "".into();
    std::fs::write(&path, serde_json::to_vec_pretty(&config).unwrap()).unwrap();
    remove_what_is_ours(&directory);
}

/// Removes every file whose name begins with a dot: the Go binary has none.
fn remove_what_is_ours(directory: &Path) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().starts_with('.') {
            match entry.file_type().unwrap().is_dir() {
                true => std::fs::remove_dir_all(entry.path()).unwrap(),
                false => std::fs::remove_file(entry.path()).unwrap(),
            }
        }
    }
}

/// Starts a flow with a machine of the Go binary in a store that no other binary has used.
async fn with_gos_machine() -> Flow {
    let flow = Flow::start().await;
    let gos = ["--amazonec2-no-owner-tags", "--amazonec2-ssh-key-type=rsa"];
    flow.create("m1", &gos).await.ok();
    make_it_gos(&flow, "m1");
    remove_what_is_ours(&flow.home.store());
    flow
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_of_the_go_binary_keep_working() {
    let flow = with_gos_machine().await;
    let home = &flow.home;
    let address = flow.host().spec().address.to_string();
    // The commands of the runner.
    home.run(["config", "m1"]).await.ok();
    let url = home.run(["url", "m1"]).await.ok();
    assert_eq!(url.out, format!("tcp://{address}:2376\n"));
    let store_path = "{{.HostOptions.AuthOptions.StorePath}}";
    let inspected = home.run(["inspect", "m1", "-f", store_path]).await.ok();
    assert_eq!(
        inspected.out.trim_end(),
        home.machine("m1").to_str().unwrap()
    );
    // Reading does not add files of this program.
    assert!(!home.machine("m1").join(".journal").exists());
    let listed = home.run(["ls"]).await.ok();
    assert_eq!(listed.table()[1][3], "Running", "{listed}");
    assert_eq!(
        home.run(["ssh", "m1", "echo there"]).await.ok().out,
        "there\n"
    );
    for command in ["provision", "stop", "start", "restart"] {
        home.run([command, "m1"]).await.ok();
    }
    home.run(["config", "m1"]).await.ok();
    home.run(["doctor"]).await.ok();
    home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_go_binary_reads_our_store() {
    let flow = Flow::start().await;
    let ours = [
        "--engine-label=a=b",
        "--amazonec2-tags=k,v",
        "--amazonec2-spot-fallback=any",
        "--amazonec2-max-lifetime=6h",
        "--amazonec2-security-group-cidr=10.0.0.0/8",
        "--amazonec2-owner-tag-prefix=own",
    ];
    flow.create("m1", &[]).await.ok();
    flow.create("m2", &ours).await.ok();
    flow.home.run(["stop", "m2"]).await.ok();
    let Some(read) = by_go(&flow).await else {
        return;
    };
    let machines: Vec<Value> = serde_json::from_str(&read.ok().out).unwrap();
    assert_eq!(machines.len(), 2, "{machines:?}");
    for (machine, name) in machines.iter().zip(["m1", "m2"]) {
        let directory = flow.home.machine(name);
        let live = flow.lab.live_instances();
        assert_eq!(
            (&machine["Name"], &machine["DriverName"]),
            (&name.into(), &"amazonec2".into())
        );
        assert!(
            live.iter().any(|i| machine["InstanceId"] == i.id),
            "{machine}"
        );
        assert_eq!(machine["KeyName"], name);
        assert_eq!(machine["Port"], 2222);
        assert!(
            machine["Address"].as_str().unwrap().starts_with("127."),
            "{machine}"
        );
        assert_eq!(machine["StorePath"], directory.to_str().unwrap());
        assert_eq!(machine["InstallURL"], "https://get.docker.com");
    }
}

/// Reads the store by the Go binary's rules.
async fn by_go(flow: &Flow) -> Option<Ended> {
    let program = machine_tests::go::program("read-store", "the Go binary's rules of reading")?;
    let mut command = Command::new(program);
    command.arg(flow.home.store());
    Some(flow.home.end(command, b"").await)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_binary_can_be_replaced_during_a_create() {
    let flow = Flow::start().await;
    let installed = flow.home.path().join("docker-machine");
    let copy = |to: &Path| {
        std::fs::copy(machine_tests::binary(), to).unwrap();
        std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    copy(&installed);
    let gate = flow.lab.hold("RunInstances");
    let line = format!(
        "{} create {} m1",
        installed.display(),
        flow.flags().join(" ")
    );
    let swap = async {
        gate.arrived(1).await;
        let new = flow.home.path().join("docker-machine.new");
        copy(&new);
        std::fs::rename(&new, &installed).unwrap();
        gate.open();
    };
    let (created, ()) = tokio::join!(flow.home.shell(&line), swap);
    created.ok();
    let config = format!("{} config m1", installed.display());
    flow.home.shell(&config).await.ok();
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_create_of_the_go_binary_loses_nothing() {
    let flow = with_gos_machine().await;
    let home = &flow.home;
    let config = home.machine("m1").join("config.json");
    let whole = std::fs::read_to_string(&config).unwrap();
    // It uses no locks: while the instance starts, its directory exists before its configuration, and the
    // configuration has no instance id.
    std::fs::remove_file(&config).unwrap();
    flow.create("m2", &[]).await.ok();
    home.run(["ls"]).await.ok();
    home.run(["prune", "--force", "--older-than=0s"])
        .await
        .failed(1, &["m1"]);
    home.run(["rm", "-y", "m2"]).await.ok();
    assert_eq!(home.directories(), ["m1"]);
    assert_eq!(flow.lab.live_instances().len(), 1);

    let mut early: Value = serde_json::from_str(&whole).unwrap();
    early["Driver"]["InstanceId"] = "".into();
    early["Driver"]["IPAddress"] = "".into();
    std::fs::write(&config, early.to_string()).unwrap();
    home.run(["ls"]).await.ok();
    home.run(["prune", "--force", "--older-than=0s"]).await;
    assert_eq!(
        flow.lab.live_instances().len(),
        1,
        "prune changed resources without tags"
    );

    // It replaces its configuration by removing the old one first. Readers wait for a moment meanwhile.
    let done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let new = config.with_extension("json.tmp123");
                std::fs::write(&new, &whole).unwrap();
                std::fs::remove_file(&config).unwrap();
                std::fs::rename(&new, &config).unwrap();
            }
        });
        let reading = async {
            let mut said = Vec::new();
            for _ in 0..8 {
                said.push(home.run(["inspect", "m1"]).await);
            }
            said
        };
        let handle = tokio::runtime::Handle::current();
        let said = tokio::task::block_in_place(|| handle.block_on(reading));
        done.store(true, Ordering::Relaxed);
        said.into_iter().for_each(|ended| drop(ended.ok()));
    });
    home.run(["config", "m1"]).await.ok();
    home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
}
