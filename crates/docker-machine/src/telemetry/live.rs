//! Live line of a terminal: a spinner, the current waits with their reasons, and the elapsed seconds.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use libmachine::Waiting;
use machine_types::printable;

use crate::output::console::Console;

/// Frame interval of the spinner: long enough for a slow link, short enough to look alive.
const TURN: Duration = Duration::from_millis(120);

/// Minimum duration of a wait whose reason is shown: a shorter one would only flicker.
const QUIET: Duration = Duration::from_millis(500);

/// Maximum width of a machine's name on the line: GitLab Runner's names would fill most of it.
const LONGEST_NAME: usize = 24;

const SPINNER: [char; 4] = ['|', '/', '-', '\\'];

enum Message {
    Phase(String),
    Waiting(Waiting),
    /// The machine and the condition of a finished wait.
    Waited(Option<String>, String),
}

/// The live line. Does nothing and starts no thread if standard error is not a terminal.
pub(super) struct Live {
    console: Arc<Console>,
    turner: Mutex<Option<(Sender<Message>, JoinHandle<()>)>>,
}

impl Live {
    /// Creates a live line that shows nothing yet.
    pub(super) fn new(console: Arc<Console>) -> Self {
        Self {
            console,
            turner: Mutex::new(None),
        }
    }

    /// Shows a new phase; an empty text removes it.
    pub(super) fn phase(&self, what: &str) {
        self.send(Message::Phase(what.to_owned()), !what.is_empty());
    }

    /// Shows the condition of a wait, and why it is not met yet.
    pub(super) fn waiting(&self, waiting: &Waiting) {
        self.send(Message::Waiting(waiting.clone()), true);
    }

    /// Removes a wait from the line.
    pub(super) fn waited(&self, machine: Option<&String>, what: &str) {
        self.send(Message::Waited(machine.cloned(), what.to_owned()), false);
    }

    /// Sends a message to the thread. Starts the thread if `starts` is set.
    fn send(&self, message: Message, starts: bool) {
        if !self.console.terminals().err {
            return;
        }
        let mut turner = self.turner.lock().unwrap_or_else(PoisonError::into_inner);
        if !starts && turner.is_none() {
            return;
        }
        let (sender, _) = turner.get_or_insert_with(|| {
            let (sender, receiver) = channel();
            let console = self.console.clone();
            (
                sender,
                std::thread::spawn(move || turn(&console, &receiver)),
            )
        });
        // The thread ends only when the sender does.
        let _ = sender.send(message);
    }

    /// Removes the line permanently.
    pub(super) fn end(&self) {
        let turner = self
            .turner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some((sender, thread)) = turner {
            drop(sender);
            let _ = thread.join();
        }
    }
}

