//! The host's own `daemon.json` beside our flags.
//!
//! dockerd refuses to start where both say something about the same key. So what collides moves
//! into the file: lists are merged, what makes the engine reachable over TLS is ours, and of
//! anything else the file's word counts. The script keeps the original beside it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::flags::Flag;

/// What becomes of file and flags.
#[derive(Debug, PartialEq)]
pub(crate) struct Reconciled {
    /// The file's new text; as it was, where nothing in it changes.
    pub(crate) text: String,
    /// The flags that are still flags.
    pub(crate) flags: Vec<Flag>,
    /// Options that gave way, for the user.
    pub(crate) warnings: Vec<String>,
}

/// Where the file is.
pub(crate) const PATH: &str = "/etc/docker/daemon.json";

/// dockerd forgets the flags that name certificates where the file alone switches TLS on: all of
/// these are said in one place (`loadDaemonCliConfig` in moby's cmd/dockerd, 18.09 to 29).
const TLS: [&str; 5] = ["tls", "tlsverify", "tlscacert", "tlscert", "tlskey"];

/// Settles what file and flags both speak of.
///
/// # Errors
/// Why the text is no JSON object: dockerd would not take it either.
pub(crate) fn reconcile(text: &str, flags: Vec<Flag>) -> Result<Reconciled, String> {
    let mut file: Map<String, Value> = match text.trim() {
        "" => Map::new(),
        text => serde_json::from_str(text).map_err(|error| error.to_string())?,
    };
    let before = file.clone();
    let mut warnings = Vec::new();
    let mut kept = Vec::new();
    let mut moved: BTreeMap<String, Vec<Flag>> = BTreeMap::new();
    let has_tls = TLS.iter().any(|key| file.contains_key(*key));
    for flag in flags {
        if file.contains_key(&flag.key) || has_tls && TLS.contains(&flag.key.as_str()) {
            moved.entry(flag.key.clone()).or_default().push(flag);
        } else {
            kept.push(flag);
        }
    }
    for (key, flags) in moved {
        let value = file.entry(key.clone()).or_insert(Value::Null);
        for flag in flags {
            if !settle(value, &flag) {
                warnings.push(format!(
                    "{PATH} on the host sets {key}: {} gives way to it",
                    flag.words.join(" ")
                ));
            }
        }
    }
    // An empty file is none to people, but an error to dockerd before release 23.
    let text = if file == before && !text.trim().is_empty() {
        text.to_owned()
    } else {
        format!("{:#}", Value::Object(file))
    };
    Ok(Reconciled {
        text,
        flags: kept,
        warnings,
    })
}

/// Brings what a flag says into the file's value; false: the file's value stays, and differs.
fn settle(value: &mut Value, flag: &Flag) -> bool {
    match value {
        Value::Array(values) if is_list(&flag.key) && values.iter().all(Value::is_string) => {
            let there = values
                .iter()
                .filter_map(Value::as_str)
                .any(|there| same(&flag.key, there, &flag.value));
            if !there {
                values.push(flag.value.clone().into());
            }
            true
        }
        Value::Object(entries) if flag.key == "log-opts" => {
            let Some((name, said)) = flag.value.split_once('=') else {
                return false;
            };
            match entries.get(name) {
                Some(there) => there.as_str() == Some(said),
                None => {
                    entries.insert(name.to_owned(), said.into());
                    true
                }
            }
        }
        // Ports, sizes and switches are numbers and booleans there.
        _ if says(value, &flag.value) => true,
        _ if flag.vital => {
            *value = match flag.value.parse() {
                Ok(switch) => Value::Bool(switch),
                Err(_) => flag.value.clone().into(),
            };
            true
        }
        _ => false,
    }
}

/// Whether what is a list in the file has the words of the flags as its entries.
fn is_list(key: &str) -> bool {
    key != "default-address-pools"
}

fn says(value: &Value, text: &str) -> bool {
    match value {
        Value::String(there) => there == text,
        other => serde_json::from_str::<Value>(text).is_ok_and(|ours| ours == *other),
    }
}

