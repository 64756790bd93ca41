//! A recorded case.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

/// The steps of a case, and their results. Texts contain placeholders: `$STORE`, `$VPC`…
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) argv: Vec<String>,
    /// `None` removes a variable.
    pub(crate) env: BTreeMap<String, Option<String>>,
    pub(crate) stdin: String,
    /// Written before the set-up, and after it.
    pub(crate) files: BTreeMap<String, String>,
    pub(crate) files_after: BTreeMap<String, String>,
    pub(crate) setup: Vec<Vec<String>>,
    /// `None`: the command was killed while it waited for SSH.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) files_left: Option<Vec<String>>,
    pub(crate) config: Option<Value>,
    pub(crate) wire: Vec<Call>,
}

/// A call to EC2.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) action: String,
    pub(crate) params: BTreeMap<String, String>,
}

/// Reads a file of cases, by its name in `tests/data`.
pub(crate) fn read(file: &str) -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("data")
        .join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
    cases.iter().map(case).collect()
}

fn case(case: &Value) -> Case {
    let setup = case["setup"].as_array().into_iter().flatten();
    let wire = case["wire"].as_array().into_iter().flatten();
    Case {
        id: text(&case["id"]),
        argv: texts(&case["argv"]),
        env: entries(&case["env"])
            .map(|(name, value)| (name, value.as_str().map(str::to_owned)))
            .collect(),
        stdin: text(&case["stdin"]),
        files: entries(&case["files"])
            .map(|(name, value)| (name, text(value)))
            .collect(),
        files_after: entries(&case["files_after"])
            .map(|(name, value)| (name, text(value)))
            .collect(),
        setup: setup.map(|step| texts(&step["argv"])).collect(),
        code: case["rc"].as_i64().map(|code| i32::try_from(code).unwrap()),
        stdout: text(&case["stdout"]),
        stderr: text(&case["stderr"]),
        files_left: case["files_left"]
            .is_array()
            .then(|| texts(&case["files_left"])),
        config: Some(case["config"].clone()).filter(Value::is_object),
        wire: wire
            .map(|call| Call {
                action: text(&call["action"]),
                params: entries(&call["params"])
                    .map(|(name, value)| (name, text(value)))
                    .collect(),
            })
            .collect(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}

fn entries(value: &Value) -> impl Iterator<Item = (String, &Value)> {
    value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), value))
}
