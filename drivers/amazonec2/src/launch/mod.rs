//! Launching: image, key pair, tags, candidates, RunInstances and CreateFleet.

pub(crate) mod attempts;
pub(crate) mod candidates;
pub(crate) mod capacity_cache;
pub(crate) mod client_token;
pub(crate) mod concessions;
pub(crate) mod create_tags;
pub(crate) mod error;
pub(crate) mod fleet;
pub(crate) mod image;
pub(crate) mod image_facts;
pub(crate) mod key_pair;
pub(crate) mod launched;
pub(crate) mod lost;
pub(crate) mod outcome;
pub(crate) mod preflight_cache;
pub(crate) mod root_volume;
pub(crate) mod run_instances;
pub(crate) mod spot_requests;
pub(crate) mod tags;
