//! Reads records back, from a trace or from the log of a create, and shows them: in order, or as a waterfall.

use std::collections::BTreeMap;
use std::time::Duration;

use machine_types::{printable_within, shown};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A pause of this length in the records of a machine ends one command and begins another.
const PAUSE: Duration = Duration::from_secs(60);

/// Maximum width of the kind and name of an operation in a waterfall, and minimum width of its bars.
const LONGEST_NAME: usize = 44;
const NARROWEST: usize = 20;

/// A record.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    at: OffsetDateTime,
    machine: String,
    what: What,
}

#[derive(Debug, Clone, PartialEq)]
enum What {
    Message {
        level: String,
        text: String,
    },
    Work {
        kind: String,
        name: String,
        took: Duration,
        /// Empty for success.
        failure: String,
    },
}

impl Record {
    fn parse(line: &str) -> Option<Self> {
        let object: Value = serde_json::from_str(line).ok()?;
        let text = |key: &str| object.get(key)?.as_str().map(str::to_owned);
        let what = match text("message") {
            Some(message) => What::Message {
                level: text("level")?,
                text: message,
            },
            None => {
                let milliseconds = object.get("duration_ms")?.as_f64()?;
                let took = Duration::try_from_secs_f64(milliseconds / 1000.0).ok()?;
                What::Work {
                    kind: text("kind")?,
                    name: text("name")?,
                    took,
                    failure: text("outcome").filter(|it| it != "ok").unwrap_or_default(),
                }
            }
        };
        Some(Self {
            at: OffsetDateTime::parse(&text("time")?, &Rfc3339).ok()?,
            machine: text("machine").unwrap_or_default(),
            what,
        })
    }

    fn since(&self, begun: OffsetDateTime) -> Duration {
        Duration::try_from(self.at - begun).unwrap_or_default()
    }

    /// Returns its end.
    fn end(&self) -> OffsetDateTime {
        let took = time::Duration::try_from(self.took()).ok();
        took.and_then(|took| self.at.checked_add(took))
            .unwrap_or(self.at)
    }

    fn took(&self) -> Duration {
        match &self.what {
            What::Message { .. } => Duration::ZERO,
            What::Work { took, .. } => *took,
        }
    }
}

/// Parses JSON lines, in the order of their times. Skips other lines.
pub(crate) fn parse(text: &str) -> Vec<Record> {
    let mut records: Vec<Record> = text.lines().filter_map(Record::parse).collect();
    records.sort_by_key(|record| record.at);
    records
}

fn seconds(time: Duration) -> String {
    format!("{:.1}s", time.as_secs_f64())
}

/// Formats records one below the other, each with the time from the first beginning to its end.
pub(crate) fn log(records: &[Record]) -> String {
    let begun = records.first().map(|first| first.at);
    let mut records: Vec<&Record> = records.iter().collect();
    records.sort_by_key(|record| record.end());
    let line = |record: &&Record| {
        let text = match &record.what {
            What::Message { level, text } if level == "info" || text.starts_with("WARNING") => {
                text.clone()
            }
            What::Message { level, text } => format!("{level}: {text}"),
            What::Work {
                kind,
                name,
                took,
                failure,
            } => {
                let failed = match failure.as_str() {
                    "" => String::new(),
                    why => format!(", failed: {why}"),
                };
                format!("{kind} {name} {}{failed}", seconds(*took))
            }
        };
        let text = shown(&text).replace('\n', "\n          ");
        let since = record.end() - begun.unwrap_or(record.at);
        format!("{:>7.1}s  {text}\n", since.as_seconds_f64())
    };
    records.iter().map(line).collect()
}

/// Formats the operations of each command as a waterfall: a line each, with a bar from its start to its end.
pub(crate) fn waterfalls(records: &[Record], columns: usize) -> String {
    let mut of_machines: BTreeMap<&str, Vec<Command<'_>>> = BTreeMap::new();
    for record in records {
        if matches!(record.what, What::Message { .. }) {
            continue;
        }
        let commands = of_machines.entry(&record.machine).or_default();
        match commands.last_mut() {
            Some(command) if record.since(command.end) < PAUSE => {
                command.end = command.end.max(record.end());
                command.records.push(record);
            }
            _ => commands.push(Command {
                begin: record.at,
                end: record.end(),
                records: vec![record],
            }),
        }
    }
    let mut commands: Vec<_> = of_machines.into_values().flatten().collect();
    commands.sort_by_key(|command| command.begin);
    let waterfalls: Vec<String> = commands
        .iter()
        .map(|command| waterfall(command, columns))
        .collect();
    waterfalls.join("\n")
}

