//! The ingress rules of security groups: their parameters and their output format.

use crate::ec2::protocol::error::ApiError;
use crate::ec2::protocol::query::Params;
use crate::ec2::protocol::xml::Xml;
use crate::ec2::resources::config::Cidr;

/// One ingress rule with one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// `tcp`, `udp`, `icmp` or `-1` for all.
    pub protocol: String,
    /// The first port; -1 for protocols without ports.
    pub from: i32,
    /// The last port.
    pub to: i32,
    /// An IPv4 block, an IPv6 block or the id of a group.
    pub source: Source,
}

/// The source of allowed traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// An IPv4 block.
    Ipv4(String),
    /// An IPv6 block.
    Ipv6(String),
    /// The members of a group.
    Group(String),
    /// A prefix list.
    PrefixList(String),
}

impl Source {
    /// Returns the block or the id.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Ipv4(s) | Self::Ipv6(s) | Self::Group(s) | Self::PrefixList(s) => s,
        }
    }
}

/// Parses `IpPermissions.N`, or the single top-level rule of older clients.
pub(crate) fn read(params: &Params) -> Result<Vec<Rule>, ApiError> {
    let mut rules = Vec::new();
    let mut permissions = params.structs("IpPermissions");
    if permissions.is_empty() {
        let mut one = Params::default();
        for name in ["IpProtocol", "FromPort", "ToPort"] {
            if let Some(value) = params.get(name) {
                one.set(name, value);
            }
        }
        if let Some(cidr) = params.get("CidrIp") {
            one.set("IpRanges.1.CidrIp", cidr);
        }
        permissions.push(one);
    }
    for permission in permissions {
        let protocol = match permission.need("IpProtocol")? {
            "6" => "tcp",
            "17" => "udp",
            "1" => "icmp",
            other => other,
        };
        let ports = |name: &str| permission.number::<i32>(name);
        let (from, to) = (ports("FromPort")?, ports("ToPort")?);
        if matches!(protocol, "tcp" | "udp") && (from.is_none() || to.is_none()) {
            return Err(ApiError::new(
                "InvalidParameterValue",
                format!(
                    "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange of {protocol}."
                ),
            ));
        }
        let (from, to) = (from.unwrap_or(-1), to.unwrap_or(-1));
        if !(-1..=65535).contains(&from) || !(-1..=65535).contains(&to) || from > to {
            return Err(ApiError::new(
                "InvalidParameterValue",
                format!("Invalid value '{from}-{to}' for portRange."),
            ));
        }
        let texts = |list: &str, field: &str| -> Vec<String> {
            let items = permission.structs(list);
            items.iter().filter_map(|i| i.text(field)).collect()
        };
        let ipv4 = texts("IpRanges", "CidrIp");
        if let Some(bad) = ipv4.iter().find(|c| Cidr::parse(c).is_none()) {
            return Err(ApiError::new(
                "InvalidParameterValue",
                format!("CIDR block {bad} is malformed"),
            ));
        }
        let sources = ipv4
            .into_iter()
            .map(Source::Ipv4)
            .chain(
                texts("Ipv6Ranges", "CidrIpv6")
                    .into_iter()
                    .map(Source::Ipv6),
            )
            .chain(texts("Groups", "GroupId").into_iter().map(Source::Group))
            .chain(
                texts("PrefixListIds", "PrefixListId")
                    .into_iter()
                    .map(Source::PrefixList),
            );
        rules.extend(sources.map(|source| Rule {
            protocol: protocol.to_owned(),
            from,
            to,
            source,
        }));
    }
    if rules.is_empty() {
        return Err(ApiError::missing("ipPermissions"));
    }
    Ok(rules)
}

/// Writes `ipPermissions`; groups the sources of equal protocol and ports as EC2 does.
pub(crate) fn permissions(xml: &mut Xml, account: &str, rules: &[Rule]) {
    let mut ports: Vec<(&str, i32, i32)> = Vec::new();
    for rule in rules {
        let key = (rule.protocol.as_str(), rule.from, rule.to);
        if !ports.contains(&key) {
            ports.push(key);
        }
    }
    xml.list("ipPermissions", ports, |xml, (protocol, from, to)| {
        xml.leaf("ipProtocol", protocol);
        if protocol != "-1" {
            xml.leaf("fromPort", from);
            xml.leaf("toPort", to);
        }
        let sources = || {
            rules
                .iter()
                .filter(|r| (r.protocol.as_str(), r.from, r.to) == (protocol, from, to))
                .map(|r| &r.source)
        };
        let groups = sources().filter_map(|s| match s {
            Source::Group(id) => Some(id),
            _ => None,
        });
        xml.list("groups", groups, |xml, id| {
            xml.leaf("userId", account);
            xml.leaf("groupId", id);
        });
        let ipv4 = sources().filter(|s| matches!(s, Source::Ipv4(_)));
        xml.list("ipRanges", ipv4, |xml, s| xml.leaf("cidrIp", s.text()));
        let ipv6 = sources().filter(|s| matches!(s, Source::Ipv6(_)));
        xml.list("ipv6Ranges", ipv6, |xml, s| xml.leaf("cidrIpv6", s.text()));
        let lists = sources().filter(|s| matches!(s, Source::PrefixList(_)));
        xml.list("prefixListIds", lists, |xml, s| {
            xml.leaf("prefixListId", s.text())
        });
    });
}
