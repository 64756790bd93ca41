//! Errors of flags, with hints.

use machine_driver::{DriverError, DriverErrorKind};

use crate::config::region::{self, Meant};
use crate::config::user_data;

/// The flags are invalid.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigureError {
    #[error("Invalid region specified: {region:?}{}", by(named_by))]
    Region {
        region: String,
        /// The setting with the name, if it is not the flag.
        named_by: Option<String>,
    },
    #[error("using --amazonec2-insecure-transport also requires --amazonec2-endpoint")]
    InsecureWithoutEndpoint,
    #[error("--amazonec2-endpoint is {0:?}, which is neither a host nor an http or https URL")]
    Endpoint(String),
    #[error("--amazonec2-access-key and --amazonec2-secret-key need each other")]
    HalfAKey,
    #[error("using --amazonec2-keypair-name also requires --amazonec2-ssh-keypath")]
    KeyPairWithoutKey,
    #[error("cannot read --amazonec2-{flag} file {path:?}")]
    File {
        flag: &'static str,
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("invalid --amazonec2-{flag} {value:?}: expected {expected}")]
    Value {
        flag: &'static str,
        value: String,
        expected: &'static str,
    },
    #[error(
        "the user data has {size} bytes, and EC2 takes {} at most",
        user_data::LARGEST
    )]
    UserDataTooLong { size: usize },
    #[error(
        "--amazonec2-ipv6-address-only and --amazonec2-enable-primary-ipv6 require --amazonec2-ipv6-address-count to be greater than 0"
    )]
    NoIpv6Address,
    #[error(
        "--amazonec2-tags makes {tags} tags with the machine's name, and EC2 takes {} at most",
        crate::config::tags::MOST
    )]
    TooManyTags { tags: usize },
    #[error("cannot use --amazonec2-tags {0:?}: a key is empty: expected KEY,VALUE,KEY,VALUE")]
    EmptyTagKey(String),
    #[error("cannot use --amazonec2-tags: the tag {key:?} {why}")]
    BadTag { key: String, why: &'static str },
    #[error("using --amazonec2-volume-type {0} also requires --amazonec2-volume-iops")]
    VolumeWithoutIops(&'static str),
    #[error(
        "--amazonec2-{flag} cannot be used with --amazonec2-volume-type {kind}: expected {expected}"
    )]
    NotOfVolumeType {
        flag: &'static str,
        kind: String,
        expected: &'static str,
    },
    #[error(
        "--amazonec2-volume-throughput {throughput} requires --amazonec2-volume-iops {needed} or more"
    )]
    ThroughputWithoutIops { throughput: i64, needed: i64 },
    #[error("--swarm-host is {0:?}, and a master's needs a port, as in tcp://0.0.0.0:3376")]
    SwarmHost(String),
    #[error("using --amazonec2-use-fleet also requires --amazonec2-launch-template")]
    FleetWithoutTemplate,
    #[error(
        "using --amazonec2-use-fleet also requires --amazonec2-ssh-keypath: the private half of the launch template's key pair"
    )]
    FleetWithoutKey,
    #[error(
        "--amazonec2-max-lifetime cannot be used with --amazonec2-use-fleet: the user data are the launch template's"
    )]
    FleetWithLifetime,
}

/// Returns the error of a flag whose value is not as expected.
pub(crate) fn invalid(
    flag: &'static str,
    value: impl ToString,
    expected: &'static str,
) -> ConfigureError {
    ConfigureError::Value {
        flag,
        value: value.to_string(),
        expected,
    }
}

fn by(setting: &Option<String>) -> String {
    let by = |name| format!(", by {name}");
    setting.as_ref().map(by).unwrap_or_default()
}

impl From<ConfigureError> for DriverError {
    fn from(error: ConfigureError) -> Self {
        let hint = error.hint();
        let error = Self::new(DriverErrorKind::Configuration, error);
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}

impl ConfigureError {
    /// Returns a hint, if the message does not contain it.
    fn hint(&self) -> Option<String> {
        let region = match self {
            Self::Region { region, .. } => region,
            Self::Endpoint(_) => {
                return Some("expected HOST, HOST:PORT or a URL such as https://HOST:PORT".into());
            }
            _ => return None,
        };
        Some(match region::meant(region)? {
            Meant::Region(meant) => format!("did you mean {meant}?"),
            Meant::ZoneOf(meant) => format!(
                "{region} is a zone of the region {meant}: --amazonec2-region={meant} --amazonec2-zone={}",
                region.strip_prefix(meant).unwrap_or_default()
            ),
        })
    }
}
