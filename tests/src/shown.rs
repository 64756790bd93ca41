//! Tables in documents, compared with the tables that a test produces.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use regex::Regex;

use crate::flows::Home;

/// The separator between columns of a table.
const GAP: &str = "   ";

/// Asserts that `docs/doctor.md` shows this table below this heading, except for values that differ from run to run;
/// with `UPDATE=1` in the environment, writes it there.
///
/// # Panics
/// The document differs, or has no such heading.
#[track_caller]
pub fn assert_shown(heading: &str, table: &str, home: &Home) {
    // Serializes access: several tests of one file write to the same document.
    static DOCUMENT: Mutex<()> = Mutex::new(());
    let _one_at_a_time = DOCUMENT.lock().unwrap_or_else(PoisonError::into_inner);
    let path = document();
    let text = std::fs::read_to_string(&path).unwrap();
    let start = text.find(&format!("## {heading}\n"));
    let start = start.unwrap_or_else(|| panic!("{} has no heading {heading:?}", path.display()));
    let section = &text[start..];
    let end = section[2..]
        .find("\n## ")
        .map_or(section.len(), |at| at + 3);
    let (before, after) = (&text[..start], &section[end..]);
    let shown = section[..end]
        .lines()
        .filter_map(|line| line.strip_prefix("    "));
    let shown: Vec<&str> = shown.collect();
    let seen = timeless(table, home);
    if std::env::var_os("UPDATE").is_some() {
        let words = section[..end]
            .lines()
            .filter(|line| !line.starts_with("    "));
        let words = words.collect::<Vec<_>>().join("\n");
        let block: String = seen.iter().map(|line| format!("    {line}\n")).collect();
        let trailing = if after.is_empty() { "" } else { "\n" };
        let section = format!("{}\n\n{block}{trailing}", words.trim_end());
        std::fs::write(&path, format!("{before}{section}{after}")).unwrap();
        return;
    }
    assert_eq!(
        shown,
        seen,
        "{}: {heading}; UPDATE=1 writes what is seen",
        path.display()
    );
}

fn document() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/doctor.md")
}

/// Returns a table without the values that differ from run to run: ids, addresses, paths. Aligns its columns again.
fn timeless(table: &str, home: &Home) -> Vec<String> {
    let store = home.store();
    let text = table.replace(store.to_str().unwrap(), "~/.docker/machine");
    let text = [
        (
            r"http://127\.0\.0\.1:\d+",
            "https://ec2.us-east-1.amazonaws.com",
        ),
        (r"127\.\d+\.\d+\.\d+", "192.0.2.7"),
        (r":2222\b", ":22"),
        (r"\b(i|vpc|subnet|sg|ami|key)-[0-9a-f]{8,17}\b", "$1-…"),
        (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "…"),
        (r"\b[0-9a-f]{16,32}\b", "…"),
    ]
    .iter()
    .fold(text, |text, (volatile, plain)| {
        let volatile = Regex::new(volatile).unwrap();
        volatile.replace_all(&text, *plain).into_owned()
    });
    let cells = Regex::new(" {3,}").unwrap();
    let rows: Vec<Vec<&str>> = text
        .lines()
        .map(|line| cells.split(line).collect())
        .collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let set = |row: &Vec<&str>| {
        let cells = row.iter().zip(&widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        cells.join(GAP).trim_end().to_owned()
    };
    rows.iter().map(set).collect()
}
