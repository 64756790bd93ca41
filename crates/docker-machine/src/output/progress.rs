//! Progress of a copy, on the live line of a terminal.

use crate::output::console::Console;

/// Shows the progress of a copy. Does nothing without a terminal, or if progress is disabled.
pub(crate) struct Progress<'a> {
    console: Option<&'a Console>,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(console: &'a Console, quiet: bool) -> Self {
        Self {
            console: (!quiet).then_some(console),
        }
    }

    /// Shows a file and how many of its bytes are copied.
    pub(crate) fn tell(&self, path: &str, done: u64, total: u64) {
        if let Some(console) = self.console {
            console.live(&line(path, done, total));
        }
    }

    /// Removes the line.
    pub(crate) fn end(&self) {
        if let Some(console) = self.console {
            console.live("");
        }
    }
}

const WIDTH: usize = 20;

fn line(path: &str, done: u64, total: u64) -> String {
    // An empty file is complete once it is created.
    let share = if total == 0 {
        1.0
    } else {
        (done as f64 / total as f64).min(1.0)
    };
    let filled = (share * WIDTH as f64) as usize;
    let bar: String = (0..WIDTH)
        .map(|at| if at < filled { '#' } else { '.' })
        .collect();
    let megabytes = done as f64 / 1e6;
    format!("[{bar}] {:3.0}% {megabytes:.1} MB {path}", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn the_bar_fills() {
        assert_eq!(line("f", 50, 100), "[##########..........]  50% 0.0 MB f");
        assert_eq!(line("f", 0, 0), "[####################] 100% 0.0 MB f");
        assert_eq!(
            line("f", 3_000_000, 2_000_000),
            "[####################] 100% 3.0 MB f"
        );
    }
}
