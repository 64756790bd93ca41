//! The user's values for a driver's flags.

use std::collections::BTreeMap;

use crate::{FlagKind, FlagSpec};

/// The values of a flag, as text, and their source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionValue {
    /// Every value, in the order given; never empty.
    pub values: Vec<String>,
    /// The environment variable that the value came from; `None`: the command line.
    pub from_env: Option<&'static str>,
}

/// A value of the wrong type for its flag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid value {value:?} for flag --{flag}: expected {wanted}")]
pub struct OptionError {
    /// The flag's name without dashes.
    pub flag: &'static str,
    /// The invalid value.
    pub value: String,
    /// The expected form.
    pub wanted: &'static str,
}

/// All values of a command line for one driver's flags, checked against their types.
#[derive(Debug, Clone, Default)]
pub struct Options {
    specs: Vec<FlagSpec>,
    given: BTreeMap<&'static str, OptionValue>,
}

impl Options {
    /// Checks values against their flags. Drops names that are in `given` but not in `specs`.
    ///
    /// # Errors
    /// [`OptionError`] names the first flag whose value is not a valid number or boolean.
    pub fn new(
        specs: Vec<FlagSpec>,
        mut given: BTreeMap<&'static str, OptionValue>,
    ) -> Result<Self, OptionError> {
        for spec in &specs {
            if spec.ignores_empty
                && let Some(value) = given.get_mut(spec.name)
            {
                value.values.retain(|value| !value.is_empty());
                if value.values.is_empty() {
                    given.remove(spec.name);
                }
            }
            let values = given.get(spec.name).map_or(&[][..], |g| &g.values);
            for value in values {
                let wanted = match spec.kind {
                    FlagKind::Int { .. } if parse_int(value).is_none() => "a whole number",
                    FlagKind::Bool if parse_bool(value).is_none() => "true or false",
                    _ => continue,
                };
                return Err(OptionError {
                    flag: spec.name,
                    value: value.clone(),
                    wanted,
                });
            }
        }
        Ok(Self { specs, given })
    }

    /// Returns whether the user set the flag, on the command line or in the environment.
    pub fn is_given(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    /// Returns the environment variable that set the flag.
    pub fn variable(&self, name: &str) -> Option<&'static str> {
        self.given.get(name)?.from_env
    }

    /// Returns the value of a text flag or of a switch: the last one given, or the default (of a switch: an empty
    /// string).
    pub fn string(&self, name: &str) -> String {
        match (self.last(name), self.kind(name)) {
            (Some(value), _) => value.to_owned(),
            (None, Some(FlagKind::String { default })) => default.to_owned(),
            (None, _) => String::new(),
        }
    }

    /// Returns every value of a text flag, in the order given, or only its default.
    pub fn all(&self, name: &str) -> Vec<String> {
        match self.given.get(name) {
            Some(given) => given.values.clone(),
            None => vec![self.string(name)],
        }
    }

    /// Returns the value of a number.
    pub fn int(&self, name: &str) -> i64 {
        match (self.last(name).and_then(parse_int), self.kind(name)) {
            (Some(number), _) => number,
            (None, Some(FlagKind::Int { default })) => default,
            (None, _) => 0,
        }
    }

    /// Returns the value of a boolean.
    pub fn bool(&self, name: &str) -> bool {
        self.last(name).and_then(parse_bool).unwrap_or(false)
    }

    /// Returns the values of a list, or its default.
    pub fn list(&self, name: &str) -> Vec<String> {
        match (self.given.get(name), self.kind(name)) {
            (Some(given), _) => given.values.clone(),
            (None, Some(FlagKind::List { default })) => {
                default.iter().map(ToString::to_string).collect()
            }
            (None, _) => Vec::new(),
        }
    }

    fn last(&self, name: &str) -> Option<&str> {
        self.given.get(name)?.values.last().map(String::as_str)
    }

    fn kind(&self, name: &str) -> Option<FlagKind> {
        self.specs.iter().find(|s| s.name == name).map(|s| s.kind)
    }
}

/// Parses a number as Go's flag package does: a sign, base prefixes, and underscores between digits.
fn parse_int(text: &str) -> Option<i64> {
    let text = &without_underscores(text)?;
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    // i128, so that the lowest i64 is parsed too; a second sign is invalid.
    if !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let value = i128::from_str_radix(digits, radix).ok()?;
    i64::try_from(if negative { -value } else { value }).ok()
}

/// Removes underscores; each must be between two digits or after a base prefix.
fn without_underscores(text: &str) -> Option<String> {
    let digits = text.trim_start_matches(['-', '+']);
    let grouped = digits.split('_').all(|group| !group.is_empty());
    (grouped || digits.is_empty()).then(|| text.replace('_', ""))
}

/// Parses a boolean as Go's `strconv.ParseBool` does.
fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(given: &[(&'static str, &[&str])]) -> Result<Options, OptionError> {
        let specs = vec![
            FlagSpec::string("s", "").default_text("d"),
            FlagSpec::int("i", 5, ""),
            FlagSpec::bool("b", ""),
            FlagSpec::list("l", "").default_list(&["x"]),
            FlagSpec::switch("w", "capacity", ""),
            FlagSpec::string("e", "").default_text("d").ignoring_empty(),
        ];
        let value = |values: &[&str]| OptionValue {
            values: values.iter().map(ToString::to_string).collect(),
            from_env: None,
        };
        Options::new(specs, given.iter().map(|(n, v)| (*n, value(v))).collect())
    }

    #[test]
    fn missing_values_are_the_defaults() {
        let o = options(&[]).unwrap();
        assert_eq!(
            (o.string("s"), o.int("i"), o.bool("b")),
            ("d".into(), 5, false)
        );
        assert_eq!(
            (o.list("l"), o.string("w")),
            (vec!["x".to_owned()], String::new())
        );
        assert!(!o.is_given("s"));
    }

    #[test]
    fn the_last_value_is_used_and_all_are_kept() {
        let o = options(&[
            ("s", &["1", "2", ""]),
            ("i", &["1", "-0x10"]),
            ("b", &["true", "F"]),
            ("l", &["a", "b"]),
        ])
        .unwrap();
        assert_eq!(
            (o.string("s"), o.int("i"), o.bool("b")),
            (String::new(), -16, false)
        );
        assert_eq!(o.all("s"), ["1", "2", ""]);
        assert_eq!(o.list("l"), ["a", "b"]);
        assert!(o.is_given("s"));
    }

    #[test]
    fn an_empty_value_is_the_default_where_the_flag_says_so() {
        let o = options(&[("e", &["", ""]), ("s", &[""])]).unwrap();
        assert_eq!((o.string("e"), o.string("s")), ("d".into(), String::new()));
        assert!(!o.is_given("e") && o.is_given("s"));
        assert_eq!(options(&[("e", &["x", ""])]).unwrap().string("e"), "x");
    }

    #[test]
    fn numbers_may_be_grouped_by_underscores() {
        for (text, number) in [("1_000", 1000), ("0x_1f", 31), ("-1_0", -10), ("0_7", 7)] {
            assert_eq!(options(&[("i", &[text])]).unwrap().int("i"), number);
        }
    }

    #[test]
    fn an_error_names_the_invalid_value() {
        for bad in [
            "",
            "x",
            "1.5",
            "--1",
            "0x",
            "_1",
            "1_",
            "1__0",
            "99999999999999999999",
        ] {
            assert_eq!(options(&[("i", &[bad])]).unwrap_err().flag, "i", "{bad:?}");
        }
        let error = options(&[("b", &["maybe"])]).unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"invalid value "maybe" for flag --b: expected true or false"#
        );
    }
}
