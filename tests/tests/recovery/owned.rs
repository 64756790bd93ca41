//! What is somebody's is never taken: whatever carries the id of a living machine is that machine's, and a copy is its
//! maker's. Wherever `prune` and `rm` are cut, too.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ec2_lab::ec2::Instance;

use crate::fault_injection::{FaultInjector, Places, Way};
use crate::fixture::{Command, Fixture};
use crate::sweep::Sweep;

/// The client token of a restore job: a UUID (AWS Backup API Reference, RestoreJobId).
const RESTORE: &str = "1323657e-2aa4-1d94-2c48-5d7a423e7394";

/// The machine that names the place where the other one was, once that is gone.
const NEIGHBOUR: &str = "m2";

const TWO_HOURS: Duration = Duration::from_secs(2 * 3600);

/// A machine with its neighbour, an instance that was restored from its backup, and its root volume detached.
struct Owned {
    fixture: Fixture,
    machine: Instance,
    restored: String,
    volume: String,
}

impl Owned {
    async fn new() -> Self {
        let fixture = Fixture::new().await;
        fixture.run(Command::Create).await.ok();
        let lab = fixture.lab();
        let machine = lab.live_instances().remove(0);
        let mut tags = lab.tags(&machine.id);
        tags.insert("Name".to_owned(), "payments-db".to_owned());
        let restored = lab.launch_like(&machine.id, RESTORE, &tags).unwrap();
        let volume = lab.detach_root_volume(&machine.id).unwrap();
        fixture.flow.create(NEIGHBOUR, &[]).await.ok();
        Self {
            fixture,
            machine,
            restored,
            volume,
        }
    }

    fn lives(&self, id: &str) -> bool {
        let live = self.fixture.lab().live_instances();
        live.iter().any(|instance| instance.id == id)
    }

    fn has_volume(&self) -> bool {
        let volumes = self.fixture.lab().volumes();
        volumes.iter().any(|volume| volume.id == self.volume)
    }

    #[track_caller]
    fn assert_nothing_taken(&self) {
        assert!(self.lives(&self.machine.id), "the machine");
        assert!(self.lives(&self.restored), "the restored instance");
        assert!(self.has_volume(), "the machine's detached volume");
    }
}

async fn cut_prune(nth: usize, way: Way) {
    let owned = Owned::new().await;
    let fault_injection = Arc::new(FaultInjector::at(Places::Work, nth, way));
    owned.fixture.cut(Command::Settle, &fault_injection).await;
    owned.fixture.run(Command::Settle).await.ok();
    owned.assert_nothing_taken();
}

async fn cut_remove(nth: usize, way: Way) {
    let owned = Owned::new().await;
    let fault_injection = Arc::new(FaultInjector::at(Places::Work, nth, way));
    owned.fixture.cut(Command::Remove, &fault_injection).await;
    if owned.fixture.flow.home.machine("m1").exists() {
        owned.fixture.run(Command::Remove).await.ok();
    }
    owned.fixture.run(Command::Settle).await.ok();
    assert!(!owned.lives(&owned.machine.id));
    assert!(
        !owned.has_volume(),
        "it went with its machine's rm and prune"
    );
    assert!(owned.lives(&owned.restored), "whoever restored it has it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_carries_a_living_machines_id_is_its_own_wherever_prune_and_rm_are_cut() {
    let mut sweep = Sweep::default();
    let counted = Owned::new().await;
    for (command, is_prune) in [(Command::Settle, true), (Command::Remove, false)] {
        let fault_injection = Arc::new(FaultInjector::counting(Places::Work));
        counted.fixture.cut(command, &fault_injection).await.ok();
        for (nth, name) in fault_injection.seen().iter().enumerate() {
            for way in [Way::Crashes, Way::IsCancelled] {
                let title = format!("{command:?}, {way:?} at {name}");
                match is_prune {
                    true => sweep.add(title, cut_prune(nth, way)),
                    false => sweep.add(title, cut_remove(nth, way)),
                }
            }
        }
    }
    sweep.make("around what is somebody's").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_counts_from_when_it_was_first_seen_detached() {
    let owned = Owned::new().await;
    let (fixture, lab) = (&owned.fixture, owned.fixture.lab());
    fixture.run(Command::Remove).await.ok();
    lab.clock().advance(24 * TWO_HOURS);
    // However old it is: somebody may have detached it a minute ago.
    fixture.run(Command::Prune).await.ok();
    assert!(owned.has_volume());
    lab.clock().advance(TWO_HOURS / 2);
    fixture.run(Command::Prune).await.ok();
    assert!(owned.has_volume());
    // A rescue: it is attached for a while, and begins anew.
    lab.attach_volume(&owned.volume, &owned.restored, "/dev/sdf")
        .unwrap();
    lab.clock().advance(TWO_HOURS);
    fixture.run(Command::Prune).await.ok();
    lab.detach_volume(&owned.volume).unwrap();
    lab.clock().advance(TWO_HOURS);
    fixture.run(Command::Prune).await.ok();
    assert!(owned.has_volume());
    lab.clock().advance(TWO_HOURS);
    fixture.run(Command::Prune).await.ok();
    assert!(!owned.has_volume());
    assert!(owned.lives(&owned.restored));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_without_a_machines_id_may_be_a_living_ones() {
    let owned = Owned::new().await;
    let fixture = &owned.fixture;
    // 48 tags of the user's leave space for one of ours.
    let crowd: Vec<String> = (0..48).map(|n| format!("k{n},v")).collect();
    let crowd = format!("--amazonec2-tags={}", crowd.join(","));
    fixture.flow.create("m3", &[&crowd]).await.ok();
    let third = fixture.lab().live_instances();
    let third = third.iter().find(|instance| {
        let tags = fixture.lab().tags(&instance.id);
        tags.get("Name").map(String::as_str) == Some("m3")
    });
    let volume = fixture
        .lab()
        .detach_root_volume(&third.unwrap().id)
        .unwrap();
    let tags: BTreeMap<_, _> = fixture.lab().tags(&volume);
    assert!(!tags.contains_key("docker-machine:id"), "{tags:?}");
    fixture.run(Command::Settle).await.ok();
    assert!(fixture.lab().volumes().iter().any(|v| v.id == volume));
}
