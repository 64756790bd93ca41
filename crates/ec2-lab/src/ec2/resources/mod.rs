//! Resources of EC2, the state that holds them, and what the calls do to them.

pub(crate) mod addresses;
pub(crate) mod config;
pub(crate) mod describe_instances;
pub(crate) mod fleet;
pub(crate) mod groups;
pub(crate) mod images;
pub(crate) mod instances;
pub(crate) mod interfaces;
pub(crate) mod keys;
pub(crate) mod launch;
pub(crate) mod life;
pub(crate) mod placement;
pub(crate) mod power;
pub(crate) mod rules;
pub(crate) mod spot;
pub(crate) mod state;
pub(crate) mod tags;
pub(crate) mod templates;
pub(crate) mod types;
pub(crate) mod volumes;
pub(crate) mod vpc;
