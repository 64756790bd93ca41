//! The table of `ls` at a terminal, and of `ls --wide`.
//!
//! At a terminal the state has a colour. If the table is too wide, columns without content are left out; if it still is
//! too wide, the errors follow below it.

use libmachine::ListItem;
use machine_types::{MachineState, harmless};

use super::format::{active, age, docker, swarm};

/// How to show a table.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Look {
    /// Whether to add what the cloud reports.
    pub(crate) wide: bool,
    /// Width of the terminal; `None` for any width.
    pub(crate) columns: Option<usize>,
    /// Whether to colour states.
    pub(crate) colour: bool,
}

/// Space between two columns, as in a plain `ls`.
const PADDING: usize = 3;
/// Minimum width of a column with its padding, as in a plain `ls`.
const NARROWEST: usize = 5;

const ERRORS: &str = "ERRORS";

struct Column {
    header: &'static str,
    cells: Vec<String>,
}

impl Column {
    fn new(header: &'static str, items: &[ListItem], cell: impl Fn(&ListItem) -> String) -> Self {
        let one_cell = |item| harmless(&cell(item)).replace(['\t', '\n'], " ");
        Self {
            header,
            cells: items.iter().map(one_cell).collect(),
        }
    }

    fn is_empty(&self) -> bool {
        self.cells
            .iter()
            .all(|cell| matches!(cell.as_str(), "" | "-"))
    }

    fn width(&self) -> usize {
        let cells = self.cells.iter().map(|cell| cell.chars().count());
        let widest = cells.chain([self.header.len()]).max().unwrap_or(0);
        NARROWEST.max(widest + PADDING)
    }
}

/// Returns the table. Control characters in it are escaped, except those of the colours.
pub(crate) fn table(items: &[ListItem], look: Look) -> String {
    let column = |header, cell: fn(&ListItem) -> String| Column::new(header, items, cell);
    let mut columns = vec![
        column("NAME", |item| item.name.clone()),
        column("ACTIVE", |item| active(item).to_owned()),
        column("DRIVER", |item| item.driver.clone()),
        column("STATE", |item| item.state.to_string()),
        column("URL", |item| item.url.clone()),
        column("SWARM", swarm),
        column("DOCKER", docker),
    ];
    if look.wide {
        columns.extend([
            column("AGE", age),
            column("INSTANCE", |item| item.instance_id.clone()),
            column("TYPE", |item| item.facts.instance_type.clone()),
            column("ZONE", |item| item.facts.zone.clone()),
            column("SPOT", |item| {
                if item.facts.is_spot { "yes" } else { "" }.to_owned()
            }),
        ]);
    }
    let errors = column(ERRORS, |item| item.error.clone());
    columns.push(errors);
    let is_too_wide = |columns: &[Column]| {
        let width: usize = columns.iter().map(Column::width).sum();
        look.columns.is_some_and(|limit| width - PADDING > limit)
    };
    let mut below = None;
    if is_too_wide(&columns) {
        columns.retain(|column| column.header == "NAME" || !column.is_empty());
        if is_too_wide(&columns) {
            below = columns.pop_if(|last| last.header == ERRORS);
        }
    }
    let mut text = row(&columns, |column| column.header.to_owned(), None);
    for (at, item) in items.iter().enumerate() {
        let colour = colour(item.state).filter(|_| look.colour);
        text.push_str(&row(&columns, |column| column.cells[at].clone(), colour));
    }
    let below = below.iter().flat_map(|errors| &errors.cells).zip(items);
    for (error, item) in below.filter(|(error, _)| !error.is_empty()) {
        text.push_str(&format!("\n{}: {error}", harmless(&item.name)));
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

fn row(columns: &[Column], cell: impl Fn(&Column) -> String, colour: Option<u8>) -> String {
    let mut row = String::new();
    for column in columns {
        let cell = cell(column);
        let space = " ".repeat(column.width() - cell.chars().count());
        match colour.filter(|_| column.header == "STATE") {
            Some(colour) => row.push_str(&format!("\x1b[{colour}m{cell}\x1b[0m{space}")),
            None => row.push_str(&(cell + &space)),
        }
    }
    row.trim_end().to_owned() + "\n"
}

/// Returns the colour of a state (ECMA-48, SGR).
fn colour(state: MachineState) -> Option<u8> {
    match state {
        MachineState::Running => Some(32),
        MachineState::Starting | MachineState::Stopping => Some(33),
        MachineState::Error | MachineState::Timeout => Some(31),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listing::tests::{broken, item};

    fn narrow(items: &[ListItem], columns: usize) -> String {
        let columns = Some(columns);
        table(
            items,
            Look {
                columns,
                ..Look::default()
            },
        )
    }

    #[test]
    fn a_wide_table_has_what_the_cloud_reports() {
        let look = Look {
            wide: true,
            ..Look::default()
        };
        assert_eq!(
            table(&[item("n1"), broken("b")], look),
            "NAME   ACTIVE   DRIVER      STATE     URL                     SWARM          DOCKER    AGE    INSTANCE   TYPE        ZONE     SPOT   ERRORS\n\
             n1     -        none        Running   tcp://127.0.0.1:23761   swm (master)   Unknown   3d4h   i-1        t3.medium   zone-a   yes\n\
             b               not found   Error                                                                                                    cannot be read\n"
        );
    }

    #[test]
    fn a_narrow_terminal_drops_empty_columns_and_has_errors_below() {
        let plain = ListItem {
            swarm_master: None,
            record: None,
            ..item("n1")
        };
        let long = ListItem {
            error: "an error\tthat fills a line".into(),
            ..plain.clone()
        };
        assert_eq!(
            narrow(std::slice::from_ref(&plain), 66),
            "NAME   DRIVER   STATE     URL                     DOCKER\n\
             n1     none     Running   tcp://127.0.0.1:23761   Unknown\n"
        );
        assert_eq!(
            narrow(&[plain, long], 66),
            "NAME   DRIVER   STATE     URL                     DOCKER\n\
             n1     none     Running   tcp://127.0.0.1:23761   Unknown\n\
             n1     none     Running   tcp://127.0.0.1:23761   Unknown\n\
             \n\
             n1: an error that fills a line\n"
        );
    }

    #[test]
    fn states_have_colours_and_nothing_else_controls_the_terminal() {
        let look = Look {
            colour: true,
            ..Look::default()
        };
        let hostile = ListItem {
            error: "\x1b[2J".into(),
            ..broken("b")
        };
        let shown = table(&[item("n1"), hostile], look);
        assert!(shown.contains("\x1b[32mRunning\x1b[0m   tcp"), "{shown:?}");
        assert!(shown.contains("\x1b[31mError\x1b[0m "), "{shown:?}");
        assert_eq!(shown.matches('\x1b').count(), 4, "{shown:?}");
    }
}
