//! Remaining validity of certificates.

use std::path::Path;
use std::time::{Duration, SystemTime};

use machine_tls::Certificate;

use crate::Library;
use crate::certificates::issue::certificate;
use crate::certificates::renewal::{is_our_own_ca, is_our_own_client};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Remaining validity below which a warning is given: people go on holiday, and maintenance windows are months apart.
pub(crate) const WARNED: Duration = Duration::from_secs(60 * 24 * 60 * 60);

/// Validity of a certificate at the current time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    /// Not valid yet: a clock is wrong.
    NotBegun,
    /// Valid, with the remaining time.
    Valid(Duration),
    /// Valid, and expires within [`WARNED`].
    Ending(Duration),
    /// Expired, with the time since then.
    Over(Duration),
}

impl Age {
    pub(crate) fn of(certificate: &Certificate, now: SystemTime) -> Self {
        if now < certificate.not_before() {
            return Self::NotBegun;
        }
        match certificate.not_after().duration_since(now) {
            Ok(left) if left > WARNED => Self::Valid(left),
            Ok(left) => Self::Ending(left),
            Err(error) => Self::Over(error.duration()),
        }
    }
}

/// Warns about shared certificates that expire within 60 days, once a day each. Ignores unreadable files: the operation
/// that needs the certificate reports them.
pub fn warn_of_age(library: &Library) {
    let files = &library.settings.certificates;
    let then = match is_our_own_ca(library) {
        true => {
            "from its last 30 days on the next create, provision, upgrade, regenerate-certs, start or restart makes a new one, and the old one stays trusted; all but create bring the machine over"
        }
        false => "replace it, then run docker-machine regenerate-certs for every machine",
    };
    warn_of(library, "ca-ends", "CA", &files.ca, then);
    let then = match is_our_own_client(library) {
        true => "a new one of the same CA is issued in its last day",
        false => "replace it",
    };
    warn_of(
        library,
        "client-ends",
        "client certificate",
        &files.client,
        then,
    );
}

fn warn_of(library: &Library, mark: &str, what: &str, path: &Path, then: &str) {
    let Ok(certificate) = certificate(library, path) else {
        return;
    };
    let when = match Age::of(&certificate, library.ambient.now()) {
        Age::Ending(left) => format!("ends in {}", days(left)),
        Age::Over(since) => format!("ended {} ago", days(since)),
        Age::Valid(_) | Age::NotBegun => return,
    };
    if library.store.is_due(mark) {
        let path = path.display();
        let line = format!("WARNING: the {what} {path} {when}: {then}");
        library.context().alert(line);
    }
}

/// Formats a duration in days for messages.
pub(crate) fn days(time: Duration) -> String {
    match time.as_secs() / DAY.as_secs() {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}
