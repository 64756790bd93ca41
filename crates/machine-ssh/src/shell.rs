//! An interactive shell on a pseudo-terminal.

/// The size of a terminal's window, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowSize {
    /// Columns.
    pub columns: u32,
    /// Rows.
    pub rows: u32,
}

/// The pseudo-terminal to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pty {
    /// The terminal's type, the value of `TERM`.
    pub term: String,
    /// Its size at the start.
    pub size: WindowSize,
}
