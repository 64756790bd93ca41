//! The settings of the docker+machine executor, and of this program's fleeting plugin, in GitLab Runner's configuration
//! file, `config.toml`.
//!
//! Names, defaults and meanings are those of GitLab Runner 19.4 (`common/config.go`). Reads no tokens and no other
//! settings of the file, and tolerates keys that it does not know.

mod autoscaler;
mod periods;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;

pub use autoscaler::{AutoscalerSection, autoscaler_sections};

/// The executor whose settings this module reads.
pub const EXECUTOR: &str = "docker+machine";

/// The executors that use fleeting plugins.
const PLUGIN_EXECUTORS: [&str; 2] = ["docker-autoscaler", "instance"];

/// The name of this program as a fleeting plugin. The prefix is optional in a configuration.
const PLUGIN: &str = "fleeting-plugin-docker-machine";

/// Maximum size of a configuration file in bytes, against special files that do not end.
const LIMIT: u64 = 16 << 20;

/// A configuration file of GitLab Runner.
#[derive(Clone, Default, Deserialize)]
#[serde(default, expecting = "a table")]
pub struct RunnerConfig {
    /// Settings of the executor for all runners.
    pub machine: ExecutorSettings,
    /// The `[[runners]]` sections, in the order of the file.
    pub runners: Vec<Runner>,
}

/// The table `[machine]`.
#[derive(Clone, Default, Deserialize)]
#[serde(default, expecting = "a table")]
pub struct ExecutorSettings {
    /// Removal of idle machines when GitLab Runner ends.
    pub shutdown_drain: ShutdownDrain,
}

/// The table `[machine.shutdown_drain]`.
#[derive(Clone, Default, Deserialize)]
#[serde(default, expecting = "a table")]
pub struct ShutdownDrain {
    /// Whether idle machines are removed.
    pub enabled: bool,
}

/// A `[[runners]]` section.
#[derive(Clone, Default, Deserialize)]
#[serde(default, expecting = "a table")]
pub struct Runner {
    /// Description of the runner.
    pub name: String,
    /// Name of the executor.
    pub executor: String,
    /// Maximum number of machines and of jobs; 0 is unlimited.
    pub limit: i64,
    /// The settings of the executor docker+machine.
    pub machine: MachineSettings,
    /// The settings of the executors docker-autoscaler and instance.
    pub autoscaler: AutoscalerSettings,
}

/// The table `[runners.autoscaler]`.
#[derive(Clone, Default, Deserialize)]
#[serde(default, expecting = "a table")]
pub struct AutoscalerSettings {
    /// Name or path of the plugin.
    pub plugin: String,
    /// The table `plugin_config`, as the plugin receives it. May contain secrets.
    pub plugin_config: serde_json::Map<String, serde_json::Value>,
}

impl RunnerConfig {
    /// Returns the sections with the executor docker+machine, each with its name for messages.
    pub fn docker_machine_runners(&self) -> impl Iterator<Item = (String, &Runner)> {
        self.named_runners()
            .filter(|(_, runner)| runner.executor == EXECUTOR)
    }

    /// Returns the sections with this program as their plugin, each with its name for messages.
    pub fn plugin_runners(&self) -> impl Iterator<Item = (String, &Runner)> {
        self.named_runners().filter(|(_, runner)| {
            let plugin = runner.autoscaler.plugin.rsplit('/').next();
            ["docker-machine", PLUGIN].contains(&plugin.unwrap_or_default())
                && PLUGIN_EXECUTORS.contains(&runner.executor.as_str())
        })
    }

    fn named_runners(&self) -> impl Iterator<Item = (String, &Runner)> {
        let numbered = (1..).zip(&self.runners);
        numbered.map(|(number, runner)| match runner.name.as_str() {
            "" => (format!("number {number}"), runner),
            name => (name.to_owned(), runner),
        })
    }
}

