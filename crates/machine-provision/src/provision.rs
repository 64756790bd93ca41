//! The use-cases: provision, upgrade, detect.

use machine_flow::Cx;

use crate::{Os, Plan, ProvisionError, Remote, Report};

/// Makes a host into what the plan says: what differs is changed, and the engine is restarted only
/// if something did. One command over the remote; a second one where the host's `daemon.json` or
/// its lack of a way out asks for an answer from here.
///
/// # Errors
/// [`ProvisionError`]. What was done before stays; a repeated call goes on from there.
pub async fn provision(
    _remote: &dyn Remote,
    _plan: &Plan,
    _cx: &Cx,
) -> Result<Report, ProvisionError> {
    todo!()
}

/// Moves the host's Docker to the newest release, or to the plan's, then provisions it.
///
/// # Errors
/// As [`provision`].
pub async fn upgrade(
    _remote: &dyn Remote,
    _plan: &Plan,
    _cx: &Cx,
) -> Result<Report, ProvisionError> {
    todo!()
}

/// Finds out what a host runs, and changes nothing. `machine` is for errors.
///
/// # Errors
/// As [`provision`].
pub async fn detect(_remote: &dyn Remote, _machine: &str, _cx: &Cx) -> Result<Os, ProvisionError> {
    todo!()
}
