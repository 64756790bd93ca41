//! One JSON object per event: the lines of `MACHINE_LOG=json` and of `MACHINE_TRACE`.

use std::time::{Duration, SystemTime};

use libmachine::{Span, SpanOutcome};
use machine_types::{is_harmful, masked};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Returns the record of a finished operation.
pub(super) fn span(span: &Span) -> String {
    let failure = match &span.outcome {
        SpanOutcome::Ok => None,
        SpanOutcome::Failed(why) => Some(why.as_str()),
    };
    let when = (span.started, span.took);
    let mut record = fields(super::kind(span.kind), &span.name, when, failure);
    for (name, value) in &span.fields {
        record.insert((*name).to_owned(), masked(value).into());
    }
    line(&Value::Object(record))
}

/// Returns the record of work that has no span, such as a whole command.
pub(super) fn work(
    kind: &str,
    name: &str,
    when: (SystemTime, Duration),
    failure: Option<&str>,
) -> String {
    line(&Value::Object(fields(kind, name, when, failure)))
}

fn fields(
    kind: &str,
    name: &str,
    (started, took): (SystemTime, Duration),
    failure: Option<&str>,
) -> Map<String, Value> {
    let mut record = Map::new();
    record.insert("time".into(), time(started).into());
    record.insert("kind".into(), kind.into());
    record.insert("name".into(), masked(name).into());
    record.insert("duration_ms".into(), milliseconds(took).into());
    record.insert("outcome".into(), masked(failure.unwrap_or("ok")).into());
    record
}

/// Returns the record of a line.
pub(super) fn message(now: SystemTime, level: &str, text: &str) -> String {
    line(&json!({ "time": time(now), "level": level, "message": masked(text) }))
}

/// Writes a record as one line. Escapes all control characters that a terminal interprets: JSON itself escapes C0
/// alone.
fn line(record: &Value) -> String {
    let mut line = String::new();
    for character in record.to_string().chars() {
        match is_harmful(character) {
            true => {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    line.push_str(&format!("\\u{unit:04x}"));
                }
            }
            false => line.push(character),
        }
    }
    line
}

/// Milliseconds, rounded to microseconds: more digits are noise.
fn milliseconds(took: Duration) -> f64 {
    (took.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

fn time(at: SystemTime) -> String {
    OffsetDateTime::from(at)
        .format(&Rfc3339)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_json_that_a_terminal_does_not_obey() {
        let text = "\x1b[2J\u{9b}\u{202e}\u{e0041}Zürich\n";
        let record = message(SystemTime::UNIX_EPOCH, "info", text);
        assert!(!record.contains(is_harmful), "{record:?}");
        let read: Value = serde_json::from_str(&record).unwrap();
        assert_eq!(read["message"], text);
    }
}
