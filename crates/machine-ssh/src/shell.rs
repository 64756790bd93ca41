//! An interactive shell on a pseudo-terminal.

/// The size of a terminal's window, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowSize {
    /// Columns.
    pub columns: u32,
    /// Rows.
    pub rows: u32,
}

/// Parameters of a pseudo-terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pty {
    /// Terminal type, the value of `TERM`.
    pub term: String,
    /// Initial size.
    pub size: WindowSize,
}
