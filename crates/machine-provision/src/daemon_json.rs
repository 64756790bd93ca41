//! Merges the host's own `daemon.json` with the flags of the plan.
//!
//! dockerd refuses to start if a flag and the file set the same key. So conflicting flags move into the file: lists
//! are merged; for the options that make the engine reachable over TLS the flag wins, for all others the file wins.
//! The script keeps two copies next to the file: the file without changes by docker-machine, which is the starting
//! point of each run, and the file as last written, which lets the next run distinguish its own entries from later
//! changes by other people.

use std::collections::BTreeMap;

use machine_types::masked;
use serde_json::{Map, Value};

use crate::flags::Flag;

/// The texts of the file.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Texts<'a> {
    /// The current contents.
    pub(crate) current: &'a str,
    /// The contents without changes by docker-machine; none if it never changed the file.
    pub(crate) original: Option<&'a str>,
    /// The contents as last written by docker-machine.
    pub(crate) written: Option<&'a str>,
}

/// The merged file and the remaining flags.
#[derive(Debug, PartialEq)]
pub(crate) struct Reconciled {
    /// The file's new text; unchanged if no key changes.
    pub(crate) text: String,
    /// The text of the file without changes by docker-machine.
    pub(crate) original: String,
    /// The flags that stay on the command line.
    pub(crate) flags: Vec<Flag>,
    /// Warnings for the user about options that were overridden.
    pub(crate) warnings: Vec<String>,
}

/// The path of the file.
pub(crate) const PATH: &str = "/etc/docker/daemon.json";

/// dockerd ignores the flags that name certificates if only the file enables TLS: so all of these go to one place
/// (`loadDaemonCliConfig` in moby's cmd/dockerd, 18.09 to 29).
const TLS: [&str; 5] = ["tls", "tlsverify", "tlscacert", "tlscert", "tlskey"];

/// Resolves conflicts between file and flags.
///
/// # Errors
/// The text is not a JSON object, with the reason: dockerd would reject it too.
pub(crate) fn reconcile(texts: &Texts<'_>, flags: Vec<Flag>) -> Result<Reconciled, String> {
    let original = without_us(texts)?;
    let mut file = object(&original)?;
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
            let said = masked(&flag.words.join(" "));
            match merge_flag(value, &flag) {
                Merged::Same => {}
                Merged::FileWins => warnings.push(format!(
                    "{PATH} on the host sets {key}: it overrides {said}"
                )),
                Merged::Replaced(entry) => warnings.push(format!(
                    "{PATH} on the host has {} in {key}: {said} is used instead",
                    masked(&entry)
                )),
            }
        }
    }
    // An empty file is harmless to people, but an error to dockerd before release 23.
    let text = if file == before && !original.trim().is_empty() {
        original.clone()
    } else {
        format!("{:#}", Value::Object(file))
    };
    Ok(Reconciled {
        text,
        original,
        flags: kept,
        warnings,
    })
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    match text.trim() {
        "" => Ok(Map::new()),
        text => serde_json::from_str(text).map_err(|error| error.to_string()),
    }
}

/// Returns the file without changes by docker-machine: the original, plus changes by other people since
/// docker-machine wrote the file.
fn without_us(texts: &Texts<'_>) -> Result<String, String> {
    let mut file = object(texts.current)?;
    let (Some(original), Some(written)) = (texts.original, texts.written) else {
        return Ok(texts.current.to_owned());
    };
    // Copies that are no longer valid JSON are ignored.
    let (Ok(before), Ok(ours)) = (object(original), object(written)) else {
        return Ok(texts.current.to_owned());
    };
    for (key, value) in &ours {
        let was = before.get(key);
        if Some(value) == was {
            continue;
        }
        let Some(now) = file.get_mut(key) else {
            continue;
        };
        if now == value {
            match was {
                Some(was) => *now = was.clone(),
                None => drop(file.remove(key)),
            }
            continue;
        }
        match (now, value, was) {
            (Value::Array(now), Value::Array(ours), was) => {
                let was = was.and_then(Value::as_array);
                let is_ours = |entry: &Value| {
                    ours.contains(entry) && !was.is_some_and(|was| was.contains(entry))
                };
                now.retain(|entry| !is_ours(entry));
            }
            (Value::Object(now), Value::Object(ours), was) => {
                let was = was.and_then(Value::as_object);
                now.retain(|name, entry| {
                    ours.get(name) != Some(entry)
                        || was.is_some_and(|was| was.get(name) == Some(entry))
                });
            }
            _ => {}
        }
    }
    match file == before {
        true => Ok(original.to_owned()),
        false => Ok(format!("{:#}", Value::Object(file))),
    }
}

