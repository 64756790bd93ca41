//! What an examination finds out: a line of `doctor`'s table.

use machine_types::one_line;

use crate::DriverError;

/// Whether something is as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It is.
    Right,
    /// It works, and somebody should know.
    Notable,
    /// It is not: something fails now, or will.
    Wrong,
}

/// What was found out about one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was looked at, in a word or two: `credentials`, `subnet`.
    pub subject: String,
    /// Whether it is as it should be.
    pub verdict: Verdict,
    /// What was found, on one line.
    pub found: String,
    /// What to do about it; empty where there is nothing to do.
    pub remedy: String,
}

impl Check {
    /// Says that something is as it should be.
    pub fn right(subject: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(Verdict::Right, subject, found, "")
    }

    /// Says what somebody should know.
    pub fn notable(
        subject: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::new(Verdict::Notable, subject, found, remedy)
    }

    /// Says what is wrong, and the way out.
    pub fn wrong(
        subject: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::new(Verdict::Wrong, subject, found, remedy)
    }

    /// Says that something could not be had, with the error's causes, and its hint as the way out; where it
    /// has none, `otherwise`.
    pub fn failed(
        subject: impl Into<String>,
        error: &DriverError,
        otherwise: impl Into<String>,
    ) -> Self {
        let remedy = error.hint.clone().unwrap_or_else(|| otherwise.into());
        Self::wrong(subject, one_line(error.cause()), remedy)
    }

    fn new(
        verdict: Verdict,
        subject: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            subject: subject.into(),
            verdict,
            found: found.into(),
            remedy: remedy.into(),
        }
    }
}
