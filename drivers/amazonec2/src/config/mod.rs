//! Flags, their values, and this driver's part of `config.json`.

pub(crate) mod cli_region;
pub(crate) mod configure;
pub(crate) mod create_options;
pub(crate) mod error;
pub(crate) mod flag_values;
pub(crate) mod flags;
pub(crate) mod region;
pub(crate) mod root_volume;
pub(crate) mod saved;
pub(crate) mod tags;
pub(crate) mod user_data;
