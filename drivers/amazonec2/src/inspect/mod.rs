//! Read-only checks before a create, for `--dry-run` and for `doctor`, and the console of a host.

pub(crate) mod console;
pub(crate) mod dry_run;
pub(crate) mod preflight;
