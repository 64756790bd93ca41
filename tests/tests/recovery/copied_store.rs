//! A copied store: neither manager removes the other one's machines, whatever commands run on either, and wherever
//! they are interrupted.

use std::path::{Path, PathBuf};
use std::process::Command as Program;
use std::sync::Arc;

use ec2_lab::ec2::{Effect, Fault, Gate};
use machine_tests::flows::{Ended, Flow};

use crate::fault_injection::{FaultInjector, Places, Way};
use crate::fixture::{Command, Fixture, NAME};
use crate::sweep::Sweep;

fn copy(from: &Path, to: &Path) {
    let copied = Program::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(copied.unwrap().success());
}

/// Two managers; the second one's store began as a copy of the first one's.
struct Managers {
    flow: Flow,
    stores: [PathBuf; 2],
}

impl Managers {
    /// Both know the machine `both`; `first` was created after the copy.
    async fn start() -> Self {
        let flow = Flow::start().await;
        flow.create("both", &[]).await.ok();
        let stores = [flow.home.store(), flow.home.path().join("copy")];
        copy(&stores[0], &stores[1]);
        flow.create("first", &[]).await.ok();
        Self { flow, stores }
    }

    async fn run(&self, manager: usize, argv: &[&str]) -> Ended {
        let store = format!("--storage-path={}", self.stores[manager].display());
        let argv = argv.iter().map(|word| (*word).to_owned());
        self.flow.home.run(std::iter::once(store).chain(argv)).await
    }

    async fn prune(&self, manager: usize, more: &[&str]) -> Ended {
        let argv = ["prune", "--older-than=0s"];
        self.run(manager, &[&argv, more].concat()).await
    }

    async fn create(&self, manager: usize, name: &str) {
        let argv = self.flow.creating(name, &[]);
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        self.run(manager, &argv).await.ok();
    }

    /// Runs a create that is killed after EC2 has launched the machine, and deletes its record.
    async fn lose(&self, manager: usize, name: &str) {
        let gate = Gate::new();
        let held = Fault::on("RunInstances", Effect::HoldAnswer(gate.clone()));
        self.flow.lab.inject(held);
        let store = format!("--storage-path={}", self.stores[manager].display());
        let argv = std::iter::once(store).chain(self.flow.creating(name, &[]));
        let mut child = self.flow.home.start(argv);
        gate.arrived(1).await;
        child.kill().await.unwrap();
        gate.open();
        let machine = self.stores[manager].join("machines").join(name);
        std::fs::remove_dir_all(machine).unwrap();
    }

