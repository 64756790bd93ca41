//! The very script, run by this machine's shells on a host that is a directory.

mod boot;
mod configuration;
mod daemon_json;
mod families;
mod firewall;
mod first_run;
mod host;
mod root;
mod second_run;
mod systemd;
mod trouble;
mod upgrade;
