//! Concurrent commands: creates on an empty store, a create and a `rm`, two `rm`, a writer and readers.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ec2_lab::ec2::{Effect, Fault, Gate};
use machine_ops::{Cx, Look, MemoryJournal, WaitPolicy, wait_until_ready};
use machine_tests::flows::Flow;
use tokio::task::JoinSet;

use crate::sweep::Sweep;

fn create(flow: &Flow) -> Vec<String> {
    flow.creating("m1", &[])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_first_creates_share_one_authority_and_one_group() {
    let flow = Arc::new(Flow::start().await);
    // One storage directory under two names, as two managers may have it.
    let other = flow.home.path().join("other-name");
    std::os::unix::fs::symlink(flow.home.store(), &other).unwrap();
    let mut creates = JoinSet::new();
    for n in 0..100 {
        let (flow, other) = (flow.clone(), other.clone());
        creates.spawn(async move {
            let name = format!("m{n}");
            let path = other.to_string_lossy().into_owned();
            let more = ["--storage-path".to_owned(), path];
            let mut argv: Vec<String> = more.into_iter().filter(|_| n % 2 == 1).collect();
            argv.push("create".to_owned());
            argv.extend(flow.flags());
            argv.push(name);
            flow.home.run(argv).await.ok();
        });
    }
    creates.join_all().await;
    let file = |n: usize, file: &str| {
        std::fs::read(flow.home.machine(&format!("m{n}")).join(file)).unwrap()
    };
    for shared in ["ca.pem", "cert.pem", "key.pem"] {
        let different: BTreeSet<Vec<u8>> = (0..100).map(|n| file(n, shared)).collect();
        assert_eq!(different.len(), 1, "{shared}");
    }
    let groups = flow.lab.security_groups();
    let ours = groups.iter().filter(|group| group.name == "docker-machine");
    assert_eq!(ours.count(), 1);
    let stores: BTreeSet<String> = flow
        .lab
        .live_instances()
        .iter()
        .filter_map(|instance| {
            flow.lab
                .tags(&instance.id)
                .get("docker-machine:store")
                .cloned()
        })
        .collect();
    assert_eq!((flow.lab.live_instances().len(), stores.len()), (100, 1));
}

/// The point at which a call of the first command is held while the second one runs.
#[derive(Debug, Clone, Copy)]
enum Held {
    BeforeTheAct,
    BeforeTheAnswer,
}

async fn until_there(file: &Path) {
    let cx = Cx::new(Arc::<MemoryJournal>::default());
    let policy = WaitPolicy::every(Duration::from_millis(10), Duration::from_secs(300));
    let there = wait_until_ready(&cx, "the request", policy, || async {
        Ok::<_, Infallible>(if file.exists() {
            Look::Ready(())
        } else {
            Look::Pending("nothing".to_owned())
        })
    });
    there.await.unwrap();
}

/// Holds a command at its n-th call, runs `rm` meanwhile, and lets both continue.
async fn meet(first: Vec<String>, flow: Flow, call: u32, held: Held) {
    let gate = Gate::new();
    let effect = match held {
        Held::BeforeTheAct => Effect::Hold(gate.clone()),
        Held::BeforeTheAnswer => Effect::HoldAnswer(gate.clone()),
    };
    flow.lab.clear_calls();
    let fault = flow.lab.inject(Fault::on("*", effect).after(call));
    let mut first = flow.home.start(first);
    gate.arrived(1).await;
    assert_eq!(flow.lab.hits(fault), 1);
    let request = flow.home.machine("m1").join(".removal-requested");
    let asked = async {
        // The first command has been notified of the request; before that, the rm has nothing to wait for.
        until_there(&request).await;
        gate.open();
    };
    let removed = tokio::select! {
        removed = flow.home.run(["rm", "-y", "m1"]) => removed,
        // Both continue.
        removed = async { asked.await; std::future::pending().await } => removed,
    };
    gate.open();
    let status = first.wait().await.unwrap();
    let knew = removed.code == Some(0);
    assert!(knew || removed.err.contains("does not exist"), "{removed}");
    if flow.home.machine("m1").exists() {
        // The rm came before there was anything to remove, and the create succeeded.
        assert!(status.success() && !knew, "{status} {removed}");
        flow.home.run(["config", "m1"]).await.ok();
        flow.home.run(["rm", "-y", "m1"]).await.ok();
    }
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_race_of_create_and_rm_leaves_nothing_behind() {
    let flow = Flow::start().await;
    flow.home.run(create(&flow)).await.ok();
    let of_create = flow.lab.calls().len();
    flow.lab.clear_calls();
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    let of_remove = flow.lab.calls().len();
    let mut sweep = Sweep::default();
    for held in [Held::BeforeTheAct, Held::BeforeTheAnswer] {
        for call in 0..of_create {
            sweep.add(format!("create {held:?} at call {call}"), async move {
                let flow = Flow::start().await;
                meet(create(&flow), flow, u32::try_from(call).unwrap(), held).await;
            });
        }
        for call in 0..of_remove {
            sweep.add(format!("rm {held:?} at call {call}"), async move {
                let flow = Flow::start().await;
                flow.home.run(create(&flow)).await.ok();
                let rm = ["rm", "-y", "m1"].map(str::to_owned).to_vec();
                meet(rm, flow, u32::try_from(call).unwrap(), held).await;
            });
        }
    }
    sweep
        .make("rm against a create, and against a rm, at every call")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_holders_lock_is_free_at_once() {
    let flow = Flow::start().await;
    let gate = flow.lab.hold("RunInstances");
    let mut holder = flow.home.start(create(&flow));
    gate.arrived(1).await;
    // It is held, and another command waits for it.
    let stopped = flow.home.run(["stop", "m1"]).await;
    stopped.failed(1, &["m1"]);
    holder.kill().await.unwrap();
    let removed = flow.home.run(["rm", "-y", "m1"]).await.ok();
    let waited = "waiting for another command";
    assert!(
        !removed.out.contains(waited) && !removed.err.contains(waited),
        "{removed}"
    );
    gate.open();
    flow.lab.until(|lab| lab.live_instances().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_never_wait_and_see_complete_files() {
    let flow = Flow::start().await;
    flow.create("m0", &[]).await.ok();
    let gate = flow.lab.hold("RunInstances");
    let mut writer = flow.home.start(create(&flow));
    gate.arrived(1).await;
    // The writer continues only when all of these have ended.
    let names = flow.home.run(["ls", "-q"]).await.ok();
    assert_eq!(names.out, "m0\nm1\n");
    let shown = flow
        .home
        .run(["inspect", "m1", "-f", "{{.Driver.KeyName}}"])
        .await
        .ok();
    assert_eq!(shown.out.trim(), "m1");
    flow.home.run(["config", "m0"]).await.ok();
    flow.home.run(["url", "m0"]).await.ok();
    flow.home.run(["status", "m1"]).await.ok();
    gate.open();
    // Until it ends, every read finds a complete configuration.
    loop {
        flow.home.run(["inspect", "m1"]).await.ok();
        if let Some(status) = writer.try_wait().unwrap() {
            assert!(status.success());
            return;
        }
    }
}
