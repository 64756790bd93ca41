//! The driver `none`: a URL of a Docker Engine that somebody else looks after.
//!
//! It makes nothing, so there is nothing to start, to stop or to leave behind. The cattle-ops
//! terraform module creates and removes such a machine only to have a CA made.

mod go_url;

use std::any::Any;

use async_trait::async_trait;
use machine_driver::{
    Base, Check, Driver, DriverError, DriverErrorKind, DriverKind, FlagSpec, KeyMaterial, KeyPlan,
    LABELS_NOT_SUPPORTED, LeftBehind, Options, OwnedBy, Restart, SavedBase, merge, read_saved,
};
use machine_ops::{Cx, Entry, Resource, Scope, Undone};
use machine_types::{DockerUrl, MachineState, SshEndpoint};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

const NAME: &str = "none";

/// What the driver cannot do, and why.
#[derive(Debug, thiserror::Error)]
enum NoneError {
    #[error("--url option is required when no driver is selected")]
    UrlMissing,
    #[error("parse {url:?}")]
    BadUrl {
        url: String,
        #[source]
        why: go_url::UrlError,
    },
    #[error("cannot read the saved configuration")]
    Saved(#[source] serde_json::Error),
    #[error("hosts without a driver cannot be {0}")]
    Cannot(&'static str),
    #[error("{LABELS_NOT_SUPPORTED}: {NAME}")]
    Labels,
}

impl NoneError {
    fn cannot(what: &'static str) -> DriverError {
        DriverError::new(DriverErrorKind::Unsupported, Self::Cannot(what))
    }
}

/// Makes drivers of the kind `none`.
#[derive(Debug, Clone, Copy)]
pub struct NoneKind;

#[async_trait]
impl DriverKind for NoneKind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn flags(&self) -> Vec<FlagSpec> {
        vec![FlagSpec::string(
            "url",
            "URL of host when no driver is selected",
        )]
    }

    fn configure(&self, base: &Base, options: &Options) -> Result<Box<dyn Driver>, DriverError> {
        let url = options.string("url");
        if url.is_empty() {
            return Err(DriverError::new(
                DriverErrorKind::Configuration,
                NoneError::UrlMissing,
            ));
        }
        if let Err(why) = go_url::check(&url) {
            return Err(DriverError::new(
                DriverErrorKind::Configuration,
                NoneError::BadUrl { url, why },
            ));
        }
        let mut saved = SavedNone {
            base: SavedBase::new(base),
            url,
        };
        saved.base.ip_address = authority(&saved.url).to_owned();
        Ok(Box::new(NoneDriver {
            saved,
            loaded: Map::new(),
        }))
    }

    fn load(&self, _base: &Base, saved: &Value) -> Result<Box<dyn Driver>, DriverError> {
        let loaded = saved.as_object().cloned().unwrap_or_default();
        let saved: SavedNone = read_saved(saved).map_err(|error| {
            DriverError::new(DriverErrorKind::Configuration, NoneError::Saved(error))
        })?;
        Ok(Box::new(NoneDriver { saved, loaded }))
    }

    async fn states(
        &self,
        drivers: &[&dyn Driver],
        _cx: &Cx,
    ) -> Vec<Result<MachineState, DriverError>> {
        drivers.iter().map(|_| Ok(MachineState::Running)).collect()
    }

    async fn examine_access(&self, _drivers: &[&dyn Driver], _cx: &Cx) -> Vec<Check> {
        Vec::new()
    }

    async fn left_behind(
        &self,
        _driver: &dyn Driver,
        _owner: OwnedBy<'_>,
        _cx: &Cx,
    ) -> Result<Vec<LeftBehind>, DriverError> {
        Ok(Vec::new())
    }
}

/// What `config.json` holds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct SavedNone {
    #[serde(flatten)]
    base: SavedBase,
    #[serde(rename = "URL")]
    url: String,
}

struct NoneDriver {
    saved: SavedNone,
    loaded: Map<String, Value>,
}

#[async_trait]
impl Driver for NoneDriver {
    fn name(&self) -> &'static str {
        NAME
    }

    fn save(&self) -> Value {
        merge(
            &self.loaded,
            serde_json::to_value(&self.saved).unwrap_or_default(),
        )
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    async fn preflight(&mut self, _cx: &Cx) -> Result<(), DriverError> {
        Ok(())
    }

    async fn examine_plan(&self, _cx: &Cx) -> Vec<Check> {
        vec![match self.docker_url() {
            Some(url) => Check::right("url", url.to_string()),
            None => Check::notable(
                "url",
                format!(
                    "{:?} is kept as it is, and cannot be connected to",
                    self.saved.url
                ),
                "give tcp://HOST:PORT, unless the machine is only there to have certificates made",
            ),
        }]
    }

    fn key_plan(&self) -> KeyPlan {
        KeyPlan::Nothing
    }

    async fn rehearse(&self, _cx: &Cx) -> Result<Vec<String>, DriverError> {
        Ok(vec![format!("use the engine at {}", self.saved.url)])
    }

    async fn create(&mut self, _key: &KeyMaterial, _cx: &Cx) -> Result<(), DriverError> {
        Ok(())
    }

    async fn relaunch(&mut self, _ended: &DriverError, _cx: &Cx) -> Result<bool, DriverError> {
        Ok(false)
    }

    async fn await_address(&mut self, _cx: &Cx) -> Result<(), DriverError> {
        Ok(())
    }

    async fn ended(&self, _cx: &Cx) -> Option<DriverError> {
        None
    }

    async fn diagnose(&self, _cx: &Cx) -> Option<String> {
        None
    }

    async fn state(&self, _cx: &Cx) -> Result<MachineState, DriverError> {
        Ok(MachineState::Running)
    }

    fn saved_address(&self) -> Option<String> {
        Some(self.saved.base.ip_address.clone())
    }

    fn docker_url(&self) -> Option<DockerUrl> {
        DockerUrl::parse(&self.saved.url)
    }

    fn docker_host(&self) -> Option<String> {
        Some(self.saved.url.clone())
    }

    fn ssh(&self) -> Option<SshEndpoint> {
        None
    }

    async fn start(&mut self, _cx: &Cx) -> Result<(), DriverError> {
        Err(NoneError::cannot("started"))
    }

    async fn stop(&mut self, _cx: &Cx) -> Result<(), DriverError> {
        Err(NoneError::cannot("stopped"))
    }

    async fn kill(&mut self, _cx: &Cx) -> Result<(), DriverError> {
        Err(NoneError::cannot("killed"))
    }

    async fn restart(&mut self, _cx: &Cx) -> Result<Restart, DriverError> {
        Err(NoneError::cannot("restarted"))
    }

    async fn set_labels(&self, _labels: &[(String, String)], _cx: &Cx) -> Result<(), DriverError> {
        Err(DriverError::new(
            DriverErrorKind::Unsupported,
            NoneError::Labels,
        ))
    }

    fn owner_tag(&self) -> Option<String> {
        None
    }

    fn owner_ids(&self, _entries: &[Entry]) -> Vec<String> {
        Vec::new()
    }

    fn scope(&self) -> Scope {
        Scope::default()
    }

    fn saved_resources(&self) -> Vec<Resource> {
        Vec::new()
    }

    async fn undo(&self, _resource: &Resource, _cx: &Cx) -> Result<Undone, DriverError> {
        Ok(Undone::Gone)
    }
}

/// Returns what stands between `//` and the next `/`, as Go's `url.Parse` calls the host: with
/// its port. A URL without `//` has none.
fn authority(url: &str) -> &str {
    let rest = url.split_once("//").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host)
}
