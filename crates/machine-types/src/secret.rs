//! Secret values.

use std::fmt::Write as _;

/// Holds a secret: an access key's secret, a session token, a private key.
///
/// Has neither `Debug` nor `Display`, so that a struct that holds one cannot be logged by accident.
/// [`Secret::expose`] marks the few places that need the text. The memory is overwritten on drop, as far as the
/// allocator allows.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text, for sending or storing it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns whether the text is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        let length = self.0.len();
        self.0.clear();
        for _ in 0..length {
            // Writes within the existing capacity: in place, so it cannot fail.
            let _ = self.0.write_char('\0');
        }
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}
