//! A driver with an in-memory cloud, for tests of the use cases.
//!
//! Its create makes a key pair, a disk and an instance, in this order. A test holds the [`FakeCloud`], sees each
//! call, and injects faults into calls.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use machine_ops::{
    Cx, Entry, Intent, Made, Ownership, Phase, Resource, Scope, StepFailure, UndoOrder, Undone,
};
use machine_types::{DockerUrl, MachineName, MachineState};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    Access, Addresses, Base, Check, Cloud, CloudKind, Driver, DriverError, DriverErrorKind,
    DriverKind, Facts, FlagSpec, KeyMaterial, KeyPlan, LeftBehind, Options, OwnedBy, Plan, Power,
    Route, SavedBase, Status, labels_not_supported, merge, read_saved,
};

/// The account that every resource is in.
pub const FAKE_ACCOUNT: &str = "account-1";

/// How long the cloud may not show a new resource.
pub const FAKE_WINDOW: Duration = Duration::from_secs(300);

/// A fault of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FakeFault {
    /// The call is refused and has no effect.
    Refused,
    /// The call takes effect, and its answer is lost.
    AnswerLost,
    /// The call does not arrive, and the outcome is unknown to the caller.
    NeverArrived,
    /// The call never returns.
    Silent,
}

/// A failed call of the cloud.
#[derive(Debug, thiserror::Error)]
#[error("{call}: {what}")]
struct FakeError {
    call: String,
    what: &'static str,
    is_certain: bool,
}

impl From<FakeError> for DriverError {
    fn from(error: FakeError) -> Self {
        let kind = match error.is_certain {
            true => DriverErrorKind::Denied,
            false => DriverErrorKind::Unavailable,
        };
        Self::new(kind, error)
    }
}

/// A resource of the cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeResource {
    /// `key-pair`, `disk`, `instance`.
    pub kind: String,
    /// Its location.
    pub place: String,
    /// Its name or client token.
    pub key: String,
    /// The machine that its tags name.
    pub machine: String,
    /// The store that its tags name; `None`: it carries no tags.
    pub store: Option<String>,
    /// The machine's id in its tags.
    pub owner_id: Option<String>,
    /// Its creation time, Unix time in milliseconds.
    pub created: u64,
    /// Its state.
    pub state: MachineState,
}

#[derive(Default)]
struct World {
    resources: BTreeMap<String, FakeResource>,
    calls: Vec<String>,
    faults: Vec<(String, FakeFault)>,
    made: usize,
    addresses: BTreeMap<String, String>,
}

/// The cloud. Clones share it.
#[derive(Clone, Default)]
pub struct FakeCloud(Arc<Mutex<World>>);

impl FakeCloud {
    /// Returns the calls so far, such as `make instance`, `remove disk`, `states of 2 in here`.
    pub fn calls(&self) -> Vec<String> {
        self.world().calls.clone()
    }

    /// Clears the recorded calls.
    pub fn clear_calls(&self) {
        self.world().calls.clear();
    }

    /// Makes the next call with that text fail.
    pub fn fail(&self, call: &str, fault: FakeFault) {
        self.world().faults.push((call.to_owned(), fault));
    }

    /// Returns the existing resources, by their ids.
    pub fn resources(&self) -> BTreeMap<String, FakeResource> {
        self.world().resources.clone()
    }

    /// Returns the kinds of a machine's existing resources, sorted.
    pub fn kinds_of(&self, machine: &str) -> Vec<String> {
        let world = self.world();
        let all = world.resources.values();
        let mut kinds: Vec<String> = all
            .filter(|resource| resource.machine == machine)
            .map(|resource| resource.kind.clone())
            .collect();
        kinds.sort();
        kinds
    }

    /// Adds a resource that no driver created, and returns its id.
    pub fn put(&self, resource: FakeResource) -> String {
        let mut world = self.world();
        world.made += 1;
        let id = format!("{}-{}", resource.kind, world.made);
        world.resources.insert(id.clone(), resource);
        id
    }

