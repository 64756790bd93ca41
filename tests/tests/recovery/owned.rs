//! Owned resources are never removed: a resource with the id of an existing machine belongs to that machine, and a
//! copy belongs to the user who made it. This also holds wherever `prune` and `rm` are interrupted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ec2_lab::ec2::Instance;

use crate::fault_injection::{FaultInjector, Places, Way};
use crate::fixture::{Command, Fixture};
use crate::sweep::Sweep;

/// The client token of a restore job: a UUID (AWS Backup API Reference, RestoreJobId).
const RESTORE: &str = "1323657e-2aa4-1d94-2c48-5d7a423e7394";

/// The machine that keeps the scope of the other one on record after its removal.
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
    owned
        .fixture
        .cut(Command::PruneTombstones, &fault_injection)
        .await;
    owned.fixture.run(Command::PruneTombstones).await.ok();
    owned.assert_nothing_taken();
}

async fn cut_remove(nth: usize, way: Way) {
    let owned = Owned::new().await;
    let fault_injection = Arc::new(FaultInjector::at(Places::Work, nth, way));
    owned.fixture.cut(Command::Remove, &fault_injection).await;
    if owned.fixture.flow.home.machine("m1").exists() {
        owned.fixture.run(Command::Remove).await.ok();
    }
    owned.fixture.run(Command::PruneTombstones).await.ok();
    assert!(!owned.lives(&owned.machine.id));
    assert!(
        !owned.has_volume(),
        "rm and prune left the machine's volume"
    );
    assert!(
        owned.lives(&owned.restored),
        "the restored instance was removed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_with_an_existing_machines_id_survive_interrupted_prune_and_rm() {
    let mut sweep = Sweep::default();
    let counted = Owned::new().await;
    for (command, is_prune) in [(Command::PruneTombstones, true), (Command::Remove, false)] {
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
    sweep.make("around owned resources").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volumes_age_starts_when_it_is_first_seen_detached() {
    let owned = Owned::new().await;
    let (fixture, lab) = (&owned.fixture, owned.fixture.lab());
    fixture.run(Command::Remove).await.ok();
    lab.clock().advance(24 * TWO_HOURS);
    // Its age does not matter: it may have been detached a minute ago.
    fixture.run(Command::Prune).await.ok();
    assert!(owned.has_volume());
    lab.clock().advance(TWO_HOURS / 2);
    fixture.run(Command::Prune).await.ok();
    assert!(owned.has_volume());
    // A rescue: it is attached for a while, and its time starts again.
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
async fn a_volume_that_no_prune_has_seen_for_hours_begins_anew() {
    let owned = Owned::new().await;
    let (fixture, lab) = (&owned.fixture, owned.fixture.lab());
    fixture.run(Command::Remove).await.ok();
    fixture.run(Command::Prune).await.ok();
    // Three days without the timer, during which the volume may have been used.
    lab.clock().advance(36 * TWO_HOURS);
    fixture.run(Command::Prune).await.ok();
    assert!(owned.has_volume());
    lab.clock().advance(TWO_HOURS);
    fixture.run(Command::Prune).await.ok();
    assert!(!owned.has_volume());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_without_a_machine_id_may_belong_to_an_existing_machine() {
    let owned = Owned::new().await;
    let fixture = &owned.fixture;
    // 48 tags of the user leave space for one of this program's.
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
    fixture.run(Command::PruneTombstones).await.ok();
    assert!(fixture.lab().volumes().iter().any(|v| v.id == volume));
}
