//! The engine's options, with shell quoting resolved.
//!
//! A machine's record has them as the user typed them. The Go binary inserted them into shell and systemd lines,
//! which removed quotes and split one word into two; scripts and GitLab Runner's `MachineOptions` are full of values
//! that rely on it. No shell reads them here, so this module applies the same changes to a whole value, with a
//! warning.

use std::net::IpAddr;

use machine_types::{masked, unquoted};

use crate::flags::{Flag, key};
use crate::{EngineConfig, Plan, ProvisionError};

/// The engine's options.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Engine {
    pub(crate) storage_driver: String,
    pub(crate) labels: Vec<String>,
    pub(crate) insecure_registries: Vec<String>,
    pub(crate) registry_mirrors: Vec<String>,
    /// dockerd's flags, with or without leading dashes.
    pub(crate) flags: Vec<String>,
    /// `NAME=value`.
    pub(crate) environment: Vec<String>,
    /// Warnings for the user about values that are read differently than typed.
    pub(crate) warnings: Vec<String>,
}

impl Engine {
    /// Returns whether no option is set.
    pub(crate) fn is_default(&self) -> bool {
        let lists = [
            &self.labels,
            &self.insecure_registries,
            &self.registry_mirrors,
            &self.flags,
            &self.environment,
        ];
        self.storage_driver.is_empty() && lists.iter().all(|list| list.is_empty())
    }

    /// Returns dockerd's flags in the order in which the Go binary wrote them; none if the engine's configuration stays as
    /// it is.
    pub(crate) fn dockerd_flags(&self, plan: &Plan) -> Vec<Flag> {
        if plan.certificates.is_none() && self.is_default() {
            return Vec::new();
        }
        let mut flags = Vec::new();
        if plan.certificates.is_some() {
            let any = if plan.ipv6 { "[::]" } else { "0.0.0.0" };
            let everywhere = format!("tcp://{any}:{}", plan.engine_port);
            flags.push(Flag::two("-H", "hosts", &everywhere).vital());
        }
        flags.push(Flag::two("-H", "hosts", "unix:///var/run/docker.sock").vital());
        if !self.storage_driver.is_empty() {
            flags.push(Flag::two(
                "--storage-driver",
                "storage-driver",
                &self.storage_driver,
            ));
        }
        if plan.certificates.is_some() {
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
        }
        let label = |label: &str| Flag::two("--label", "labels", label);
        flags.extend(self.labels.iter().map(|text| label(text)));
        let typed: Vec<Flag> = self.flags.iter().map(|text| Flag::typed(text)).collect();
        let provider = label(&format!("provider={}", plan.provider));
        // dockerd rejects two labels with the same name: the user's own label wins.
        let mut users = flags.iter().chain(&typed);
        if !users.any(|flag| flag.collides(&provider.key, &provider.value)) {
            flags.push(provider);
        }
        for registry in &self.insecure_registries {
            flags.push(Flag::two(
                "--insecure-registry",
                "insecure-registries",
                registry,
            ));
        }
        for mirror in &self.registry_mirrors {
            flags.push(Flag::two("--registry-mirror", "registry-mirrors", mirror));
        }
        flags.extend(typed);
        flags
    }

    /// Reads the options as typed.
    pub(crate) fn read(options: &EngineConfig) -> Self {
        let mut engine = Self::default();
        let mut warnings = Vec::new();
        // The value of a flag, behind which others may follow.
        let mut value = |option: &str, typed: &String| -> String {
            let mut flags = flags_in(option, typed, &mut warnings).into_iter();
            let first = flags.next().unwrap_or_default();
            engine.flags.extend(flags);
            first
        };
        let mut all = |option: &str, values: &[String]| -> Vec<String> {
            values.iter().map(|typed| value(option, typed)).collect()
        };
        engine.labels = all("engine-label", &options.labels);
        engine.insecure_registries = all("engine-insecure-registry", &options.insecure_registry);
        engine.registry_mirrors = all("engine-registry-mirror", &options.registry_mirror);
        engine.storage_driver = value("engine-storage-driver", &options.storage_driver);
        for typed in &options.arbitrary_flags {
            if unquoted(typed).trim().trim_start_matches('-').is_empty() {
                // dockerd would take `--` for the end of its flags.
                warnings.push("an empty --engine-opt is ignored".to_owned());
                continue;
            }
            let flags = flags_in("engine-opt", typed, &mut warnings);
            engine.flags.extend(flags);
        }
        // [`InstallSource`](crate::InstallSource) parses the URL itself.
        bare("engine-install-url", &options.install_url, &mut warnings);
        let environment: Vec<String> = options
            .env
            .iter()
            .map(|typed| {
                bare("engine-env", typed, &mut warnings)
                    .trim_start()
                    .to_owned()
            })
            .collect();
        engine.warnings = warnings;
        for assignment in environment {
            match name_of(&assignment) {
                Ok(_) => engine.environment.push(assignment),
                // systemd ignores it as well.
                Err(reason) => engine.warnings.push(format!(
                    "--engine-env {} {reason}: it is ignored",
                    shown_name(&assignment)
                )),
            }
        }
        engine
    }

