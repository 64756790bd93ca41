//! dockerd's command line and `daemon.json`: the resulting settings, or the error with which dockerd would exit.
//!
//! Owns the names of dockerd's flags and its rules for combining flags and file. Does not use the network. Called by
//! the Docker service of a simulated host.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::systemd_unit::within;

/// Flags with a value, as `dockerd --help` of Docker 29 lists them, plus those of Docker 18 to 28. The second word is
/// the flag's key in `daemon.json`, if it differs.
const WITH_VALUE: &[(&str, &str)] = &[
    ("add-runtime", "runtimes"),
    ("allow-nondistributable-artifacts", ""),
    ("api-cors-header", ""),
    ("authorization-plugin", "authorization-plugins"),
    ("bip", ""),
    ("bip6", ""),
    ("bridge", ""),
    ("cdi-spec-dir", "cdi-spec-dirs"),
    ("cgroup-parent", ""),
    ("cluster-advertise", ""),
    ("cluster-store", ""),
    ("cluster-store-opt", "cluster-store-opts"),
    ("config-file", ""),
    ("containerd", ""),
    ("containerd-namespace", ""),
    ("containerd-plugins-namespace", ""),
    ("cpu-rt-period", "cpu-rt-period"),
    ("cpu-rt-runtime", "cpu-rt-runtime"),
    ("data-root", ""),
    ("default-address-pool", "default-address-pools"),
    ("default-cgroupns-mode", ""),
    ("default-gateway", ""),
    ("default-gateway-v6", ""),
    ("default-ipc-mode", ""),
    ("default-network-opt", "default-network-opts"),
    ("default-runtime", ""),
    ("default-shm-size", ""),
    ("default-ulimit", "default-ulimits"),
    ("dns", ""),
    ("dns-opt", "dns-opts"),
    ("dns-search", "dns-search"),
    ("exec-opt", "exec-opts"),
    ("exec-root", ""),
    ("feature", "features"),
    ("firewall-backend", ""),
    ("fixed-cidr", ""),
    ("fixed-cidr-v6", ""),
    ("graph", ""),
    ("group", ""),
    ("host", "hosts"),
    ("host-gateway-ip", "host-gateway-ips"),
    ("http-proxy", ""),
    ("https-proxy", ""),
    ("init-path", ""),
    ("insecure-registry", "insecure-registries"),
    ("ip", ""),
    ("label", "labels"),
    ("log-driver", ""),
    ("log-format", ""),
    ("log-level", ""),
    ("log-opt", "log-opts"),
    ("max-concurrent-downloads", ""),
    ("max-concurrent-uploads", ""),
    ("max-download-attempts", ""),
    ("metrics-addr", ""),
    ("mtu", ""),
    ("network-control-plane-mtu", ""),
    ("no-proxy", ""),
    ("node-generic-resource", "node-generic-resources"),
    ("oom-score-adjust", ""),
    ("pidfile", ""),
    ("registry-mirror", "registry-mirrors"),
    ("seccomp-profile", ""),
    ("shutdown-timeout", ""),
    ("storage-driver", ""),
    ("storage-opt", "storage-opts"),
    ("swarm-default-advertise-addr", ""),
    ("tlscacert", ""),
    ("tlscert", ""),
    ("tlskey", ""),
    ("userland-proxy-path", ""),
    ("userns-remap", ""),
];

/// Flags without a value, or with a value after `=`.
const SWITCHES: &[&str] = &[
    "allow-direct-routing",
    "bridge-accept-fwmark",
    "debug",
    "disable-legacy-registry",
    "experimental",
    "icc",
    "init",
    "ip-forward",
    "ip-forward-no-drop",
    "ip-masq",
    "ip6tables",
    "iptables",
    "ipv6",
    "live-restore",
    "no-new-privileges",
    "raw-logs",
    "rootless",
    "selinux-enabled",
    "tls",
    "tlsverify",
    "userland-proxy",
    "validate",
];

/// Short flags and their long names.
const SHORT: &[(char, &str)] = &[
    ('b', "bridge"),
    ('D', "debug"),
    ('G', "group"),
    ('g', "graph"),
    ('H', "host"),
    ('l', "log-level"),
    ('p', "pidfile"),
    ('s', "storage-driver"),
];

/// Keys of `daemon.json` without a flag.
const FILE_ONLY: &[&str] = &["builder", "proxies", "features", "labels"];

/// The settings of a dockerd: the values of each long flag, including those of `daemon.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct DockerdFlags(BTreeMap<String, Vec<String>>);

