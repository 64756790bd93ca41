//! Terminal of an interactive login: window size, resize events, and raw mode.
//!
//! Raw mode ends on every exit path: when its guard is dropped, when a second signal ends the process, and on a panic.
//! For this, the saved settings are in a static.

use std::io::{IsTerminal as _, stdin};
use std::sync::{Mutex, PoisonError};

use libmachine::WindowSize;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Terminal settings saved while raw mode is on.
static SAVED: Mutex<Option<Termios>> = Mutex::new(None);

/// Guard of raw mode.
pub(crate) struct RawMode;

impl RawMode {
    /// Puts standard input's terminal into raw mode: every key is sent to the machine.
    pub(crate) fn enter() -> Self {
        if let Ok(settings) = tcgetattr(stdin()) {
            let mut raw = settings.clone();
            raw.make_raw();
            *SAVED.lock().unwrap_or_else(PoisonError::into_inner) = Some(settings);
            // A terminal that is gone needs no raw mode.
            let _ = tcsetattr(stdin(), OptionalActions::Now, &raw);
        }
        Self
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        restore();
    }
}

/// Restores the terminal settings if raw mode is on.
pub fn restore() {
    let saved = SAVED.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(settings) = saved {
        let _ = tcsetattr(stdin(), OptionalActions::Now, &settings);
    }
}

/// Returns whether standard input is a terminal. Standard output may be a pipe, as with OpenSSH:
/// `docker-machine ssh m1 | tee log`.
pub(crate) fn is_interactive() -> bool {
    stdin().is_terminal()
}

/// Returns the size of the terminal. Unknown values are those of a VT100.
pub(crate) fn size() -> WindowSize {
    let size = tcgetwinsize(stdin()).ok().filter(|size| size.ws_col > 0);
    WindowSize {
        columns: size.map_or(80, |size| size.ws_col.into()),
        rows: size.map_or(24, |size| size.ws_row.into()),
    }
}

/// Sends each new size of the terminal.
pub(crate) fn resizes() -> mpsc::Receiver<WindowSize> {
    let (sender, receiver) = mpsc::channel(1);
    if let Ok(mut changes) = signal(SignalKind::window_change()) {
        tokio::spawn(async move {
            while changes.recv().await.is_some() && sender.send(size()).await.is_ok() {}
        });
    }
    receiver
}
