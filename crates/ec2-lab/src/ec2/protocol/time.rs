//! Times as EC2 writes them.

use std::time::SystemTime;

/// Formats a time as EC2 does: `2026-01-31T12:00:00.000Z`.
pub(crate) fn iso(at: SystemTime) -> String {
    let t = time::OffsetDateTime::from(at);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        t.year(),
        u8::from(t.month()),
        t.day(),
        t.hour(),
        t.minute(),
        t.second(),
        t.millisecond()
    )
}