    /// Rejects options with which dockerd would not start.
    ///
    /// # Errors
    /// [`ProvisionError::Option`] for the first such option.
    pub(crate) fn check(&self) -> Result<(), ProvisionError> {
        check_labels(&self.values("label", "engine-label", &self.labels))?;
        let mirrors = self.values(
            "registry-mirror",
            "engine-registry-mirror",
            &self.registry_mirrors,
        );
        for mirror in &mirrors {
            mirror.fault(mirror_fault(&mirror.value))?;
        }
        let registries = self.values(
            "insecure-registry",
            "engine-insecure-registry",
            &self.insecure_registries,
        );
        for registry in &registries {
            registry.fault(registry_fault(&registry.value))?;
        }
        let own = std::slice::from_ref(&self.storage_driver);
        for typed in &self.values("storage-driver", "engine-storage-driver", own) {
            let driver = &typed.value;
            // The name of a plug-in has a slash or a tag.
            let is_known = driver.is_empty()
                || driver.contains(['/', ':'])
                || STORAGE_DRIVERS.contains(&driver.as_str());
            let expected =
                (!is_known).then(|| format!("expected one of {}", STORAGE_DRIVERS.join(", ")));
            typed.fault(expected)?;
        }
        Ok(())
    }

    /// Returns the values of a dockerd flag, from its own option and from `--engine-opt`.
    fn values(&self, flag: &str, option: &'static str, own: &[String]) -> Vec<Value> {
        let own = own.iter().map(|value| Value {
            option,
            typed: value.clone(),
            value: value.clone(),
        });
        let others = self.flags.iter().map(|typed| (typed, Flag::typed(typed)));
        let others = others
            .filter(|(_, read)| read.key == key(flag))
            .map(|(typed, read)| Value {
                option: "engine-opt",
                typed: typed.clone(),
                value: read.value,
            });
        own.chain(others).collect()
    }
}

/// The value of a dockerd flag.
struct Value {
    /// The option by which it came.
    option: &'static str,
    /// The value of that option, which is a flag with its value for `--engine-opt`.
    typed: String,
    value: String,
}

impl Value {
    fn fault(&self, reason: Option<String>) -> Result<(), ProvisionError> {
        reason.map_or(Ok(()), |reason| {
            Err(ProvisionError::Invalid {
                option: self.option.to_owned(),
                value: masked(&machine_types::printable(self.typed.as_bytes())),
                reason,
            })
        })
    }
}

/// Storage drivers of dockerd 18.09 to 29 (moby's daemon/graphdriver), and the containerd snapshotters that replace
/// them since 29.
const STORAGE_DRIVERS: &[&str] = &[
    "overlay2",
    "overlayfs",
    "fuse-overlayfs",
    "btrfs",
    "zfs",
    "vfs",
    "native",
    "overlay",
    "aufs",
    "devicemapper",
    "devmapper",
    "blockfile",
    "erofs",
    "stargz",
    "soci",
    "nydus",
];

/// Removes shell quotes from a value, and adds a warning.
fn bare(option: &str, value: &str, warnings: &mut Vec<String>) -> String {
    let bare = match option {
        "engine-opt" => unquoted_flag(value),
        _ => unquoted(value),
    };
    if bare != value {
        warnings.push(format!(
            "--{option} {}: the quotes around the value are removed, as a shell would",
            shown_name(&bare)
        ));
    }
    bare
}

/// Returns the part of a value that is usually not a secret: the text before the first `=`.
fn shown_name(value: &str) -> String {
    match value.split_once('=').map_or(value, |(name, _)| name).trim() {
        "" => "\"\"".to_owned(),
        name => masked(&machine_types::printable(name.as_bytes())),
    }
}

