//! Compares templates with recorded results of Go: output, and error word for word.
//!
//! Each file of `tests/data` is a table of cases; its `data` names one of the inputs of [`inputs`]. `recorded` holds
//! the output of docker-machine 0.16.2-gitlab.23, the other files the output of the packages of Go 1.26.

#![allow(clippy::unwrap_used, clippy::panic)] // Helpers outside test functions may panic.

mod inputs;

use go_template::{Functions, Template, tabwriter};
use serde_json::Value as Json;

fn member<'c>(case: &'c Json, key: &str) -> &'c str {
    case.get(key).and_then(Json::as_str).unwrap_or_default()
}

/// Runs a case and returns the output, up to an error if there is one, and the error.
fn run(case: &Json) -> (String, String) {
    let template = member(case, "template");
    if member(case, "data") == "tabwriter" {
        let aligned = tabwriter::align(template.as_bytes(), tabwriter::Layout::LS);
        return (String::from_utf8(aligned).unwrap(), String::new());
    }
    let parsed = match Template::parse_with(member(case, "name"), template, Functions::with_json())
    {
        Ok(parsed) => parsed,
        Err(error) => return (String::new(), error.to_string()),
    };
    let mut out = Vec::new();
    let error = parsed
        .execute_to(&inputs::input(member(case, "data")), &mut out)
        .err();
    let error = error.map(|error| error.to_string()).unwrap_or_default();
    (String::from_utf8_lossy(&out).into_owned(), error)
}

fn check(table: &str) {
    let cases: Vec<Json> = serde_json::from_str(table).unwrap();
    assert!(cases.len() > 20, "the table has too few cases");
    let mut failures = String::new();
    for case in &cases {
        let expected = (
            member(case, "output").to_owned(),
            member(case, "error").to_owned(),
        );
        let found = run(case);
        if found != expected {
            let (data, template) = (member(case, "data"), member(case, "template"));
            failures +=
                &format!("\n{data}: {template}\n  expected {expected:?}\n  found    {found:?}");
        }
    }
    assert!(
        failures.is_empty(),
        "{} failures{failures}",
        failures.matches("\n  found").count()
    );
}

macro_rules! tables {
    ($($name:ident)*) => {
        $(#[test] fn $name() { check(include_str!(concat!("../data/", stringify!($name), ".json"))); })*
    };
}

tables! {
    compare control exec_errors functions machine made_up numbers parse_errors pipelines
    printf_flags printf_format printf_verbs recorded structs tabwriter text values
}
