//! From flags to a machine that could be launched. Reads the files that flags name, and asks nobody.

use std::path::Path;
use std::time::Duration;

use machine_driver::{Base, DriverError, DriverErrorKind, Options, SavedBase};
use machine_types::Secret;

use crate::region::looks_like_a_region;
use crate::saved::Saved;
use crate::userdata;

/// Flags that do not make sense.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigureError {
    #[error("Invalid region specified: {0:?}")]
    Region(String),
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
    #[error("--amazonec2-{flag} is {value:?}, and {wanted} is wanted")]
    Value {
        flag: &'static str,
        value: String,
        wanted: &'static str,
    },
    #[error(
        "the user data has {size} bytes, and EC2 takes {} at most",
        userdata::LARGEST
    )]
    UserDataTooLong { size: usize },
    #[error("--amazonec2-use-fleet and --amazonec2-launch-template need each other")]
    HalfAFleet,
    #[error("--amazonec2-use-fleet cannot be used: this version launches with RunInstances only")]
    Fleet,
}

impl From<ConfigureError> for DriverError {
    fn from(error: ConfigureError) -> Self {
        Self::new(DriverErrorKind::Configuration, error)
    }
}

/// When a spot launch may become an on-demand one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum SpotFallback {
    #[default]
    Never,
    /// Where there is no spot capacity.
    Capacity,
    /// Where the price is too low, too.
    Any,
}

/// What only a create needs, and the file does not keep.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wishes {
    /// In the order in which they are tried.
    pub instance_types: Vec<String>,
    /// In the order in which they are tried; none: one of the zone and VPC.
    pub subnets: Vec<String>,
    pub user_data: Option<Vec<u8>>,
    pub cidrs: Vec<String>,
    pub spot_fallback: SpotFallback,
    pub key_type: String,
    pub lease: bool,
    pub device_given: bool,
    pub user_given: bool,
    pub zone_given: bool,
}

/// Turns flags into what is saved and what is wished for.
pub(crate) fn configure(base: &Base, options: &Options) -> Result<(Saved, Wishes), ConfigureError> {
    let flags = Flags(options);
    let mut saved = save_flags(base, &flags)?;
    check_access(&saved)?;
    saved.zone = short_zone(&saved);
    for port in saved.open_ports.iter().flatten() {
        port_and_protocol(port)
            .ok_or_else(|| value("open-port", port, "a port such as 80 or 53/udp"))?;
    }
    check_key(&saved)?;
    if saved.use_fleet == saved.launch_template.is_empty() {
        return Err(ConfigureError::HalfAFleet);
    }
    if saved.use_fleet {
        return Err(ConfigureError::Fleet);
    }
    let user_data = user_data(&saved)?;
    let wishes = Wishes {
        instance_types: last_first(flags.all("instance-type")),
        subnets: last_first(flags.all("subnet-id")),
        user_data,
        cidrs: flags.list("security-group-cidr"),
        spot_fallback: match flags.text("spot-fallback").as_str() {
            "" => SpotFallback::Never,
            "capacity" | "true" => SpotFallback::Capacity,
            "any" => SpotFallback::Any,
            "false" => SpotFallback::Never,
            other => return Err(value("spot-fallback", other, "nothing, or any")),
        },
        key_type: flags.one_of("ssh-key-type", &["ed25519", "rsa"], "ed25519 or rsa")?,
        lease: !saved.max_lifetime.is_empty(),
        device_given: flags.given("device-name"),
        user_given: flags.given("ssh-user"),
        zone_given: flags.given("zone"),
    };
    for cidr in &wishes.cidrs {
        is_cidr(cidr)
            .then_some(())
            .ok_or_else(|| value("security-group-cidr", cidr, "a network such as 10.0.0.0/8"))?;
    }
    Ok((saved, wishes))
}

