//! Builds [`Options`] from clap's matches and the environment.
//!
//! Applies the Go binary's rules for environment variables. A flag on the command line takes precedence. A list flag
//! of the binary itself is split at commas, and the values on the command line are appended. The variable of a
//! driver's list is ignored. A value of the wrong type is ignored with a warning.

use std::collections::BTreeMap;

use clap::ArgMatches;
use machine_driver::{FlagKind, FlagSpec, OptionValue, Options};

use crate::cli::argv::fits;
use crate::environment::Environment;

/// Owner of the flags, which determines how variables of lists are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The binary.
    Binary,
    /// A driver.
    Driver,
}

/// Reads the values of some flags. Adds a warning for each ignored variable to `warnings`.
pub fn read(
    specs: Vec<FlagSpec>,
    owner: Owner,
    matches: &ArgMatches,
    environment: &Environment,
    warnings: &mut Vec<String>,
) -> Options {
    let mut given = BTreeMap::new();
    for spec in &specs {
        let typed: Vec<String> = matches
            .get_many::<String>(spec.name)
            .into_iter()
            .flatten()
            .filter(|value| !(spec.ignores_empty && value.is_empty()))
            .cloned()
            .collect();
        let fallback = from_environment(spec, owner, !typed.is_empty(), environment, warnings);
        let value = match (typed.is_empty(), fallback) {
            (true, fallback) => fallback,
            (false, Some(fallback)) if matches!(spec.kind, FlagKind::List { .. }) => {
                Some(OptionValue {
                    values: fallback.values.into_iter().chain(typed).collect(),
                    from_env: None,
                })
            }
            (false, _) => Some(OptionValue {
                values: typed,
                from_env: None,
            }),
        };
        if let Some(value) = value {
            given.insert(spec.name, value);
        }
    }
    // All values have been checked against their types, those of the command line before clap.
    Options::new(specs, given).unwrap_or_default()
}

/// Reads the values of a driver's flags from the environment only.
pub fn of_environment(specs: Vec<FlagSpec>, environment: &Environment) -> Options {
    let given = specs.iter().filter_map(|spec| {
        let value = from_environment(spec, Owner::Driver, false, environment, &mut Vec::new())?;
        Some((spec.name, value))
    });
    let given = given.collect();
    Options::new(specs, given).unwrap_or_default()
}

fn from_environment(
    spec: &FlagSpec,
    owner: Owner,
    is_typed: bool,
    environment: &Environment,
    warnings: &mut Vec<String>,
) -> Option<OptionValue> {
    let name = spec.env?;
    let value = environment.get(name)?;
    let values = match spec.kind {
        FlagKind::List { .. } if owner == Owner::Driver => {
            if !is_typed {
                warnings.push(format!(
                    "WARNING: ${name} is ignored, as it always was: give --{} as often as needed",
                    spec.name
                ));
            }
            return None;
        }
        FlagKind::List { .. } => value
            .split(',')
            .map(|item| item.trim().to_owned())
            .collect(),
        _ => vec![value.to_owned()],
    };
    if values.iter().any(|value| !fits(spec, value)) {
        if !is_typed {
            warnings.push(format!(
                "WARNING: ${name} is ignored: {value:?} is no value for --{}",
                spec.name
            ));
        }
        return None;
    }
    Some(OptionValue {
        values,
        from_env: Some(name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Arg, ArgAction, Command};

    fn specs() -> Vec<FlagSpec> {
        vec![
            FlagSpec::string("driver", "").env("D"),
            FlagSpec::string("zone", "")
                .env("Z")
                .default_text("a")
                .ignoring_empty(),
            FlagSpec::list("mirror", "").env("M"),
            FlagSpec::int("size", 16, "").env("S"),
            FlagSpec::bool("on", "").env("B"),
        ]
    }

    fn options(owner: Owner, args: &[&str], env: &[(&str, &str)]) -> (Options, Vec<String>) {
        let mut command = Command::new("x").no_binary_name(true);
        for spec in specs() {
            command = command.arg(
                Arg::new(spec.name)
                    .long(spec.name)
                    .action(ArgAction::Append),
            );
        }
        let matches = command.try_get_matches_from(args).unwrap();
        let env = Environment::new(env.iter().map(|(k, v)| (k.to_string(), v.to_string())));
        let mut warnings = Vec::new();
        let options = read(specs(), owner, &matches, &env, &mut warnings);
        (options, warnings)
    }

    #[test]
    fn a_variable_stands_in_for_a_flag_that_is_not_given() {
        let env = [("D", "none"), ("S", "0x20"), ("B", "1"), ("M", "")];
        let (options, warnings) = options(Owner::Driver, &[], &env);
        assert_eq!(options.string("driver"), "none");
        assert_eq!(options.int("size"), 32);
        assert!(options.bool("on"));
        assert!(!options.is_given("mirror"));
        assert!(warnings.is_empty());
        let (options, _) = super::tests::options(Owner::Binary, &["--driver="], &env);
        assert_eq!(options.string("driver"), "");
    }

    #[test]
    fn lists_of_our_own_are_split_and_added_to() {
        let env = [("M", "a, b")];
        let (o, _) = options(Owner::Binary, &["--mirror=c,d"], &env);
        assert_eq!(o.list("mirror"), ["a", "b", "c,d"]);
    }

    #[test]
    fn a_drivers_list_does_not_read_its_variable_and_says_so() {
        let (o, warnings) = options(Owner::Driver, &[], &[("M", "a,b")]);
        assert!(o.list("mirror").is_empty());
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains("$M") && warnings[0].contains("--mirror"));
        let (o, warnings) = options(Owner::Driver, &["--mirror=c"], &[("M", "a,b")]);
        assert_eq!(
            (o.list("mirror"), warnings.len()),
            (vec!["c".to_owned()], 0)
        );
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_named() {
        let (o, warnings) = options(Owner::Driver, &[], &[("S", "big"), ("B", "maybe")]);
        assert_eq!((o.int("size"), o.bool("on")), (16, false));
        assert!(warnings[0].contains("--size") && warnings[1].contains("--on"));
    }

    #[test]
    fn an_empty_value_leaves_the_environment_or_the_default() {
        let (zone, _) = options(Owner::Driver, &["--zone="], &[("Z", "b")]);
        assert_eq!(zone.string("zone"), "b");
        let (zone, _) = options(Owner::Driver, &["--zone="], &[("Z", "")]);
        assert_eq!(zone.string("zone"), "a");
        let (driver, _) = options(Owner::Driver, &["--driver="], &[("D", "b")]);
        assert_eq!(driver.string("driver"), "");
    }
}
