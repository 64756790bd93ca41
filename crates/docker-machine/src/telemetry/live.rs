//! The live line of a terminal: a spinner, what is being waited for, and for how many seconds.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::output::console::Console;

/// How often the spinner turns: seldom enough for a slow link, often enough to look alive.
const TURN: Duration = Duration::from_millis(120);

const SPINNER: [char; 4] = ['|', '/', '-', '\\'];

/// The live line. Where standard error is no terminal it does nothing, and has no thread.
pub(super) struct Live {
    console: Arc<Console>,
    turner: Mutex<Option<(Sender<String>, JoinHandle<()>)>>,
}

impl Live {
    /// Makes a live line that shows nothing yet.
    pub(super) fn new(console: Arc<Console>) -> Self {
        Self {
            console,
            turner: Mutex::new(None),
        }
    }

    /// Shows what is being waited for from now on; an empty text: nothing.
    pub(super) fn phase(&self, what: &str) {
        if !self.console.terminals().err {
            return;
        }
        let mut turner = self.turner.lock().unwrap_or_else(PoisonError::into_inner);
        if what.is_empty() && turner.is_none() {
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
        let _ = sender.send(what.to_owned());
    }

    /// Takes the line away for good.
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

fn turn(console: &Console, phases: &Receiver<String>) {
    let mut phase = String::new();
    let mut since = Instant::now();
    for spinner in SPINNER.iter().cycle() {
        match phases.recv_timeout(TURN) {
            Ok(next) if next != phase => (phase, since) = (next, Instant::now()),
            Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if phase.is_empty() {
            console.live("");
        } else {
            console.live(&format!("{spinner} {phase} {}s", since.elapsed().as_secs()));
        }
    }
    console.live("");
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
}