    /// Changes the state of a machine's instance.
    pub fn set_state(&self, machine: &str, state: MachineState) {
        let mut world = self.world();
        let own = |resource: &&mut FakeResource| {
            resource.machine == machine && resource.kind == "instance"
        };
        world
            .resources
            .values_mut()
            .filter(own)
            .for_each(|r| r.state = state);
    }

    /// Gives a machine another address; without one it has none.
    pub fn set_address(&self, machine: &str, address: &str) {
        let mut world = self.world();
        world
            .addresses
            .insert(machine.to_owned(), address.to_owned());
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a call: takes its fault, does the work unless the fault prevents it, and drops the answer if the fault
    /// says so.
    async fn call<T>(
        self,
        call: String,
        work: impl FnOnce(&mut World) -> T + Send,
    ) -> Result<T, FakeError> {
        let fault = {
            let mut world = self.world();
            world.calls.push(call.clone());
            let at = world.faults.iter().position(|(of, _)| *of == call);
            at.map(|at| world.faults.remove(at).1)
        };
        let failed = |what, is_certain| FakeError {
            call,
            what,
            is_certain,
        };
        match fault {
            None => Ok(work(&mut self.world())),
            Some(FakeFault::Refused) => Err(failed("refused", true)),
            Some(FakeFault::NeverArrived) => Err(failed("no answer", false)),
            Some(FakeFault::Silent) => std::future::pending().await,
            Some(FakeFault::AnswerLost) => {
                work(&mut self.world());
                Err(failed("no answer", false))
            }
        }
    }
}

/// A kind of driver with a [`FakeCloud`], or with none.
#[derive(Clone)]
pub struct FakeKind {
    name: &'static str,
    cloud: Option<FakeCloud>,
    owns_unnamed_entries: bool,
}

impl FakeKind {
    /// Makes a kind with a cloud.
    pub fn over(name: &'static str, cloud: &FakeCloud) -> Self {
        Self {
            name,
            cloud: Some(cloud.clone()),
            owns_unnamed_entries: false,
        }
    }

    /// Makes a kind without a cloud: another party manages its machines.
    pub fn without_cloud(name: &'static str) -> Self {
        Self {
            name,
            cloud: None,
            owns_unnamed_entries: false,
        }
    }

    /// Makes the kind own journals whose entries name no driver.
    #[must_use]
    pub fn owning_unnamed_entries(self) -> Self {
        Self {
            owns_unnamed_entries: true,
            ..self
        }
    }

    fn machine(&self, base: &Base, saved: Saved, loaded: Map<String, Value>) -> Box<dyn Driver> {
        Box::new(FakeDriver {
            name: self.name,
            store: base.store_id.clone(),
            cloud: self.cloud.clone(),
            saved,
            loaded,
        })
    }
}

impl DriverKind for FakeKind {
    fn name(&self) -> &'static str {
        self.name
    }

    fn flags(&self) -> Vec<FlagSpec> {
        vec![
            FlagSpec::string("fake-place", "Where")
                .default_text("here")
                .env("FAKE_PLACE"),
            FlagSpec::bool("fake-untagged", "Make no tags"),
            FlagSpec::string("fake-flaw", "What is wrong: flags, preflight"),
        ]
    }

    fn configure(&self, base: &Base, options: &Options) -> Result<Box<dyn Driver>, DriverError> {
        let flaw = options.string("fake-flaw");
        if flaw == "flags" {
            let error = "invalid flags";
            return Err(DriverError::new(DriverErrorKind::Configuration, error));
        }
        let saved = Saved {
            base: SavedBase::new(base),
            place: options.string("fake-place"),
            is_untagged: options.bool("fake-untagged"),
            machine_id: String::new(),
            instance: String::new(),
            flaw,
        };
        Ok(self.machine(base, saved, Map::new()))
    }

    fn load(&self, base: &Base, saved: &Value) -> Result<Box<dyn Driver>, DriverError> {
        let loaded = saved.as_object().cloned().unwrap_or_default();
        let saved = read_saved(saved)
            .map_err(|error| DriverError::new(DriverErrorKind::Configuration, error))?;
        Ok(self.machine(base, saved, loaded))
    }

