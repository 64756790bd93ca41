//! The result of a check: a line of `doctor`'s table.

use machine_types::one_line;

use crate::DriverError;

/// The verdict of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Correct.
    Right,
    /// It works, but the user should know about it.
    Notable,
    /// Wrong: an operation fails now, or will fail.
    Wrong,
}

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The object of the check, in a word or two: `credentials`, `subnet`.
    pub subject: String,
    /// The verdict.
    pub verdict: Verdict,
    /// The finding, on one line.
    pub found: String,
    /// The remedy; empty if there is nothing to do.
    pub remedy: String,
}

impl Check {
    /// Makes the result of a passed check.
    pub fn right(subject: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(Verdict::Right, subject, found, "")
    }

    /// Makes a result that the user should know about.
    pub fn notable(
        subject: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::new(Verdict::Notable, subject, found, remedy)
    }

    /// Makes the result of a failed check, with its remedy.
    pub fn wrong(
        subject: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::new(Verdict::Wrong, subject, found, remedy)
    }

    /// Makes the result of a check that could not be carried out, with the error's causes. The remedy is the error's
    /// hint, or `otherwise` if it has none.
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
