//! Arguments and child processes of ssh, scp, mount.

pub(crate) mod child;
pub(crate) mod known_hosts;
pub(crate) mod location;
pub(crate) mod ssh_options;
