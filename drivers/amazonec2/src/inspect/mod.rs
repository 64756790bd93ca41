//! Read-only questions: the checks before a create, for `--dry-run` and for `doctor`; the states and the console of
//! instances.

pub(crate) mod console;
pub(crate) mod doctor;
pub(crate) mod dry_run;
pub(crate) mod preflight;
pub(crate) mod states;
