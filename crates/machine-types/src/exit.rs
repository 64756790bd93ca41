//! The exit codes of the process.

/// The exit codes of the binary. GitLab Runner distinguishes only zero and non-zero; scripts check for 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitStatus {
    /// Success.
    Success = 0,
    /// A failure; standard error has the error message.
    Failure = 1,
    /// A pre-create check failed: no resource was created.
    PreCreate = 3,
}

impl ExitStatus {
    /// Returns the number that the operating system sees.
    pub fn code(self) -> u8 {
        self as u8
    }
}
