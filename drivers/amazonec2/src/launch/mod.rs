//! Launching: image, key pair, tags, candidates, RunInstances and CreateFleet.

pub(crate) mod attempts;
pub(crate) mod candidates;
pub(crate) mod capacity_cache;
pub(crate) mod fleet;
pub(crate) mod fleet_attempts;
pub(crate) mod fleet_error;
pub(crate) mod fleet_launch;
pub(crate) mod image;
pub(crate) mod key_pair;
pub(crate) mod lost;
pub(crate) mod request;
pub(crate) mod run_instances;
pub(crate) mod spot_requests;
pub(crate) mod tags;
pub(crate) mod tries;
