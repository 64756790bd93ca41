//! Tells a running `create` of another process to stop, on behalf of an `rm` of the same machine.
//!
//! The create holds the machine's lock and may run for minutes. The `rm` writes a file into the machine's directory.
//! The create sees it within a quarter of a second, rolls back, and releases the lock.

use std::path::PathBuf;
use std::time::Duration;

use machine_ops::{Cx, Look, WaitPolicy, wait_until};
use machine_store::{Access, Store, StoreError};
use machine_types::MachineName;

/// The file's name. GitLab Runner and the Go binary ignore it.
const REQUEST: &str = ".removal-requested";

/// Poll interval of a create.
const PACE: Duration = Duration::from_millis(250);

/// Timeout longer than any create; the poll ends with the create.
const FOR_EVER: Duration = Duration::from_secs(24 * 60 * 60);

/// Asks a running create of the machine to stop. Succeeds if the directory no longer exists.
pub(crate) fn request_removal(store: &Store, name: &MachineName) -> Result<(), StoreError> {
    match store.write(&file(store, name), "", Access::Private) {
        Err(_) if !store.exists(name) => Ok(()),
        written => written,
    }
}

/// Removes a request that no longer applies.
pub(crate) fn withdraw_request(store: &Store, name: &MachineName) {
    // If the removal fails, the next create of that name still has a new directory.
    let _ = store.remove_file(&file(store, name));
}

/// Runs an operation, and cancels it as soon as the machine's removal is requested. Still waits for the operation to
/// end by itself, so that its results are recorded.
pub(crate) async fn unless_removed<T>(
    store: &Store,
    name: &MachineName,
    cx: &Cx,
    operation: impl Future<Output = T>,
) -> T {
    let (file, watching) = (file(store, name), quiet(cx));
    let policy = WaitPolicy::every(PACE, FOR_EVER);
    let requested = wait_until(&watching, "removal request", policy, async || {
        Ok::<_, std::convert::Infallible>(if file.exists() {
            Look::Ready(())
        } else {
            Look::Pending(String::new())
        })
    });
    let mut operation = std::pin::pin!(operation);
    tokio::select! {
        biased;
        value = &mut operation => return value,
        Ok(()) = requested => cx.cancel.cancel("docker-machine rm"),
    }
    operation.await
}

fn file(store: &Store, name: &MachineName) -> PathBuf {
    store.directory(name).join(REQUEST)
}

/// Returns a context without trace output, since the poll is not part of the operation.
fn quiet(cx: &Cx) -> Cx {
    Cx {
        events: std::sync::Arc::new(()),
        ..cx.clone()
    }
}