/// The operations of one machine without a long pause between them, and when they begin and end.
struct Command<'a> {
    begin: OffsetDateTime,
    end: OffsetDateTime,
    records: Vec<&'a Record>,
}

fn waterfall(command: &Command<'_>, columns: usize) -> String {
    let total = Duration::try_from(command.end - command.begin).unwrap_or_default();
    let rows: Vec<(String, &Record, &str)> = command
        .records
        .iter()
        .filter_map(|record| match &record.what {
            What::Work {
                kind,
                name,
                failure,
                ..
            } => {
                let label = printable_within(format!("{kind} {name}").as_bytes(), LONGEST_NAME);
                Some((label, *record, failure.as_str()))
            }
            What::Message { .. } => None,
        })
        .collect();
    let widths = rows.iter().map(|(label, ..)| label.chars().count());
    let label_width = widths.max().unwrap_or(0);
    // The label, a space, the seconds, a space, the bar between two lines.
    let width = columns.saturating_sub(label_width + 12).max(NARROWEST);
    let place = |time: Duration| match total.is_zero() {
        true => 0,
        false => (time.as_secs_f64() / total.as_secs_f64() * width as f64) as usize,
    };
    let machine = command.records.first().map(|first| first.machine.as_str());
    let machine = match machine.unwrap_or_default() {
        "" => String::new(),
        machine => format!("{} · ", shown(machine)),
    };
    let at = command.begin.format(&Rfc3339).unwrap_or_default();
    let mut text = format!("{machine}{at} · {}\n", seconds(total));
    for (label, record, failure) in rows {
        let since = record.since(command.begin);
        let begin = place(since).min(width - 1);
        let end = place(since + record.took()).clamp(begin + 1, width);
        let bar = " ".repeat(begin) + &"#".repeat(end - begin) + &" ".repeat(width - end);
        let failed = match failure {
            "" => String::new(),
            why => format!(" {}", shown(why)),
        };
        let space = " ".repeat(label_width - label.chars().count());
        let took = seconds(record.took());
        text.push_str(&format!("{label}{space} {took:>8} |{bar}|{failed}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = r#"{"time":"2026-11-26T18:00:01Z","kind":"api","name":"RunInstances","duration_ms":2000,"outcome":"ok","machine":"m1"}
{"time":"2026-11-26T18:00:00Z","kind":"phase","name":"launch","duration_ms":4000,"outcome":"ok","machine":"m1"}
not a record
{"time":"2026-11-26T18:00:00.5Z","level":"info","message":"Creating machine..."}
{"time":"2026-11-26T18:00:04Z","kind":"wait","name":"SSH","duration_ms":6000,"outcome":"timeout","machine":"m1"}
{"time":"2026-11-26T18:00:10Z","level":"error","message":"no SSH\n  hint: wait"}
{"time":"2026-11-26T19:00:00Z","kind":"api","name":"TerminateInstances","duration_ms":10,"outcome":"ok","machine":"m1"}
"#;

    #[test]
    fn a_log_is_in_the_order_in_which_things_ended() {
        assert_eq!(
            log(&parse(TRACE)),
            "    0.5s  Creating machine...
    3.0s  api RunInstances 2.0s
    4.0s  phase launch 4.0s
   10.0s  wait SSH 6.0s, failed: timeout
   10.0s  error: no SSH
            hint: wait
 3600.0s  api TerminateInstances 0.0s
"
        );
    }

    #[test]
    fn each_command_is_a_waterfall() {
        assert_eq!(
            waterfalls(&parse(TRACE), 48),
            "m1 · 2026-11-26T18:00:00Z · 10.0s
phase launch         4.0s |########            |
api RunInstances     2.0s |  ####              |
wait SSH             6.0s |        ############| timeout

m1 · 2026-11-26T19:00:00Z · 0.0s
api TerminateInstances     0.0s |####################|
"
        );
        assert_eq!(waterfalls(&parse("nothing"), 80), "");
    }
}
