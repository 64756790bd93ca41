//! `curl` and `wget` of a simulated host.
//!
//! Owns the pages that a host can fetch: only those that a test provides. No server is contacted, so that no test
//! reaches the internet by mistake.

use std::fs;

use super::calls::{Answer, Call};
use super::disk::within;
use super::host::Host;

/// Options with a value in the next word, of both programs.
const WITH_VALUE: &[&str] = &["--connect-timeout", "--max-time", "--retry", "-T", "-t"];

/// Fetches the last URL of the command line.
pub(super) fn fetch(host: &Host, call: &Call) -> Answer {
    let (mut url, mut output) = ("", None);
    let mut words = call.args.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "-o" | "-O" => output = words.next(),
            option if WITH_VALUE.contains(&option) => {
                words.next();
            }
            option if option.starts_with('-') => {}
            word => url = word,
        }
    }
    let Some(page) = host.options().web.get(url).cloned() else {
        let program = &call.program;
        return Answer::fails(6, format!("{program}: (6) Could not resolve host: {url}"));
    };
    match output {
        Some(path) => match fs::write(within(&host.root, path), page) {
            Ok(()) => Answer::default(),
            Err(error) => Answer::fails(23, format!("{}: {path}: {error}", call.program)),
        },
        None => Answer::says(page),
    }
}