/// The result of merging one flag.
enum Merged {
    /// The file has the value, before or after the merge.
    Same,
    /// The file has another value, which wins.
    FileWins,
    /// The file now has the value, in place of an existing entry.
    Replaced(String),
}

/// Merges a flag into the value of its key in the file.
fn merge_flag(value: &mut Value, flag: &Flag) -> Merged {
    match value {
        Value::Array(values) if is_list(&flag.key) && values.iter().all(Value::is_string) => {
            let mut entries = values.iter().filter_map(Value::as_str);
            if entries.any(|entry| flag.says(entry)) {
                return Merged::Same;
            }
            let collides = |entry: &Value| {
                entry
                    .as_str()
                    .is_some_and(|entry| flag.collides(&flag.key, entry))
            };
            let replaced = values.iter().find(|entry| collides(entry));
            let replaced = replaced.and_then(Value::as_str).map(str::to_owned);
            values.retain(|entry| !collides(entry));
            values.push(flag.value.clone().into());
            replaced.map_or(Merged::Same, Merged::Replaced)
        }
        Value::Object(entries) if flag.key == "log-opts" => {
            let Some((name, said)) = flag.value.split_once('=') else {
                return Merged::FileWins;
            };
            match entries.get(name) {
                Some(there) if there.as_str() == Some(said) => Merged::Same,
                Some(_) => Merged::FileWins,
                None => {
                    entries.insert(name.to_owned(), said.into());
                    Merged::Same
                }
            }
        }
        // The file has ports, sizes and switches as numbers and booleans.
        _ if says(value, &flag.value) => Merged::Same,
        _ if flag.vital => {
            *value = match flag.value.parse() {
                Ok(switch) => Value::Bool(switch),
                Err(_) => flag.value.clone().into(),
            };
            Merged::Same
        }
        _ => Merged::FileWins,
    }
}

/// Returns whether the flag's words are list entries in the file.
fn is_list(key: &str) -> bool {
    key != "default-address-pools"
}

