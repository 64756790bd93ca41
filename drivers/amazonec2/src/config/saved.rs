//! The `Driver` object of `config.json`: the Go fork's fields in its order, then this driver's own.
//!
//! Own fields are written only if they differ from their default, so that a plain machine's file is identical to the Go
//! binary's.

use machine_driver::{DriverError, DriverErrorKind, SavedBase, read_saved};
use machine_types::{GoList, Secret};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// The saved configuration of a machine.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Saved {
    #[serde(flatten)]
    pub base: SavedBase,
    pub id: String,
    pub access_key: String,
    #[serde(serialize_with = "write_secret", deserialize_with = "read_secret")]
    pub secret_key: Secret,
    #[serde(serialize_with = "write_secret", deserialize_with = "read_secret")]
    pub session_token: Secret,
    pub region: String,
    #[serde(rename = "AMI")]
    pub ami: String,
    #[serde(rename = "SSHKeyID")]
    pub ssh_key_id: i64,
    pub existing_key: bool,
    pub key_name: String,
    pub instance_id: String,
    pub instance_type: String,
    #[serde(rename = "PrivateIPAddress")]
    pub private_ip_address: String,
    /// From old versions: the only group's ID.
    pub security_group_id: String,
    pub security_group_ids: GoList,
    /// From old versions: the only group's name.
    pub security_group_name: String,
    pub security_group_names: GoList,
    pub security_group_read_only: bool,
    pub open_ports: GoList,
    pub tags: String,
    pub reservation_id: String,
    pub device_name: String,
    pub root_size: i64,
    pub volume_type: String,
    pub volume_encrypted: bool,
    pub volume_kms_key_id: String,
    pub iam_instance_profile: String,
    pub vpc_id: String,
    pub subnet_id: String,
    /// The zone's letter; the full name if there is an endpoint.
    pub zone: String,
    pub request_spot_instance: bool,
    pub spot_price: String,
    pub block_duration_minutes: i64,
    #[serde(rename = "PrivateIPOnly")]
    pub private_ip_only: bool,
    #[serde(rename = "UsePrivateIP")]
    pub use_private_ip: bool,
    pub use_ebs_optimized_instance: bool,
    pub monitoring: bool,
    #[serde(rename = "SSHPrivateKeyPath")]
    pub ssh_private_key_path: String,
    pub retry_count: i64,
    pub endpoint: String,
    #[serde(rename = "DisableSSL")]
    pub disable_ssl: bool,
    pub user_data_file: String,
    pub metadata_token_setting: String,
    pub metadata_token_response_hop_limit: i64,

    // From rancher's fork and this driver.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub http_endpoint: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub http_protocol_ipv6: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub volume_iops: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub volume_throughput: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub ipv6_address_count: i64,
    #[serde(skip_serializing_if = "is_false")]
    pub enable_primary_ipv6: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub ipv6_address_only: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub use_fleet: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub launch_template: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub max_lifetime: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub owner_tag_prefix: String,
    #[serde(skip_serializing_if = "is_false")]
    pub no_owner_tags: bool,
    /// No port is opened for the engine: it listens on its local socket only.
    #[serde(skip_serializing_if = "is_false")]
    pub no_engine_port: bool,
}

impl Saved {
    /// Parses the object. A missing or `null` field gets its default.
    pub(crate) fn read(saved: &Value) -> Result<Self, DriverError> {
        let mut read: Self = read_saved(saved)
            .map_err(|error| DriverError::new(DriverErrorKind::Configuration, Unreadable(error)))?;
        adopt(&mut read.security_group_ids, &read.security_group_id);
        adopt(&mut read.security_group_names, &read.security_group_name);
        Ok(read)
    }

    /// Returns whether the key is a copy of the user's, which other machines may use too.
    pub(crate) fn has_own_key(&self) -> bool {
        !self.ssh_private_key_path.is_empty()
    }

    /// Returns the endpoint to call; empty for AWS's own. One that is no URL, from another version's file, stays as it is:
    /// the calls to it fail, and none goes to AWS in its place.
    pub(crate) fn endpoint_in_use(&self) -> String {
        self.endpoint_url().unwrap_or_else(|| self.endpoint.clone())
    }

