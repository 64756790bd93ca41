//! The parameters of a Query-protocol call.
//!
//! EC2 flattens structures and lists into names such as `Filter.1.Value.2`; [`Params`] restores the structure.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use crate::ec2::protocol::error::ApiError;

/// The parameters of one call, or those below a prefix of their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Params(BTreeMap<String, String>);

impl Params {
    /// Parses `application/x-www-form-urlencoded` text; the last of equal names wins.
    pub(crate) fn parse(form: &[u8]) -> Self {
        Self(form_urlencoded::parse(form).into_owned().collect())
    }

    pub(crate) fn map(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// Takes a parameter out.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// Drops all filters.
    pub(crate) fn ignore_filters(&mut self) {
        self.0.retain(|name, _| !name.starts_with("Filter."));
    }

    pub(crate) fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    /// Returns the value if it is present and not empty: EC2 treats an empty value as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|v| !v.is_empty())
    }

    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    pub(crate) fn need(&self, name: &str) -> Result<&str, ApiError> {
        self.get(name).ok_or_else(|| ApiError::missing(name))
    }

    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some("true" | "True") => Ok(Some(true)),
            Some("false" | "False") => Ok(Some(false)),
            Some(other) => Err(ApiError::invalid(name, other)),
        }
    }

    pub(crate) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, ApiError> {
        self.get(name)
            .map(|v| v.parse().map_err(|_| ApiError::invalid(name, v)))
            .transpose()
    }

    /// Returns the values of `name.1`, `name.2`, … in order.
    pub(crate) fn list(&self, name: &str) -> Vec<&str> {
        self.numbers(name)
            .into_iter()
            .filter_map(|n| self.0.get(&format!("{name}.{n}")).map(String::as_str))
            .collect()
    }

    /// Returns the structures `name.1.…`, `name.2.…` in order.
    pub(crate) fn structs(&self, name: &str) -> Vec<Self> {
        self.numbers(name)
            .into_iter()
            .map(|n| self.below(&format!("{name}.{n}")))
            .filter(|p| !p.0.is_empty())
            .collect()
    }

    /// Returns the structure `name.…`, empty if there is none.
    pub(crate) fn below(&self, name: &str) -> Self {
        let prefix = format!("{name}.");
        Self(
            self.0
                .range(prefix.clone()..)
                .take_while(|(k, _)| k.starts_with(&prefix))
                .map(|(k, v)| (k[prefix.len()..].to_owned(), v.clone()))
                .collect(),
        )
    }

    pub(crate) fn has_below(&self, name: &str) -> bool {
        !self.numbers(name).is_empty()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn numbers(&self, name: &str) -> BTreeSet<u32> {
        let prefix = format!("{name}.");
        self.0
            .range(prefix.clone()..)
            .take_while(|(k, _)| k.starts_with(&prefix))
            .filter_map(|(k, _)| k[prefix.len()..].split('.').next()?.parse().ok())
            .collect()
    }
}

/// A character of a pattern.
enum Part {
    /// `*`
    Any,
    /// `?`
    One,
    Literal(char),
}

/// Returns whether `text` matches `pattern`, in which `*` matches any characters and `?` one; a backslash escapes a
/// character: "a filter value of `\\*amazon\\?\\\\` specifies the literal string `*amazon?\\`" (AWS SDK for
/// .NET, Amazon.EC2.Model.Filter).
pub(crate) fn wildcard(pattern: &str, text: &str) -> bool {
    let mut chars = pattern.chars();
    let part = || {
        Some(match chars.next()? {
            '*' => Part::Any,
            '?' => Part::One,
            '\\' => Part::Literal(chars.next().unwrap_or('\\')),
            c => Part::Literal(c),
        })
    };
    let p: Vec<Part> = std::iter::from_fn(part).collect();
    let t: Vec<char> = text.chars().collect();
    let (mut i, mut j) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while j < t.len() {
        match p.get(i) {
            Some(Part::Any) => {
                star = Some((i, j));
                i += 1;
            }
            Some(Part::One) => {
                i += 1;
                j += 1;
            }
            Some(Part::Literal(c)) if *c == t[j] => {
                i += 1;
                j += 1;
            }
            _ => match star {
                Some((after, taken)) => {
                    i = after + 1;
                    j = taken + 1;
                    star = Some((after, taken + 1));
                }
                None => return false,
            },
        }
    }
    p[i..].iter().all(|part| matches!(part, Part::Any))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_keep_their_numeric_order() {
        let p = Params::parse(b"A.10=x&A.2=y&A.1=z&F.1.Name=n&F.1.Value.1=a%20b&E=");
        assert_eq!(p.list("A"), ["z", "y", "x"]);
        assert_eq!(p.structs("F")[0].list("Value"), ["a b"]);
        assert_eq!(p.get("E"), None);
    }

    #[test]
    fn wildcards() {
        assert!(wildcard(
            "ubuntu/*-24.04-amd64-*",
            "ubuntu/x/noble-24.04-amd64-server-1"
        ));
        assert!(wildcard("a?c*", "abc"));
        assert!(!wildcard("a?c", "ac"));
        assert!(!wildcard("*b", "abc"));
        assert!(wildcard(r"\*amazon\?\\", r"*amazon?\"));
        assert!(!wildcard(r"build-\*", "build-prod"));
    }
}
