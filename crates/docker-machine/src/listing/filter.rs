//! `--filter`: values of one key are alternatives, different keys and all bounds of the age must match.

use std::collections::BTreeMap;
use std::time::Duration;

use libmachine::{EngineOptions, ListItem, MachineRecord};
use machine_types::MachineState;
use regex_lite::Regex;

use super::pattern::{self, PatternError};
use crate::output::age;

/// Filters to offer for completion. `age>6h` is not among them: a shell would redirect its output.
pub(crate) const VALUES: [&str; 12] = [
    "driver=",
    "label=",
    "name=",
    "swarm=",
    "state=Error",
    "state=Paused",
    "state=Running",
    "state=Saved",
    "state=Starting",
    "state=Stopped",
    "state=Stopping",
    "state=Timeout",
];

/// The filters of a command.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    swarms: Vec<String>,
    drivers: Vec<String>,
    states: Vec<String>,
    names: Vec<String>,
    labels: Vec<String>,
    ages: Vec<Bound>,
}

/// A bound of a machine's age.
#[derive(Debug, Clone, Copy)]
enum Bound {
    Above(Duration),
    Below(Duration),
}

impl Bound {
    /// Parses `age>6h` and `age<1d`. Returns `None` for other filters.
    fn parse(word: &str) -> Option<Result<Self, FilterError>> {
        let at = word.find(['>', '<', '='])?;
        let (key, bound) = word.split_at(at);
        if !key.eq_ignore_ascii_case("age") {
            return None;
        }
        let limit = age::parse(&bound[1..]);
        let parsed = match (limit, bound.starts_with('>'), bound.starts_with('<')) {
            (Some(limit), true, _) => Ok(Self::Above(limit)),
            (Some(limit), _, true) => Ok(Self::Below(limit)),
            _ => Err(FilterError::Age(word.to_owned())),
        };
        Some(parsed)
    }

    fn holds(self, age: Duration) -> bool {
        match self {
            Self::Above(limit) => age > limit,
            Self::Below(limit) => age < limit,
        }
    }
}

/// Returns the names of all states but the empty one.
fn states() -> Vec<&'static str> {
    let names = MachineState::ALL.iter().map(|state| state.as_str());
    names.filter(|name| !name.is_empty()).collect()
}

/// An invalid filter. The first two sentences are the Go binary's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FilterError {
    #[error("Unsupported filter syntax")]
    Syntax(String),
    #[error("Unsupported filter key '{0}'")]
    Key(String),
    #[error("unknown state {0:?}: the states are {states}", states = states().join(", "))]
    State(String),
    #[error("invalid filter {0:?}: expected age>DURATION or age<DURATION, such as age>6h")]
    Age(String),
    #[error("{1}")]
    Pattern(String, #[source] PatternError),
}

/// The filters, for hints.
const KEYS: &str =
    "driver=NAME, state=STATE, name=REGEXP, label=KEY[=VALUE], swarm=MASTER, 'age>6h' and 'age<1d'";

impl FilterError {
    /// Returns what was expected, if the text does not say so.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Syntax(word) if word.eq_ignore_ascii_case("age") => Some(
                "quote the filter: in 'age>6h' without quotes, the shell redirects the output"
                    .to_owned(),
            ),
            Self::Syntax(word) => Some(format!("{word:?} is no filter: expected {KEYS}")),
            Self::Key(_) => Some(format!("the filters are {KEYS}")),
            Self::Pattern(pattern, _) => Some(format!(
                "the filter name={pattern} takes a regular expression, such as name=^ci-"
            )),
            Self::State(_) | Self::Age(_) => None,
        }
    }
}

impl Filters {
    /// Parses `key=value` words, `age>6h` and `age<1d`.
    pub(crate) fn parse(words: &[String]) -> Result<Self, FilterError> {
        let mut filters = Self::default();
        for word in words {
            if let Some(bound) = Bound::parse(word) {
                filters.ages.push(bound?);
                continue;
            }
            let (key, value) = word
                .split_once('=')
                .ok_or_else(|| FilterError::Syntax(word.clone()))?;
            let value = value.to_owned();
            match key.to_lowercase().as_str() {
                "swarm" => filters.swarms.push(value),
                "driver" => filters.drivers.push(value),
                "state" => filters.states.push(value),
                "label" => filters.labels.push(value),
                "name" => filters.names.push(value),
                key => return Err(FilterError::Key(key.to_owned())),
            }
        }
        Ok(filters)
    }