    /// Asserts that a forced prune is refused, names both paths and the remedy.
    async fn assert_refused(&self, manager: usize) {
        let before = self.flow.lab.left_over();
        let [there, here] = &self.stores;
        let said = [
            &*there.to_string_lossy(),
            &*here.to_string_lossy(),
            "prune --store-moved",
            "prune --store-copied",
        ];
        self.prune(manager, &["--force"]).await.failed(1, &said);
        assert_eq!(self.flow.lab.left_over(), before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_refuses_to_remove_the_other_managers_resources() {
    let managers = Managers::start().await;
    managers.assert_refused(1).await;
    // A list changes nothing, and is not presented as a list of removals.
    let listed = managers.prune(1, &[]).await.ok();
    assert!(listed.out.contains("first"), "{listed}");
    for said in ["Nothing would be removed", "--store-moved"] {
        assert!(listed.err.contains(said), "{listed}");
    }
    let everything = ["--force", "--all-stores", "--tag=a=b"];
    managers
        .prune(1, &everything)
        .await
        .failed(1, &["refusing"]);
    let examined = managers.run(1, &["doctor"]).await;
    let line = examined.out.lines().find(|line| line.contains("store id"));
    assert!(
        line.is_some_and(|line| line.contains("WRONG")),
        "{examined}"
    );
    // The first manager still works.
    let pruned = managers.prune(0, &["--force"]).await.ok();
    assert!(pruned.out.contains("Removed 0"), "{pruned}");
    let examined = managers.run(0, &["doctor"]).await;
    assert!(!examined.out.contains("store id"), "{examined}");
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_created_in_a_copy_are_not_the_other_managers() {
    let managers = Managers::start().await;
    managers.create(1, "second").await;
    managers.lose(1, "lost").await;
    let before = managers.flow.lab.left_over();
    let pruned = managers.prune(0, &["--force"]).await.ok();
    assert!(pruned.out.contains("Removed 0"), "{pruned}");
    assert_eq!(managers.flow.lab.left_over(), before);
    managers.assert_refused(1).await;

    managers.run(1, &["prune", "--store-copied"]).await.ok();
    let pruned = managers.prune(1, &["--force"]).await.ok();
    assert!(pruned.out.contains("Removed 2"), "{pruned}");
    assert!(pruned.out.contains("lost"), "{pruned}");
    let live = managers.flow.lab.live_instances().len();
    assert_eq!(live, 3, "both, first and second");
    for (manager, name) in [(0, "both"), (0, "first"), (1, "second")] {
        managers.run(manager, &["config", name]).await.ok();
        managers.run(manager, &["rm", "-y", name]).await.ok();
    }
    assert_eq!(managers.flow.lab.left_over(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_store_prunes_again_once_that_is_confirmed() {
    let managers = Managers::start().await;
    managers.lose(0, "lost").await;
    std::fs::remove_dir_all(&managers.stores[1]).unwrap();
    copy(&managers.stores[0], &managers.stores[1]);
    std::fs::remove_dir_all(&managers.stores[0]).unwrap();
    managers.assert_refused(1).await;
    // A create before the confirmation gets another id; both belong to the store afterwards.
    managers.create(1, "second").await;
    managers.lose(1, "gone").await;
    managers.assert_refused(1).await;
    managers
        .run(1, &["prune", "--force", "--store-moved"])
        .await
        .failed(1, &["cannot combine"]);
    managers.run(1, &["prune", "--store-moved"]).await.ok();
    let again = managers.run(1, &["prune", "--store-copied"]).await.ok();
    assert!(again.out.contains("Nothing to confirm"), "{again}");
    let pruned = managers.prune(1, &["--force"]).await.ok();
    assert!(pruned.out.contains("Removed 4"), "{pruned}");
    for name in ["both", "first", "second"] {
        managers.run(1, &["rm", "-y", name]).await.ok();
    }
    assert_eq!(managers.flow.lab.left_over(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_store_id_is_not_used_to_look_up_a_machine_without_records() {
    let managers = Managers::start().await;
    // It was created again under its name after the copy.
    managers.run(0, &["rm", "-y", "both"]).await.ok();
    managers.create(0, "both").await;
    let machine = managers.stores[1].join("machines/both");
    std::fs::remove_file(machine.join("config.json")).unwrap();
    std::fs::remove_file(machine.join(".journal")).unwrap();
    let before = managers.flow.lab.left_over();
    let mut argv = managers.flow.flags();
    argv.retain(|flag| flag.starts_with("--amazonec2-endpoint="));
    let endpoint = argv.remove(0).split_once('=').unwrap().1.to_owned();
    let store = format!("MACHINE_STORAGE_PATH={}", managers.stores[1].display());
    let line = format!(
        "{store} AWS_ENDPOINT={endpoint} AWS_DEFAULT_REGION=us-east-1 docker-machine rm -y both"
    );
    let refused = managers.flow.home.shell(&line).await;
    refused.failed(1, &["--store-moved"]);
    managers.run(1, &["prune", "--store-copied"]).await.ok();
    let refused = managers.flow.home.shell(&line).await;
    refused.failed(1, &["nothing in us-east-1"]);
    assert!(machine.exists());
    assert_eq!(managers.flow.lab.left_over(), before);
}

/// Makes a fixture with a copied store; returns the original store too.
async fn copied() -> (Fixture, PathBuf) {
    let fixture = Fixture::new().await;
    fixture.run(Command::Create).await.ok();
    fixture.run(Command::Remove).await.ok();
    let store = fixture.flow.home.store();
    let original = fixture.flow.home.path().join("original");
    std::fs::rename(&store, &original).unwrap();
    copy(&original, &store);
    // A resource with an owner in the original keeps a scope in which its prune looks.
    let store = format!("--storage-path={}", original.display());
    let argv = std::iter::once(store).chain(fixture.flow.creating("other", &[]));
    fixture.flow.home.run(argv).await.ok();
    (fixture, original)
}

async fn cut_create(nth: usize, way: Way) {
    let (fixture, original) = copied().await;
    let fault_injection = Arc::new(FaultInjector::at(Places::Files, nth, way));
    fixture.cut(Command::Create, &fault_injection).await;
    let original = format!("--storage-path={}", original.display());
    let before = fixture.lab().left_over();
    let argv = [&original, "prune", "--force", "--older-than=0s"];
    let pruned = fixture.flow.home.run(argv).await.ok();
    assert!(pruned.out.contains("Removed 0"), "{pruned}");
    assert_eq!(fixture.lab().left_over(), before);
    if fixture.flow.home.machine(NAME).exists() {
        fixture.run(Command::Remove).await.ok();
    }
    fixture
        .flow
        .home
        .run([&original, "rm", "-y", "other"])
        .await
        .ok();
    fixture.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_in_a_copy_interrupted_at_the_ids_files_stays_the_copys() {
    let (fixture, _) = copied().await;
    let fault_injection = Arc::new(FaultInjector::counting(Places::Files));
    fixture.cut(Command::Create, &fault_injection).await.ok();
    let places = fault_injection.seen();
    let last = places.iter().rposition(|place| place.contains("store-id"));
    let mut sweep = Sweep::default();
    // Up to the first file after the id's; faults after it are the same as for a create in any store.
    for nth in 0..=last.unwrap() + 1 {
        for way in [Way::Crashes, Way::Fails(5), Way::IsBroken(28)] {
            sweep.add(format!("{way:?} at file {nth}"), cut_create(nth, way));
        }
    }
    sweep
        .make("create in a copied store at the files of its id")
        .await;
}
