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
        let fault = match text.chars().next() {
            None => Some(NameFault::Empty),
            Some(first) if is_allowed(first) && !first.is_ascii_alphanumeric() => {
                Some(NameFault::First(first))
            }
            Some(_) => {
                let other = text.chars().find(|c| !is_allowed(*c));
                let too_long = || (text.len() > LONGEST).then_some(NameFault::Length(text.len()));
                other.map(NameFault::Character).or_else(too_long)
            }
        };
        match fault {
            None => Ok(Self(text.to_owned())),
            Some(fault) => Err(InvalidName(
                text.escape_default().take(LONGEST).collect(),
                fault,
            )),
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
pub struct InvalidName(pub String, NameFault);

/// The rule that a name breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
enum NameFault {
    Empty,
    First(char),
    Character(char),
    Length(usize),
}

impl InvalidName {
    /// Returns the broken rule, and what a name may contain.
    pub fn hint(&self) -> String {
        match self.1 {
            NameFault::Empty => "the name is empty".to_owned(),
            NameFault::First(first) => {
                format!("the name begins with {first:?}: expected a letter or a digit")
            }
            NameFault::Character(other) => {
                let example = self.suggestion().map(|name| format!(", as in {name:?}"));
                format!(
                    "the name contains {other:?}: expected letters, digits, dots and dashes{}",
                    example.unwrap_or_default()
                )
            }
            NameFault::Length(length) => {
                format!("the name has {length} characters: {LONGEST} is the limit")
            }
        }
    }

    /// Returns the name with dashes in place of invalid characters, if that is a valid name.
    fn suggestion(&self) -> Option<String> {
        let allowed = |c: char| if is_allowed(c) { c } else { '-' };
        let name: String = self.0.chars().map(allowed).collect();
        let name = name.trim_matches(['-', '.']).to_owned();
        // An escape sequence is longer than the character that it represents.
        Some(name).filter(|name| !name.is_empty() && !self.0.contains('\\'))
    }
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '.'
}

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

    #[test]
    fn what_is_wrong_with_a_name_is_named() {
        let long = "x".repeat(300);
        for (name, hint) in [
            (
                "my_server",
                "contains '_': expected letters, digits, dots and dashes, as in \"my-server\"",
            ),
            ("-m", "begins with '-'"),
            ("", "is empty"),
            (&long, "has 300 characters: 200 is the limit"),
        ] {
            let said = name.parse::<MachineName>().unwrap_err().hint();
            assert!(said.contains(hint), "{name:?}: {said}");
        }
    }
}
