//! How a stub on a host's disk asks the host itself.
//!
//! A FIFO per host, because plain `sh` can write to one: a stub leaves its arguments in a file,
//! writes its process id as a line (atomic below PIPE_BUF), and reads its exit status from a
//! FIFO of its own that it holds open for reading and writing, so that nothing is lost and
//! nothing is polled. Owns that protocol; what the answers are is [`programs`](super::programs)'
//! business. The other end is `stubs/host-call`.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::pipe;
use tokio::task::JoinSet;

use super::host::Host;
use super::programs;

/// A program's question.
#[derive(Debug, Clone, Default)]
pub(super) struct Call {
    /// The name under which the stub ran.
    pub(super) program: String,
    /// Who ran it, as `sudo` has it.
    pub(super) user: String,
    /// The working directory.
    pub(super) directory: String,
    /// Its arguments.
    pub(super) args: Vec<String>,
}

impl Call {
    /// Whether it may change the system.
    pub(super) fn is_root(&self) -> bool {
        self.user == "root"
    }
}

/// What the program prints and how it ends.
#[derive(Debug, Clone, Default)]
pub(super) struct Answer {
    pub(super) status: u8,
    pub(super) out: Vec<u8>,
    pub(super) err: Vec<u8>,
}

impl Answer {
    /// Status 0 and this on standard output.
    pub(super) fn says(out: impl Into<Vec<u8>>) -> Self {
        Self {
            out: out.into(),
            ..Self::default()
        }
    }

    /// That status and this line on standard error.
    pub(super) fn fails(status: u8, line: impl std::fmt::Display) -> Self {
        Self {
            status,
            err: format!("{line}\n").into_bytes(),
            ..Self::default()
        }
    }
}

/// Makes the FIFO of a host that boots.
pub(super) fn open(root: &Path) -> io::Result<pipe::Receiver> {
    let path = root.join("run/lab/calls");
    mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0)?;
    // Open for writing too: the end of one writer is no end for us.
    pipe::OpenOptions::new()
        .read_write(true)
        .open_receiver(path)
}

/// Answers until it is dropped.
pub(super) async fn serve(host: Arc<Host>, calls: pipe::Receiver) {
    let mut lines = BufReader::new(calls).lines();
    let mut answers = JoinSet::new();
    while let Ok(Some(line)) = lines.next_line().await {
        while answers.try_join_next().is_some() {}
        if let Ok(id) = line.parse::<u32>() {
            let host = Arc::clone(&host);
            answers.spawn(async move {
                // A stub that was killed takes its FIFO along.
                let _ = answer(&host, id).await;
            });
        }
    }
}

async fn answer(host: &Arc<Host>, id: u32) -> io::Result<()> {
    let file = |end: &str| host.root.join(format!("run/lab/{id}.{end}"));
    let words = fs::read(file("args"))?;
    let mut words = words
        .split(|byte| *byte == 0)
        .map(|word| String::from_utf8_lossy(word).into_owned());
    let call = Call {
        program: words.next().unwrap_or_default(),
        user: words.next().unwrap_or_default(),
        directory: words.next().unwrap_or_default(),
        args: {
            let mut rest: Vec<String> = words.collect();
            // Each word ends with a zero byte, the last one too.
            rest.pop();
            rest
        },
    };
    let answer = programs::run(host, &call).await;
    fs::write(file("out"), answer.out)?;
    fs::write(file("err"), answer.err)?;
    let mut status = pipe::OpenOptions::new()
        .read_write(true)
        .open_sender(file("status"))?;
    status
        .write_all(format!("{}\n", answer.status).as_bytes())
        .await
}
