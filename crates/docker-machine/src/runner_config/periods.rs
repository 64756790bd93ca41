//! Periods of the docker+machine executor as periods of the autoscaler.
//!
//! docker+machine reads them with gorhill/cronexpr (`cronexpr_parse.go`): five fields, six with years, seven with
//! seconds and years. The autoscaler reads the five fields of cron (docs/configuration/advanced-configuration.md of
//! GitLab Runner, "Periods syntax" of the policies). Both match the current time against the fields.

use std::collections::BTreeSet;

/// A converted period.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Period {
    /// Minutes, hours, days, months and weekdays.
    pub(super) cron: String,
    /// How it differs from the original.
    pub(super) difference: Option<&'static str>,
}

struct Field {
    first: u8,
    last: u8,
    names: &'static [&'static str],
}

const fn numbers(first: u8, last: u8) -> Field {
    let names = &[];
    Field { first, last, names }
}

const MINUTES: Field = numbers(0, 59);
const HOURS: Field = numbers(0, 23);
const DAYS: Field = numbers(1, 31);
const MONTHS: Field = Field {
    first: 1,
    last: 12,
    names: &[
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ],
};
const WEEKDAYS: Field = Field {
    first: 0,
    last: 6,
    names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
};

/// Converts a period. Returns `None` if it has no counterpart: a nickname such as `@daily`, `L`, `W` and `#`, invalid
/// values, or a field that matches nothing.
pub(super) fn convert(period: &str) -> Option<Period> {
    let fields: Vec<&str> = period.split_whitespace().take(7).collect();
    let (seconds, fields) = match fields.as_slice() {
        [seconds, rest @ ..] if rest.len() == 6 => (*seconds, rest),
        // cronexpr assumes second 0.
        rest => ("0", rest),
    };
    let [minutes, hours, days, months, weekdays, years @ ..] = fields else {
        return None;
    };
    let (days, weekdays) = (DAYS.numbered(days)?, WEEKDAYS.named(weekdays)?);
    let every = |field: &str| ["*", "?"].contains(&field);
    let difference = if !every(seconds) {
        Some("it applied for some seconds of a minute only, now for whole minutes")
    } else if !years.iter().copied().all(every) {
        Some("it applied in some years only, now in all")
    } else if days != "*" && weekdays != "*" {
        Some("it applied if the day or the weekday matched: check that it still does")
    } else {
        None
    };
    let (minutes, hours) = (MINUTES.numbered(minutes)?, HOURS.numbered(hours)?);
    let months = MONTHS.numbered(months)?;
    let cron = format!("{minutes} {hours} {days} {months} {weekdays}");
    Some(Period { cron, difference })
}

impl Field {
    fn value(&self, text: &str) -> Option<u8> {
        let text = text.to_lowercase();
        let is_name = |name: &&str| !text.is_empty() && text.get(..3) == Some(*name);
        let named = self.names.iter().position(is_name);
        let value = match named.and_then(|index| u8::try_from(index).ok()) {
            Some(index) => self.first + index,
            None => text.parse().ok()?,
        };
        // Sunday is 0 and 7.
        let value = if self.last == 6 && value == 7 {
            0
        } else {
            value
        };
        (self.first..=self.last).contains(&value).then_some(value)
    }

    /// Returns the values that a field matches.
    fn values(&self, text: &str) -> Option<BTreeSet<u8>> {
        let mut values = BTreeSet::new();
        for entry in text.split(',').filter(|entry| !entry.is_empty()) {
            let (range, step) = match entry.split_once('/') {
                Some((range, step)) => (range, Some(step.parse::<u8>().ok()?)),
                None => (entry, None),
            };
            let (first, last) = match range.split_once('-') {
                _ if range == "*" || range == "?" => (self.first, self.last),
                Some((first, last)) => (self.value(first)?, self.value(last)?),
                // A value with a step is the beginning of a range.
                None if step.is_some() => (self.value(range)?, self.last),
                None => (self.value(range)?, self.value(range)?),
            };
            let step = step.unwrap_or(1);
            if step == 0 {
                return None;
            }
            values.extend((first..=last).step_by(step.into()));
        }
        (!values.is_empty()).then_some(values)
    }