impl DockerdFlags {
    /// Parses a command line (without the program) and the `daemon.json` that it names.
    ///
    /// # Errors
    /// The message that dockerd writes to the journal before it exits with status 1.
    pub(super) fn read(argv: &[String], root: &Path) -> Result<Self, String> {
        let mut flags = Self::parse(argv)?;
        let file = flags
            .last("config-file")
            .unwrap_or("/etc/docker/daemon.json");
        let Ok(text) = fs::read_to_string(within(root, file)) else {
            return match flags.last("config-file") {
                Some(file) => Err(format!(
                    "unable to configure the Docker daemon with file {file}: open {file}: no such file or directory"
                )),
                None => flags.check_labels().map(|()| flags),
            };
        };
        let file = file.to_owned();
        flags.merge(&text).map_err(|reason| {
            format!("unable to configure the Docker daemon with file {file}: {reason}")
        })?;
        flags.check_labels()?;
        Ok(flags)
    }

    /// Rejects labels that dockerd rejects (moby's `opts.ValidateLabel`, `config.GetConflictFreeLabels`).
    fn check_labels(&self) -> Result<(), String> {
        let mut known = BTreeMap::new();
        for label in self.all("label") {
            let (name, value) = label
                .split_once('=')
                .ok_or_else(|| format!("bad attribute format: {label}"))?;
            if let Some(other) = known.insert(name, value).filter(|other| *other != value) {
                return Err(format!(
                    "conflict labels for {name}={value} and {name}={other}"
                ));
            }
        }
        Ok(())
    }

    fn parse(argv: &[String]) -> Result<Self, String> {
        let mut flags = Self::default();
        let mut words = argv.iter();
        while let Some(word) = words.next() {
            let (name, value) = if let Some(long) = word.strip_prefix("--") {
                match long.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (long, None),
                }
            } else if let Some(short) = word.strip_prefix('-').filter(|rest| !rest.is_empty()) {
                let mut letters = short.chars();
                let letter = letters.next().unwrap_or_default();
                let (_, name) = SHORT
                    .iter()
                    .find(|(known, _)| *known == letter)
                    .ok_or_else(|| format!("unknown shorthand flag: '{letter}' in {word}"))?;
                let rest = letters.as_str();
                let rest = rest.strip_prefix('=').unwrap_or(rest);
                (*name, (!rest.is_empty()).then(|| rest.to_owned()))
            } else {
                return Err(format!("dockerd: \"dockerd\" accepts no arguments: {word}"));
            };
            let value = if SWITCHES.contains(&name) {
                value.unwrap_or_else(|| "true".to_owned())
            } else if WITH_VALUE.iter().any(|(known, _)| *known == name) {
                value
                    .or_else(|| words.next().cloned())
                    .ok_or_else(|| format!("flag needs an argument: --{name}"))?
            } else {
                return Err(format!("unknown flag: --{name}"));
            };
            flags.0.entry(name.to_owned()).or_default().push(value);
        }
        Ok(flags)
    }

    /// Adds the settings of a `daemon.json`; rejects one that is also a flag, as dockerd does even for lists.
    fn merge(&mut self, text: &str) -> Result<(), String> {
        if text.trim().is_empty() {
            return Ok(());
        }
        let file: BTreeMap<String, Value> =
            serde_json::from_str(text).map_err(|error| format!("invalid JSON: {error}"))?;
        let mut conflicts = Vec::new();
        for (key, value) in file {
            let flag = WITH_VALUE
                .iter()
                .find(|(name, plural)| {
                    if plural.is_empty() {
                        *name == key
                    } else {
                        *plural == key
                    }
                })
                .map(|(name, _)| *name)
                .or_else(|| SWITCHES.iter().copied().find(|name| *name == key));
            let Some(flag) = flag else {
                if FILE_ONLY.contains(&key.as_str()) {
                    continue;
                }
                return Err(format!(
                    "the following directives don't match any configuration option: {key}"
                ));
            };
            let values = strings(&value);
            match self.0.get(flag) {
                Some(given) => conflicts.push(format!(
                    "{key}: (from flag: [{}], from file: [{}])",
                    given.join(" "),
                    values.join(" ")
                )),
                None => {
                    self.0.insert(flag.to_owned(), values);
                }
            }
        }
        if conflicts.is_empty() {
            return Ok(());
        }
        Err(format!(
            "the following directives are specified both as a flag and in the configuration file: {}",
            conflicts.join(", ")
        ))
    }

    /// Returns all values of a flag.
    pub(super) fn all(&self, name: &str) -> &[String] {
        self.0.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// Returns the effective value of a flag.
    pub(super) fn last(&self, name: &str) -> Option<&str> {
        self.all(name).last().map(String::as_str)
    }

    /// Returns whether a switch is on.
    pub(super) fn on(&self, name: &str) -> bool {
        self.last(name)
            .is_some_and(|value| value == "true" || value == "1")
    }
}

fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(strings).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| format!("{name}={}", strings(value).join(",")))
            .collect(),
        other => vec![other.to_string()],
    }
}
