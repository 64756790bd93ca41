//! Putting one file onto a machine by the shell's own means.

/// A file to put onto a machine.
#[derive(Clone, Copy)]
pub struct Upload<'a> {
    pub(crate) path: &'a str,
    pub(crate) mode: u32,
    pub(crate) content: &'a [u8],
    pub(crate) as_root: bool,
}

impl<'a> Upload<'a> {
    /// Makes an upload of `content` to `path`, with the mode's lower nine bits (`0o600`). The
    /// directory must be there.
    pub fn new(path: &'a str, mode: u32, content: &'a [u8]) -> Self {
        Self {
            path,
            mode,
            content,
            as_root: false,
        }
    }

    /// Writes as root, see [`Command::as_root`](crate::Command::as_root); the file is root's.
    #[must_use]
    pub fn as_root(mut self) -> Self {
        self.as_root = true;
        self
    }
}
