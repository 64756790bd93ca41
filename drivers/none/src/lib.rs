//! The driver `none`: the URL of a Docker Engine that is managed elsewhere.
//!
//! Owns that URL. It creates nothing, so there is nothing to start, to stop or to leave behind. The cattle-ops terraform
//! module creates and removes such a machine only to have a CA created. `libmachine` calls it through the traits of
//! `machine-driver`.
//!
//! ```
//! use driver_none::NoneKind;
//! use machine_driver::DriverKind;
//!
//! assert!(NoneKind.cloud().is_none());
//! assert!(NoneKind.flags().iter().any(|flag| flag.name == "url"));
//! ```

mod go_url;

use async_trait::async_trait;
use machine_driver::{
    Access, Base, Check, Cloud, CloudKind, Driver, DriverError, DriverErrorKind, DriverKind,
    FlagSpec, KeyMaterial, KeyPlan, Options, Plan, Power, SavedBase, Status, merge, read_saved,
};
use machine_ops::Cx;
use machine_types::{DockerUrl, MachineState};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

const NAME: &str = "none";

/// Errors of the driver.
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
}

/// The driver kind `none`.
#[derive(Debug, Clone, Copy)]
pub struct NoneKind;

impl DriverKind for NoneKind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn examples(&self) -> &'static [&'static str] {
        &["docker-machine create -d none --url tcp://10.0.0.6:2376 m2"]
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

    fn cloud(&self) -> Option<&dyn CloudKind> {
        None
    }
}

/// The driver's part of `config.json`.
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

    fn access(&self) -> Access {
        Access {
            address: Some(self.saved.base.ip_address.clone()),
            docker_host: Some(self.saved.url.clone()),
            ..Access::default()
        }
    }

    async fn preflight(&mut self, _cx: &Cx) -> Result<(), DriverError> {
        Ok(())
    }

    async fn examine_plan(&self, _cx: &Cx) -> Vec<Check> {
        vec![match DockerUrl::parse(&self.saved.url) {
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

    async fn rehearse(&self, _cx: &Cx) -> Result<Plan, DriverError> {
        Ok(Plan::of_step(format!(
            "use the engine at {}",
            self.saved.url
        )))
    }

    async fn create(&mut self, _key: &KeyMaterial, _cx: &Cx) -> Result<(), DriverError> {
        Ok(())
    }

    async fn state(&self, _cx: &Cx) -> Result<Status, DriverError> {
        Ok(MachineState::Running.into())
    }

    async fn power(&mut self, action: Power, _cx: &Cx) -> Result<(), DriverError> {
        let what = match action {
            Power::Start => "started",
            Power::Stop => "stopped",
            Power::Kill => "killed",
            Power::Restart => "restarted",
        };
        let error = NoneError::Cannot(what);
        Err(DriverError::new(DriverErrorKind::Unsupported, error))
    }

    fn cloud(&self) -> Option<&dyn Cloud> {
        None
    }

    fn cloud_mut(&mut self) -> Option<&mut dyn Cloud> {
        None
    }
}

/// Returns the text between `//` and the next `/`, which Go's `url.Parse` calls the host: including its port. A URL
/// without `//` has none.
fn authority(url: &str) -> &str {
    let rest = url.split_once("//").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host)
}
