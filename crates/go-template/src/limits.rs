//! How much a template may do: a template is input, and Go's own engine runs it to the end of the memory.

/// Bounds on one execution. Reaching one is an [`Error::Execute`](crate::Error::Execute).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Statements executed, those of each turn of a `range` counted anew.
    pub steps: u64,
    /// Bytes written, and bytes of strings made by functions.
    pub bytes: usize,
    /// Templates that call templates.
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
