//! Records calls of the AWS SDK for Rust with their answers, for `tests/check-model`, which validates both against
//! AWS's own API model.
//!
//! If `EC2_LAB_WIRE` names a directory, each process that runs a lab appends to a separate file there. Calls that
//! differ in digits only, as ids do, are recorded once.

use std::collections::HashSet;
use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, PoisonError};

use crate::ec2::protocol::query::Params;

/// The beginning of the `user-agent` header of the AWS SDK for Rust.
pub(crate) const SDK: &str = "aws-sdk-rust/";

struct Recorder {
    file: File,
    known: HashSet<u64>,
}

static RECORDER: LazyLock<Option<Mutex<Recorder>>> = LazyLock::new(|| {
    let directory = PathBuf::from(std::env::var_os("EC2_LAB_WIRE")?);
    let path = directory.join(format!("{}.jsonl", std::process::id()));
    let file = File::options().create(true).append(true).open(path).ok()?;
    Some(Mutex::new(Recorder {
        file,
        known: HashSet::new(),
    }))
});

/// Records one call. `body` is the answer of a successful call.
pub(crate) fn record(action: &str, params: &Params, body: Option<&str>) {
    let Some(recorder) = RECORDER.as_ref() else {
        return;
    };
    let params = params.map();
    let line = serde_json::json!({ "action": action, "params": params, "body": body }).to_string();
    let mut hasher = DefaultHasher::new();
    line.chars()
        .filter(|c| !c.is_ascii_hexdigit())
        .for_each(|c| c.hash(&mut hasher));
    let mut recorder = recorder.lock().unwrap_or_else(PoisonError::into_inner);
    if recorder.known.insert(hasher.finish()) {
        // A full disk must not change the endpoint's answers.
        let _ = writeln!(recorder.file, "{line}");
    }
}