fn save_flags(base: &Base, flags: &Flags<'_>) -> Result<Saved, ConfigureError> {
    let port = flags.int("ssh-port");
    let ssh_port = u16::try_from(port).ok().filter(|port| *port > 0);
    Ok(Saved {
        base: SavedBase {
            ssh_user: flags.text("ssh-user"),
            ssh_port: ssh_port
                .ok_or_else(|| value("ssh-port", port, "a number from 1 to 65535"))?,
            ssh_key_path: base.directory.join("id_rsa").display().to_string(),
            swarm_master: base.swarm_master,
            swarm_host: base.swarm_host.clone(),
            swarm_discovery: base.swarm_discovery.clone(),
            ..SavedBase::new(base)
        },
        access_key: flags.text("access-key"),
        secret_key: Secret::new(flags.text("secret-key")),
        session_token: Secret::new(flags.text("session-token")),
        region: flags.text("region"),
        ami: flags.text("ami"),
        existing_key: !flags.text("keypair-name").is_empty(),
        key_name: flags.text("keypair-name"),
        instance_type: flags.text("instance-type"),
        security_group_names: Some(flags.list("security-group")),
        security_group_read_only: flags.bool("security-group-readonly"),
        open_ports: Some(flags.list("open-port")).filter(|ports| !ports.is_empty()),
        tags: flags.text("tags"),
        device_name: flags.text("device-name"),
        root_size: flags.positive("root-size")?,
        volume_type: flags.text("volume-type"),
        volume_encrypted: flags.bool("volume-encrypted") || flags.bool("encrypt-ebs-volume"),
        volume_kms_key_id: flags.either("volume-kms-key", "kms-key"),
        iam_instance_profile: flags.text("iam-instance-profile"),
        vpc_id: flags.text("vpc-id"),
        subnet_id: flags.text("subnet-id"),
        zone: flags.text("zone"),
        request_spot_instance: flags.bool("request-spot-instance"),
        spot_price: flags.text("spot-price"),
        block_duration_minutes: flags.int("block-duration-minutes"),
        private_ip_only: flags.bool("private-address-only"),
        use_private_ip: flags.bool("use-private-address"),
        use_ebs_optimized_instance: flags.bool("use-ebs-optimized-instance"),
        monitoring: flags.bool("monitoring"),
        ssh_private_key_path: flags.text("ssh-keypath"),
        retry_count: flags.int("retries"),
        endpoint: flags.text("endpoint"),
        disable_ssl: flags.bool("insecure-transport"),
        user_data_file: flags.text("userdata"),
        metadata_token_setting: match flags.text("http-tokens").as_str() {
            "" => flags.one_of(
                "metadata-token",
                &["optional", "required"],
                "optional or required",
            )?,
            _ => flags.one_of(
                "http-tokens",
                &["optional", "required"],
                "optional or required",
            )?,
        },
        metadata_token_response_hop_limit: flags.positive("metadata-token-response-hop-limit")?,
        http_endpoint: flags.one_of(
            "http-endpoint",
            &["", "enabled", "disabled"],
            "enabled or disabled",
        )?,
        http_protocol_ipv6: flags.one_of(
            "http-protocol-ipv6",
            &["", "enabled", "disabled"],
            "enabled or disabled",
        )?,
        ipv6_address_count: flags.int("ipv6-address-count"),
        enable_primary_ipv6: flags.bool("enable-primary-ipv6"),
        ipv6_address_only: flags.bool("ipv6-address-only"),
        use_fleet: flags.bool("use-fleet"),
        launch_template: flags.text("launch-template"),
        max_lifetime: flags.text("max-lifetime"),
        owner_tag_prefix: Some(flags.text("owner-tag-prefix"))
            .filter(|prefix| prefix != crate::tags::DEFAULT_PREFIX)
            .unwrap_or_default(),
        no_owner_tags: flags.bool("no-owner-tags"),
        ..Saved::default()
    })
}

fn check_access(saved: &Saved) -> Result<(), ConfigureError> {
    if saved.endpoint.is_empty() {
        if saved.disable_ssl {
            return Err(ConfigureError::InsecureWithoutEndpoint);
        }
        // An EC2 of somebody else's has regions of its own.
        if !looks_like_a_region(&saved.region) {
            return Err(ConfigureError::Region(saved.region.clone()));
        }
    } else if crate::client::endpoint_url(saved).is_none() {
        return Err(ConfigureError::Endpoint(saved.endpoint.clone()));
    }
    if saved.access_key.is_empty() != saved.secret_key.is_empty() {
        return Err(ConfigureError::HalfAKey);
    }
    Ok(())
}

/// Takes the region off a full zone name, since the file keeps the letter, which the Go binary
/// puts behind the region again.
fn short_zone(saved: &Saved) -> String {
    match saved.zone.strip_prefix(&saved.region) {
        Some(letter) if saved.endpoint.is_empty() && !letter.is_empty() => letter.to_owned(),
        _ => saved.zone.clone(),
    }
}

fn check_key(saved: &Saved) -> Result<(), ConfigureError> {
    let private = &saved.ssh_private_key_path;
    if private.is_empty() {
        return if saved.existing_key {
            Err(ConfigureError::KeyPairWithoutKey)
        } else {
            Ok(())
        };
    }
    let mut files = vec![private.clone()];
    if !saved.existing_key && !saved.use_fleet {
        files.push(format!("{private}.pub"));
    }
    for path in files {
        read("ssh-keypath", &path)?;
    }
    Ok(())
}

fn user_data(saved: &Saved) -> Result<Option<Vec<u8>>, ConfigureError> {
    let users = match saved.user_data_file.as_str() {
        "" => None,
        path => Some(read("userdata", path)?),
    };
    let data = if saved.max_lifetime.is_empty() {
        users
    } else {
        let lifetime = duration(&saved.max_lifetime).ok_or_else(|| {
            value(
                "max-lifetime",
                &saved.max_lifetime,
                "a time such as 6h or 90m",
            )
        })?;
        Some(userdata::with_lease(users.as_deref(), lifetime))
    };
    match &data {
        Some(data) if data.len() > userdata::LARGEST => {
            Err(ConfigureError::UserDataTooLong { size: data.len() })
        }
        _ => Ok(data),
    }
}