fn says(value: &Value, text: &str) -> bool {
    match value {
        Value::String(there) => there == text,
        other => serde_json::from_str::<Value>(text).is_ok_and(|ours| ours == *other),
    }
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

    fn reconcile(text: &str, flags: Vec<Flag>) -> Result<Reconciled, String> {
        let texts = Texts {
            current: text,
            ..Texts::default()
        };
        super::reconcile(&texts, flags)
    }

    #[test]
    fn without_conflicts_the_text_is_unchanged() {
        let text = "{ \"live-restore\":true }";
        let flags = vec![flag("--mtu=1400", "mtu", "1400", false)];
        let done = reconcile(text, flags.clone()).unwrap();
        assert_eq!((done.text.as_str(), done.flags), (text, flags));
        assert!(done.warnings.is_empty());
    }

    #[test]
    fn lists_are_merged_and_file_entries_are_kept() {
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
        // A second merge changes nothing.
        let again = reconcile(
            &done.text,
            vec![flag("--label y=2", "labels", "y=2", false)],
        )
        .unwrap();
        assert_eq!(again.text, done.text);
    }

    #[test]
    fn flags_win_for_the_connection_and_the_file_for_the_rest() {
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
            ["/etc/docker/daemon.json on the host sets mtu: it overrides --mtu=1400"]
        );
        assert!(done.flags.is_empty());
    }

    #[test]
    fn all_tls_options_go_to_one_place() {
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
    fn a_broken_file_is_an_error() {
        assert!(reconcile("{\"a\":", vec![]).is_err());
        assert!(reconcile("[]", vec![]).is_err());
        assert_eq!(reconcile(" \n", vec![]).unwrap().text, "{}");
    }

    #[test]
    fn each_run_starts_from_the_file_without_our_changes() {
        let original = r#"{"labels":["image=1"],"registry-mirrors":["https://image"],"log-opts":{},"mtu":1400}"#;
        let label = |text: &str| flag(&format!("--label {text}"), "labels", text, false);
        let mirror = |text: &str| {
            flag(
                &format!("--registry-mirror {text}"),
                "registry-mirrors",
                text,
                false,
            )
        };
        let opt = flag("--log-opt a=1", "log-opts", "a=1", false);
        let first = reconcile(original, vec![label("env=a"), mirror("https://one"), opt]).unwrap();
        assert_eq!(first.original, original);

        // Another machine on the same host: no entry of the first one is left.
        let texts = Texts {
            current: &first.text,
            original: Some(&first.original),
            written: Some(&first.text),
        };
        let second = super::reconcile(&texts, vec![label("env=b"), mirror("https://two")]).unwrap();
        let file: Value = serde_json::from_str(&second.text).unwrap();
        assert_eq!(
            file,
            serde_json::json!({
                "labels": ["image=1", "env=b"],
                "registry-mirrors": ["https://image", "https://two"],
                "log-opts": {},
                "mtu": 1400,
            })
        );
        assert_eq!(second.original, original);
        assert!(second.warnings.is_empty());

        // Later changes by other people stay; entries by docker-machine do not.
        let mut edited = file.clone();
        edited["labels"] = serde_json::json!(["image=1", "env=b", "mine=1"]);
        edited["mtu"] = 1500.into();
        edited["debug"] = true.into();
        edited["log-opts"] = serde_json::json!({"max-file": "3"});
        let edited = edited.to_string();
        let texts = Texts {
            current: &edited,
            original: Some(&second.original),
            written: Some(&second.text),
        };
        let third = super::reconcile(&texts, vec![label("env=c")]).unwrap();
        let file: Value = serde_json::from_str(&third.text).unwrap();
        assert_eq!(
            file,
            serde_json::json!({
                "labels": ["image=1", "mine=1", "env=c"],
                "registry-mirrors": ["https://image"],
                "log-opts": {"max-file": "3"},
                "mtu": 1500,
                "debug": true,
            })
        );
        let texts = Texts {
            current: &third.text,
            original: Some(&third.original),
            written: Some(&third.text),
        };
        let fourth = super::reconcile(&texts, vec![label("env=c")]).unwrap();
        assert_eq!(
            (&fourth.text, &fourth.original),
            (&third.text, &third.original)
        );
    }

    #[test]
    fn a_conflicting_list_entry_is_replaced() {
        let text = r#"{"labels":["env=image"],"hosts":["tcp://127.0.0.1:2376","fd://"]}"#;
        let flags = vec![
            flag("--label env=a", "labels", "env=a", false),
            flag("-H t", "hosts", "tcp://0.0.0.0:2376", true),
        ];
        let done = reconcile(text, flags).unwrap();
        let file: Value = serde_json::from_str(&done.text).unwrap();
        assert_eq!(
            file,
            serde_json::json!({"labels": ["env=a"], "hosts": ["fd://", "tcp://0.0.0.0:2376"]})
        );
        assert_eq!(
            done.warnings,
            [
                "/etc/docker/daemon.json on the host has tcp://127.0.0.1:2376 in hosts: -H t is used instead",
                "/etc/docker/daemon.json on the host has env=image in labels: --label env=a is used instead",
            ]
        );
    }
}
