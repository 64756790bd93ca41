//! Parses the values of flags: numbers, words, ports, networks, durations.

use std::time::Duration;

use machine_driver::Options;

use crate::config::error::{ConfigureError, invalid};
use crate::config::saved::Saved;

/// Puts the last value first, so that a command line for the Go binary launches the same as before. Removes duplicates
/// and empty values.
pub(crate) fn last_first(values: Vec<String>) -> Vec<String> {
    let mut order = Vec::new();
    let last = values.last().cloned();
    for value in last.into_iter().chain(values) {
        if !value.is_empty() && !order.contains(&value) {
            order.push(value);
        }
    }
    order
}

/// Parses `80` and `53/udp`.
pub(crate) fn port_and_protocol(text: &str) -> Option<(i32, &str)> {
    let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let port: u16 = port.parse().ok()?;
    (port > 0 && matches!(protocol, "tcp" | "udp")).then_some((i32::from(port), protocol))
}

/// Returns whether a text can be the name of a user on the machine.
pub(crate) fn is_login_name(text: &str) -> bool {
    !text.starts_with('-') && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

pub(crate) fn is_cidr(text: &str) -> bool {
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

/// Parses `6h`, `90m`, `1h30m`; rejects durations below a minute.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    machine_types::duration(text).filter(|duration| *duration >= Duration::from_secs(60))
}

/// The options by their names without the driver's prefix.
pub(crate) struct Flags<'a>(pub(crate) &'a Options);

impl Flags<'_> {
    pub(crate) fn text(&self, flag: &str) -> String {
        self.0.string(&format!("amazonec2-{flag}"))
    }
    pub(crate) fn all(&self, flag: &str) -> Vec<String> {
        self.0.all(&format!("amazonec2-{flag}"))
    }
    pub(crate) fn list(&self, flag: &str) -> Vec<String> {
        self.0.list(&format!("amazonec2-{flag}"))
    }
    pub(crate) fn int(&self, flag: &str) -> i64 {
        self.0.int(&format!("amazonec2-{flag}"))
    }
    pub(crate) fn bool(&self, flag: &str) -> bool {
        self.0.bool(&format!("amazonec2-{flag}"))
    }
    pub(crate) fn given(&self, flag: &str) -> bool {
        self.0.is_given(&format!("amazonec2-{flag}"))
    }
    pub(crate) fn variable(&self, flag: &str) -> Option<&'static str> {
        self.0.variable(&format!("amazonec2-{flag}"))
    }
    pub(crate) fn either(&self, flag: &str, alias: &str) -> String {
        Some(self.text(flag))
            .filter(|text| !text.is_empty())
            .unwrap_or_else(|| self.text(alias))
    }
    pub(crate) fn positive(&self, flag: &'static str) -> Result<i64, ConfigureError> {
        self.within(flag, 1..=65_536, "a number from 1 to 65536")
    }
    pub(crate) fn within(
        &self,
        flag: &'static str,
        range: std::ops::RangeInclusive<i64>,
        expected: &'static str,
    ) -> Result<i64, ConfigureError> {
        let number = self.int(flag);
        range
            .contains(&number)
            .then_some(number)
            .ok_or_else(|| invalid(flag, number, expected))
    }
    /// Returns the metadata service's hop limit from the flag of either fork (EC2 accepts 1 to 64).
    pub(crate) fn hop_limit(&self) -> Result<i64, ConfigureError> {
        let flag = match self.int("http-put-response-hop-limit") {
            0 => "metadata-token-response-hop-limit",
            _ => "http-put-response-hop-limit",
        };
        self.within(flag, 1..=64, "a number from 1 to 64")
    }
    /// Returns the defined duration, given in hours, in minutes; 0 if there is none.
    pub(crate) fn block_duration(&self) -> Result<i64, ConfigureError> {
        let (flag, expected) = (
            "block-duration-minutes",
            "60, 120, 180, 240, 300 or 360, or 0 for none",
        );
        let minutes = self.within(flag, 0..=360, expected)?;
        (minutes % 60 == 0)
            .then_some(minutes)
            .ok_or_else(|| invalid(flag, minutes, expected))
    }
    pub(crate) fn one_of(
        &self,
        flag: &'static str,
        words: &[&str],
        expected: &'static str,
    ) -> Result<String, ConfigureError> {
        let text = self.text(flag);
        if words.contains(&text.as_str()) {
            Ok(text)
        } else {
            Err(invalid(flag, text, expected))
        }
    }
}

/// Returns the port of a classic swarm's master from `--swarm-host tcp://ADDRESS:PORT`.
pub(crate) fn swarm_port(saved: &Saved) -> Option<u16> {
    let (_, rest) = saved.base.swarm_host.split_once("://")?;
    let host = rest.split('/').next()?;
    host.rsplit_once(':')?.1.parse().ok()
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