fn turn(console: &Console, messages: &Receiver<Message>) {
    let mut line = Line::default();
    for spinner in SPINNER.iter().cycle() {
        match messages.recv_timeout(TURN) {
            Ok(message) => line.take(message),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        match line.text() {
            Some((text, seconds)) => console.live_with(&format!("{spinner} {text}"), &seconds),
            None => console.live(""),
        }
    }
    console.live("");
}

/// Content of the line.
#[derive(Default)]
struct Line {
    /// The phase, and its start time.
    phase: Option<(String, Instant)>,
    /// The waits, oldest first, and their start times.
    waits: Vec<(Waiting, Instant)>,
}

impl Line {
    fn take(&mut self, message: Message) {
        match message {
            Message::Phase(what) if what.is_empty() => self.phase = None,
            Message::Phase(what) => match &self.phase {
                Some((phase, _)) if *phase == what => {}
                _ => self.phase = Some((what, Instant::now())),
            },
            Message::Waiting(waiting) => {
                let same = |known: &&mut (Waiting, Instant)| {
                    known.0.machine == waiting.machine && known.0.what == waiting.what
                };
                match self.waits.iter_mut().find(same) {
                    Some(known) => known.0 = waiting,
                    None => {
                        let now = Instant::now();
                        let begun = now.checked_sub(waiting.waited).unwrap_or(now);
                        self.waits.push((waiting, begun));
                    }
                }
            }
            Message::Waited(machine, what) => self
                .waits
                .retain(|(wait, _)| wait.machine != machine || wait.what != what),
        }
    }

    /// Returns the text, which may be truncated, and the seconds, which may not.
    fn text(&self) -> Option<(String, String)> {
        let mut lasting = self
            .waits
            .iter()
            .filter(|(_, begun)| begun.elapsed() >= QUIET);
        if let Some((wait, begun)) = lasting.next() {
            let mut machines: Vec<String> = Vec::new();
            for machine in self
                .waits
                .iter()
                .filter_map(|(wait, _)| wait.machine.as_deref())
            {
                let machine = shortened(machine);
                if !machines.contains(&machine) {
                    machines.push(machine);
                }
            }
            let machines = match machines.as_slice() {
                [] => String::new(),
                machines => format!("{} · ", machines.join(", ")),
            };
            let text = format!("{machines}{}: {}", wait.what, wait.why);
            let limit = limit(wait.within);
            return Some((
                printable(text.as_bytes()),
                format!(" {}s (gives up at {limit})", begun.elapsed().as_secs()),
            ));
        }
        let (phase, since) = self.phase.as_ref()?;
        Some((phase.clone(), format!(" {}s", since.elapsed().as_secs())))
    }
}

/// Truncates a long name in the middle: both ends distinguish machines.
fn shortened(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= LONGEST_NAME {
        return name.to_owned();
    }
    let end = LONGEST_NAME / 2;
    let begin = LONGEST_NAME - end - 1;
    let tail = letters.len() - end;
    letters[..begin]
        .iter()
        .chain(&['…'])
        .chain(&letters[tail..])
        .collect()
}

/// Formats a timeout in a suitable unit.
fn limit(within: Duration) -> String {
    match within.as_secs() {
        seconds if seconds >= 120 => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::console::Terminals;
    use crate::output::console::tests::taped;

    #[test]
    fn the_line_shows_the_phase_and_goes_away() {
        let (console, _, err) = taped(Terminals {
            err: true,
            ..Terminals::default()
        });
        let live = Live::new(Arc::new(console));
        live.phase("waiting for SSH");
        live.end();
        let text = err.text();
        assert!(text.contains("waiting for SSH 0s"), "{text:?}");
        assert!(text.ends_with("\r\x1b[K"), "{text:?}");
    }

    fn waiting(machine: &str, what: &str, why: &str, waited: u64) -> Message {
        Message::Waiting(Waiting {
            machine: Some(machine.to_owned()),
            what: what.to_owned(),
            why: why.to_owned(),
            waited: Duration::from_secs(waited),
            within: Duration::from_secs(900),
        })
    }

    fn shown(line: &Line) -> String {
        line.text()
            .map(|(text, seconds)| text + &seconds)
            .unwrap_or_default()
    }

    #[test]
    fn a_wait_shows_its_machine_its_reason_and_its_limit() {
        let mut line = Line::default();
        line.take(Message::Phase("Waiting for SSH to be available".into()));
        line.take(waiting(
            "m2",
            "SSH on ubuntu@172.31.1.5:22",
            "connection refused",
            41,
        ));
        assert_eq!(
            shown(&line),
            "m2 · SSH on ubuntu@172.31.1.5:22: connection refused 41s (gives up at 15m)"
        );
        line.take(waiting("m3", "the instance to stop", "stopping", 7));
        assert!(
            shown(&line).starts_with("m2, m3 · SSH on"),
            "{}",
            shown(&line)
        );
        for (machine, what) in [
            ("m2", "SSH on ubuntu@172.31.1.5:22"),
            ("m3", "the instance to stop"),
        ] {
            line.take(Message::Waited(Some(machine.into()), what.into()));
        }
        assert_eq!(shown(&line), "Waiting for SSH to be available 0s");
    }

    #[test]
    fn a_short_wait_and_a_long_name_do_not_fill_the_line() {
        let mut line = Line::default();
        line.take(waiting("m1", "a lock", "held", 0));
        assert_eq!(shown(&line), "");
        assert_eq!(
            shortened("runner-x1y2z3-gitlab-docker-machine-1700000000-0a1b2c3d"),
            "runner-x1y2…000-0a1b2c3d"
        );
    }
}
