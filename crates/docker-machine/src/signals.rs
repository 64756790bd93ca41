//! Signals: the first one cancels, the second one ends the process at once.
//!
//! They are heard on a thread of their own, so that nothing an operation does can make us deaf.

use libmachine::Cancel;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Where Linux says which signals this process ignores (proc(5), `SigIgn`).
const STATUS: &str = "/proc/self/status";

/// Begins to listen, and returns when every signal is heard. `leave` is called before the second signal ends the process with code 130, which
/// shells take for an interrupt.
pub fn listen(cancel: Cancel, leave: fn()) {
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
                if cancel.reason().is_some() {
                    leave();
                    std::process::exit(130);
                }
                cancel.cancel(name);
            }
        });
    };
    // Without the thread, signals do what they do by default.
    let _ = std::thread::Builder::new()
        .name("signals".into())
        .stack_size(128 * 1024)
        .spawn(listener);
    // Until then a signal would end the process by default, whatever it has begun. Nothing is sent: the
    // channel closes when all are heard, or never will be.
    let _: Result<(), _> = ready.recv();
}

/// Returns the signals to listen to: not those that were ignored from the start. Under nohup a terminal that
/// vanishes is to be ignored, and a script's shell ignores Ctrl-C for what it starts with `&`.
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