fn read(flag: &'static str, path: &str) -> Result<Vec<u8>, ConfigureError> {
    std::fs::read(Path::new(path)).map_err(|source| ConfigureError::File {
        flag,
        path: path.to_owned(),
        source,
    })
}

/// Puts the last value first: a command line of the Go binary launches what it always launched.
/// What is repeated counts once, and what is empty not at all.
fn last_first(values: Vec<String>) -> Vec<String> {
    let mut order = Vec::new();
    let last = values.last().cloned();
    for value in last.into_iter().chain(values) {
        if !value.is_empty() && !order.contains(&value) {
            order.push(value);
        }
    }
    order
}

/// Reads `80` and `53/udp`.
pub(crate) fn port_and_protocol(text: &str) -> Option<(i32, &str)> {
    let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let port: u16 = port.parse().ok()?;
    (port > 0 && matches!(protocol, "tcp" | "udp")).then_some((i32::from(port), protocol))
}

fn is_cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else {
        return false;
    };
    let most = match address.parse() {
        Ok(std::net::IpAddr::V4(_)) => 32,
        Ok(std::net::IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    bits.parse::<u8>().is_ok_and(|bits| bits <= most)
}

/// Reads `6h`, `90m`, `1h30m`; nothing shorter than a minute.
fn duration(text: &str) -> Option<Duration> {
    let (mut seconds, mut digits) = (0u64, String::new());
    for c in text.chars() {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        let unit = match c {
            'd' => 86_400,
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        let number: u64 = std::mem::take(&mut digits).parse().ok()?;
        seconds = seconds.checked_add(number.checked_mul(unit)?)?;
    }
    (digits.is_empty() && seconds >= 60).then(|| Duration::from_secs(seconds))
}

fn value(flag: &'static str, value: impl ToString, wanted: &'static str) -> ConfigureError {
    ConfigureError::Value {
        flag,
        value: value.to_string(),
        wanted,
    }
}

/// The options under their names without the driver's prefix.
struct Flags<'a>(&'a Options);

impl Flags<'_> {
    fn text(&self, flag: &str) -> String {
        self.0.string(&format!("amazonec2-{flag}"))
    }
    fn all(&self, flag: &str) -> Vec<String> {
        self.0.all(&format!("amazonec2-{flag}"))
    }
    fn list(&self, flag: &str) -> Vec<String> {
        self.0.list(&format!("amazonec2-{flag}"))
    }
    fn int(&self, flag: &str) -> i64 {
        self.0.int(&format!("amazonec2-{flag}"))
    }
    fn bool(&self, flag: &str) -> bool {
        self.0.bool(&format!("amazonec2-{flag}"))
    }
    fn given(&self, flag: &str) -> bool {
        self.0.is_given(&format!("amazonec2-{flag}"))
    }
    fn either(&self, flag: &str, alias: &str) -> String {
        Some(self.text(flag))
            .filter(|text| !text.is_empty())
            .unwrap_or_else(|| self.text(alias))
    }
    fn positive(&self, flag: &'static str) -> Result<i64, ConfigureError> {
        let number = self.int(flag);
        (1..=65_536)
            .contains(&number)
            .then_some(number)
            .ok_or_else(|| value(flag, number, "a number above 0"))
    }
    fn one_of(
        &self,
        flag: &'static str,
        words: &[&str],
        wanted: &'static str,
    ) -> Result<String, ConfigureError> {
        let text = self.text(flag);
        if words.contains(&text.as_str()) {
            Ok(text)
        } else {
            Err(value(flag, text, wanted))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_is_tried_first_and_once() {
        let order = last_first(["a", "b", "", "a", "c"].map(String::from).to_vec());
        assert_eq!(order, ["c", "a", "b"]);
        assert!(last_first(vec![String::new()]).is_empty());
    }

    #[test]
    fn ports_and_networks_and_times() {
        assert_eq!(port_and_protocol("80"), Some((80, "tcp")));
        assert_eq!(port_and_protocol("53/udp"), Some((53, "udp")));
        for bad in ["", "0", "65536", "80/icmp", "x", "80/"] {
            assert_eq!(port_and_protocol(bad), None, "{bad}");
        }
        assert!(is_cidr("10.0.0.0/8") && is_cidr("2001:db8::/32"));
        assert!(!is_cidr("10.0.0.0") && !is_cidr("10.0.0.0/33") && !is_cidr("x/8"));
        assert_eq!(duration("1h30m"), Some(Duration::from_secs(5400)));
        for bad in ["", "6", "h", "30s", "1w", "-1h"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }
}