    fn numbered(&self, text: &str) -> Option<String> {
        let values: Vec<u8> = self.values(text)?.into_iter().collect();
        Some(self.text(&values, |value| value.to_string()))
    }

    /// Weekdays by name, from Monday: the autoscaler's numbers go from 1 to 7.
    fn named(&self, text: &str) -> Option<String> {
        let values = self.values(text)?;
        let mut values: Vec<u8> = values.into_iter().map(|value| (value + 6) % 7).collect();
        values.sort_unstable();
        Some(self.text(&values, |value| {
            let name = self.names.get(usize::from((value + 1) % 7));
            name.copied().unwrap_or_default().to_owned()
        }))
    }

    /// Formats values: `*` for all of them, ranges where more than two follow each other.
    fn text(&self, values: &[u8], show: impl Fn(u8) -> String) -> String {
        if values.len() == usize::from(self.last - self.first) + 1 {
            return "*".to_owned();
        }
        let runs = values.chunk_by(|value, next| value + 1 == *next);
        let texts: Vec<String> = runs
            .map(|run| match run {
                [first, _, .., last] => format!("{}-{}", show(*first), show(*last)),
                run => run
                    .iter()
                    .map(|value| show(*value))
                    .collect::<Vec<_>>()
                    .join(","),
            })
            .collect();
        texts.join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_matches_the_same_minutes() {
        for (period, cron) in [
            ("* * 9-17 * * mon-fri *", "* 9-17 * * mon-fri"),
            ("* * * * * sat,sun *", "* * * * sat,sun"),
            ("* * * * * 0,6 *", "* * * * sat,sun"),
            ("* * * * * 0-6 *", "* * * * *"),
            ("* * * * * Monday,WED *", "* * * * mon,wed"),
            ("* * * * * 7 *", "* * * * sun"),
            ("* 0-29,45 22,23,0-6 * * * *", "0-29,45 0-6,22,23 * * *"),
            (
                "* */20 8/6 * jan-mar,December ? *",
                "0,20,40 8,14,20 * 1-3,12 *",
            ),
            ("* * * 1 * * *", "* * 1 * *"),
        ] {
            let expected = Period {
                cron: cron.to_owned(),
                difference: None,
            };
            assert_eq!(convert(period), Some(expected), "{period}");
        }
    }

    #[test]
    fn a_period_that_matches_other_times_says_so() {
        for (period, cron, said) in [
            ("0 * 9-17 * * mon-fri *", "* 9-17 * * mon-fri", "seconds"),
            ("* 9-17 * * mon-fri", "* 9-17 * * mon-fri", "seconds"),
            ("* 9-17 * * mon-fri *", "* 9-17 * * mon-fri", "seconds"),
            ("* * * * * sun 2026", "* * * * sun", "years"),
            ("* * * 1 * sun *", "* * 1 * sun", "weekday"),
        ] {
            let converted = convert(period).unwrap();
            assert_eq!(converted.cron, cron, "{period}");
            let difference = converted.difference.unwrap_or_default();
            assert!(difference.contains(said), "{period}: {difference}");
        }
    }

    #[test]
    fn a_period_without_counterpart_is_not_converted() {
        for period in [
            "",
            "@daily",
            "* * * *",
            "* * 25 * * * *",
            "* * 22-6 * * * *",
            "* * * * * 5-7 *",
            "* * * L * * *",
            "* * * 15W * * *",
            "* * * * * 5#3 *",
            "* */0 * * * * *",
            "* 300 * * * * *",
            "* * * * smarch * *",
            "* , * * * * *",
            "* * * * * ünf *",
        ] {
            assert_eq!(convert(period), None, "{period}");
        }
    }
}
