//! The protocol between the stubs on a host's disk and the host.
//!
//! A FIFO per host, because plain `sh` can write to one: a stub writes its arguments to a file, writes its process id
//! as a line (atomic below PIPE_BUF), and reads its exit status from a separate FIFO that it holds open for reading
//! and writing, so that no message is lost and no polling is needed. Owns the protocol only;
//! [`programs`](super::programs) computes the answers. The other end is `stubs/host-call`.

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

/// A call of a program.
#[derive(Debug, Clone, Default)]
pub(super) struct Call {
    /// The name of the called stub.
    pub(super) program: String,
    /// The calling user, as `sudo` reports it.
    pub(super) user: String,
    /// Its arguments.
    pub(super) args: Vec<String>,
}

impl Call {
    /// Returns whether it may change the system.
    pub(super) fn is_root(&self) -> bool {
        self.user == "root"
    }
}

/// The output and exit status of a program.
#[derive(Debug, Clone, Default)]
pub(super) struct Answer {
    pub(super) status: u8,
    pub(super) out: Vec<u8>,
    pub(super) err: Vec<u8>,
}

impl Answer {
    /// Makes an answer with status 0 and this standard output.
    pub(super) fn says(out: impl Into<Vec<u8>>) -> Self {
        Self {
            out: out.into(),
            ..Self::default()
        }
    }

    /// Makes an answer with that status and this line on standard error.
    pub(super) fn fails(status: u8, line: impl std::fmt::Display) -> Self {
        Self {
            status,
            err: format!("{line}\n").into_bytes(),
            ..Self::default()
        }
    }
}

/// Makes the FIFO of a booting host.
pub(super) fn open(root: &Path) -> io::Result<pipe::Receiver> {
    let path = root.join("run/lab/calls");
    mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0)?;
    // Open for writing too: so the end of one writer is not an end of file.
    pipe::OpenOptions::new()
        .read_write(true)
        .open_receiver(path)
}

/// Answers calls until it is dropped.
pub(super) async fn serve(host: Arc<Host>, calls: pipe::Receiver) {
    let mut lines = BufReader::new(calls).lines();
    let mut answers = JoinSet::new();
    while let Ok(Some(line)) = lines.next_line().await {
        while answers.try_join_next().is_some() {}
        if let Ok(id) = line.parse::<u32>() {
            let host = Arc::clone(&host);
            answers.spawn(async move {
                // A killed stub removes its FIFO.
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
        args: {
            let mut rest: Vec<String> = words.collect();
            // Each word, including the last one, ends with a zero byte.
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
