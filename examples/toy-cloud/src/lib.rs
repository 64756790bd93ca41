//! A minimal driver, as a starting point for new ones. Its cloud is a map in memory.
//!
//! Shows every part of a driver with a cloud once: its flags, its part of `config.json`, the launch as a journalled
//! step, and how launched servers are found and removed again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use machine_driver::*;
use machine_ops::{Cx, Entry, Intent, Made, Ownership, Resource, Scope, UndoOrder, Undone};
use machine_types::{MachineName, MachineState};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

const NAME: &str = "toy";

/// A server in the cloud, with its tags.
#[derive(Clone)]
struct Server {
    region: String,
    machine: String,
    store: String,
    state: MachineState,
    created: u64,
}

/// The driver kind, an entry of the driver table. Clones share the cloud: servers by their client token.
#[derive(Clone, Default)]
pub struct Toy(Arc<Mutex<BTreeMap<String, Server>>>);

impl Toy {
    fn servers(&self) -> MutexGuard<'_, BTreeMap<String, Server>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of servers.
    pub fn count(&self) -> usize {
        self.servers().len()
    }

    fn machine(&self, base: &Base, saved: Saved) -> Box<dyn Driver> {
        let (cloud, store) = (self.clone(), base.store_id.clone());
        Box::new(Machine {
            cloud,
            store,
            saved,
        })
    }
}

impl DriverKind for Toy {
    fn name(&self) -> &'static str {
        NAME
    }

    fn flags(&self) -> Vec<FlagSpec> {
        vec![FlagSpec::string("toy-region", "Region of the server").default_text("here")]
    }

    fn configure(&self, base: &Base, options: &Options) -> Result<Box<dyn Driver>, DriverError> {
        let saved = Saved {
            base: SavedBase::new(base),
            region: options.string("toy-region"),
            ..Saved::default()
        };
        Ok(self.machine(base, saved))
    }

    fn load(&self, base: &Base, saved: &Value) -> Result<Box<dyn Driver>, DriverError> {
        let saved = read_saved(saved);
        let saved = saved.map_err(|e| DriverError::new(DriverErrorKind::Configuration, e))?;
        Ok(self.machine(base, saved))
    }

    fn cloud(&self) -> Option<&dyn CloudKind> {
        Some(self)
    }
}

impl CloudKind for Toy {
    fn place_flags(&self) -> &'static [&'static str] {
        &["toy-region"]
    }

    fn saved_at(&self, name: &MachineName, scope: &Scope) -> Value {
        json!({"MachineName": name.as_str(), "Region": scope.get("region")})
    }

    fn consistency_window(&self) -> Duration {
        Duration::ZERO
    }
}

/// The `Driver` object of `config.json`, with fields of other versions.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Saved {
    #[serde(flatten)]
    base: SavedBase,
    region: String,
    token: String,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

struct Machine {
    cloud: Toy,
    store: String,
    saved: Saved,
}

impl Machine {
    fn state_of(&self, token: &str) -> MachineState {
        let servers = self.cloud.servers();
        servers.get(token).map_or(MachineState::Error, |s| s.state)
    }

    fn intent(&self, token: &str) -> Intent {
        Intent {
            driver: NAME.into(),
            kind: "server".into(),
            key: token.into(),
            ownership: Ownership::Ours,
            undo: UndoOrder::Reverse,
            scope: self.scope(&[]),
            detail: Value::Null,
        }
    }

    fn left_over(&self, token: &str, server: &Server) -> LeftBehind {
        LeftBehind {
            resource: Resource {
                step: None,
                name: "left-over server".into(),
                at: server.created,
                intent: self.intent(token),
                made: true,
                id: None,
            },
            store: Some(server.store.clone()),
            owner_id: None,
            name: server.machine.clone(),
            machine: server.machine.clone(),
            is_named_by_key_pair: true,
            state: server.state.to_string(),
            created: server.created,
            used: Some(server.created),
        }
    }
}

