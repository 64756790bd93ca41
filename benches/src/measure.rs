//! `benches measure`: runs a program and reports its resource usage, as `time` does.
//!
//! A separate small process: the kernel's peak memory of a child starts with the memory of its parent's copy
//! (getrusage(2), `ru_maxrss`), and the process with the lab is large.

use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The resource usage of one run.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sample {
    /// The wall-clock time.
    pub wall: Duration,
    /// The processor time, in user mode and in the kernel, of all threads.
    pub cpu: Duration,
    /// The peak memory, in KiB.
    pub peak_kib: u64,
    /// Its exit status; 128 and more for a signal.
    pub status: i32,
}

impl Sample {
    /// Parses a line of [`measure`].
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(line).ok()?;
        let micros = |name: &str| Some(Duration::from_micros(value.get(name)?.as_u64()?));
        Some(Self {
            wall: micros("wall_us")?,
            cpu: micros("cpu_us")?,
            peak_kib: value.get("peak_kib")?.as_u64()?,
            status: i32::try_from(value.get("status")?.as_i64()?).ok()?,
        })
    }
}

/// Runs a program this many times, one after the other; prints for each run the process's id and then a [`Sample`],
/// one line each. Discards its standard output, and passes on its standard error.
///
/// # Errors
/// The program cannot be started.
pub(crate) fn measure(argv: &[String], runs: u32) -> io::Result<()> {
    let (program, args) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut out = io::stdout().lock();
    let gid = std::fs::metadata("/proc/self")?.gid();
    for _ in 0..runs {
        let begun = Instant::now();
        let child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // Sets the group to the current one, which makes the standard library fork instead of starting the child
            // in the memory of this process, whose peak would then count as the child's.
            .gid(gid)
            .spawn()?;
        writeln!(out, "{}", child.id())?;
        out.flush()?;
        let (status, usage) = wait(child.id())?;
        let wall = begun.elapsed();
        let cpu = time(usage.ru_utime) + time(usage.ru_stime);
        let line = json!({
            "wall_us": micros(wall),
            "cpu_us": micros(cpu),
            "peak_kib": usage.ru_maxrss,
            "status": status,
        });
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn time(time: libc::timeval) -> Duration {
    let whole = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::from_secs(whole) + Duration::from_micros(time.tv_usec.unsigned_abs())
}

/// Waits for a child, and returns its resource usage.
#[allow(
    unsafe_code,
    reason = "only wait4(2) returns the resource usage of one child, and no library offers it"
)]
fn wait(id: u32) -> io::Result<(i32, libc::rusage)> {
    let id = libc::pid_t::try_from(id).map_err(io::Error::other)?;
    let mut status = 0;
    // SAFETY: rusage is plain numbers, for which zero is a value; both pointers are to locals that outlive the call.
    let (waited, usage) = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        (libc::wait4(id, &mut status, 0, &mut usage), usage)
    };
    if waited != id {
        return Err(io::Error::last_os_error());
    }
    let status = match libc::WIFEXITED(status) {
        true => libc::WEXITSTATUS(status),
        false => 128 + libc::WTERMSIG(status),
    };
    Ok((status, usage))
}
