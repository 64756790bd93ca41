//! The toy driver through libmachine: create, list, prune, remove.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use libmachine::{
    CREATE_LIMIT, Cancel, CertificatePaths, CreateRequest, EngineOptions, Library, ListOptions,
    Provisioning, PruneOptions, RemoveOptions, Settings, SwarmOptions,
};
use machine_driver::{DriverKind, Options};
use machine_types::MachineState;
use toy_cloud::Toy;

/// A store, and a cloud that outlives each library.
struct World {
    directory: tempfile::TempDir,
    toy: Toy,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            directory,
            toy: Toy::default(),
        }
    }

    fn store(&self) -> &Path {
        self.directory.path()
    }

    /// Makes a library as each process does: the driver table has one entry.
    fn library(&self) -> Library {
        let store = self.store();
        let settings = Settings {
            store: store.to_owned(),
            certificates: CertificatePaths::of_store(store),
            user: "tester".into(),
            ssh_agent: None,
            user_keys: Vec::new(),
        };
        let drivers: Vec<Arc<dyn DriverKind>> = vec![Arc::new(self.toy.clone())];
        Library::new(settings, drivers, Arc::new(()), Cancel::new())
    }

    async fn create(&self, name: &str) {
        let request = CreateRequest {
            name: name.into(),
            driver: "toy".into(),
            options: Options::new(self.toy.flags(), BTreeMap::new()).unwrap(),
            engine: EngineOptions::default(),
            swarm: SwarmOptions::default(),
            tls_sans: Vec::new(),
            hostname_override: String::new(),
            custom_install_script: String::new(),
            provisioning: Provisioning::default(),
            pool: None,
            limit: CREATE_LIMIT,
        };
        libmachine::create(&self.library(), request).await.unwrap();
    }

    async fn remove(&self, name: &str) {
        let removed = libmachine::remove(&self.library(), name, &RemoveOptions::default()).await;
        assert!(removed.unwrap().left.is_empty());
    }

    async fn states(&self) -> Vec<(String, MachineState)> {
        let all = ListOptions {
            timeout: Duration::from_secs(10),
            at_once: 1,
            docker_host: None,
        };
        let library = self.library();
        let machines = library.machines().await.unwrap();
        let items = libmachine::list(&library, machines, &all).await.into_iter();
        items.map(|item| (item.name, item.state)).collect()
    }
}

#[tokio::test]
async fn a_machine_is_created_listed_stopped_and_removed() {
    let world = World::new();
    world.create("m1").await;
    assert_eq!(world.toy.count(), 1);
    let expected = |state| [("m1".to_owned(), state)];
    assert_eq!(world.states().await, expected(MachineState::Running));
    libmachine::stop(&world.library(), "m1").await.unwrap();
    assert_eq!(world.states().await, expected(MachineState::Stopped));
    world.remove("m1").await;
    assert_eq!((world.toy.count(), world.states().await.len()), (0, 0));
}

#[tokio::test]
async fn servers_without_a_machine_are_pruned() {
    let world = World::new();
    world.create("m1").await;
    world.create("lost").await;
    fs::remove_dir_all(world.store().join("machines/lost")).unwrap();
    let options = PruneOptions {
        force: true,
        older_than: Duration::ZERO,
        all_stores: false,
        tags: Vec::new(),
        place: None,
    };
    let pruned = libmachine::prune(&world.library(), &options).await.unwrap();
    assert_eq!((pruned.removed, world.toy.count()), (1, 1));
    assert_eq!(pruned.found[0].machine, "lost");
    assert_eq!(
        world.states().await,
        [("m1".to_owned(), MachineState::Running)]
    );
}

#[tokio::test]
async fn a_machine_without_its_configuration_is_removed_by_its_journal() {
    let world = World::new();
    world.create("m1").await;
    fs::write(world.store().join("machines/m1/config.json"), "{").unwrap();
    world.remove("m1").await;
    assert_eq!(world.toy.count(), 0);
}
