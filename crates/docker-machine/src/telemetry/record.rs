//! One JSON object for each thing told: the lines of `MACHINE_LOG=json` and of `MACHINE_TRACE`.

use std::time::{Duration, SystemTime};

use libmachine::{Span, SpanOutcome};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Returns the record of a piece of work.
pub(super) fn span(span: &Span) -> String {
    let failure = match &span.outcome {
        SpanOutcome::Ok => None,
        SpanOutcome::Failed(why) => Some(why.as_str()),
    };
    let when = (span.started, span.took);
    let mut record = fields(super::kind(span.kind), &span.name, when, failure);
    for (name, value) in &span.fields {
        record.insert((*name).to_owned(), value.clone().into());
    }
    Value::Object(record).to_string()
}

/// Returns the record of work that is no span: a whole command.
pub(super) fn work(
    kind: &str,
    name: &str,
    when: (SystemTime, Duration),
    failure: Option<&str>,
) -> String {
    Value::Object(fields(kind, name, when, failure)).to_string()
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
    record.insert("name".into(), name.into());
    record.insert("duration_ms".into(), milliseconds(took).into());
    record.insert("outcome".into(), failure.unwrap_or("ok").into());
    record
}

/// Returns the record of a line.
pub(super) fn message(now: SystemTime, level: &str, text: &str) -> String {
    json!({ "time": time(now), "level": level, "message": text }).to_string()
}

/// Milliseconds to the microsecond: more is noise.
fn milliseconds(took: Duration) -> f64 {
    (took.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

fn time(at: SystemTime) -> String {
    OffsetDateTime::from(at)
        .format(&Rfc3339)
        .unwrap_or_default()
}