/// The table `[runners.machine]`.
#[derive(Clone, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase", expecting = "a table")]
pub struct MachineSettings {
    /// Maximum number of machines in creation; 0 is unlimited.
    pub max_growth_rate: i64,
    /// Number of idle machines.
    pub idle_count: i64,
    /// Number of idle machines as a factor of those in use; 0 disables it.
    pub idle_scale_factor: f64,
    /// Minimum number of idle machines if there is a factor.
    pub idle_count_min: i64,
    /// Time in seconds after which an idle machine is removed.
    pub idle_time: i64,
    /// Maximum number of jobs of a machine; 0 is unlimited.
    pub max_builds: i64,
    /// Driver of docker-machine.
    pub machine_driver: String,
    /// Template for names of machines, with one `%s`.
    pub machine_name: String,
    /// Flags of `create`, without the leading dashes. They may contain secrets.
    pub machine_options: Vec<String>,
    /// Templates for flags of `create`, with one `%s` for the name of the machine.
    pub machine_options_with_name: Vec<String>,
    /// Maximum number of attempts to remove a machine.
    pub max_removal_attempts: i64,
    /// Periods of the mode for off-peak times. GitLab Runner ignores this mode since 14.0.
    pub off_peak_periods: Vec<String>,
    /// Time zone of the off-peak periods.
    pub off_peak_timezone: String,
    /// Number of idle machines in off-peak periods.
    pub off_peak_idle_count: i64,
    /// Time in seconds after which an idle machine is removed in off-peak periods.
    pub off_peak_idle_time: i64,
    /// Settings for certain periods. The last section that matches replaces `idle_*`.
    #[serde(rename = "autoscaling")]
    pub autoscaling: Vec<Autoscaling>,
    /// The keys that are not known.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, IgnoredAny>,
}

/// A `[[runners.machine.autoscaling]]` section.
#[derive(Clone, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase", expecting = "a table")]
pub struct Autoscaling {
    /// Expressions of gorhill/cronexpr: seconds, minutes, hours, days, months, weekdays, years.
    pub periods: Vec<String>,
    /// Time zone of the periods; empty is the local one.
    pub timezone: String,
    /// Number of idle machines.
    pub idle_count: i64,
    /// Number of idle machines as a factor of those in use; 0 disables it.
    pub idle_scale_factor: f64,
    /// Minimum number of idle machines if there is a factor.
    pub idle_count_min: i64,
    /// Time in seconds after which an idle machine is removed.
    pub idle_time: i64,
    /// The keys that are not known.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, IgnoredAny>,
}

/// A configuration file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RunnerConfigError {
    /// The file cannot be read.
    #[error("cannot read {file}")]
    Read {
        /// Name of the file.
        file: String,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The file is larger than a configuration file.
    #[error("cannot read {file}: larger than {LIMIT} bytes")]
    TooLarge {
        /// Name of the file.
        file: String,
    },
    /// The text is not TOML, or a setting has the wrong type. Quotes no values, because they may be secrets.
    #[error("cannot parse {file}: line {line}: {reason}")]
    Parse {
        /// Name of the file.
        file: String,
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
}

impl RunnerConfig {
    /// Opens and reads a configuration file. `file` is its name in errors.
    ///
    /// # Errors
    /// Same as [`RunnerConfig::read`].
    pub fn open(path: &Path, file: &str) -> Result<Self, RunnerConfigError> {
        let opened = File::open(path).map_err(|source| RunnerConfigError::Read {
            file: file.to_owned(),
            source,
        })?;
        Self::read(opened, file)
    }

    /// Reads a configuration file from `source`. `file` is its name in errors.
    ///
    /// # Errors
    /// Fails if the source cannot be read, is not TOML, or a known setting has the wrong type.
    pub fn read(source: impl Read, file: &str) -> Result<Self, RunnerConfigError> {
        let mut text = String::new();
        let read = source.take(LIMIT + 1).read_to_string(&mut text);
        let file = file.to_owned();
        match read {
            Ok(_) if text.len() as u64 > LIMIT => Err(RunnerConfigError::TooLarge { file }),
            Ok(_) => Self::parse(&text, file),
            Err(source) => Err(RunnerConfigError::Read { file, source }),
        }
    }

    fn parse(text: &str, file: String) -> Result<Self, RunnerConfigError> {
        toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let message = error.message().replace('\n', ", ");
            // serde quotes the value, and names types as Rust does.
            let reason = match message.rsplit_once(", expected ") {
                Some((value, expected)) if value.starts_with("invalid ") => match expected {
                    "i64" => "expected an integer".to_owned(),
                    "f64" => "expected a number".to_owned(),
                    "a sequence" => "expected an array".to_owned(),
                    expected => format!("expected {expected}"),
                },
                _ => message,
            };
            RunnerConfigError::Parse {
                file,
                line: before.unwrap_or_default().matches('\n').count() + 1,
                reason,
            }
        })
    }
}