    fn cloud(&self) -> Option<&dyn CloudKind> {
        self.cloud.as_ref().map(|_| self as &dyn CloudKind)
    }
}

impl CloudKind for FakeKind {
    fn place_flags(&self) -> &'static [&'static str] {
        &["fake-place"]
    }

    fn saved_at(&self, name: &MachineName, scope: &Scope) -> Value {
        json!({"MachineName": name.as_str(), "Place": scope.get("place")})
    }

    fn owns_unnamed_entries(&self) -> bool {
        self.owns_unnamed_entries
    }

    fn consistency_window(&self) -> Duration {
        FAKE_WINDOW
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Saved {
    #[serde(flatten)]
    base: SavedBase,
    place: String,
    is_untagged: bool,
    machine_id: String,
    instance: String,
    flaw: String,
}

struct FakeDriver {
    name: &'static str,
    store: String,
    cloud: Option<FakeCloud>,
    saved: Saved,
    loaded: Map<String, Value>,
}

impl FakeDriver {
    /// Returns the cloud: called only for a driver that has one.
    fn fake(&self) -> FakeCloud {
        self.cloud.clone().unwrap_or_default()
    }

    fn scope_here(&self) -> Scope {
        Scope::default().with("place", self.saved.place.as_str())
    }

    fn intent(&self, kind: &str, key: &str) -> Intent {
        Intent {
            driver: self.name.into(),
            kind: kind.into(),
            key: key.into(),
            ownership: Ownership::Ours,
            undo: match kind {
                "key-pair" => UndoOrder::First,
                _ => UndoOrder::Reverse,
            },
            scope: self.scope_here(),
            detail: Value::Null,
        }
    }

    /// Creates one resource in a journalled step.
    async fn make(&self, kind: &str, cx: &Cx) -> Result<String, DriverError> {
        let machine = self.saved.base.machine_name.clone();
        let key = match kind {
            "key-pair" => machine.clone(),
            _ => format!("token-{:016x}", cx.ambient.random()),
        };
        let resource = FakeResource {
            kind: kind.into(),
            place: self.saved.place.clone(),
            key: key.clone(),
            machine,
            store: (!self.saved.is_untagged).then(|| self.store.clone()),
            owner_id: (!self.saved.is_untagged).then(|| self.saved.machine_id.clone()),
            created: millis(cx.ambient.now()),
            state: MachineState::Running,
        };
        let call = async {
            let made = self.fake().call(format!("make {kind}"), |world| {
                world.made += 1;
                let id = format!("{kind}-{}", world.made);
                world.resources.insert(id.clone(), resource);
                id
            });
            match made.await {
                Ok(id) => Ok(Made {
                    value: id.clone(),
                    id: Some(id),
                    scope: Scope::default().with("account", FAKE_ACCOUNT),
                }),
                Err(error) if error.is_certain => Err(StepFailure::NotMade(error)),
                Err(error) => Err(StepFailure::Unknown(error)),
            }
        };
        let intent = self.intent(kind, &key);
        Ok(cx.step(&format!("make {kind}"), intent, call).await?)
    }
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[async_trait]
impl Driver for FakeDriver {
    fn name(&self) -> &'static str {
        self.name
    }

    fn save(&self) -> Value {
        merge(
            &self.loaded,
            serde_json::to_value(&self.saved).unwrap_or_default(),
        )
    }

    fn access(&self) -> Access {
        let address = &self.saved.base.ip_address;
        match address.is_empty() {
            true => Access::default(),
            false => Access {
                address: Some(address.clone()),
                docker_host: Some(DockerUrl::new(address).to_string()),
                ..Access::default()
            },
        }
    }

    fn key_plan(&self) -> KeyPlan {
        KeyPlan::Nothing
    }

    async fn preflight(&mut self, cx: &Cx) -> Result<(), DriverError> {
        self.saved.machine_id = format!("{:016x}", cx.ambient.random());
        match self.saved.flaw.as_str() {
            "preflight" => Err(DriverError::new(
                DriverErrorKind::PreCreate,
                "there is no such network",
            )),
            _ => Ok(()),
        }
    }

    async fn examine_plan(&self, _cx: &Cx) -> Vec<Check> {
        vec![Check::right("place", self.saved.place.as_str())]
    }

    async fn rehearse(&self, _cx: &Cx) -> Result<Plan, DriverError> {
        Ok(Plan::of_step(format!(
            "launch an instance in {}",
            self.saved.place
        )))
    }

    async fn create(&mut self, _key: &KeyMaterial, cx: &Cx) -> Result<(), DriverError> {
        if self.cloud.is_some() {
            self.make("key-pair", cx).await?;
            self.make("disk", cx).await?;
            self.saved.instance = self.make("instance", cx).await?;
            let machine = &self.saved.base.machine_name;
            let known = self.fake().world().addresses.get(machine).cloned();
            self.saved.base.ip_address = known.unwrap_or_default();
        }
        Ok(cx.journal.save_driver(&self.save())?)
    }

    async fn state(&self, cx: &Cx) -> Result<Status, DriverError> {
        match self.cloud() {
            None => Ok(MachineState::Running.into()),
            Some(cloud) => {
                let ids: Vec<String> = cloud.id().into_iter().collect();
                let states = cloud.states(&ids, cx).await;
                states
                    .into_iter()
                    .next()
                    .unwrap_or(Ok(MachineState::Error.into()))
            }
        }
    }

    async fn power(&mut self, action: Power, _cx: &Cx) -> Result<(), DriverError> {
        let state = match action {
            Power::Start | Power::Restart => MachineState::Running,
            Power::Stop | Power::Kill => MachineState::Stopped,
        };
        let id = self.saved.instance.clone();
        let changed = self
            .fake()
            .call(format!("{action:?}").to_lowercase(), |world| {
                if let Some(instance) = world.resources.get_mut(&id) {
                    instance.state = state;
                }
            });
        Ok(changed.await?)
    }

    fn cloud(&self) -> Option<&dyn Cloud> {
        self.cloud.as_ref().map(|_| self as &dyn Cloud)
    }

    fn cloud_mut(&mut self) -> Option<&mut dyn Cloud> {
        match self.cloud {
            Some(_) => Some(self),
            None => None,
        }
    }
}

#[async_trait]
impl Cloud for FakeDriver {
    fn route(&self) -> Route {
        Route {
            scope: self.scope_here(),
            credentials: Vec::new(),
        }
    }

    fn scope(&self, entries: &[Entry]) -> Scope {
        let mut told = entries.iter().filter_map(|entry| match &entry.phase {
            Phase::Made { scope, .. } => scope.get("account"),
            _ => None,
        });
        self.scope_here()
            .with("account", told.next().unwrap_or_default())
    }

    fn place(&self, scope: &Scope) -> String {
        scope.get("place").unwrap_or_default().to_owned()
    }

    fn owner_tag(&self) -> Option<String> {
        (!self.saved.is_untagged).then(|| "store".to_owned())
    }

    fn owner_ids(&self, _entries: &[Entry]) -> Vec<String> {
        let id = self.saved.machine_id.clone();
        Some(id).filter(|id| !id.is_empty()).into_iter().collect()
    }

    fn saved_resources(&self) -> Vec<Resource> {
        let instance = &self.saved.instance;
        let resource = Resource {
            step: None,
            name: "saved instance".into(),
            at: 0,
            intent: self.intent("instance", ""),
            made: true,
            id: Some(instance.clone()),
        };
        match instance.is_empty() {
            true => Vec::new(),
            false => vec![resource],
        }
    }

    fn id(&self) -> Option<String> {
        let id = &self.saved.instance;
        (!id.is_empty()).then(|| id.clone())
    }

    async fn states_of_store(
        &self,
        _cx: &Cx,
    ) -> Result<BTreeMap<String, Result<Status, DriverError>>, DriverError> {
        let (store, place) = (&self.store, self.saved.place.as_str());
        let asked = self.fake().call(format!("states in {place}"), |world| {
            let resources = world.resources.iter();
            let own = resources.filter(|(_, resource)| {
                resource.place == place && resource.store.as_ref() == Some(store)
            });
            own.map(|(id, resource)| (id.clone(), Ok(resource.state.into())))
                .collect()
        });
        Ok(asked.await?)
    }

    async fn end(&self, ids: &[String], _scope: &Scope, _cx: &Cx) -> Vec<String> {
        let asked = self.fake().call(format!("end {}", ids.len()), |world| {
            let ended = ids
                .iter()
                .filter(|id| world.resources.remove(*id).is_some());
            ended.cloned().collect()
        });
        asked.await.unwrap_or_default()
    }

    async fn states(&self, ids: &[String], _cx: &Cx) -> Vec<Result<Status, DriverError>> {
        let call = format!("states of {} in {}", ids.len(), self.saved.place);
        let asked = self.fake().call(call, |world| {
            let status = |id| match world.resources.get(id) {
                Some(resource) => Status {
                    state: resource.state,
                    addresses: Some(Addresses {
                        public: world.addresses.get(&resource.machine).cloned(),
                        ..Addresses::default()
                    }),
                    facts: Some(Facts {
                        zone: format!("{}-a", self.saved.place),
                        ..Facts::default()
                    }),
                },
                None => MachineState::Error.into(),
            };
            ids.iter().map(status).collect::<Vec<_>>()
        });
        match asked.await {
            Ok(states) => states.into_iter().map(Ok).collect(),
            Err(error) => {
                let text = error.to_string();
                let each = |_| Err(DriverError::new(DriverErrorKind::Unavailable, text.clone()));
                ids.iter().map(each).collect()
            }
        }
    }

    fn adopt(&mut self, addresses: &Addresses) -> bool {
        let saved = &mut self.saved.base.ip_address;
        match &addresses.public {
            Some(address) if address != saved => {
                saved.clone_from(address);
                true
            }
            _ => false,
        }
    }

    async fn examine_access(&self, _cx: &Cx) -> Vec<Check> {
        vec![Check::right("place", self.saved.place.as_str())]
    }

    async fn await_address(&mut self, _cx: &Cx) -> Result<(), DriverError> {
        Ok(())
    }

    async fn set_labels(&self, _labels: &[(String, String)], _cx: &Cx) -> Result<(), DriverError> {
        Err(labels_not_supported(self.name))
    }

    async fn left_behind(
        &self,
        owner: OwnedBy<'_>,
        _cx: &Cx,
    ) -> Result<Vec<LeftBehind>, DriverError> {
        let place = self.saved.place.as_str();
        let asked = self.fake().call(format!("list {place}"), |world| {
            let resources = world.resources.iter();
            let meant = resources.filter(|(_, resource)| {
                let store = resource.store.as_deref();
                resource.place == place
                    && store.is_some()
                    && (owner.store.is_none() || owner.store == store)
            });
            meant
                .map(|(id, resource)| (id.clone(), resource.clone()))
                .collect::<Vec<_>>()
        });
        let found = asked.await?.into_iter();
        Ok(found
            .map(|(id, found)| LeftBehind {
                resource: Resource {
                    step: None,
                    name: format!("left-over {}", found.kind),
                    at: found.created,
                    intent: self.intent(&found.kind, &found.key),
                    made: true,
                    id: Some(id),
                },
                is_named_by_key_pair: found.kind == "key-pair",
                store: found.store,
                owner_id: found.owner_id,
                name: found.machine.clone(),
                used: Some(found.created),
                machine: found.machine,
                state: found.state.to_string(),
                created: found.created,
            })
            .collect())
    }

    /// Removes a resource by its id, or by its key if the answer with the id was lost.
    async fn undo(&self, resource: &Resource, _cx: &Cx) -> Result<Undone, DriverError> {
        let (kind, key) = (&resource.intent.kind, &resource.intent.key);
        let removed = self.fake().call(format!("remove {kind}"), |world| {
            world.resources.retain(|id, found| match &resource.id {
                Some(known) => id != known,
                None => (&found.kind, &found.key) != (kind, key),
            });
        });
        removed.await?;
        Ok(Undone::Gone)
    }
}