    /// Checks that the states exist. `ls` lists nothing for others, as the Go binary does, with a note.
    pub(crate) fn check_states(&self) -> Result<(), FilterError> {
        let is_known = |state: &&String| {
            let mut all = MachineState::ALL.iter();
            all.any(|known| known.as_str().eq_ignore_ascii_case(state))
        };
        match self.states.iter().find(|state| !is_known(state)) {
            Some(unknown) => Err(FilterError::State(unknown.clone())),
            None => Ok(()),
        }
    }

    /// Returns whether no filter is given.
    pub(crate) fn is_empty(&self) -> bool {
        let Self {
            swarms,
            drivers,
            states,
            names,
            labels,
            ages,
        } = self;
        let lists = [swarms, drivers, states, labels];
        names.is_empty() && ages.is_empty() && lists.iter().all(|list| list.is_empty())
    }

    /// Returns whether the filters need the states or ages of the machines, which their clouds know.
    pub(crate) fn ask_for_states(&self) -> bool {
        !self.states.is_empty() || !self.ages.is_empty()
    }

    /// Returns whether a machine has one of the states and an age within the bounds. An unknown age is within none.
    pub(crate) fn want(&self, item: &ListItem) -> bool {
        any(&self.states, |wanted| {
            wanted.eq_ignore_ascii_case(item.state.as_str())
        }) && self
            .ages
            .iter()
            .all(|bound| item.age.is_some_and(|age| bound.holds(age)))
    }

    /// Returns the names of the matching machines, whatever their states.
    ///
    /// # Errors
    /// Returns [`FilterError::Pattern`] for an invalid pattern. Without machines, no pattern is compiled, as in the Go
    /// binary.
    pub(crate) fn select(&self, machines: &[&MachineRecord]) -> Result<Vec<String>, FilterError> {
        if machines.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<Regex> = self
            .names
            .iter()
            .map(|name| {
                let compiled = pattern::compile(name);
                compiled.map_err(|error| FilterError::Pattern(name.clone(), error))
            })
            .collect::<Result<_, _>>()?;
        let masters: BTreeMap<&str, &str> = machines
            .iter()
            .filter(|machine| machine.host_options.swarm_options.master)
            .map(|machine| (discovery(machine), machine.name.as_str()))
            .collect();
        let wanted = |machine: &&&MachineRecord| {
            let engine = &machine.host_options.engine_options;
            let master = masters.get(discovery(machine)).copied();
            any(&self.swarms, |swarm| {
                swarm.eq_ignore_ascii_case(master.unwrap_or_default())
            }) && any(&self.drivers, |driver| {
                driver.eq_ignore_ascii_case(&machine.driver_name)
            }) && any(&names, |pattern| pattern.is_match(&machine.name))
                && any(&self.labels, |label| has_label(engine, label))
        };
        Ok(machines
            .iter()
            .filter(wanted)
            .map(|machine| machine.name.clone())
            .collect())
    }
}

fn discovery(machine: &MachineRecord) -> &str {
    &machine.host_options.swarm_options.discovery
}

