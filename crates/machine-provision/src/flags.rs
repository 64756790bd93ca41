//! dockerd's flags.

use crate::{ProvisionError, unit};

/// A flag of dockerd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flag {
    /// Its key in `daemon.json`.
    pub(crate) key: String,
    /// Its words on the command line.
    pub(crate) words: Vec<String>,
    /// Its value.
    pub(crate) value: String,
    /// Whether the engine is unreachable without it.
    pub(crate) vital: bool,
}

impl Flag {
    /// Makes a flag and its value, as two words.
    pub(crate) fn two(flag: &str, key: &str, value: &str) -> Self {
        Self {
            key: key.to_owned(),
            words: vec![flag.to_owned(), value.to_owned()],
            value: value.to_owned(),
            vital: false,
        }
    }

    pub(crate) fn vital(self) -> Self {
        Self {
            vital: true,
            ..self
        }
    }

    /// Makes a flag from `--engine-opt`: as typed, after two dashes, or one before a single letter. Users of the Go
    /// binary wrote `mtu 1400` for two words.
    pub(crate) fn typed(text: &str) -> Self {
        let text = text.trim_start_matches('-');
        let split = text.find(|c: char| c == '=' || c.is_whitespace());
        let (name, rest) = match split {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        let dashes = if name.len() == 1 { "-" } else { "--" };
        let (words, value) = match rest.strip_prefix('=') {
            Some(value) => (vec![format!("{dashes}{text}")], value),
            None if rest.is_empty() => (vec![format!("{dashes}{text}")], "true"),
            None => {
                let value = rest.trim();
                (vec![format!("{dashes}{name}"), value.to_owned()], value)
            }
        };
        Self {
            key: key(name).to_owned(),
            words,
            value: value.to_owned(),
            vital: false,
        }
    }

    /// Returns whether dockerd would reject this flag together with another one, or would use only one of them.
    pub(crate) fn collides(&self, other: &str, value: &str) -> bool {
        let key = one_name(&self.key);
        if key != one_name(other) {
            return false;
        }
        match key {
            "hosts" => is_one_listener(&self.value, value),
            key if NAMED.contains(&key) => {
                let name = |value: &str| value.split('=').next().map(str::to_owned);
                name(&self.value) == name(value)
            }
            key if LISTS.contains(&key) => self.value == value,
            _ => true,
        }
    }

    /// Returns whether a value of the same key is equal to this flag's.
    pub(crate) fn says(&self, value: &str) -> bool {
        match self.key.as_str() {
            "hosts" => listener(&self.value) == listener(value),
            _ => self.value == value,
        }
    }
}

/// List options of dockerd whose entries are `NAME=value`, with one value for each name: moby's `opts.MapOpts`,
/// `opts.UlimitOpt`, `opts.RuntimeOpt`, and labels, of which it rejects two with the same name.
const NAMED: &[&str] = &[
    "cluster-store-opts",
    "default-network-opts",
    "default-ulimits",
    "exec-opts",
    "features",
    "labels",
    "log-opts",
    "runtimes",
    "storage-opts",
];

/// List options of dockerd whose entries are independent of each other.
const LISTS: &[&str] = &[
    "allow-nondistributable-artifacts",
    "authorization-plugins",
    "cdi-spec-dirs",
    "default-address-pools",
    "dns",
    "dns-opts",
    "dns-search",
    "insecure-registries",
    "node-generic-resources",
    "registry-mirrors",
];

/// Maps the aliases of a flag to one name.
fn one_name(key: &str) -> &str {
    match key {
        "graph" | "g" => "data-root",
        "p" => "pidfile",
        // `tls` enables TLS without the checks of `tlsverify`.
        "tls" => "tlsverify",
        other => other,
    }
}

/// Splits a listening address: kind, address, port.
fn listener(host: &str) -> (&str, &str, &str) {
    match host.strip_prefix("tcp://") {
        Some(place) => {
            let (ip, port) = place.rsplit_once(':').unwrap_or((place, ""));
            let is_any = matches!(ip, "" | "0.0.0.0" | "[::]");
            ("tcp", if is_any { "" } else { ip }, port)
        }
        None => match host {
            "unix://" | "unix:///run/docker.sock" => ("", "unix:///var/run/docker.sock", ""),
            other => ("", other, ""),
        },
    }
}

/// Returns whether dockerd would bind the same address twice.
fn is_one_listener(one: &str, other: &str) -> bool {
    let (one, other) = (listener(one), listener(other));
    let is_any = one.0 == "tcp" && (one.1.is_empty() || other.1.is_empty());
    one == other || is_any && one.0 == other.0 && one.2 == other.2
}

/// Returns a flag's key in `daemon.json`: lists have plural names there (dockerd's reference, "Daemon configuration
/// file").
pub(crate) fn key(flag: &str) -> &str {
    match flag {
        "H" | "host" => "hosts",
        "label" => "labels",
        "insecure-registry" => "insecure-registries",
        "registry-mirror" => "registry-mirrors",
        "log-opt" => "log-opts",
        "storage-opt" => "storage-opts",
        "exec-opt" => "exec-opts",
        "dns-opt" => "dns-opts",
        "authorization-plugin" => "authorization-plugins",
        "default-ulimit" => "default-ulimits",
        "default-address-pool" => "default-address-pools",
        "default-network-opt" => "default-network-opts",
        "node-generic-resource" => "node-generic-resources",
        "add-runtime" => "runtimes",
        "cdi-spec-dir" => "cdi-spec-dirs",
        "cluster-store-opt" => "cluster-store-opts",
        "feature" => "features",
        "b" => "bridge",
        "D" => "debug",
        "G" => "group",
        "l" => "log-level",
        "s" => "storage-driver",
        other => other,
    }
}

/// Returns dockerd's command line in a unit.
///
/// # Errors
/// Same as [`unit::arguments`].
pub(crate) fn command_line(flags: &[Flag]) -> Result<String, ProvisionError> {
    let words: Vec<String> = flags.iter().flat_map(|flag| flag.words.clone()).collect();
    unit::arguments(&words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> (String, Vec<String>, String) {
        let flag = Flag::typed(text);
        (flag.key, flag.words, flag.value)
    }

    #[test]
    fn an_engine_option_is_used_as_typed() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        for (text, key, expected, value) in [
            ("mtu=1400", "mtu", words(&["--mtu=1400"]), "1400"),
            (
                "log-opt=a=b c",
                "log-opts",
                words(&["--log-opt=a=b c"]),
                "a=b c",
            ),
            (
                "experimental",
                "experimental",
                words(&["--experimental"]),
                "true",
            ),
            (
                "bip 10.0.0.1/24",
                "bip",
                words(&["--bip", "10.0.0.1/24"]),
                "10.0.0.1/24",
            ),
            ("--icc=false", "icc", words(&["--icc=false"]), "false"),
            ("-D", "debug", words(&["-D"]), "true"),
            ("-l debug", "log-level", words(&["-l", "debug"]), "debug"),
        ] {
            let expected: Vec<String> = expected;
            assert_eq!(typed(text), (key.into(), expected, value.into()), "{text}");
        }
    }

    #[test]
    fn flags_that_dockerd_accepts_only_once_collide() {
        let flag = |key: &str, value: &str| Flag::two("--x", key, value);
        for (key, one, other, expected) in [
            ("labels", "a=1", "a=2", true),
            ("labels", "a=1", "b=1", false),
            ("dns", "1.1.1.1", "8.8.8.8", false),
            ("mtu", "1", "2", true),
            ("hosts", "tcp://0.0.0.0:2376", "tcp://127.0.0.1:2376", true),
            ("hosts", "tcp://0.0.0.0:2376", "tcp://127.0.0.1:2375", false),
            ("hosts", "tcp://[::]:2376", "tcp://:2376", true),
            ("hosts", "unix:///var/run/docker.sock", "unix://", true),
            ("hosts", "unix:///var/run/docker.sock", "unix:///x", false),
        ] {
            assert_eq!(
                flag(key, one).collides(key, other),
                expected,
                "{one} {other}"
            );
        }
        assert!(flag("data-root", "/a").collides("graph", "/b"));
        assert!(!flag("mtu", "1").collides("bip", "1"));
    }
}
