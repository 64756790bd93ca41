//! Signals: the first one cancels, the second one ends the process at once.
//!
//! A separate thread handles them, so that a blocked operation cannot delay them.

use libmachine::Cancel;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Where Linux lists the signals that this process ignores (proc(5), `SigIgn`).
const STATUS: &str = "/proc/self/status";

/// Starts the signal handlers, and returns when all are installed. Calls `leave` with the names of both signals before
/// the second one ends the process with code 130, which shells take for an interrupt.
pub fn listen(cancel: Cancel, leave: fn(&str, &str)) {
    let status = std::fs::read_to_string(STATUS).unwrap_or_default();
    let heard = heard(&status);
    let (heard_all, ready) = std::sync::mpsc::channel();
    let listener = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build();
        let Ok(runtime) = runtime else { return };
        runtime.block_on(async {
            let mut signals: Vec<(Signal, &'static str)> = heard
                .into_iter()
                .filter_map(|(kind, name)| Some((signal(kind).ok()?, name)))
                .collect();
            drop(heard_all);
            loop {
                let name = next(&mut signals).await;
                if let Some(first) = cancel.reason() {
                    leave(first, name);
                    std::process::exit(130);
                }
                cancel.cancel(name);
            }
        });
    };
    // Without the thread, signals have their default effect.
    let _ = std::thread::Builder::new()
        .name("signals".into())
        .stack_size(128 * 1024)
        .spawn(listener);
    // Until the handlers are installed, a signal would end the process in the middle of its work. Nothing is sent: the
    // channel closes when the handlers are installed, or when the thread fails.
    let _: Result<(), _> = ready.recv();
}

/// Makes this process ignore the signals that [`listen`] handles. A program that it starts does not inherit that. Needs a
/// runtime.
pub fn ignore() {
    for (kind, _) in heard("") {
        // Once registered, a handler stays, also without a listener.
        let _ = signal(kind);
    }
}

/// Returns the signals to handle: all except those that were ignored at the start. nohup makes a process ignore the
/// loss of its terminal, and a script's shell makes what it starts with `&` ignore Ctrl-C.
fn heard(status: &str) -> Vec<(SignalKind, &'static str)> {
    let all = [
        (SignalKind::interrupt(), "SIGINT"),
        (SignalKind::terminate(), "SIGTERM"),
        (SignalKind::quit(), "SIGQUIT"),
        (SignalKind::hangup(), "SIGHUP"),
    ];
    let heard = all
        .into_iter()
        .filter(|(kind, _)| !is_ignored(status, kind.as_raw_value()));
    heard.collect()
}

async fn next(signals: &mut [(Signal, &'static str)]) -> &'static str {
    std::future::poll_fn(|cx| {
        for (signal, name) in signals.iter_mut() {
            if signal.poll_recv(cx).is_ready() {
                return std::task::Poll::Ready(*name);
            }
        }
        std::task::Poll::Pending
    })
    .await
}

fn is_ignored(status: &str, number: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.unwrap_or_default() & (1 << (number - 1)) != 0
}

#[cfg(test)]
mod tests {
    use super::heard;

    #[test]
    fn what_was_ignored_at_the_start_is_not_heard() {
        let names =
            |status: &str| -> Vec<_> { heard(status).iter().map(|(_, name)| *name).collect() };
        assert_eq!(
            names("Name:\tx\nSigIgn:\t0000000000001001\n"),
            ["SIGINT", "SIGTERM", "SIGQUIT"]
        );
        assert_eq!(names("SigIgn:\t0000000000000006\n"), ["SIGTERM", "SIGHUP"]);
        assert_eq!(names(""), ["SIGINT", "SIGTERM", "SIGQUIT", "SIGHUP"]);
    }
}
