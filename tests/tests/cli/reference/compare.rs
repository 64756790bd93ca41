//! The rules for comparing a run with its recording.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::reference::case::{Call, Case};
use crate::reference::differences::{self, Part};
use crate::reference::home::Replayed;

/// The commands whose standard output programs read: it must be equal byte for byte.
const EXACT: [&str; 10] = [
    "url", "ip", "status", "config", "env", "ls", "inspect", "active", "version", "ssh",
];

/// Sentences that scripts match. If the recording contains one, the same stream must contain it word for word.
const WELL_KNOWN: [&str; 22] = [
    r"Docker machine .* does not exist\. Use",
    r"Docker machine .* already exists",
    r"Host is not running",
    r"Machine .* is already (stopped|running)\.",
    r"^Error: .*",
    r"^exit status \d+",
    r"^No active host found",
    r"^Unsupported filter syntax",
    r"^Improper number of arguments",
    r"^flag provided but not defined: .*",
    r"^invalid value .* parse error",
    r"^docker-machine: '.*' is not a docker-machine command\. See 'docker-machine --help'\.",
    r"^Driver .* not found\. Do you have the plugin binary .*",
    r"^Invalid command line\. Found extra arguments .*",
    r"Invalid hostname specified\. Allowed hostname chars are: 0-9a-zA-Z \. -",
    r"hosts without a driver cannot be .*",
    r"^About to remove .*",
    r"^WARNING: This action will delete both local reference and remote instance\.",
    r"^Successfully removed .*",
    r"^Are you sure\? \(y/n\):",
    r"^(Starting|Stopping|Restarting|Killing) .*\.\.\.",
    r"^To see how to connect your Docker Client .*",
];

/// The calls whose parameters must equal the recording's.
const CALLS: [&str; 9] = [
    "RunInstances",
    "ImportKeyPair",
    "CreateSecurityGroup",
    "AuthorizeSecurityGroupIngress",
    "StopInstances",
    "StartInstances",
    "RebootInstances",
    "TerminateInstances",
    "DeleteKeyPair",
];

/// Compares everything. Returns the differences.
pub(crate) fn all(case: &Case, replayed: &Replayed) -> Option<String> {
    let parts = differences::of(&case.id);
    let mut differ = Vec::new();
    let expected = parts.iter().find_map(|part| match part {
        // The exit status is not specified.
        Part::Code(-1) => Some(replayed.code),
        Part::Code(code) => Some(Some(*code)),
        _ => None,
    });
    let expected = expected.unwrap_or(case.code);
    if replayed.code != expected {
        differ.push(format!("exit {:?} instead of {expected:?}", replayed.code));
    }
    if !parts.contains(&Part::Out) {
        differ.extend(output(case, "stdout", &case.stdout, &replayed.stdout));
    }
    if !parts.contains(&Part::Err) {
        differ.extend(meaning("stderr", &case.stderr, &replayed.stderr));
    }
    if !parts.contains(&Part::Files) {
        if let Some(left) = &case.files_left
            && *left != replayed.files_left
        {
            differ.push(format!(
                "files left: {:?}\n  instead of {left:?}",
                replayed.files_left
            ));
        }
        if let Some(config) = &case.config {
            differ.extend(configuration(config, replayed.config.as_ref()));
        }
    }
    if !parts.contains(&Part::Wire) {
        differ.extend(wire(&case.wire, &replayed.wire));
    }
    (!differ.is_empty()).then(|| {
        format!(
            "{} {:?}\n  {}\n--- stdout\n{}--- stderr\n{}",
            case.id,
            case.argv,
            differ.join("\n  "),
            replayed.stdout,
            replayed.stderr
        )
    })
}

/// Replaces the recording's addresses, private, public and of the second machine, with one placeholder.
fn placed(text: &str) -> String {
    let addresses = regex::Regex::new(r"172\.31\.\d+\.\d+|54\.214\.\d+\.\d+|\$IP3").unwrap();
    addresses.replace_all(text, "$$IP").into_owned()
}

fn output(case: &Case, stream: &str, recorded: &str, said: &str) -> Option<String> {
    if recorded.contains("<usage text>") {
        return (!said.contains("Usage: docker-machine")).then(|| format!("{stream}: no help"));
    }
    let command = case.argv.iter().find(|word| EXACT.contains(&word.as_str()));
    // This program's version differs from the recording's; the version of a machine's Docker does not.
    let own_version = recorded.starts_with("docker-machine version");
    if own_version {
        let form =
            regex::Regex::new(r"^docker-machine version \d+\.\d+\.\d+, build \w+\n$").unwrap();
        return (!form.is_match(said)).then(|| format!("{stream}: {said:?}"));
    }
    match command {
        Some(_) if table(&placed(recorded)) != table(said) => {
            Some(format!("{stream}: {said:?}\n  instead of {recorded:?}"))
        }
        Some(_) => None,
        None => meaning(stream, recorded, said),
    }
}

