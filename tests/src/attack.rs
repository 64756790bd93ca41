//! Attacks: runs of the binary against a hostile peer, with their result and peak memory.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

use crate::flows::Home;
use crate::{built, tell};

/// Maximum memory of a run under attack, in KiB.
pub const MEMORY_KIB: u64 = 64 << 10;

/// Result of a run under attack.
#[derive(Debug)]
pub struct Outcome {
    /// The exit status.
    pub status: i64,
    /// Standard error.
    pub err: String,
    /// Peak memory, in KiB.
    pub peak_kib: u64,
    /// Duration.
    pub took: Duration,
}

/// Runs the binary and waits for it. Discards its standard output.
///
/// # Panics
/// The run used too much memory, printed a control character, or reported a bug.
pub async fn run(home: &Home, argv: &[&str]) -> Outcome {
    run_as(home, home.binary(), argv).await
}

/// Same as [`run`], with another program.
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
    /// Prints the row of the table of attacks: the attack, its effect before the fix, and its effect now.
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

    /// Asserts success.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.status, 0, "{self:?}");
        self
    }

    /// Asserts failure, and that standard error contains each of these texts.
    #[track_caller]
    pub fn failed(self, said: &[&str]) -> Self {
        assert_eq!(self.status, 1, "{self:?}");
        for text in said {
            assert!(self.err.contains(text), "not said: {text:?}: {self:?}");
        }
        self
    }
}
