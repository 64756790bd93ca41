//! Execution limits. A template is untrusted input, and Go's own engine runs it until memory is exhausted.

/// Bounds on one execution. Reaching one is an [`Error::Execute`](crate::Error::Execute).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Statements executed; each turn of a `range` counts its statements again.
    pub steps: u64,
    /// Bytes written, plus bytes of strings that functions build.
    pub bytes: usize,
    /// Nesting of template calls.
    pub depth: usize,
}

impl Default for Limits {
    /// Ten million statements (about a second or two), 64 MiB, and the 100000 nested calls that Go allows.
    fn default() -> Self {
        Self {
            steps: 10_000_000,
            bytes: 64 << 20,
            depth: 100_000,
        }
    }
}

impl Limits {
    /// Returns the limits with another number of statements.
    pub fn with_steps(self, steps: u64) -> Self {
        Self { steps, ..self }
    }

    /// Returns the limits with another number of bytes.
    pub fn with_bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }

    /// Returns the limits with another depth of calls.
    pub fn with_depth(self, depth: usize) -> Self {
        Self { depth, ..self }
    }
}