fn any<T>(wanted: &[T], matches: impl Fn(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(matches)
}

/// Matches one label: `key=value` by its value, ignoring case; `key` alone by its presence.
fn has_label(engine: &EngineOptions, wanted: &str) -> bool {
    let split = |label: &str| match label.split_once('=') {
        Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
        None => (label.to_owned(), None),
    };
    let (wanted_key, wanted_value) = split(wanted);
    let labels = engine
        .labels
        .as_deref()
        .unwrap_or_default()
        .iter()
        .map(|label| split(label));
    // If a label is given twice, the last value counts.
    let Some((_, value)) = labels.rev().find(|(key, _)| *key == wanted_key) else {
        return false;
    };
    wanted_value.is_none_or(|wanted| value.unwrap_or_default().eq_ignore_ascii_case(&wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listing::tests::item;
    use libmachine::HostOptions;
    use serde_json::Value;

    fn machine(name: &str, driver: &str, labels: &[&str], swarm: (&str, bool)) -> MachineRecord {
        let mut options = HostOptions::default();
        options.engine_options.labels = Some(labels.iter().map(ToString::to_string).collect());
        options.swarm_options.discovery = swarm.0.into();
        options.swarm_options.master = swarm.1;
        MachineRecord::new(&name.parse().unwrap(), driver, Value::Null, options)
    }

    fn select(words: &[&str]) -> Vec<String> {
        try_select(words).unwrap()
    }

    fn try_select(words: &[&str]) -> Result<Vec<String>, FilterError> {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        let machines = [
            machine("n1", "none", &[], ("", false)),
            machine(
                "n2",
                "generic",
                &["role=db", "tier=gold", "bare"],
                ("", false),
            ),
            machine("swm", "none", &[], ("token://a", true)),
            machine("swa", "none", &[], ("token://a", false)),
        ];
        Filters::parse(&words)?.select(&machines.each_ref())
    }

    #[test]
    fn values_of_a_key_are_alternatives_and_keys_add_up() {
        assert_eq!(select(&[]).len(), 4);
        assert_eq!(select(&["driver=NONE", "name=^n"]), ["n1"]);
        assert_eq!(select(&["name=1", "NAME=2"]), ["n1", "n2"]);
        assert_eq!(select(&["name="]).len(), 4);
    }

    #[test]
    fn labels_match_by_key_and_value() {
        assert_eq!(select(&["label=role=DB"]), ["n2"]);
        assert_eq!(select(&["label=role"]), ["n2"]);
        assert_eq!(select(&["label=bare"]), ["n2"]);
        assert!(select(&["label=role=web"]).is_empty());
        assert!(select(&["label=Role=db"]).is_empty());
    }

    #[test]
    fn a_swarm_is_called_after_its_master() {
        assert_eq!(select(&["swarm=SWM"]), ["swm", "swa"]);
        assert!(select(&["swarm=swa"]).is_empty());
    }

    fn filters(words: &[&str]) -> Filters {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        Filters::parse(&words).unwrap()
    }

    #[test]
    fn states_are_asked_for_only_if_a_filter_needs_them() {
        assert!(!filters(&["name=n"]).ask_for_states());
        assert!(filters(&["state=running"]).ask_for_states());
        assert!(filters(&["age>1h"]).ask_for_states());
    }

    #[test]
    fn all_bounds_of_the_age_and_one_of_the_states_must_match() {
        let matches = |words: &[&str], hours: Option<u64>| {
            let age = hours.map(|hours| Duration::from_secs(hours * 3600));
            let item = ListItem { age, ..item("n1") };
            filters(words).want(&item)
        };
        assert!(matches(&["state=running"], None));
        assert!(!matches(&["state=stopped"], None));
        assert!(matches(&["age>6h", "Age<1d"], Some(7)));
        assert!(!matches(&["age>6h", "age<1d"], Some(25)));
        assert!(!matches(&["age>6h"], Some(6)));
        assert!(!matches(&["age>6h"], None));
        assert!(!matches(&["age<6h"], None));
        assert!(matches(
            &["age<6h", "state=stopped", "state=running"],
            Some(1)
        ));
    }

    #[test]
    fn what_is_no_filter_is_named() {
        let error = |word: &str| Filters::parse(&[word.to_owned()]).unwrap_err().to_string();
        assert_eq!(error("foo"), "Unsupported filter syntax");
        assert_eq!(error("Foo=1"), "Unsupported filter key 'foo'");
        for word in ["age=6h", "age>6", "age<", "AGE>=1h"] {
            let expected = "expected age>DURATION or age<DURATION, such as age>6h";
            assert_eq!(error(word), format!("invalid filter {word:?}: {expected}"));
        }
        let error = try_select(&["name=("]).unwrap_err().to_string();
        assert_eq!(error, "error parsing regexp: `(`");
        let words = ["name=(".to_owned()];
        assert!(
            Filters::parse(&words)
                .unwrap()
                .select(&[])
                .unwrap()
                .is_empty()
        );
    }
}
