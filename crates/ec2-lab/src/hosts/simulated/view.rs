//! What a test sees of a simulated host, and the switches it may turn.

use std::path::Path;
use std::sync::Arc;

use super::counters::Counts;
use super::host::{Host, lock};
use super::options::HostOptions;
use crate::hosts::HostSpec;

/// A simulated host from outside. Clones see the same host.
#[derive(Debug, Clone)]
pub struct HostView(Arc<Host>);

impl HostView {
    pub(super) fn new(host: Arc<Host>) -> Self {
        Self(host)
    }

    /// What the host counted so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.0.counters.read()
    }

    /// The directory that is the host's root.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.0.root
    }

    /// What the endpoint said of the instance at the last boot.
    #[must_use]
    pub fn spec(&self) -> HostSpec {
        self.0.spec()
    }

    /// sshd's public host key in OpenSSH format.
    #[must_use]
    pub fn host_key(&self) -> String {
        self.0
            .host_key()
            .public_key()
            .to_openssh()
            .unwrap_or_default()
    }

    /// The console's text.
    #[must_use]
    pub fn console(&self) -> String {
        lock(&self.0.console).clone()
    }

    /// The lines of the journal of Docker's service.
    #[must_use]
    pub fn docker_journal(&self) -> Vec<String> {
        let entries = self.0.journal.tail(Some(super::docker_service::UNIT), None);
        entries.into_iter().map(|entry| entry.text).collect()
    }

    /// Changes the host from now on. What is read at boot counts from the next boot.
    pub fn change(&self, change: impl FnOnce(&mut HostOptions)) {
        change(&mut self.0.options());
    }

    /// Tells whether the host is on.
    pub fn is_on(&self) -> bool {
        self.0.gates().is_some()
    }

    /// Lets sshd listen now. No effect on a host that is off, here and below.
    pub fn let_listen(&self) {
        self.0.gates().inspect(|gates| gates.listens.open());
    }

    /// Lets sshd say its identification string now.
    pub fn let_greet(&self) {
        self.0.gates().inspect(|gates| gates.greets.open());
    }

    /// Puts the key into `authorized_keys` now.
    pub fn let_in(&self) {
        self.0.gates().inspect(|gates| gates.accepts_key.open());
    }

    /// Ends cloud-init now.
    pub fn end_cloud_init(&self) {
        self.0.gates().inspect(|gates| gates.cloud_init_done.open());
    }

    /// Cuts all SSH connections of the moment; the host runs on.
    pub fn cut_connections(&self) {
        self.0.cut_connections();
    }
}
