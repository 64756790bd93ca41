//! The driver `amazonec2`: a machine is an EC2 instance.
//!
//! Implements everything specific to Amazon: flags, credentials, the client, the launch and its undo, and its part of
//! `config.json`. Does not use SSH, prompts or files of the store, except for small caches that its processes share:
//! capacity, pre-flight results, and the token buckets of EC2's API. It is the only crate of the shipped binary that
//! uses the AWS SDK. `libmachine` calls it through the traits of `machine-driver`.
//!
//! ```
//! use driver_amazonec2::AmazonEc2;
//! use machine_driver::DriverKind;
//!
//! assert_eq!(AmazonEc2.name(), "amazonec2");
//! assert!(AmazonEc2.flags().iter().any(|flag| flag.name == "amazonec2-region"));
//! ```

mod api;
mod config;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod inspect;
mod instance;
mod launch;
mod lifecycle;
mod machine;
mod network;
mod recovery;

use std::time::Duration;

use machine_driver::{Base, CloudKind, Driver, DriverError, DriverKind, FlagSpec, Options};
use machine_ops::Scope;
use machine_types::MachineName;
use serde_json::{Map, Value, json};

use crate::config::cli_region::cli_region;
use crate::config::configure::configure;
use crate::config::create_options::CreateOptions;
use crate::config::saved::Saved;
use crate::machine::Machine;

const NAME: &str = "amazonec2";

/// The driver `amazonec2`.
#[derive(Debug, Clone, Copy)]
pub struct AmazonEc2;

impl DriverKind for AmazonEc2 {
    fn name(&self) -> &'static str {
        NAME
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            "docker-machine create -d amazonec2 --amazonec2-region eu-west-1 m1",
            "docker-machine create -d amazonec2 --amazonec2-request-spot-instance m1",
            "docker-machine create -d amazonec2 --dry-run m1",
        ]
    }

    fn other_names(&self) -> &'static [&'static str] {
        &["amazon", "aws", "aws-ec2", "ec2"]
    }

    fn flag_synonyms(&self) -> &'static [(&'static str, &'static [&'static str])] {
        // The names of the AWS CLI and of Terraform, among others.
        &[
            (
                "request-spot-instance",
                &["spot", "spot-instance", "request-spot", "use-spot-instance"],
            ),
            ("ami", &["ami-id", "image", "image-id"]),
            ("instance-type", &["type"]),
            ("keypair-name", &["key-name"]),
            ("root-size", &["disk-size", "volume-size"]),
            ("security-group", &["security-groups", "sg"]),
            ("userdata", &["user-data"]),
            ("subnet-id", &["subnet"]),
        ]
    }

    fn flags(&self) -> Vec<FlagSpec> {
        config::flags::flags()
    }

    fn configure(&self, base: &Base, options: &Options) -> Result<Box<dyn Driver>, DriverError> {
        let (saved, create_options) = configure(base, options, cli_region())?;
        Ok(Box::new(Machine::new(
            base,
            saved,
            create_options,
            Map::new(),
        )))
    }

    fn load(&self, base: &Base, saved: &Value) -> Result<Box<dyn Driver>, DriverError> {
        let loaded = saved.as_object().cloned().unwrap_or_default();
        let saved = Saved::read(saved)?;
        Ok(Box::new(Machine::new(
            base,
            saved,
            CreateOptions::default(),
            loaded,
        )))
    }

    fn cloud(&self) -> Option<&dyn CloudKind> {
        Some(self)
    }
}

impl CloudKind for AmazonEc2 {
    fn place_flags(&self) -> &'static [&'static str] {
        &["amazonec2-region", "amazonec2-endpoint"]
    }

    fn is_scope_in_environment(&self) -> bool {
        cli_region().is_some()
    }

    fn saved_at(&self, name: &MachineName, scope: &Scope) -> Value {
        json!({
            "MachineName": name.as_str(),
            "Region": api::scope::region(scope),
            "Endpoint": api::scope::endpoint(scope),
        })
    }

    /// Returns `true`: docker-machine 0.17 wrote journals before their entries named a driver, and only this driver
    /// made resources then.
    fn owns_unnamed_entries(&self) -> bool {
        true
    }

    fn consistency_window(&self) -> Duration {
        api::consistency::CONSISTENCY_WINDOW
    }
}
