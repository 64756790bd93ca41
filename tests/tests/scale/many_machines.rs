//! `ls` of hundreds of machines: one EC2 call for 200 of them, and queries of all machines at once, as far as file
//! descriptors allow.

use std::collections::BTreeMap;
use std::path::Path;

use machine_tests::flows::{Flow, Home};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

const MACHINES: usize = 600;

/// Makes a store of machines that all use this engine, and the engine's socket.
async fn machines() -> (Home, TcpListener) {
    let id = std::process::id();
    let address = format!("127.{}.{}.9:0", 160 + id / 250 % 60, id % 250);
    let engine = TcpListener::bind(address).await.unwrap();
    let url = format!("tcp://{}", engine.local_addr().unwrap());
    let home = Home::new();
    let argv = ["create", "--driver=none", "--url", &url, "m0"];
    home.run(argv).await.ok();
    let config = |name: &str| home.machine(name).join("config.json");
    let text = std::fs::read_to_string(config("m0")).unwrap();
    for number in 1..MACHINES {
        let name = format!("m{number}");
        std::fs::create_dir(home.machine(&name)).unwrap();
        let text = text.replace("\"m0\"", &format!("{name:?}"));
        std::fs::write(config(&name), text).unwrap();
    }
    (home, engine)
}

/// Keeps connections open until there are this many, and sends nothing.
async fn hold(engine: &TcpListener, connections: usize) -> Vec<TcpStream> {
    let mut held = Vec::new();
    while held.len() < connections {
        held.push(engine.accept().await.unwrap().0);
    }
    held
}

/// The engine releases no connection before all are open: a client that queried machines one after the other would
/// run into the timeout of the first ones.
#[tokio::test(flavor = "multi_thread")]
async fn all_machines_are_queried_at_once() {
    let (home, engine) = machines().await;
    let listing = home.run(["ls", "--timeout", "120"]);
    let letting_go = async { drop(hold(&engine, MACHINES).await) };
    let (listed, ()) = tokio::join!(listing, letting_go);
    let listed = listed.ok();
    assert_eq!(listed.table().len(), MACHINES + 1, "{listed}");
    assert!(!listed.out.contains("Timeout"), "{listed}");
}

/// If there are too few descriptors, some queries wait, and none fails for it.
#[tokio::test(flavor = "multi_thread")]
async fn few_descriptors_are_sufficient() {
    let (home, engine) = machines().await;
    let closing = tokio::spawn(async move {
        loop {
            drop(engine.accept().await.unwrap());
        }
    });
    let listed = home.shell("ulimit -n 80; docker-machine ls --timeout 120");
    let listed = listed.await.ok();
    closing.abort();
    let answers = listed.out.matches("Unable to query docker version").count();
    assert_eq!(answers, MACHINES, "{listed}");
    assert!(!listed.out.contains("Too many open files"), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_call_returns_the_states_of_two_hundred_machines() {
    let flow = Flow::start().await;
    flow.create("m0", &[]).await.ok();
    let config = |name: &str| flow.home.machine(name).join("config.json");
    let text = std::fs::read_to_string(config("m0")).unwrap();
    // Instances that do not exist are queried like any others.
    for number in 1..450 {
        let name = format!("m{number}");
        let mut record: Value = serde_json::from_str(&text).unwrap();
        record["Name"] = name.as_str().into();
        record["Driver"]["MachineName"] = name.as_str().into();
        record["Driver"]["InstanceId"] = format!("i-{number:017x}").into();
        std::fs::create_dir(flow.home.machine(&name)).unwrap();
        std::fs::write(config(&name), record.to_string()).unwrap();
    }
    flow.lab.clear_calls();
    let listed = flow.home.run(["ls", "--timeout", "120"]).await.ok();
    assert_eq!(listed.table().len(), 451, "{listed}");
    assert_eq!(listed.out.matches("Running").count(), 1, "{listed}");
    let calls = BTreeMap::from([("DescribeInstances".to_owned(), 3)]);
    assert_eq!(flow.lab.counts(), calls);
}

/// The cost of a pending machine: its connection, its keys, and the line of the table.
#[tokio::test(flavor = "multi_thread")]
async fn a_pending_machine_costs_little_memory() {
    let (home, engine) = machines().await;
    let mut waiting = home.start(["ls", "--timeout", "120"]);
    let held = hold(&engine, MACHINES).await;
    let all = peak(waiting.id().unwrap());
    drop(held);
    assert!(waiting.wait().await.unwrap().success());

    let mut waiting = home.start(["ls", "--timeout", "120", "--filter", "name=^m7$"]);
    let held = hold(&engine, 1).await;
    let one = peak(waiting.id().unwrap());
    drop(held);
    assert!(waiting.wait().await.unwrap().success());

    let each = (all - one) / (MACHINES as u64 - 1);
    machine_tests::tell(&format!("ls of {MACHINES}: {all} KiB, {each} KiB each"));
    assert!(each <= 64, "{each} KiB for each machine");
}

/// Returns the peak memory of a process, in KiB (proc(5), `VmHWM`).
fn peak(id: u32) -> u64 {
    let status = Path::new("/proc").join(id.to_string()).join("status");
    let text = std::fs::read_to_string(status).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let words = line.unwrap().split_whitespace().next();
    words.unwrap().parse().unwrap()
}
