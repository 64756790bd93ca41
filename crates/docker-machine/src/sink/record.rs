//! One JSON object for each thing told: the lines of `MACHINE_LOG=json` and of `MACHINE_TRACE`.

use std::time::SystemTime;

use libmachine::{Span, SpanOutcome};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Returns the record of a piece of work.
pub(super) fn span(span: &Span) -> String {
    let outcome = match &span.outcome {
        SpanOutcome::Ok => "ok",
        SpanOutcome::Failed(why) => why,
    };
    let mut record = Map::new();
    record.insert("time".into(), time(span.started).into());
    record.insert("kind".into(), super::kind(span.kind).into());
    record.insert("name".into(), span.name.clone().into());
    record.insert("duration_ms".into(), milliseconds(span).into());
    record.insert("outcome".into(), outcome.into());
    for (name, value) in &span.fields {
        record.insert((*name).to_owned(), value.clone().into());
    }
    Value::Object(record).to_string()
}

/// Returns the record of a line.
pub(super) fn message(now: SystemTime, level: &str, text: &str) -> String {
    json!({ "time": time(now), "level": level, "message": text }).to_string()
}

/// Milliseconds to the microsecond: more is noise.
fn milliseconds(span: &Span) -> f64 {
    (span.took.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

fn time(at: SystemTime) -> String {
    OffsetDateTime::from(at)
        .format(&Rfc3339)
        .unwrap_or_default()
}
