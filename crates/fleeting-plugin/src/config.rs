//! `plugin_config`: what a user writes into the runner's config.toml, as the JSON that the host sends.

use std::path::PathBuf;
use std::time::Duration;

use libmachine::PoolDocker;
use machine_types::MachineName;
use serde::Deserialize;

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

/// The configuration of a pool.
#[derive(Clone)]
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
    /// No JSON object, an unknown key, a missing one, or a value of another type.
    #[error("invalid plugin_config: {0}")]
    Json(#[from] serde_json::Error),
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: String,
    #[serde(rename = "MachineDriver")]
    driver: String,
    #[serde(rename = "MachineName")]
    template: String,
    #[serde(rename = "MachineOptions", default)]
    options: Vec<String>,
    #[serde(default)]
    docker: PoolDocker,
    #[serde(default = "create_timeout")]
    create_timeout: String,
    #[serde(default = "concurrent_creates")]
    max_concurrent_creates: usize,
    #[serde(default)]
    storage_path: PathBuf,
    #[serde(default)]
    max_size: u32,
}

fn create_timeout() -> String {
    CREATE_TIMEOUT.to_owned()
}

fn concurrent_creates() -> usize {
    CONCURRENT_CREATES
}

impl Config {
    /// Parses the JSON of `plugin_config`.
    ///
    /// # Errors
    /// The first error, with the key's name.
    pub fn parse(json: &[u8]) -> Result<Self, ConfigError> {
        let raw: Raw = serde_json::from_slice(json)?;
        let value = |key, value: &str, expected| ConfigError::Value {
            key,
            value: value.to_owned(),
            expected,
        };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if raw.name.is_empty() || !raw.name.chars().all(is_plain) {
            return Err(value("name", &raw.name, "letters, digits and dashes"));
        }
        let expected = "a machine's name with %s once, such as runner-%s";
        let (before, behind) = raw
            .template
            .split_once(PLACEHOLDER)
            .filter(|(_, behind)| !behind.contains('%'))
            .ok_or_else(|| value("MachineName", &raw.template, expected))?;
        let create_timeout = machine_types::duration(&raw.create_timeout)
            .filter(|timeout| *timeout >= Duration::from_secs(1));
        let config = Self {
            template: (before.to_owned(), behind.to_owned()),
            driver: raw.driver,
            options: raw.options,
            docker: raw.docker,
            create_timeout: create_timeout.ok_or_else(|| {
                let expected = "a duration such as 10m or 1h30m";
                value("create_timeout", &raw.create_timeout, expected)
            })?,
            concurrent_creates: match raw.max_concurrent_creates {
                0 => {
                    let key = "max_concurrent_creates";
                    return Err(value(key, "0", "a number from 1"));
                }
                number => number,
            },
            storage_path: Some(raw.storage_path).filter(|path| !path.as_os_str().is_empty()),
            max_size: match raw.max_size {
                0 => UNLIMITED,
                size => size.min(UNLIMITED),
            },
            name: raw.name,
        };
        if config.machine_name(0).parse::<MachineName>().is_err() {
            return Err(value("MachineName", &raw.template, expected));
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
            (r#","docker":"maybe""#, "maybe"),
            (r#","create_timeout":"soon""#, "create_timeout"),
            (r#","max_concurrent_creates":0"#, "max_concurrent_creates"),
            (r#","MachineOptions":"x""#, "sequence"),
        ] {
            let error = config(extra).err().unwrap().to_string();
            assert!(error.contains(named), "{error}");
        }
        let no_placeholder = br#"{"name":"ci","MachineDriver":"x","MachineName":"runner"}"#;
        let error = Config::parse(no_placeholder).err().unwrap().to_string();
        assert!(error.contains("MachineName"), "{error}");
        let error = Config::parse(b"{}").err().unwrap().to_string();
        assert!(error.contains("name"), "{error}");
    }
}
