//! dockerd's flags, in the order that the Go binary wrote them.

use machine_types::GoList;

use crate::Plan;

/// A flag of dockerd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flag {
    /// What `daemon.json` calls it.
    pub(crate) key: String,
    /// The words of the command line.
    pub(crate) words: Vec<String>,
    /// What it says.
    pub(crate) value: String,
    /// Whether the engine cannot be reached without it.
    pub(crate) vital: bool,
}

impl Flag {
    /// A flag and its value, as two words.
    fn two(flag: &str, key: &str, value: &str) -> Self {
        Self {
            key: key.to_owned(),
            words: vec![flag.to_owned(), value.to_owned()],
            value: value.to_owned(),
            vital: false,
        }
    }

    fn vital(self) -> Self {
        Self {
            vital: true,
            ..self
        }
    }

    /// `--engine-opt`: as it was typed, behind two dashes. `mtu 1400` is what the Go binary's users
    /// wrote for two words.
    fn typed(text: &str) -> Self {
        let text = text.trim_start_matches('-');
        let split = text.find(|c: char| c == '=' || c.is_whitespace());
        let (name, rest) = match split {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        let (words, value) = match rest.strip_prefix('=') {
            Some(value) => (vec![format!("--{text}")], value),
            None if rest.is_empty() => (vec![format!("--{text}")], "true"),
            None => {
                let value = rest.trim();
                (vec![format!("--{name}"), value.to_owned()], value)
            }
        };
        Self {
            key: key(name).to_owned(),
            words,
            value: value.to_owned(),
            vital: false,
        }
    }
}

/// Returns what `daemon.json` calls a flag: lists have plural names there (dockerd's reference,
/// "Daemon configuration file").
fn key(flag: &str) -> &str {
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
        "node-generic-resource" => "node-generic-resources",
        "add-runtime" => "runtimes",
        "cdi-spec-dir" => "cdi-spec-dirs",
        "feature" => "features",
        "b" => "bridge",
        "D" => "debug",
        "G" => "group",
        "l" => "log-level",
        "s" => "storage-driver",
        other => other,
    }
}

/// Returns all flags of a plan.
pub(crate) fn flags(plan: &Plan) -> Vec<Flag> {
    let engine = &plan.engine;
    let any = if plan.ipv6 { "[::]" } else { "0.0.0.0" };
    let mut flags = vec![
        Flag::two("-H", "hosts", &format!("tcp://{any}:{}", plan.engine_port)).vital(),
        Flag::two("-H", "hosts", "unix:///var/run/docker.sock").vital(),
    ];
    if !engine.storage_driver.is_empty() {
        flags.push(Flag::two(
            "--storage-driver",
            "storage-driver",
            &engine.storage_driver,
        ));
    }
    flags.push(Flag {
        key: "tlsverify".to_owned(),
        words: vec!["--tlsverify".to_owned()],
        value: "true".to_owned(),
        vital: true,
    });
    for (name, file) in [
        ("tlscacert", "/etc/docker/ca.pem"),
        ("tlscert", "/etc/docker/server.pem"),
        ("tlskey", "/etc/docker/server-key.pem"),
    ] {
        flags.push(Flag::two(&format!("--{name}"), name, file).vital());
    }
    for label in list(&engine.labels) {
        flags.push(Flag::two("--label", "labels", label));
    }
    let provider = format!("provider={}", plan.provider);
    flags.push(Flag::two("--label", "labels", &provider));
    for registry in list(&engine.insecure_registry) {
        flags.push(Flag::two(
            "--insecure-registry",
            "insecure-registries",
            registry,
        ));
    }
    for mirror in list(&engine.registry_mirror) {
        flags.push(Flag::two("--registry-mirror", "registry-mirrors", mirror));
    }
    flags.extend(list(&engine.arbitrary_flags).map(|text| Flag::typed(text)));
    flags
}

fn list(values: &GoList) -> impl Iterator<Item = &String> {
    values.iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> (String, Vec<String>, String) {
        let flag = Flag::typed(text);
        (flag.key, flag.words, flag.value)
    }

    #[test]
    fn an_engine_option_is_what_was_typed() {
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
        ] {
            let expected: Vec<String> = expected;
            assert_eq!(typed(text), (key.into(), expected, value.into()), "{text}");
        }
    }
}
