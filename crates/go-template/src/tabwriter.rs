//! Go's `text/tabwriter`: aligns text in columns, like the table of `ls`.
//!
//! A cell ends with a tab; a column is a run of lines that all have a cell there, as wide as its widest cell. Text
//! after the last tab of a line belongs to no column: a line that ends in text has no trailing spaces, and a line
//! that ends in a tab is padded.

use crate::format::count_runes;

/// The width of columns, in characters. The padding character is a space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// The minimum width of a cell, padding included.
    pub min_width: usize,
    /// The space added to the widest cell of a column.
    pub padding: usize,
}

impl Layout {
    /// The layout of `docker-machine ls`: at least five characters, three between columns.
    pub const LS: Self = Self {
        min_width: 5,
        padding: 3,
    };
}

/// Returns the text with its tabs replaced by spaces that align its columns.
pub fn align(text: &[u8], layout: Layout) -> Vec<u8> {
    // The width of each column, and the column of each cell, in the order of the text.
    let mut widths = Vec::new();
    let mut columns = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    for (line, end) in lines(text) {
        for (place, cell) in columned(line).enumerate() {
            if place == open.len() {
                open.push(widths.len());
                widths.push(layout.min_width);
            }
            let column = open[place];
            widths[column] = widths[column].max(count_runes(cell) + layout.padding);
            columns.push(column);
        }
        // A column ends at the first line that lacks it; a form feed ends all columns.
        open.truncate(if end == Some(b'\x0c') {
            0
        } else {
            columned(line).count()
        });
    }
    let mut columns = columns.into_iter();
    let mut out = Vec::with_capacity(text.len() * 2);
    for (line, end) in lines(text) {
        let mut written = 0;
        for (cell, column) in columned(line).zip(&mut columns) {
            out.extend_from_slice(cell);
            out.resize(out.len() + widths[column] - count_runes(cell), b' ');
            written += cell.len() + 1;
        }
        out.extend_from_slice(&line[written..]);
        out.extend(end.map(|_| b'\n'));
    }
    out
}

/// Returns the lines, each with the line feed or form feed that ends it. A tab at the very end of the text is
/// dropped, as in Go: its cell is the last of its line.
fn lines(text: &[u8]) -> impl Iterator<Item = (&[u8], Option<u8>)> {
    text.split_inclusive(|b| matches!(b, b'\n' | b'\x0c'))
        .map(|line| match line.split_last() {
            Some((&end @ (b'\n' | b'\x0c'), line)) => (line, Some(end)),
            Some((last, line)) if is_tab(last) => (line, None),
            _ => (line, None),
        })
}

/// Returns the cells of a line that end with a tab.
fn columned(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let tabs = line.iter().filter(|b| is_tab(b)).count();
    line.split(is_tab).take(tabs)
}

fn is_tab(byte: &u8) -> bool {
    matches!(byte, b'\t' | b'\x0b')
}
