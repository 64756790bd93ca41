//! How the process ends.

/// The exit codes of the binary. GitLab Runner tells zero from the rest; scripts tell 3 apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitStatus {
    /// All done.
    Success = 0,
    /// Something failed; standard error says what.
    Failure = 1,
    /// A pre-create check failed: nothing was made.
    PreCreate = 3,
}

impl ExitStatus {
    /// Returns the number that the operating system sees.
    pub fn code(self) -> u8 {
        self as u8
    }
}
