//! Standard output and standard error.
//!
//! The only module that writes to either. A failed write does not end the command: GitLab Runner may close its log
//! pipes while a create still runs, and that create must complete. The console records that standard output is
//! incomplete, for commands whose only result is their output. At a terminal it also keeps the live line below the
//! permanent lines.

use std::io::{ErrorKind, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use machine_types::{harmless, masked, printable_within, shown};

use crate::failure::Failure;

/// Output stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Properties of the two streams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terminals {
    /// Standard output is a terminal.
    pub out: bool,
    /// Standard error is a terminal that can show a live line.
    pub err: bool,
    /// Standard error is a terminal that cannot move its cursor.
    pub dumb: bool,
    /// Width in columns, if known.
    pub columns: Option<usize>,
    /// Whether the terminal supports colours.
    pub colour: bool,
}

impl Terminals {
    /// Width of help if the terminal's width is unknown, and its maximum: longer lines are hard to read.
    const HELP_WIDTH: usize = 100;

    /// Returns the width of help, in columns.
    pub fn help_width(&self) -> usize {
        self.columns
            .map_or(Self::HELP_WIDTH, |columns| columns.min(Self::HELP_WIDTH))
    }
}

/// The two streams, and the live line below them.
pub struct Console {
    terminals: Terminals,
    streams: Mutex<Streams>,
}

struct Streams {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    live: String,
    /// First write error of standard output.
    lost: Option<String>,
    /// Whether the reader of standard output has closed the pipe.
    is_closed: bool,
}

/// Moves the cursor to the first column and clears the line (ECMA-48: CR, EL).
const CLEAR: &str = "\r\x1b[K";

impl Console {
    /// Creates a console from the two streams.
    pub fn new(
        out: Box<dyn Write + Send>,
        err: Box<dyn Write + Send>,
        terminals: Terminals,
    ) -> Self {
        let streams = Streams {
            out,
            err,
            live: String::new(),
            lost: None,
            is_closed: false,
        };
        Self {
            terminals,
            streams: Mutex::new(streams),
        }
    }

    /// Returns the properties of the two streams.
    pub fn terminals(&self) -> Terminals {
        self.terminals
    }

    /// Writes output. To a pipe or a file, writes it unchanged, byte for byte; to a terminal, escapes control
    /// characters, so that the text has no other effect than to be shown.
    pub fn write(&self, stream: Stream, bytes: &[u8]) {
        let is_terminal = match stream {
            Stream::Out => self.terminals.out,
            Stream::Err => self.terminals.err,
        };
        match is_terminal {
            true => self.put(stream, harmless(&String::from_utf8_lossy(bytes)).as_bytes()),
            false => self.put(stream, bytes),
        }
    }

    /// Writes a line of a message. On standard error, escapes control characters, because people read it and the logs
    /// that it goes to. On standard output, same as [`Console::write`].
    pub fn line(&self, stream: Stream, text: &str) {
        match stream {
            Stream::Out => self.write(stream, format!("{text}\n").as_bytes()),
            Stream::Err => self.put(stream, format!("{}\n", shown(text)).as_bytes()),
        }
    }

    /// Writes a text with colours of its own, whose other control characters are escaped already.
    pub fn styled(&self, stream: Stream, text: &str) {
        self.put(stream, text.as_bytes());
    }

    /// Clears the screen if standard output is a terminal (ECMA-48: CUP, ED).
    pub fn clear(&self) {
        if self.terminals.out {
            self.put(Stream::Out, b"\x1b[H\x1b[2J");
        }
    }

    /// Returns whether the reader of standard output has closed the pipe.
    pub fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// Writes bytes unchanged.
    fn put(&self, stream: Stream, bytes: &[u8]) {
        let mut streams = self.lock();
        streams.hide();
        streams.write(stream, bytes);
        if bytes.ends_with(b"\n") {
            streams.show();
        }
    }

    /// Returns the first write error of standard output, if any. A reader that closes the pipe early is no error.
    pub fn lost(&self) -> Option<String> {
        self.lock().lost.clone()
    }

    /// Begins a new line after the `^C` that a terminal shows for an interrupt. Where there is a live line, it is
    /// cleared together with it.
    pub fn interrupted(&self) {
        let mut streams = self.lock();
        if (self.terminals.err || self.terminals.dumb) && streams.live.is_empty() {
            streams.write(Stream::Err, b"\n");
        }
    }

    /// Prints the failure of a command, in colours if they are supported and enabled.
    pub fn failure(&self, failure: &Failure) {
        let text = match self.terminals.err && self.terminals.colour {
            true => failure.coloured(),
            false => failure.text(),
        };
        self.put(Stream::Err, format!("{text}\n").as_bytes());
    }

    /// Replaces the live line; an empty text removes it. Does nothing if standard error is no terminal.
    pub fn live(&self, text: &str) {
        self.live_with(text, "");
    }