/// Removes shell quotes from a flag. systemd read `log-opt "max-size=10m"` as two words.
fn unquoted_flag(value: &str) -> String {
    let behind_name = value.trim_start_matches(|c: char| !c.is_whitespace());
    let rest = behind_name.trim_start();
    let (name, _) = value.split_at(value.len() - rest.len());
    match name.contains(['=', '"', '\'']) {
        true => unquoted(value),
        false => format!("{name}{}", unquoted(rest)),
    }
}

/// Returns the flags in one option, each without shell quotes. Quotes may be around all of them. Blanks around them
/// are dropped, as systemd did.
fn flags_in(option: &str, typed: &str, warnings: &mut Vec<String>) -> Vec<String> {
    let mut flags = split(typed.trim());
    if let [one] = flags.as_slice() {
        flags = split(&bare(option, one, warnings));
    }
    match flags.len() {
        0 | 1 => flags,
        _ => flags
            .iter()
            .map(|flag| bare(option, flag, warnings))
            .collect(),
    }
}

/// Splits `dns=8.8.8.8 --dns=8.8.4.4 -D`, which systemd read as three flags.
fn split(typed: &str) -> Vec<String> {
    let (mut flags, mut begin, mut quote, mut blank) = (Vec::new(), 0, None, false);
    for (place, c) in typed.char_indices() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => quote = Some(c),
            _ => {}
        }
        let rest = typed.get(place..).unwrap_or_default();
        if blank && quote.is_none() && begins_with_flag(rest) {
            let flag = typed.get(begin..place).unwrap_or_default();
            flags.push(flag.trim_end().to_owned());
            begin = place;
        }
        blank = c.is_whitespace();
    }
    // An unclosed quote is part of a value.
    if quote.is_some() {
        return vec![typed.to_owned()];
    }
    flags.push(typed.get(begin..).unwrap_or_default().to_owned());
    flags.retain(|flag| !flag.trim().is_empty());
    flags
}

/// Returns whether a text begins with `--NAME`, or with one of dockerd's flags of one letter.
fn begins_with_flag(text: &str) -> bool {
    if let Some(name) = text.strip_prefix("--") {
        return name.starts_with(|c: char| c.is_ascii_lowercase());
    }
    let mut letters = text.chars();
    letters.next() == Some('-')
        && letters.next().is_some_and(|c| "bDgGHlps".contains(c))
        && letters.next().is_none_or(|c| c == '=' || c.is_whitespace())
}

/// Returns the variable's name, or the reason why it is invalid.
fn name_of(assignment: &str) -> Result<&str, &'static str> {
    let Some((name, _)) = assignment.split_once('=') else {
        return Err("has no value (NAME=VALUE)");
    };
    let is_name = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    match is_name {
        true => Ok(name),
        false => Err("is not the name of a variable (letters, digits and _)"),
    }
}

/// Checks labels like moby's `opts.ValidateLabel` and `config.GetConflictFreeLabels`.
fn check_labels(labels: &[Value]) -> Result<(), ProvisionError> {
    for (place, label) in labels.iter().enumerate() {
        let parts = label.value.split_once('=');
        let Some((name, value)) = parts.filter(|(name, _)| !name.is_empty()) else {
            return label.fault(Some("expected KEY=VALUE".to_owned()));
        };
        let earlier = labels
            .iter()
            .take(place)
            .filter_map(|label| label.value.split_once('='));
        let mut conflicts = earlier.filter(|(other, said)| *other == name && *said != value);
        if let Some((_, said)) = conflicts.next() {
            let reason = format!("the same key has the value {said:?} already");
            return label.fault(Some(reason));
        }
    }
    Ok(())
}

/// Checks a mirror like moby's `registry.ValidateMirror`. Since release 28 a path is allowed.
fn mirror_fault(mirror: &str) -> Option<String> {
    let expected = || Some("expected http://HOST[:PORT] or https://HOST[:PORT]".to_owned());
    let Some((scheme, rest)) = mirror.split_once("://") else {
        return expected();
    };
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.contains('@') {
        return Some("Docker takes no user and password in the URL of a mirror".to_owned());
    }
    if !is_http(scheme)
        || authority.is_empty()
        || rest.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '?' | '#'))
        || port_fault(authority)
    {
        return expected();
    }
    None
}

/// Checks a registry like moby's `registry.loadInsecureRegistries`: a host with or without port, or a network.
fn registry_fault(registry: &str) -> Option<String> {
    // dockerd removes these two with a warning.
    let bare = match registry.split_once("://") {
        Some((scheme, rest)) if is_http(scheme) => rest,
        _ => registry,
    };
    let is_valid = is_network(bare) || is_host(bare) && !port_fault(bare);
    (!is_valid).then(|| "expected HOST[:PORT] or a network, as 10.0.0.0/8".to_owned())
}