#[async_trait]
impl Driver for Machine {
    fn name(&self) -> &'static str {
        NAME
    }

    fn save(&self) -> Value {
        serde_json::to_value(&self.saved).unwrap_or_default()
    }

    fn access(&self) -> Access {
        Access::default() // Neither an address nor SSH: the machine is created, but not provisioned.
    }

    fn key_plan(&self) -> KeyPlan {
        KeyPlan::Nothing
    }

    async fn preflight(&mut self, _cx: &Cx) -> Result<(), DriverError> {
        Ok(())
    }

    async fn examine_plan(&self, cx: &Cx) -> Vec<Check> {
        self.examine_access(cx).await
    }

    async fn rehearse(&self, _cx: &Cx) -> Result<Plan, DriverError> {
        Ok(Plan::of_step(format!(
            "launch a server in {}",
            self.saved.region
        )))
    }

    async fn create(&mut self, _key: &KeyMaterial, cx: &Cx) -> Result<(), DriverError> {
        let token = format!("{:016x}", cx.ambient.random());
        let now = cx
            .ambient
            .now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let server = Server {
            region: self.saved.region.clone(),
            machine: self.saved.base.machine_name.clone(),
            store: self.store.clone(),
            state: MachineState::Running,
            created: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
        };
        // The intent is in the journal before the call; a lost answer would be StepFailure::Unknown, and the server
        // found by its token.
        let launch = async {
            self.cloud.servers().insert(token.clone(), server);
            Ok::<_, machine_ops::StepFailure<machine_ops::Injected>>(Made::plain(()))
        };
        cx.step("launch server", self.intent(&token), launch)
            .await?;
        self.saved.token = token;
        Ok(cx.journal.save_driver(&self.save())?)
    }

    async fn state(&self, _cx: &Cx) -> Result<Status, DriverError> {
        Ok(self.state_of(&self.saved.token).into())
    }

    async fn power(&mut self, action: Power, _cx: &Cx) -> Result<(), DriverError> {
        if let Some(server) = self.cloud.servers().get_mut(&self.saved.token) {
            server.state = match action {
                Power::Start | Power::Restart => MachineState::Running,
                Power::Stop | Power::Kill => MachineState::Stopped,
            };
        }
        Ok(())
    }

    fn cloud(&self) -> Option<&dyn Cloud> {
        Some(self)
    }

    fn cloud_mut(&mut self) -> Option<&mut dyn Cloud> {
        Some(self)
    }
}

#[async_trait]
impl Cloud for Machine {
    fn route(&self) -> Route {
        let (scope, credentials) = (self.scope(&[]), Vec::new());
        Route { scope, credentials }
    }

    fn scope(&self, _entries: &[Entry]) -> Scope {
        Scope::default().with("region", self.saved.region.as_str())
    }

    fn place(&self, scope: &Scope) -> String {
        scope.get("region").unwrap_or_default().to_owned()
    }

    fn owner_tag(&self) -> Option<String> {
        Some("store".into())
    }

    fn owner_ids(&self, _entries: &[Entry]) -> Vec<String> {
        Vec::new() // A server carries no id of its machine: the journal has its owner.
    }

    fn saved_resources(&self) -> Vec<Resource> {
        Vec::new() // Every machine of this driver has a journal.
    }

    fn id(&self) -> Option<String> {
        Some(self.saved.token.clone()).filter(|token| !token.is_empty())
    }

    async fn states(&self, ids: &[String], _cx: &Cx) -> Vec<Result<Status, DriverError>> {
        ids.iter().map(|id| Ok(self.state_of(id).into())).collect()
    }

    async fn examine_access(&self, _cx: &Cx) -> Vec<Check> {
        vec![Check::right("region", self.saved.region.as_str())]
    }

    async fn await_address(&mut self, _cx: &Cx) -> Result<(), DriverError> {
        Ok(())
    }

    async fn set_labels(&self, _labels: &[(String, String)], _cx: &Cx) -> Result<(), DriverError> {
        Err(labels_not_supported(NAME))
    }

    async fn left_behind(&self, by: OwnedBy<'_>, _cx: &Cx) -> Result<Vec<LeftBehind>, DriverError> {
        let servers = self.cloud.servers();
        let ours = servers.iter().filter(|(_, server)| {
            server.region == self.saved.region && by.store.is_none_or(|store| store == server.store)
        });
        Ok(ours
            .map(|(token, server)| self.left_over(token, server))
            .collect())
    }

    async fn undo(&self, resource: &Resource, _cx: &Cx) -> Result<Undone, DriverError> {
        self.cloud.servers().remove(&resource.intent.key);
        Ok(Undone::Gone)
    }
}
