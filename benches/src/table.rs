//! The table of results: the subject, the goal, the result.

use std::time::Duration;

/// A line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    /// The subject of the measurement.
    pub what: &'static str,
    /// The goal.
    pub goal: &'static str,
    /// The result, in words.
    pub is: String,
    /// The duration by which two programs are compared.
    pub time: Duration,
}

/// Prints a table in Markdown; with a column for another program, and the ratio of the times.
#[allow(clippy::print_stdout, reason = "it prints the result")]
pub(crate) fn print(rows: &[Row], others: Option<&[Row]>) {
    match others {
        None => println!("| what | goal | here |\n|---|---|---|"),
        Some(_) => println!("| what | goal | here | the other | ratio |\n|---|---|---|---|---|"),
    }
    for (
        index,
        Row {
            what,
            goal,
            is,
            time,
        },
    ) in rows.iter().enumerate()
    {
        let beside = others.and_then(|others| others.get(index)).map(|other| {
            let ratio = other.time.as_secs_f64() / time.as_secs_f64().max(1e-6);
            format!(" {} | {ratio:.1} |", other.is)
        });
        println!("| {what} | {goal} | {is} |{}", beside.unwrap_or_default());
    }
}

/// Formats a time for people: `840 µs`, `2.3 ms`, `1.25 s`.
pub(crate) fn time(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds < 0.001 => format!("{:.0} µs", seconds * 1e6),
        seconds if seconds < 1.0 => format!("{:.1} ms", seconds * 1e3),
        seconds => format!("{seconds:.2} s"),
    }
}
