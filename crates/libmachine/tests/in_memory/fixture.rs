//! A store in a temporary directory, two kinds of driver, and a clock that a test can advance.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use libmachine::{
    Ambient, CREATE_LIMIT, Cancel, CertificatePaths, CreateRequest, CreateTimes, Error, Event,
    Events, Hook, Library, ListItem, ListOptions, Provisioning, PruneOptions, Pruned,
    RemoveOptions, Removed, Settings, SystemAmbient,
};
use machine_driver::fake::{FakeCloud, FakeKind};
use machine_driver::{DriverKind, OptionValue, Options};
use machine_ops::{Entry, Phase};
use machine_store::{EngineOptions, Store, SwarmOptions};

/// A driver with a cloud.
pub(crate) const FAKE: &str = "fake";
/// A driver without a cloud.
pub(crate) const BARE: &str = "bare";

/// The system's clock, with an offset.
pub(crate) struct Clock {
    real: SystemAmbient,
    ahead: Mutex<Duration>,
}

#[async_trait]
impl Ambient for Clock {
    fn now(&self) -> SystemTime {
        self.real.now() + *self.ahead.lock().unwrap()
    }

    fn monotonic(&self) -> Duration {
        self.real.monotonic()
    }

    async fn sleep(&self, duration: Duration) {
        self.real.sleep(duration).await;
    }

    fn random(&self) -> u64 {
        self.real.random()
    }
}

/// Collects every line of the output.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Events for Told {
    fn emit(&self, event: Event) {
        if let Event::Say(line) | Event::Warn(line) | Event::Alert(line) = event {
            self.0.lock().unwrap().push(line);
        }
    }
}

pub(crate) struct Fixture {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) cloud: FakeCloud,
    pub(crate) cancel: Cancel,
    pub(crate) kinds: Vec<Arc<dyn DriverKind>>,
    pub(crate) certificates: CertificatePaths,
    clock: Arc<Clock>,
    told: Arc<Told>,
    hook: Option<Arc<dyn Hook>>,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let cloud = FakeCloud::default();
        let directory = tempfile::tempdir().unwrap();
        Self {
            kinds: vec![
                Arc::new(FakeKind::over(FAKE, &cloud).owning_unnamed_entries()),
                Arc::new(FakeKind::without_cloud(BARE)),
            ],
            certificates: CertificatePaths::of_store(directory.path()),
            directory,
            cloud,
            cancel: Cancel::new(),
            clock: Arc::new(Clock {
                real: SystemAmbient::new(),
                ahead: Mutex::default(),
            }),
            told: Arc::default(),
            hook: None,
        }
    }

    pub(crate) fn with_hook(self, hook: Arc<dyn Hook>) -> Self {
        Self {
            hook: Some(hook),
            ..self
        }
    }

    /// Returns a library as each process creates it.
    pub(crate) fn library(&self) -> Library {
        let store = self.directory.path().to_owned();
        let settings = Settings {
            certificates: self.certificates.clone(),
            store: store.clone(),
            user: "tester".into(),
            ssh_agent: None,
            user_keys: Vec::new(),
        };
        let kinds = self.kinds.clone();
        let library = Library::new(settings, kinds, self.told.clone(), self.cancel.clone())
            .with_store(Store::new(store, self.clock.clone()))
            .with_ambient(self.clock.clone());
        match &self.hook {
            Some(hook) => library.with_hook(hook.clone()),
            None => library,
        }
    }

    pub(crate) fn advance(&self, by: Duration) {
        *self.clock.ahead.lock().unwrap() += by;
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// Returns every line for the user.
    pub(crate) fn told(&self) -> String {
        self.told.0.lock().unwrap().join("\n")
    }

    /// Returns values for a driver's flags.
    pub(crate) fn options(&self, driver: &str, flags: &[(&'static str, &str)]) -> Options {
        let kind = self.kinds.iter().find(|kind| kind.name() == driver);
        let value = |text: &str| OptionValue {
            values: vec![text.to_owned()],
            from_env: None,
        };
        let given: BTreeMap<_, _> = flags.iter().map(|(n, v)| (*n, value(v))).collect();
        Options::new(kind.unwrap().flags(), given).unwrap()
    }

    pub(crate) fn request(
        &self,
        name: &str,
        driver: &str,
        flags: &[(&'static str, &str)],
    ) -> CreateRequest {
        CreateRequest {
            name: name.into(),
            driver: driver.into(),
            options: self.options(driver, flags),
            engine: EngineOptions::default(),
            swarm: SwarmOptions::default(),
            tls_sans: Vec::new(),
            hostname_override: String::new(),
            custom_install_script: String::new(),
            provisioning: Provisioning::default(),
            pool: None,
            limit: CREATE_LIMIT,
        }
    }

    pub(crate) async fn create_with(
        &self,
        name: &str,
        driver: &str,
        flags: &[(&'static str, &str)],
    ) -> Result<CreateTimes, Error> {
        let request = self.request(name, driver, flags);
        libmachine::create(&self.library(), request).await
    }

    /// Creates a machine in the cloud.
    pub(crate) async fn create(&self, name: &str) -> Result<CreateTimes, Error> {
        self.create_with(name, FAKE, &[]).await
    }

    pub(crate) async fn remove(&self, name: &str) -> Result<Removed, Error> {
        let options = RemoveOptions::default();
        libmachine::remove(&self.library(), name, &options).await
    }

    pub(crate) async fn prune(&self, force: bool) -> Result<Pruned, Error> {
        let options = PruneOptions {
            force,
            older_than: Duration::from_secs(60),
            all_stores: false,
            tags: Vec::new(),
            place: None,
        };
        libmachine::prune(&self.library(), &options).await
    }

    pub(crate) async fn list(&self, timeout: Duration) -> Vec<ListItem> {
        let options = ListOptions {
            timeout,
            at_once: 16,
            docker_host: None,
        };
        let library = self.library();
        let machines = library.machines().await.unwrap();
        libmachine::list(&library, machines, &options).await
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.library().names().unwrap()
    }

    pub(crate) fn store_id(&self) -> String {
        let store = Store::new(self.directory.path(), self.clock.clone());
        store.id().unwrap().unwrap().as_str().to_owned()
    }

    fn machine(&self, name: &str) -> PathBuf {
        self.directory.path().join("machines").join(name)
    }

    pub(crate) fn config(&self, name: &str) -> PathBuf {
        self.machine(name).join("config.json")
    }

    pub(crate) fn journal(&self, name: &str) -> PathBuf {
        self.machine(name).join(".journal")
    }

    pub(crate) fn entries(&self, name: &str) -> Vec<Entry> {
        let text = fs::read_to_string(self.journal(name)).unwrap();
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Replaces a file's contents with invalid ones.
    pub(crate) fn spoil(&self, path: &Path) {
        fs::write(path, "no JSON\n").unwrap();
    }

    /// Rewrites a file.
    pub(crate) fn edit(&self, path: &Path, change: impl Fn(String) -> String) {
        fs::write(path, change(fs::read_to_string(path).unwrap())).unwrap();
    }

    /// Deletes a machine's directory from the store.
    pub(crate) fn lose(&self, name: &str) {
        fs::remove_dir_all(self.machine(name)).unwrap();
    }
}

/// Formats an entry as its phase and its kind.
pub(crate) fn phase(entry: &Entry) -> String {
    match &entry.phase {
        Phase::Intent { intent } => format!("intent {}", intent.kind),
        Phase::Made { .. } => "made".to_owned(),
        Phase::NotMade => "not made".to_owned(),
        Phase::Undone => "undone".to_owned(),
    }
}
