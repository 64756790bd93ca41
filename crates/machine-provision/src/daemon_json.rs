//! The host's own `daemon.json` beside our flags.
//!
//! dockerd refuses to start where both say something about the same key. So what collides moves
//! into the file: lists are merged, what makes the engine reachable over TLS is ours, and of
//! anything else the file's word counts. The script keeps two copies beside the file: what it would be
//! without us, from which each run starts anew, and what we wrote, by which the next run tells our entries
//! from those that somebody wrote since.

use std::collections::BTreeMap;

use machine_types::masked;
use serde_json::{Map, Value};

use crate::flags::Flag;

/// The file's texts.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Texts<'a> {
    /// As it is.
    pub(crate) current: &'a str,
    /// As it would be without us; none where we never changed it.
    pub(crate) original: Option<&'a str>,
    /// As we wrote it.
    pub(crate) written: Option<&'a str>,
}

/// What becomes of file and flags.
#[derive(Debug, PartialEq)]
pub(crate) struct Reconciled {
    /// The file's new text; as it was, where nothing in it changes.
    pub(crate) text: String,
    /// The text that the file would have without us.
    pub(crate) original: String,
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
            match settle(value, &flag) {
                Settled::Said => {}
                Settled::GivesWay => warnings.push(format!(
                    "{PATH} on the host sets {key}: {said} gives way to it"
                )),
                Settled::Replaced(entry) => warnings.push(format!(
                    "{PATH} on the host has {} in {key}: {said} counts instead",
                    masked(&entry)
                )),
            }
        }
    }
    // An empty file is none to people, but an error to dockerd before release 23.
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

/// Returns what the file would be without us: the original, with what somebody else has changed since we
/// wrote the file.
fn without_us(texts: &Texts<'_>) -> Result<String, String> {
    let mut file = object(texts.current)?;
    let (Some(original), Some(written)) = (texts.original, texts.written) else {
        return Ok(texts.current.to_owned());
    };
    // Copies that somebody has broken tell nothing.
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

/// What became of a flag.
enum Settled {
    /// The file says it.
    Said,
    /// The file says something else, and that counts.
    GivesWay,
    /// The file says it now, in the place of an entry.
    Replaced(String),
}

/// Brings what a flag says into the file's value.
fn settle(value: &mut Value, flag: &Flag) -> Settled {
    match value {
        Value::Array(values) if is_list(&flag.key) && values.iter().all(Value::is_string) => {
            let mut entries = values.iter().filter_map(Value::as_str);
            if entries.any(|entry| flag.says(entry)) {
                return Settled::Said;
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
            replaced.map_or(Settled::Said, Settled::Replaced)
        }
        Value::Object(entries) if flag.key == "log-opts" => {
            let Some((name, said)) = flag.value.split_once('=') else {
                return Settled::GivesWay;
            };
            match entries.get(name) {
                Some(there) if there.as_str() == Some(said) => Settled::Said,
                Some(_) => Settled::GivesWay,
                None => {
                    entries.insert(name.to_owned(), said.into());
                    Settled::Said
                }
            }
        }
        // Ports, sizes and switches are numbers and booleans there.
        _ if says(value, &flag.value) => Settled::Said,
        _ if flag.vital => {
            *value = match flag.value.parse() {
                Ok(switch) => Value::Bool(switch),
                Err(_) => flag.value.clone().into(),
            };
            Settled::Said
        }
        _ => Settled::GivesWay,
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

    #[test]
    fn each_run_starts_from_what_the_file_would_be_without_us() {
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

        // Another machine on the same host: nothing of the first one is left.
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

        // What somebody wrote since stays; what we wrote does not.
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
    fn an_entry_that_dockerd_could_not_take_beside_ours_is_replaced() {
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
                "/etc/docker/daemon.json on the host has tcp://127.0.0.1:2376 in hosts: -H t counts instead",
                "/etc/docker/daemon.json on the host has env=image in labels: --label env=a counts instead",
            ]
        );
    }
}