    /// Replaces the live line as [`live`](Self::live) does. Truncates a text that is too long for the terminal, but
    /// not the text after it.
    pub fn live_with(&self, text: &str, behind: &str) {
        if !self.terminals.err {
            return;
        }
        let mut streams = self.lock();
        streams.hide();
        // Leaves the last column free: writing there may scroll the line.
        let width = self.terminals.columns.unwrap_or(80).saturating_sub(1);
        let text = printable_within(masked(text).as_bytes(), usize::MAX);
        let room = width.saturating_sub(behind.chars().count());
        let text: String = match text.chars().count() > room {
            true => text
                .chars()
                .take(room.saturating_sub(1))
                .chain(['…'])
                .collect(),
            false => text,
        };
        streams.live = text.chars().chain(behind.chars()).take(width).collect();
        streams.show();
    }

    fn lock(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Streams {
    fn write(&mut self, stream: Stream, bytes: &[u8]) {
        let to = match stream {
            Stream::Out => &mut self.out,
            Stream::Err => &mut self.err,
        };
        // A failed write cannot be reported.
        let written = to.write_all(bytes).and_then(|()| to.flush());
        if let (Stream::Out, Err(error)) = (stream, written) {
            match error.kind() {
                ErrorKind::BrokenPipe => self.is_closed = true,
                _ => {
                    self.lost.get_or_insert(error.to_string());
                }
            }
        }
    }

    fn hide(&mut self) {
        if !self.live.is_empty() {
            self.write(Stream::Err, CLEAR.as_bytes());
        }
    }

    fn show(&mut self) {
        if !self.live.is_empty() {
            let live = self.live.clone();
            self.write(Stream::Err, live.as_bytes());
        }
    }
}

/// A [`Write`] over one stream, for output that is written in parts.
pub struct Pieces<'a> {
    /// The console.
    pub console: &'a Console,
    /// The stream.
    pub stream: Stream,
}

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.console.write(self.stream, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::Arc;

    /// A stream whose content can be read back.
    #[derive(Clone, Default)]
    pub(crate) struct Tape(Arc<Mutex<Vec<u8>>>);

    impl Tape {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Tape {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    struct Broken;

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
    }

    pub(crate) fn taped(terminals: Terminals) -> (Console, Tape, Tape) {
        let (out, err) = (Tape::default(), Tape::default());
        let console = Console::new(Box::new(out.clone()), Box::new(err.clone()), terminals);
        (console, out, err)
    }

    #[test]
    fn a_closed_pipe_and_a_full_disk_change_nothing() {
        let console = Console::new(Box::new(Broken), Box::new(Broken), Terminals::default());
        console.line(Stream::Out, "x");
        console.line(Stream::Err, "x");
    }

    #[test]
    fn lines_that_stay_do_not_run_into_the_live_one() {
        let terminal = Terminals {
            err: true,
            columns: Some(6),
            ..Terminals::default()
        };
        let (console, out, err) = taped(terminal);
        console.live("waiting");
        console.line(Stream::Out, "done");
        console.live("");
        assert_eq!(out.text(), "done\n");
        assert_eq!(err.text(), "wait…\r\x1b[Kwait…\r\x1b[K");
    }

    #[test]
    fn the_seconds_are_never_cut_off() {
        let terminal = Terminals {
            err: true,
            columns: Some(20),
            ..Terminals::default()
        };
        let (console, _, err) = taped(terminal);
        console.live_with("waiting for a machine", " 41s");
        assert_eq!(err.text(), "waiting for a … 41s");
    }

    #[test]
    fn a_terminal_obeys_nothing_that_is_shown() {
        let hostile = "\x1b[2J\u{9b}x\r\u{202e}y";
        let spelled = "\\u{1b}[2J\\u{9b}x\\u{d}\\u{202e}y\n";
        let (console, out, err) = taped(Terminals::default());
        console.line(Stream::Out, hostile);
        console.line(Stream::Err, hostile);
        console.failure(&Failure::new(hostile));
        assert_eq!(out.text(), format!("{hostile}\n"));
        assert_eq!(err.text(), spelled.repeat(2));
        let (console, out, err) = taped(Terminals {
            out: true,
            err: true,
            colour: true,
            ..Terminals::default()
        });
        console.write(Stream::Out, format!("{hostile}\n").as_bytes());
        console.failure(&Failure::new(hostile));
        console.live(hostile);
        assert_eq!(out.text(), spelled);
        let shown = err.text();
        let expected = format!(
            "\x1b[31m{}\x1b[0m\n{}",
            spelled.trim_end(),
            "\\u{1b}[2J\\u{9b}x \\u{202e}y"
        );
        assert_eq!(shown, expected);
    }

    #[test]
    fn in_a_pipe_there_is_no_live_line() {
        let (console, _, err) = taped(Terminals::default());
        console.live("waiting");
        console.line(Stream::Err, "x");
        assert_eq!(err.text(), "x\n");
    }
}
