//! A user at a terminal: `docker-machine` on a real pseudo-terminal.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::process::{Child, Command};

use crate::flows::Home;

/// Longer than any step at a terminal takes on a busy machine.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// A terminal and the program whose controlling terminal it is.
#[derive(Debug)]
pub struct Terminal {
    master: OwnedFd,
    screen: Receiver,
    keyboard: Sender,
    child: Child,
    /// The unconsumed output.
    seen: String,
    /// The complete output.
    all: String,
}

/// The settings of a terminal: equal settings handle keys and lines in the same way.
#[derive(Debug, PartialEq, Eq)]
pub struct Settings([u64; 4]);

/// The result of a program at a terminal.
#[derive(Debug)]
pub struct Left {
    /// Its status.
    pub status: ExitStatus,
    /// The complete output, including control sequences.
    pub shown: String,
    /// The terminal's settings afterwards.
    pub settings: Settings,
}

impl Terminal {
    /// Starts `docker-machine` on a terminal with this number of columns and rows.
    pub fn start<S: AsRef<OsStr>>(
        home: &Home,
        argv: impl IntoIterator<Item = S>,
        window: (u16, u16),
    ) -> Self {
        Self::run(home, home.binary(), argv, window)
    }

    /// Starts any program on a terminal with this number of columns and rows.
    pub fn run<S: AsRef<OsStr>>(
        home: &Home,
        program: impl AsRef<OsStr>,
        argv: impl IntoIterator<Item = S>,
        (columns, rows): (u16, u16),
    ) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC);
        let master = master.unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        fcntl_setfl(&master, OFlags::RDWR | OFlags::NONBLOCK).unwrap();
        set_window(&master, columns, rows);
        let path = ptsname(&master, Vec::new()).unwrap();
        let mut options = OpenOptions::new();
        let no_controlling = OFlags::NOCTTY.bits().cast_signed();
        options.read(true).write(true).custom_flags(no_controlling);
        let end = options.open(OsStr::from_bytes(path.to_bytes())).unwrap();
        let stdio = || Stdio::from(end.try_clone().unwrap());
        // setsid(1) becomes the program, in a new session with this controlling terminal. Restores the signals that
        // the process which runs the tests ignores (nohup, for example).
        let mut command = Command::new("env");
        command.args(["--default-signal", "setsid", "--ctty"]);
        command.arg(program).args(argv);
        home.surround(&mut command);
        command
            .env("TERM", "xterm")
            .stdin(stdio())
            .stdout(stdio())
            .stderr(stdio());
        Self {
            screen: Receiver::from_owned_fd_unchecked(master.try_clone().unwrap()).unwrap(),
            keyboard: Sender::from_owned_fd_unchecked(master.try_clone().unwrap()).unwrap(),
            master,
            child: command.spawn().unwrap(),
            seen: String::new(),
            all: String::new(),
        }
    }

    /// Waits until a text is shown, and returns the output before it. The output after it stays available.
    ///
    /// # Panics
    /// The text does not appear in time, or the program ends first.
    #[track_caller]
    pub fn expect<'a>(&'a mut self, text: &'a str) -> impl Future<Output = String> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let looked = tokio::time::timeout(TIMEOUT, async {
                loop {
                    if let Some(place) = self.seen.find(text) {
                        return Some(place);
                    }
                    if !self.read().await {
                        return None;
                    }
                }
            });
            match looked.await {
                Ok(Some(place)) => {
                    let before = self.seen[..place].to_owned();
                    self.seen.drain(..place + text.len());
                    before
                }
                Ok(None) => panic!("{caller}: ended without {text:?}: {:?}", self.seen),
                Err(_) => panic!("{caller}: no {text:?}: {:?}", self.seen),
            }
        }
    }

    /// Types keys.
    ///
    /// # Panics
    /// The terminal accepts no input.
    pub async fn keys(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).await.unwrap();
    }

    /// Sets another window size; the program is notified by SIGWINCH.
    pub fn resize(&self, columns: u16, rows: u16) {
        set_window(&self.master, columns, rows);
    }

    /// Returns its settings.
    pub fn settings(&self) -> Settings {
        let set = tcgetattr(&self.master).unwrap();
        Settings([
            set.input_modes.bits().into(),
            set.output_modes.bits().into(),
            set.control_modes.bits().into(),
            set.local_modes.bits().into(),
        ])
    }

    /// Returns whether every key goes to the program: no line editing, no echo, no signals.
    pub fn is_raw(&self) -> bool {
        let cooked = LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
        let set = tcgetattr(&self.master).unwrap();
        !set.local_modes.intersects(cooked)
    }

    /// Sends a signal to the program.
    pub fn signal(&self, signal: Signal) {
        let id = self.child.id().unwrap().cast_signed();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    /// Waits for the program's end.
    ///
    /// # Panics
    /// The program does not end.
    pub async fn end(mut self) -> Left {
        let ending = async {
            while self.read().await {}
            self.child.wait().await.unwrap()
        };
        let ended = tokio::time::timeout(TIMEOUT, ending).await;
        let status = ended.unwrap_or_else(|_| panic!("still running: {:?}", self.seen));
        Left {
            status,
            settings: self.settings(),
            shown: self.all,
        }
    }

    /// Closes the terminal, like a closed window or a lost connection, and waits for the end of the program.
    ///
    /// # Panics
    /// The program does not end.
    pub async fn vanish(self) -> ExitStatus {
        let Self {
            master,
            screen,
            keyboard,
            mut child,
            ..
        } = self;
        drop((master, screen, keyboard));
        let ended = tokio::time::timeout(TIMEOUT, child.wait()).await;
        ended.expect("still running without a terminal").unwrap()
    }

    /// Reads more output; `false` when no process has the terminal open any more.
    async fn read(&mut self) -> bool {
        let mut chunk = [0; 4096];
        // Linux reports the end of the last process with EIO instead of end of file.
        let length = self.screen.read(&mut chunk).await.unwrap_or(0);
        let text = String::from_utf8_lossy(&chunk[..length]);
        self.seen.push_str(&text);
        self.all.push_str(&text);
        length > 0
    }
}

fn set_window(terminal: &OwnedFd, columns: u16, rows: u16) {
    let size = Winsize {
        ws_col: columns,
        ws_row: rows,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(terminal, size).unwrap();
}
