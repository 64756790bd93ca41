//! Machine names.

use std::fmt;
use std::str::FromStr;

/// The name of a machine: letters, digits, dots and dashes, beginning with a letter or digit.
///
/// The rule is the Go binary's rule for host names. It also keeps names inside the store: there is no separator, no
/// `..` and no leading dot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MachineName(String);

/// The longest file name of the file systems that a store is on (`NAME_MAX`), minus space for the suffixes of
/// temporary files.
const LONGEST: usize = 200;

impl MachineName {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MachineName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let begins_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        let goes_on_well = text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.');
        if begins_well && goes_on_well && text.len() <= LONGEST {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidName(text.escape_default().take(LONGEST).collect()))
        }
    }
}

impl fmt::Display for MachineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for MachineName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// An invalid machine name; holds the name, escaped for a terminal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Invalid hostname specified. Allowed hostname chars are: 0-9a-zA-Z . -")]
pub struct InvalidName(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gitlab_runners_names_are_valid() {
        for name in [
            "n1",
            "a.b-c.9",
            "runner-x1y2-gitlab-docker-machine-1700000000-0a1b2c3d",
        ] {
            assert_eq!(name.parse::<MachineName>().unwrap().as_str(), name);
        }
    }

    #[test]
    fn names_that_could_leave_the_store_are_invalid() {
        let long = "x".repeat(201);
        for name in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "a\0b",
            ".journal",
            "-f",
            "bad_name!",
            "ä",
            &long,
        ] {
            assert!(name.parse::<MachineName>().is_err(), "{name:?}");
        }
    }
}
