//! The plugin's log: one JSON object a line on standard error, as hashicorp/go-hclog writes it and the host reads it.
//!
//! `@level`, `@message` and `@timestamp` must be strings: the host ends at any other type.

use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use libmachine::{Ambient, Event, Events};
use machine_types::{masked, printable};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::macros::format_description;

/// A level of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// `debug`.
    Debug,
    /// `info`.
    Info,
    /// `warn`.
    Warn,
    /// `error`.
    Error,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }

    /// Returns the level of a line of `MACHINE_LOG=json`.
    pub fn of(name: &str) -> Self {
        match name {
            "debug" => Self::Debug,
            "warning" => Self::Warn,
            "error" => Self::Error,
            _ => Self::Info,
        }
    }
}

/// Writes log lines. Clones share the stream.
#[derive(Clone)]
pub struct Log {
    stream: Arc<Mutex<Box<dyn std::io::Write + Send>>>,
    ambient: Arc<dyn Ambient>,
}

impl Log {
    /// Makes a log over a stream.
    pub fn new(stream: Box<dyn std::io::Write + Send>, ambient: Arc<dyn Ambient>) -> Self {
        Self {
            stream: Arc::new(Mutex::new(stream)),
            ambient,
        }
    }

    /// Writes a line. Masks secrets in URLs and options. A stream that fails is ignored: the work goes on.
    pub fn line(&self, level: Level, message: &str, fields: &[(&str, &str)]) {
        let clean = |text: &str| Value::from(printable(masked(text).as_bytes()));
        let mut line = Map::new();
        line.insert("@level".into(), level.name().into());
        line.insert("@message".into(), clean(message));
        line.insert("@module".into(), "docker-machine".into());
        line.insert("@timestamp".into(), timestamp(self.ambient.now()).into());
        for (name, value) in fields {
            line.insert((*name).to_owned(), clean(value));
        }
        let mut text = Value::from(line).to_string();
        text.push('\n');
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = stream.write_all(text.as_bytes());
        let _ = stream.flush();
    }

    /// Writes a line about an instance.
    pub fn about(&self, level: Level, instance: &str, message: &str) {
        self.line(level, message, &[("instance", instance)]);
    }
}

/// Returns the time in the layout `2006-01-02T15:04:05.000000Z07:00` of hclog.
fn timestamp(now: std::time::SystemTime) -> String {
    let layout =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
    OffsetDateTime::from(now).format(layout).unwrap_or_default()
}

/// Writes what the use cases report.
impl Events for Log {
    fn emit(&self, event: Event) {
        match event {
            Event::Warn(text) | Event::Alert(text) => self.line(Level::Warn, &text, &[]),
            Event::Debug(text) => self.line(Level::Debug, &text, &[]),
            _ => {}
        }
    }
}
