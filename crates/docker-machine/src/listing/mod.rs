//! Output of `ls`: selection, order and format of the machines. Performs no I/O of its own.

use std::time::Duration;

use machine_driver::Options;

use crate::failure::Failure;

pub(crate) mod filter;
pub(crate) mod format;
pub(crate) mod order;
mod pattern;
pub(crate) mod table;

/// Returns `--timeout`, which is in seconds.
///
/// # Errors
/// Fails for a negative value.
pub(crate) fn timeout(options: &Options) -> Result<Duration, Failure> {
    let seconds = options.int("timeout");
    u64::try_from(seconds)
        .map(Duration::from_secs)
        .map_err(|_| {
            Failure::new(format!(
                "invalid value \"{seconds}\" for flag -timeout: expected a number of seconds, such as 10"
            ))
        })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use libmachine::{Active, HostOptions, ListItem, MachineRecord};
    use machine_driver::Facts;
    use machine_types::MachineState;
    use serde_json::json;

    fn record(name: &str) -> MachineRecord {
        let mut options = HostOptions::default();
        options.swarm_options.discovery = "token://a".into();
        options.swarm_options.master = true;
        options.engine_options.labels = Some(vec!["a=b".into(), "c=d".into()]);
        MachineRecord::new(&name.parse().unwrap(), "none", json!({}), options)
    }

    pub(crate) fn item(name: &str) -> ListItem {
        ListItem {
            name: name.into(),
            active: Active::No,
            driver: "none".into(),
            state: MachineState::Running,
            url: "tcp://127.0.0.1:23761".into(),
            record: Some(record(name)),
            swarm_master: Some("swm".into()),
            docker: None,
            broken: false,
            error: String::new(),
            response_time: Duration::from_micros(12_345),
            instance_id: "i-1".into(),
            facts: Facts {
                instance_type: "t3.medium".into(),
                zone: "zone-a".into(),
                is_spot: true,
                created: None,
            },
            age: Some(Duration::from_secs(273_600)),
            is_unknown: false,
        }
    }

    pub(crate) fn broken(name: &str) -> ListItem {
        ListItem {
            active: Active::Unknown,
            driver: "not found".into(),
            state: MachineState::Error,
            url: String::new(),
            record: None,
            swarm_master: None,
            broken: true,
            error: "cannot be read".into(),
            instance_id: String::new(),
            facts: Facts::default(),
            age: None,
            ..item(name)
        }
    }
}
