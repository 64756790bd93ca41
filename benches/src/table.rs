//! The table: what was measured, what it should be, what it is.

use std::time::Duration;

/// A line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    /// What was measured.
    pub what: &'static str,
    /// What it should be.
    pub goal: &'static str,
    /// What it is, in words.
    pub is: String,
    /// The time in it that two programs can be compared by.
    pub time: Duration,
}

/// Prints a table in Markdown; with a column for another program beside the first, and how many
/// times as long it takes.
#[allow(clippy::print_stdout, reason = "that is what it is for")]
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

/// Writes a time as people do: `840 µs`, `2.3 ms`, `1.25 s`.
pub(crate) fn time(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds < 0.001 => format!("{:.0} µs", seconds * 1e6),
        seconds if seconds < 1.0 => format!("{:.1} ms", seconds * 1e3),
        seconds => format!("{seconds:.2} s"),
    }
}
