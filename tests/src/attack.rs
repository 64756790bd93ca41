//! Attacks, each a run of the binary against a hostile peer: how it ends, and how much memory it takes.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

use crate::flows::Home;
use crate::{built, tell};

/// How much memory a run under attack may take, in KiB.
pub const MEMORY_KIB: u64 = 64 << 10;

/// How a run under attack ended.
#[derive(Debug)]
pub struct Outcome {
    /// The exit status.
    pub status: i64,
    /// Standard error.
    pub err: String,
    /// The most memory that it had, in KiB.
    pub peak_kib: u64,
    /// How long it took.
    pub took: Duration,
}

/// Runs the binary to its end. Its standard output goes nowhere.
///
/// # Panics
/// It took too much memory, said something that a terminal obeys, or had a bug.
pub async fn run(home: &Home, argv: &[&str]) -> Outcome {
    run_as(home, home.binary(), argv).await
}

/// The same with another program.
///
/// # Panics
/// See [`run`].
pub async fn run_as(home: &Home, program: &Path, argv: &[&str]) -> Outcome {
    let mut measure = Command::new(built("benches"));
    measure.args(["measure", "1", "--"]).arg(program).args(argv);
    let ended = home.end(measure, b"").await;
    let last = ended.out.lines().last().unwrap_or_default();
    let sample: Value = serde_json::from_str(last).unwrap_or_else(|_| panic!("{ended}"));
    let outcome = Outcome {
        status: sample["status"].as_i64().unwrap(),
        peak_kib: sample["peak_kib"].as_u64().unwrap(),
        took: ended.took,
        err: ended.err,
    };
    assert!(outcome.peak_kib < MEMORY_KIB, "{argv:?}: {outcome:?}");
    let obeyed = |c: char| c.is_control() && c != '\n';
    assert!(!outcome.err.contains(obeyed), "{argv:?}: {outcome:?}");
    assert!(
        !outcome.err.contains("this is a bug"),
        "{argv:?}: {outcome:?}"
    );
    outcome
}

impl Outcome {
    /// Prints the row of the table of attacks: what was tried, what came of it before it was mended, and now.
    pub fn row(self, attack: &str, before: &str) -> Self {
        let first = self.err.lines().next().unwrap_or_default();
        let after: String = match first.char_indices().nth(120) {
            Some((end, _)) => format!("{}…", &first[..end]),
            None => first.to_owned(),
        };
        let after = if after.is_empty() { "works" } else { &after };
        tell(&format!(
            "| {attack} | {before} | {after} | {} MiB | {:.1} s |",
            self.peak_kib >> 10,
            self.took.as_secs_f64()
        ));
        self
    }

    /// Asserts that it succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.status, 0, "{self:?}");
        self
    }

    /// Asserts that it failed and said each of these.
    #[track_caller]
    pub fn failed(self, said: &[&str]) -> Self {
        assert_eq!(self.status, 1, "{self:?}");
        for text in said {
            assert!(self.err.contains(text), "not said: {text:?}: {self:?}");
        }
        self
    }
}
