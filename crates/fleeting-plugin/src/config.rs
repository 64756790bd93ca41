//! `plugin_config`: what a user writes into the runner's config.toml, as the JSON that the host sends.

use std::path::PathBuf;
use std::time::Duration;

use libmachine::PoolDocker;
use machine_types::MachineName;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The default of `create_timeout`.
const CREATE_TIMEOUT: &str = "10m";

/// The default of `max_concurrent_creates`: each create is a process of about 4 MB.
const CONCURRENT_CREATES: usize = 100;

/// The placeholder in `MachineName`.
const PLACEHOLDER: &str = "%s";

/// Number of random hexadecimal digits in a machine's name.
const DIGITS: usize = 8;

/// The largest size of a pool on the wire: the host compares it with its `max_instances` as a 32-bit integer.
const UNLIMITED: u32 = i32::MAX.cast_unsigned();

/// The configuration of a pool. Its own JSON is that of [`Work`](crate::Work), not of `plugin_config`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Config {
    /// The pool's name.
    pub name: String,
    /// `MachineDriver`.
    pub driver: String,
    /// `MachineName`: what stands before and behind the placeholder.
    template: (String, String),
    /// `MachineOptions`, as in `[runners.machine]`: flags of `create` without dashes. May contain secrets.
    pub options: Vec<String>,
    /// `docker`.
    pub docker: PoolDocker,
    /// `create_timeout`.
    pub create_timeout: Duration,
    /// `max_concurrent_creates`.
    pub concurrent_creates: usize,
    /// `storage_path`; `None`: as for every other command.
    pub storage_path: Option<PathBuf>,
    /// `max_size`.
    pub max_size: u32,
}

/// An error in the configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No JSON object.
    #[error("invalid plugin_config: {0}")]
    Json(#[from] serde_json::Error),
    /// A value of another type.
    #[error("invalid {key} in plugin_config: {reason}")]
    Type {
        /// The key.
        key: &'static str,
        /// The reason.
        reason: String,
    },
    /// A key that must be given.
    #[error("missing {0} in plugin_config")]
    Missing(&'static str),
    /// A key that does not exist, such as a misspelt one.
    #[error("unknown key {key:?} in plugin_config: expected one of {}", KEYS.join(", "))]
    Unknown {
        /// The key.
        key: String,
    },
    /// A value that makes no sense.
    #[error("invalid value {value:?} of {key} in plugin_config: expected {expected}")]
    Value {
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// What is expected.
        expected: &'static str,
    },
}

/// All keys of `plugin_config`.
const KEYS: [&str; 9] = [
    "name",
    "MachineDriver",
    "MachineName",
    "MachineOptions",
    "docker",
    "create_timeout",
    "max_concurrent_creates",
    "storage_path",
    "max_size",
];

/// The object, without the keys that were read.
struct Raw(Map<String, Value>);

impl Raw {
    fn take<T: DeserializeOwned>(&mut self, key: &'static str) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.0.remove(key) else {
            return Ok(None);
        };
        let parsed = serde_json::from_value(value);
        parsed.map(Some).map_err(|error: serde_json::Error| {
            // serde quotes the value, which may be a secret.
            let reason = error.to_string();
            let reason = match reason.rsplit_once(", expected ") {
                Some((_, expected)) => format!("expected {expected}"),
                None => reason,
            };
            ConfigError::Type { key, reason }
        })
    }

    fn required(&mut self, key: &'static str) -> Result<String, ConfigError> {
        self.take(key)?.ok_or(ConfigError::Missing(key))
    }
}

