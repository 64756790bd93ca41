//! A test's view of a simulated host, with its controls.

use std::path::Path;
use std::sync::Arc;

use super::counters::Counts;
use super::host::{Host, lock};
use super::options::HostOptions;
use crate::hosts::HostSpec;

/// A simulated host from outside. Clones refer to the same host.
#[derive(Debug, Clone)]
pub struct HostView(Arc<Host>);

impl HostView {
    pub(super) fn new(host: Arc<Host>) -> Self {
        Self(host)
    }

    /// Returns the counters of the host.
    #[must_use]
    pub fn counts(&self) -> Counts {
        lock(&self.0.counts).clone()
    }

    /// Returns the directory that is the host's root.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.0.root
    }

    /// Returns the endpoint's data about the instance at the last boot.
    #[must_use]
    pub fn spec(&self) -> HostSpec {
        self.0.spec()
    }

    /// Returns sshd's public host key in OpenSSH format.
    #[must_use]
    pub fn host_key(&self) -> String {
        self.0
            .host_key()
            .public_key()
            .to_openssh()
            .unwrap_or_default()
    }

    /// Changes the host's options from now on. Options that are read at boot take effect at the next boot.
    pub fn change(&self, change: impl FnOnce(&mut HostOptions)) {
        change(&mut self.0.options());
    }

    /// Returns whether the host is on.
    pub fn is_on(&self) -> bool {
        self.0.gates().is_some()
    }

    /// Makes sshd listen now. No effect on a host that is off.
    pub fn let_listen(&self) {
        self.0.gates().inspect(|gates| gates.listens.open());
    }
}