/// Whether two entries of a list are one: for `hosts`, whether dockerd would bind the same place twice.
fn same(key: &str, there: &str, ours: &str) -> bool {
    if key != "hosts" {
        return there == ours;
    }
    let place = |host: &str| match host.strip_prefix("tcp://") {
        Some(address) => {
            let (ip, port) = address.rsplit_once(':').unwrap_or((address, ""));
            let any = matches!(ip, "" | "0.0.0.0" | "[::]");
            format!("tcp {}:{port}", if any { "*" } else { ip })
        }
        None => match host {
            "unix://" | "unix:///run/docker.sock" => "unix:///var/run/docker.sock".to_owned(),
            other => other.to_owned(),
        },
    };
    place(there) == place(ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flag(words: &str, key: &str, value: &str, vital: bool) -> Flag {
        Flag {
            key: key.into(),
            words: words.split(' ').map(str::to_owned).collect(),
            value: value.into(),
            vital,
        }
    }

    #[test]
    fn what_does_not_collide_leaves_the_very_text() {
        let text = "{ \"live-restore\":true }";
        let flags = vec![flag("--mtu=1400", "mtu", "1400", false)];
        let done = reconcile(text, flags.clone()).unwrap();
        assert_eq!((done.text.as_str(), done.flags), (text, flags));
        assert!(done.warnings.is_empty());
    }

    #[test]
    fn lists_are_merged_and_nothing_of_the_file_is_lost() {
        let text = r#"{"labels":["x=1"],"hosts":["fd://","tcp://:2376"],"log-opts":{"max-file":"3"},"zz":{"a":[1]}}"#;
        let flags = vec![
            flag("-H t", "hosts", "tcp://0.0.0.0:2376", true),
            flag("-H u", "hosts", "unix:///var/run/docker.sock", true),
            flag("--label x=1", "labels", "x=1", false),
            flag("--label y=2", "labels", "y=2", false),
            flag("--log-opt=max-size=1m", "log-opts", "max-size=1m", false),
        ];
        let done = reconcile(text, flags).unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&done.text).unwrap(),
            serde_json::json!({
                "labels": ["x=1", "y=2"],
                "hosts": ["fd://", "tcp://:2376", "unix:///var/run/docker.sock"],
                "log-opts": {"max-file": "3", "max-size": "1m"},
                "zz": {"a": [1]},
            })
        );
        assert!(done.flags.is_empty() && done.warnings.is_empty());
        // Once more: what was merged is there.
        let again = reconcile(
            &done.text,
            vec![flag("--label y=2", "labels", "y=2", false)],
        )
        .unwrap();
        assert_eq!(again.text, done.text);
    }

    #[test]
    fn the_connection_is_ours_and_the_rest_the_files() {
        let text =
            r#"{"tlsverify":false,"tlscert":"/x","mtu":1500,"bip":"10.0.0.1/24","icc":false}"#;
        let flags = vec![
            flag("--tlsverify", "tlsverify", "true", true),
            flag("--tlscert s", "tlscert", "/etc/docker/server.pem", true),
            flag("--mtu=1400", "mtu", "1400", false),
            flag("--icc=false", "icc", "false", false),
        ];
        let done = reconcile(text, flags).unwrap();
        let file: Value = serde_json::from_str(&done.text).unwrap();
        assert_eq!(file["tlsverify"], true);
        assert_eq!(file["tlscert"], "/etc/docker/server.pem");
        assert_eq!(
            (&file["mtu"], &file["bip"]),
            (&1500.into(), &"10.0.0.1/24".into())
        );
        assert_eq!(
            done.warnings,
            ["/etc/docker/daemon.json on the host sets mtu: --mtu=1400 gives way to it"]
        );
        assert!(done.flags.is_empty());
    }

    #[test]
    fn all_of_tls_is_said_in_one_place() {
        for text in [r#"{"tlsverify":true}"#, r#"{"tls":false,"mtu":1400}"#] {
            let flags = vec![
                flag("-H t", "hosts", "tcp://0.0.0.0:2376", true),
                flag("--tlsverify", "tlsverify", "true", true),
                flag("--tlscacert c", "tlscacert", "c", true),
                flag("--tlscert s", "tlscert", "s", true),
                flag("--tlskey k", "tlskey", "k", true),
            ];
            let done = reconcile(text, flags).unwrap();
            let file: Value = serde_json::from_str(&done.text).unwrap();
            assert_eq!(file["tlsverify"], true);
            assert_eq!(
                [&file["tlscacert"], &file["tlscert"], &file["tlskey"]],
                ["c", "s", "k"]
            );
            assert_eq!(done.flags.len(), 1, "{text}");
            assert!(done.warnings.is_empty());
        }
    }

    #[test]
    fn a_broken_file_is_named_as_such() {
        assert!(reconcile("{\"a\":", vec![]).is_err());
        assert!(reconcile("[]", vec![]).is_err());
        assert_eq!(reconcile(" \n", vec![]).unwrap().text, "{}");
    }
}