    /// Returns the endpoint as a URL; `None` if there is none or it is neither a URL nor a host.
    pub(crate) fn endpoint_url(&self) -> Option<String> {
        let given = self.endpoint.trim_end_matches('/');
        let (scheme, rest) = match given.split_once("://") {
            Some((scheme @ ("http" | "https"), rest)) => (scheme, rest),
            Some(_) => return None,
            None if self.disable_ssl => ("http", given),
            None => ("https", given),
        };
        let authority = rest.split('/').next().unwrap_or_default();
        // RFC 3986 allows no other characters in a path and a query.
        let in_path = |b: u8| b.is_ascii_graphic() && !b"\"<>\\^`{|}#".contains(&b);
        let plausible = is_authority(authority) && rest.bytes().all(in_path);
        plausible.then(|| format!("{scheme}://{rest}"))
    }

    /// Returns the zone's full name, such as `us-east-1a`. With an endpoint the Go binary uses the zone unchanged; a
    /// single letter is not a full name, and so means a zone of the region there, too.
    pub(crate) fn zone_name(&self) -> String {
        let is_letter = matches!(self.zone.as_bytes(), [b'a'..=b'z']);
        if is_letter || (self.endpoint.is_empty() && !self.zone.is_empty()) {
            format!("{}{}", self.region, self.zone)
        } else {
            self.zone.clone()
        }
    }
}

/// Returns whether a text is a host name or an address, an IPv6 one in brackets, with or without a port.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if address.parse::<std::net::Ipv6Addr>().is_ok() => (
                "v6",
                port.strip_prefix(':').or((!port.is_empty()).then_some("")),
            ),
            _ => return false,
        },
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".-_".contains(&b);
    let digits = |port: &str| port.bytes().all(|b| b.is_ascii_digit());
    let is_port = |port: &str| digits(port) && port.parse::<u16>().is_ok_and(|port| port > 0);
    !host.is_empty() && host.bytes().all(plain) && port.is_none_or(is_port)
}

/// Moves an old version's single group into the list.
fn adopt(list: &mut GoList, single: &str) {
    if list.is_none() && !single.is_empty() {
        *list = Some(vec![single.to_owned()]);
    }
}

#[derive(Debug, thiserror::Error)]
#[error("cannot read the saved amazonec2 configuration")]
struct Unreadable(#[source] serde_json::Error);

fn write_secret<S: Serializer>(secret: &Secret, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(secret.expose())
}

fn read_secret<'de, D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
    String::deserialize(from).map(Secret::new)
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !*value
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(value: &i64) -> bool {
    *value == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_urls_or_hosts() {
        let url = |endpoint: &str, disable_ssl| {
            let saved = Saved {
                endpoint: endpoint.into(),
                disable_ssl,
                ..Saved::default()
            };
            saved.endpoint_url()
        };
        assert_eq!(
            url("http://127.0.0.1:5001", false).unwrap(),
            "http://127.0.0.1:5001"
        );
        assert_eq!(
            url("https://ec2.example/", true).unwrap(),
            "https://ec2.example"
        );
        assert_eq!(
            url("ec2.example:8773/services", false).unwrap(),
            "https://ec2.example:8773/services"
        );
        assert_eq!(url("ec2.example", true).unwrap(), "http://ec2.example");
        assert_eq!(
            url("http://[::1]:80/x", false).unwrap(),
            "http://[::1]:80/x"
        );
        assert_eq!(
            url("[2001:db8::1]", false).unwrap(),
            "https://[2001:db8::1]"
        );
        for bad in [
            "",
            "ftp://x",
            "http://",
            "a b",
            "http://u:p@h",
            "foo:bar:baz",
            "foo:bar",
            "foo:",
            "foo:0",
            "foo:+80",
            "foo:65536",
            "http://:80",
            "::1",
            "[::1",
            "[::1]80",
            "[::1]:",
            "[x]:80",
            "foo]",
            "foo/{bar}",
            "foo?bar",
            "foo/#bar",
        ] {
            assert_eq!(url(bad, false), None, "{bad}");
        }
    }
}