fn is_http(scheme: &str) -> bool {
    ["http", "https"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known))
}

fn is_network(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else {
        return false;
    };
    let most = match address.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    bits.parse::<u8>().is_ok_and(|bits| bits <= most)
}

/// Returns whether the part before the port is an address, or a domain of the grammar of image references
/// (distribution's `reference.DomainRegexp`): no underscore, no wildcard, no final dot.
fn is_host(authority: &str) -> bool {
    if authority.parse::<IpAddr>().is_ok() {
        return true;
    }
    if let Some((address, _)) = authority
        .strip_prefix('[')
        .and_then(|it| it.split_once(']'))
    {
        return address.parse::<IpAddr>().is_ok();
    }
    let host = authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host);
    host.split('.').all(|label| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    })
}

/// Returns whether the text after the last colon is an invalid port.
fn port_fault(authority: &str) -> bool {
    let behind = authority.rsplit(']').next().unwrap_or_default();
    let is_address = authority.parse::<IpAddr>().is_ok();
    match behind.rsplit_once(':') {
        Some((_, port)) if !is_address => port.parse::<u16>().is_err(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(values: &[&str]) -> Vec<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    #[test]
    fn what_a_shell_took_off_is_taken_off_and_said() {
        let engine = Engine::read(&EngineConfig {
            arbitrary_flags: list(&[
                "'mtu=1400'",
                "log-opt=\"max-size=10m\"",
                "dns=8.8.8.8 --dns=8.8.4.4",
                "log-opt=tag='a --b'",
                "label=it's",
                "bip 10.0.0.1/24",
                "\"dns=1.1.1.1 --dns=1.0.0.1\"",
                " --icc=false",
                "''",
                "log-opt 'max-file=3'",
                "log-driver='local' ",
                "dns=9.9.9.9 -D -l debug",
                "mtu=1400 ",
                "log-opt=tag=a -x",
            ]),
            labels: list(&["'a=b'", "c=d --label=e=f", " g=h i "]),
            registry_mirror: list(&["'https://m' --registry-mirror='https://n'", " https://o"]),
            insecure_registry: list(&["r:5000 "]),
            env: list(&[
                "'A=1'",
                "HTTP_PROXY=\"http://u:secret@p:1\"",
                "FOO",
                "9X=secret",
                "=secret",
            ]),
            storage_driver: "\"overlay2\" --mtu=1".to_owned(),
            install_url: "'https://get.docker.com'".to_owned(),
        });
        assert_eq!(
            engine.flags,
            [
                "--label=e=f",
                "--registry-mirror=https://n",
                "--mtu=1",
                "mtu=1400",
                "log-opt=max-size=10m",
                "dns=8.8.8.8",
                "--dns=8.8.4.4",
                "log-opt=tag='a --b'",
                "label=it's",
                "bip 10.0.0.1/24",
                "dns=1.1.1.1",
                "--dns=1.0.0.1",
                "--icc=false",
                "log-opt max-file=3",
                "log-driver=local",
                "dns=9.9.9.9",
                "-D",
                "-l debug",
                "mtu=1400",
                "log-opt=tag=a -x",
            ]
        );
        assert_eq!(engine.labels, ["a=b", "c=d", "g=h i"]);
        assert_eq!(engine.registry_mirrors, ["https://m", "https://o"]);
        assert_eq!(engine.insecure_registries, ["r:5000"]);
        assert_eq!(
            engine.environment,
            ["A=1", "HTTP_PROXY=http://u:secret@p:1"]
        );
        assert_eq!(engine.storage_driver, "overlay2");
        let warnings = engine.warnings.join("\n");
        for said in [
            "--engine-opt mtu: the quotes",
            "--engine-opt log-opt: the quotes",
            "--engine-opt dns: the quotes",
            "--engine-opt log-opt max-file: the quotes",
            "--engine-opt log-driver: the quotes",
            "an empty --engine-opt is ignored",
            "--engine-label a: the quotes",
            "--engine-registry-mirror https://m: the quotes",
            "--engine-registry-mirror --registry-mirror: the quotes",
            "--engine-env A: the quotes",
            "--engine-env HTTP_PROXY: the quotes",
            "--engine-storage-driver overlay2: the quotes",
            "--engine-install-url https://get.docker.com: the quotes",
            "--engine-env FOO has no value",
            "--engine-env 9X is not the name of a variable",
            "--engine-env \"\" is not the name of a variable",
        ] {
            assert!(warnings.contains(said), "{said}: {warnings}");
        }
        assert_eq!(engine.warnings.len(), 16, "{warnings}");
        assert!(!warnings.contains("secret"), "{warnings}");
    }

    #[test]
    fn what_dockerd_would_not_start_with_is_found() {
        type Set = fn(&mut Engine, Vec<String>);
        let labels: Set = |engine, values| engine.labels = values;
        let mirrors: Set = |engine, values| engine.registry_mirrors = values;
        let registries: Set = |engine, values| engine.insecure_registries = values;
        let driver: Set = |engine, mut values| engine.storage_driver = values.remove(0);
        let good: [(Set, &[&str]); 4] = [
            (labels, &["a=b", "a=b", "c=", "d=e=f"]),
            (
                mirrors,
                &[
                    "http://127.0.0.1:5555",
                    "https://m.example/",
                    "https://m/v2",
                    "http://[::1]:5",
                    "HTTPS://m",
                ],
            ),
            (
                registries,
                &[
                    "r:5000",
                    "10.0.0.0/8",
                    "::1/128",
                    "https://r",
                    "r.example",
                    "HTTP://r",
                    "[::1]:80",
                    "::1",
                ],
            ),
            (driver, &["vfs", "overlay2"]),
        ];
        for (set, values) in good {
            let mut engine = Engine::default();
            set(
                &mut engine,
                values.iter().map(|value| (*value).to_owned()).collect(),
            );
            engine.check().unwrap();
        }
        let flags: Set = |engine, values| engine.flags = values;
        let bad: [(Set, &[&str], &str); 34] = [
            (
                flags,
                &["label=noeq"],
                "invalid --engine-opt \"label=noeq\": expected KEY=VALUE",
            ),
            (flags, &["--label a=b", "label=a=c"], "the same key"),
            (flags, &["registry-mirror=foo"], "expected http"),
            (flags, &["insecure-registry=ftp://r"], "expected HOST"),
            (
                flags,
                &["storage-driver=nosuch"],
                "expected one of overlay2",
            ),
            (flags, &["s=nosuch"], "expected one of overlay2"),
            (
                |engine, values| {
                    engine.labels = vec!["env=a".to_owned()];
                    engine.flags = values;
                },
                &["label=env=b"],
                "the same key",
            ),
            (
                labels,
                &["novalue"],
                "invalid --engine-label \"novalue\": expected KEY=VALUE",
            ),
            (labels, &[""], "expected KEY=VALUE"),
            (labels, &["=x"], "expected KEY=VALUE"),
            (labels, &["a=b", "a=c"], "the same key"),
            (mirrors, &["m.example"], "expected http"),
            (mirrors, &[""], "expected http"),
            (mirrors, &["ftp://m"], "expected http"),
            (mirrors, &["https://"], "expected http"),
            (mirrors, &["https://m?x=1"], "expected http"),
            (mirrors, &["https://m:port"], "expected http"),
            (mirrors, &["https://a https://b"], "expected http"),
            (
                mirrors,
                &["https://u:p@m"],
                "\"https://***@m\": Docker takes no user",
            ),
            (registries, &[""], "expected HOST"),
            (registries, &["ftp://r"], "expected HOST"),
            (registries, &["r:port"], "expected HOST"),
            (registries, &["10.0.0.0/33"], "expected HOST"),
            (registries, &["a b"], "expected HOST"),
            // dockerd 20.10: "insecure registry r/path is not valid: invalid host".
            (registries, &["r/path"], "expected HOST"),
            (registries, &["https://r:5000/"], "expected HOST"),
            (registries, &["*.example.com"], "expected HOST"),
            (registries, &["r_x:5000"], "expected HOST"),
            (registries, &["r."], "expected HOST"),
            (registries, &["r:"], "expected HOST"),
            (registries, &["r:1:2"], "expected HOST"),
            (registries, &["-r"], "expected HOST"),
            (registries, &["[r]:1"], "expected HOST"),
            (driver, &["overlay3"], "expected one of overlay2"),
        ];
        for (set, values, said) in bad {
            let mut engine = Engine::default();
            set(
                &mut engine,
                values.iter().map(|value| (*value).to_owned()).collect(),
            );
            let error = engine.check().unwrap_err().to_string();
            assert!(error.contains(said), "{values:?}: {error}");
        }
    }
}
