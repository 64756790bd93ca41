//! Go's `time.Duration` as a template value.

use std::time::Duration;

use crate::value::{Named, Value};

impl From<Duration> for Named {
    /// Makes a `time.Duration`: nanoseconds that print as `1.5s`, with the methods that take no arguments. A longer
    /// duration is cut to Go's maximum of 292 years.
    fn from(duration: Duration) -> Self {
        let nanoseconds = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);

        Named::with_methods(
            "time.Duration",
            nanoseconds,
            describe(nanoseconds.unsigned_abs()),
            [
                (
                    "Hours",
                    Value::Float(in_units(nanoseconds, 3_600_000_000_000)),
                ),
                (
                    "Minutes",
                    Value::Float(in_units(nanoseconds, 60_000_000_000)),
                ),
                (
                    "Seconds",
                    Value::Float(in_units(nanoseconds, 1_000_000_000)),
                ),
                ("Milliseconds", Value::Int(nanoseconds / 1_000_000)),
                ("Microseconds", Value::Int(nanoseconds / 1000)),
                ("Nanoseconds", Value::Int(nanoseconds)),
            ],
        )
    }
}

impl From<Duration> for Value {
    fn from(duration: Duration) -> Self {
        Value::Named(duration.into())
    }
}

/// Converts to units as Go does, adding whole units and the fraction as floats: 1.2345678900000001 seconds.
fn in_units(nanoseconds: i64, unit: i64) -> f64 {
    (nanoseconds / unit) as f64 + (nanoseconds % unit) as f64 / unit as f64
}

/// Formats a duration: below a second one unit with decimals (`1.5ms`), from there hours, minutes and seconds
/// (`1h2m3.5s`).
fn describe(nanoseconds: u64) -> String {
    match nanoseconds {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanoseconds}ns"),
        1_000..1_000_000 => format!("{}µs", decimal(nanoseconds, 3)),
        1_000_000..1_000_000_000 => format!("{}ms", decimal(nanoseconds, 6)),
        _ => {
            let minutes = nanoseconds / 60_000_000_000;
            let seconds = decimal(nanoseconds % 60_000_000_000, 9);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{seconds}s"),
                (0, minutes) => format!("{minutes}m{seconds}s"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

/// Writes the number with its decimal point moved left, without trailing zeros.
fn decimal(value: u64, places: usize) -> String {
    let digits = format!("{value:0width$}", width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() {
        whole.to_owned()
    } else {
        format!("{whole}.{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use super::describe;

    #[test]
    fn durations_print_as_go_prints_them() {
        for (nanoseconds, expected) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (2_200_000, "2.2ms"),
            (3_300_000_000, "3.3s"),
            (10_000_000_000, "10s"),
            (245_000_000_000, "4m5s"),
            (18_000_000_000_000 + 367_001_000_000, "5h6m7.001s"),
            (480_000_000_001, "8m0.000000001s"),
            (7_200_000_000_000, "2h0m0s"),
        ] {
            assert_eq!(describe(nanoseconds), expected);
        }
    }
}
