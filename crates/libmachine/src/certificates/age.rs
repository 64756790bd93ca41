//! Remaining validity of certificates.

use std::time::{Duration, SystemTime};

use machine_tls::Certificate;

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

/// Formats a duration in days for messages.
pub(crate) fn days(time: Duration) -> String {
    match time.as_secs() / DAY.as_secs() {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}