impl Config {
    /// Parses the JSON of `plugin_config`.
    ///
    /// # Errors
    /// The first error, with the key's name.
    pub fn parse(json: &[u8]) -> Result<Self, ConfigError> {
        let mut raw = Raw(serde_json::from_slice(json)?);
        if let Some(key) = raw.0.keys().find(|key| !KEYS.contains(&key.as_str())) {
            let key = key.clone();
            return Err(ConfigError::Unknown { key });
        }
        let (name, driver) = (raw.required("name")?, raw.required("MachineDriver")?);
        let template = raw.required("MachineName")?;
        let create_timeout: Option<String> = raw.take("create_timeout")?;
        let create_timeout = create_timeout.unwrap_or_else(|| CREATE_TIMEOUT.to_owned());
        let concurrent_creates: Option<usize> = raw.take("max_concurrent_creates")?;
        let storage_path: Option<PathBuf> = raw.take("storage_path")?;
        let max_size: Option<u32> = raw.take("max_size")?;
        let value = |key, value: &str, expected| ConfigError::Value {
            key,
            value: value.to_owned(),
            expected,
        };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if name.is_empty() || !name.chars().all(is_plain) {
            return Err(value("name", &name, "letters, digits and dashes"));
        }
        let expected = "a machine's name with %s once, such as runner-%s";
        let (before, behind) = template
            .split_once(PLACEHOLDER)
            .filter(|(_, behind)| !behind.contains('%'))
            .ok_or_else(|| value("MachineName", &template, expected))?;
        let timeout = machine_types::duration(&create_timeout)
            .filter(|timeout| *timeout >= Duration::from_secs(1));
        let config = Self {
            template: (before.to_owned(), behind.to_owned()),
            name,
            driver,
            options: raw.take("MachineOptions")?.unwrap_or_default(),
            docker: raw.take("docker")?.unwrap_or_default(),
            create_timeout: timeout.ok_or_else(|| {
                let expected = "a duration such as 10m or 1h30m";
                value("create_timeout", &create_timeout, expected)
            })?,
            concurrent_creates: match concurrent_creates.unwrap_or(CONCURRENT_CREATES) {
                0 => return Err(value("max_concurrent_creates", "0", "a number from 1")),
                number => number,
            },
            storage_path: storage_path.filter(|path| !path.as_os_str().is_empty()),
            max_size: match max_size.unwrap_or_default() {
                0 => UNLIMITED,
                size => size.min(UNLIMITED),
            },
        };
        if config.machine_name(0).parse::<MachineName>().is_err() {
            return Err(value("MachineName", &template, expected));
        }
        Ok(config)
    }

    /// Returns a machine's name with the given random number.
    pub fn machine_name(&self, random: u64) -> String {
        let (before, behind) = &self.template;
        let digits = random & u64::from(u32::MAX);
        format!("{before}{}-{digits:0DIGITS$x}{behind}", self.name)
    }

    /// Returns whether a machine's name is one of this pool.
    pub fn is_member(&self, name: &str) -> bool {
        let (before, behind) = &self.template;
        let random = name
            .strip_prefix(before)
            .and_then(|rest| rest.strip_suffix(behind.as_str()))
            .and_then(|rest| rest.strip_prefix(self.name.as_str())?.strip_prefix('-'));
        random.is_some_and(|digits| {
            digits.len() == DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn config(extra: &str) -> Result<Config, ConfigError> {
        let json =
            format!(r#"{{"name":"ci","MachineDriver":"toy","MachineName":"runner-%s"{extra}}}"#);
        Config::parse(json.as_bytes())
    }

    #[test]
    fn defaults_fill_what_is_not_given() {
        let config = config("").unwrap();
        assert_eq!(config.create_timeout, Duration::from_secs(600));
        assert_eq!(config.concurrent_creates, 100);
        assert_eq!(config.max_size, 2_147_483_647);
        assert_eq!(config.docker, PoolDocker::Install);
        assert_eq!(config.storage_path, None);
    }

    #[test]
    fn names_of_the_pool_are_recognized() {
        let config = config("").unwrap();
        let name = config.machine_name(0xabc);
        assert_eq!(name, "runner-ci-00000abc");
        assert!(config.is_member(&name));
        for other in [
            "runner-ci-2-00000abc",
            "runner-00000abc",
            "runner-ci-00000abg",
            "runner-ci-00000abc-",
            "ci-00000abc",
        ] {
            assert!(!config.is_member(other), "{other}");
        }
    }

    #[test]
    fn errors_name_the_key() {
        for (extra, named) in [
            (r#","MachineOption":[]"#, "MachineOption"),
            (r#","docker":"maybe""#, "docker"),
            (r#","create_timeout":"soon""#, "create_timeout"),
            (r#","max_concurrent_creates":0"#, "max_concurrent_creates"),
            (r#","MachineOptions":"x""#, "MachineOptions"),
            (r#","max_size":-1"#, "max_size"),
            (
                r#","MachineOptions":"a-secret-key=X""#,
                "expected a sequence",
            ),
        ] {
            let error = config(extra).err().unwrap().to_string();
            assert!(error.contains(named), "{error}");
            assert!(!error.contains("=X"), "{error}");
        }
        let no_placeholder = br#"{"name":"ci","MachineDriver":"x","MachineName":"runner"}"#;
        let error = Config::parse(no_placeholder).err().unwrap().to_string();
        assert!(error.contains("MachineName"), "{error}");
        let error = Config::parse(b"{}").err().unwrap().to_string();
        assert!(error.contains("name"), "{error}");
    }
}
