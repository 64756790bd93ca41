//! The use cases' interface to any driver: the parts of [`Access`](crate::Access) and [`Power`] by their names, and
//! the result of each call for a driver without a cloud.

use machine_ops::{Cx, Entry, Resource, Undone};
use machine_types::{DockerUrl, MachineState, SshEndpoint};

use crate::{Driver, DriverError, DriverErrorKind, LeftBehind, OwnedBy, Power, Status};

/// The text that GitLab Runner looks for on standard error to stop setting labels (`ErrLabelsNotSupported` in its
/// `helpers/docker`).
pub const LABELS_NOT_SUPPORTED: &str = "driver does not support labels";

/// How a restart continues after the driver's part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// The cloud restarts the machine.
    Asked,
    /// The caller runs this command over SSH: the driver has no other way.
    Command(&'static str),
}

/// The error for setting labels with a driver whose machines have none.
#[derive(Debug, thiserror::Error)]
#[error("{LABELS_NOT_SUPPORTED}: {0}")]
struct NoLabels(&'static str);

/// Returns the error of a driver whose machines have no labels.
pub fn labels_not_supported(driver: &'static str) -> DriverError {
    DriverError::new(DriverErrorKind::Unsupported, NoLabels(driver))
}

impl dyn Driver + '_ {
    /// Returns the saved address, if there is one. Makes no network call.
    pub fn saved_address(&self) -> Option<String> {
        self.access().address
    }

    /// Returns `DOCKER_HOST` for the machine, if known. Makes no network call.
    pub fn docker_host(&self) -> Option<String> {
        self.access().docker_host
    }

    /// Returns the address of the engine, if known. Makes no network call.
    pub fn docker_url(&self) -> Option<DockerUrl> {
        DockerUrl::parse(&self.docker_host()?)
    }

    /// Returns the SSH address and login name. Makes no network call.
    pub fn ssh(&self) -> Option<SshEndpoint> {
        self.access().ssh
    }

    /// Starts the machine.
    ///
    /// # Errors
    /// Same as [`Driver::power`].
    pub async fn start(&mut self, cx: &Cx) -> Result<(), DriverError> {
        self.power(Power::Start, cx).await
    }

    /// Shuts the machine down.
    ///
    /// # Errors
    /// Same as [`Driver::power`].
    pub async fn stop(&mut self, cx: &Cx) -> Result<(), DriverError> {
        self.power(Power::Stop, cx).await
    }

    /// Forces an immediate power-off.
    ///
    /// # Errors
    /// Same as [`Driver::power`].
    pub async fn kill(&mut self, cx: &Cx) -> Result<(), DriverError> {
        self.power(Power::Kill, cx).await
    }

    /// Requests a restart, or returns the command that performs it.
    ///
    /// # Errors
    /// Same as [`Driver::power`].
    pub async fn restart(&mut self, cx: &Cx) -> Result<Restart, DriverError> {
        match self.access().restart_command {
            Some(command) => Ok(Restart::Command(command)),
            None => {
                self.power(Power::Restart, cx).await?;
                Ok(Restart::Asked)
            }
        }
    }

    /// Waits for the address; without a cloud, returns at once.
    ///
    /// # Errors
    /// Same as [`Cloud::await_address`](crate::Cloud::await_address).
    pub async fn await_address(&mut self, cx: &Cx) -> Result<(), DriverError> {
        match self.cloud_mut() {
            Some(cloud) => cloud.await_address(cx).await,
            None => Ok(()),
        }
    }

    /// Replaces the saved address of a running machine if the machine has another one. Returns whether it replaced it;
    /// without a cloud, `false`.
    pub fn adopt(&mut self, status: &Status) -> bool {
        match (&status.addresses, self.cloud_mut()) {
            (Some(addresses), Some(cloud)) if status.state == MachineState::Running => {
                cloud.adopt(addresses)
            }
            _ => false,
        }
    }

    /// Checks whether the machine has ended by itself; without a cloud, returns `None`.
    pub async fn ended(&self, cx: &Cx) -> Option<DriverError> {
        self.cloud()?.ended(cx).await
    }

    /// Launches the machine elsewhere; without a cloud, returns `false`.
    ///
    /// # Errors
    /// Same as [`Cloud::relaunch`](crate::Cloud::relaunch).
    pub async fn relaunch(&mut self, ended: &DriverError, cx: &Cx) -> Result<bool, DriverError> {
        match self.cloud_mut() {
            Some(cloud) => cloud.relaunch(ended, cx).await,
            None => Ok(false),
        }
    }

    /// Returns more information about a machine that does not answer; without a cloud, `None`.
    pub async fn diagnose(&self, cx: &Cx) -> Option<String> {
        self.cloud()?.diagnose(cx).await
    }

    /// Sets labels on the machine.
    ///
    /// # Errors
    /// [`labels_not_supported`] without a cloud; otherwise same as [`Cloud::set_labels`](crate::Cloud::set_labels).
    pub async fn set_labels(
        &self,
        labels: &[(String, String)],
        cx: &Cx,
    ) -> Result<(), DriverError> {
        match self.cloud() {
            Some(cloud) => cloud.set_labels(labels, cx).await,
            None => Err(labels_not_supported(self.name())),
        }
    }

    /// Returns the key of the tag that names the owning store; without a cloud, `None`.
    pub fn owner_tag(&self) -> Option<String> {
        self.cloud()?.owner_tag()
    }

    /// Returns the ids that resources of this machine carry in a tag; without a cloud, none.
    pub fn owner_ids(&self, entries: &[Entry]) -> Vec<String> {
        let cloud = self.cloud();
        cloud
            .map(|cloud| cloud.owner_ids(entries))
            .unwrap_or_default()
    }

    /// Returns the resources that the saved configuration names; without a cloud, none.
    pub fn saved_resources(&self) -> Vec<Resource> {
        let cloud = self.cloud();
        cloud
            .map(|cloud| cloud.saved_resources())
            .unwrap_or_default()
    }

    /// Lists the resources that carry an owner's tags in the machine's scope; without a cloud, none.
    ///
    /// # Errors
    /// Same as [`Cloud::left_behind`](crate::Cloud::left_behind).
    pub async fn left_behind(
        &self,
        owner: OwnedBy<'_>,
        cx: &Cx,
    ) -> Result<Vec<LeftBehind>, DriverError> {
        match self.cloud() {
            Some(cloud) => cloud.left_behind(owner, cx).await,
            None => Ok(Vec::new()),
        }
    }

    /// Removes one resource. A resource of another driver stays in the journal, and so does every resource if there
    /// is no cloud.
    ///
    /// # Errors
    /// Same as [`Cloud::undo`](crate::Cloud::undo).
    pub async fn undo(&self, resource: &Resource, cx: &Cx) -> Result<Undone, DriverError> {
        let (made_by, own) = (resource.intent.driver.as_str(), self.name());
        if !made_by.is_empty() && made_by != own {
            let why = format!("the driver {made_by} made it, and the machine's driver is {own}");
            return Ok(Undone::Unresolved(why));
        }
        match self.cloud() {
            Some(cloud) => cloud.undo(resource, cx).await,
            None => {
                let why = format!("the driver {own} has no cloud to remove it from");
                Ok(Undone::Unresolved(why))
            }
        }
    }

    /// Describes a resource for display: its kind, its id and its scope.
    pub fn describe(&self, resource: &Resource) -> String {
        let kind = resource.intent.kind.replace('-', " ");
        let key = &resource.intent.key;
        let name = match &resource.id {
            Some(id) => id.clone(),
            None if resource.made => key.clone(),
            None => format!("{key} (it may never have been made)"),
        };
        let scope = &resource.intent.scope;
        match self.cloud().map(|cloud| cloud.place(scope)) {
            Some(place) if !place.is_empty() => format!("{kind} {name} in {place}"),
            _ => format!("{kind} {name}"),
        }
    }
}