/// Column widths depend on the contents, and addresses here have other lengths than recorded ones. The cause of an
/// error has other wording.
fn table(text: &str) -> String {
    if !text.starts_with("NAME ") {
        return random(text);
    }
    let columns = regex::Regex::new(" {2,}").unwrap();
    let reasons = regex::Regex::new(
        r"Unable to query docker version: .*|(Error getting migrated host|(open )?\$STORE/).*",
    )
    .unwrap();
    let lines = text.lines().map(|line| {
        let line = columns.replace_all(line, "  ");
        reasons.replace(&line, "<reason>").into_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The driver's identifier of a machine is random.
fn random(text: &str) -> String {
    let id = regex::Regex::new(r#""Id": "[0-9a-f]{32}""#).unwrap();
    id.replace_all(text, r#""Id": "$$ID""#).into_owned()
}

/// Both are empty or both are not, and the well-known sentences are equal.
fn meaning(stream: &str, recorded: &str, said: &str) -> Option<String> {
    if recorded.is_empty() != said.is_empty() {
        return Some(format!("{stream}: {said:?}\n  instead of {recorded:?}"));
    }
    let recorded = placed(recorded);
    for sentence in WELL_KNOWN {
        let sentence = regex::RegexBuilder::new(sentence)
            .multi_line(true)
            .build()
            .unwrap();
        for found in sentence.find_iter(&recorded) {
            if !said.contains(found.as_str()) {
                return Some(format!("{stream} lacks {:?}", found.as_str()));
            }
        }
    }
    None
}

/// Compares every recorded field and its value. Additional fields are allowed.
fn configuration(recorded: &Value, left: Option<&Value>) -> Vec<String> {
    let recorded: Value = serde_json::from_str(&placed(&recorded.to_string())).unwrap();
    let mut differ = Vec::new();
    fields("", &recorded, left.unwrap_or(&Value::Null), &mut differ);
    differ
}

fn fields(path: &str, recorded: &Value, left: &Value, differ: &mut Vec<String>) {
    match recorded {
        Value::Object(object) => {
            for (name, value) in object {
                fields(&format!("{path}.{name}"), value, &left[name], differ);
            }
        }
        _ if path == ".Driver.Id" && left.as_str().is_some_and(|id| id.len() == 32) => {}
        _ if recorded == left => {}
        _ => differ.push(format!("config.json {path}: {left} instead of {recorded}")),
    }
}

/// Compares calls and their parameters, in any order.
fn wire(recorded: &[Call], made: &[Call]) -> Vec<String> {
    let mut differ = Vec::new();
    for action in CALLS {
        let of = |calls: &[Call]| -> Vec<BTreeSet<String>> {
            let calls = calls.iter().filter(|call| call.action == action);
            calls
                .map(|call| match action {
                    // By its ID, where the Go program has only the name: another key pair may have that by now.
                    "DeleteKeyPair" => BTreeSet::from(["a key pair".to_owned()]),
                    _ => facts(&call.params),
                })
                .collect()
        };
        let (recorded, made) = (of(recorded), of(made));
        let same = recorded.len() == made.len()
            && recorded.iter().zip(&made).all(|(recorded, made)| {
                let ours = |fact: &&String| fact.starts_with("tag ") || fact.starts_with("own ");
                recorded.is_subset(made) && made.difference(recorded).all(|fact| ours(&fact))
            });
        if !same {
            differ.push(format!("{action}: {made:#?}\n  instead of {recorded:#?}"));
        }
    }
    differ
}

/// A call's parameters as a set: tags and rules without their positions in a list.
fn facts(params: &BTreeMap<String, String>) -> BTreeSet<String> {
    let tag = regex::Regex::new(r"^TagSpecification\.(\d+)\.Tag\.\d+\.Key$").unwrap();
    let rule = regex::Regex::new(r"^IpPermissions\.(\d+)\.IpProtocol$").unwrap();
    let listed = regex::Regex::new(r"^(TagSpecification|IpPermissions)\.").unwrap();
    let get = |name: String| params.get(&name).cloned().unwrap_or_default();
    let mut facts = BTreeSet::new();
    for (name, value) in params {
        if let Some(found) = tag.captures(name) {
            let kind = get(format!("TagSpecification.{}.ResourceType", &found[1]));
            let text = get(name.replace(".Key", ".Value"));
            facts.insert(format!("tag of {kind}: {value}={text}"));
        } else if let Some(found) = rule.captures(name) {
            let of = |field: &str| get(format!("IpPermissions.{}.{field}", &found[1]));
            let (from, to, cidr) = (of("FromPort"), of("ToPort"), of("IpRanges.1.CidrIp"));
            facts.insert(format!("rule {value} {from}-{to} {cidr}"));
        } else if name.ends_with(".Ebs.Encrypted") && value == "false" {
            // The Go program always sends it (docs/migration.md).
        } else if !listed.is_match(name) && !value.is_empty() {
            let fact = match name.as_str() {
                "ClientToken" | "PublicKeyMaterial" => format!("{name}=random"),
                _ => format!("{name}={value}"),
            };
            facts.insert(fact);
        }
    }
    facts
}
