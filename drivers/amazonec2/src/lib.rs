//! The driver `amazonec2`: a machine is an EC2 instance.
//!
//! Owns all that is Amazon's: flags, credentials, the client, the launch and its undoing, and the
//! form of its part of `config.json`. Refuses SSH, prompts and files of the store, but for two small records
//! that its processes share: where there was no capacity, and the token buckets of EC2's API. The one place of the shipped binary that uses the AWS SDK; called by
//! `libmachine` through the traits of `machine-driver`.

mod api;
mod config;
mod inspect;
mod launch;
mod lifecycle;
mod machine;
mod network;
mod recovery;
mod states;

use async_trait::async_trait;
use machine_driver::{
    Base, Check, Driver, DriverError, DriverKind, FlagSpec, LeftBehind, Options, OwnedBy,
};
use machine_ops::Cx;
use machine_types::MachineState;
use serde_json::{Map, Value};

use crate::config::configure::Wishes;
use crate::config::saved::Saved;
use crate::machine::Machine;

const NAME: &str = "amazonec2";

/// Makes machines of the driver `amazonec2`.
#[derive(Debug, Clone, Copy)]
pub struct AmazonEc2;

#[async_trait]
impl DriverKind for AmazonEc2 {
    fn name(&self) -> &'static str {
        NAME
    }

    fn flags(&self) -> Vec<FlagSpec> {
        config::flags::flags()
    }

    fn configure(&self, base: &Base, options: &Options) -> Result<Box<dyn Driver>, DriverError> {
        let (saved, wishes) = config::configure::configure(base, options)?;
        Ok(Box::new(Machine::new(base, saved, wishes, Map::new())))
    }

    fn load(&self, base: &Base, saved: &Value) -> Result<Box<dyn Driver>, DriverError> {
        let loaded = saved.as_object().cloned().unwrap_or_default();
        let saved = Saved::read(saved)?;
        Ok(Box::new(Machine::new(
            base,
            saved,
            Wishes::default(),
            loaded,
        )))
    }

    async fn states(
        &self,
        drivers: &[&dyn Driver],
        cx: &Cx,
    ) -> Vec<Result<MachineState, DriverError>> {
        states::states(drivers, cx).await
    }

    async fn examine_access(&self, drivers: &[&dyn Driver], cx: &Cx) -> Vec<Check> {
        inspect::doctor::access(drivers, cx).await
    }

    async fn left_behind(
        &self,
        driver: &dyn Driver,
        owner: OwnedBy<'_>,
        cx: &Cx,
    ) -> Result<Vec<LeftBehind>, DriverError> {
        match driver.as_any().downcast_ref::<Machine>() {
            Some(machine) => machine.left_behind(owner, cx).await,
            None => Ok(Vec::new()),
        }
    }
}
