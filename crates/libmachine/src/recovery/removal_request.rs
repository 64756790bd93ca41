//! How `rm` tells a `create` of the same machine, in another process, to give up.
//!
//! The create holds the machine's lock and may go on for minutes. The `rm` leaves a file in the machine's
//! directory; the create sees it within a quarter of a second, rolls back, and lets the lock go.

use std::path::PathBuf;
use std::time::Duration;

use machine_ops::{Cx, Look, WaitPolicy, wait_until};
use machine_store::{Access, Store, StoreError};
use machine_types::MachineName;

/// The file's name: the runner and the Go binary look past it.
const REQUEST: &str = ".removal-requested";

/// How often a create looks.
const PACE: Duration = Duration::from_millis(250);

/// Longer than any create: the look ends with the create.
const FOR_EVER: Duration = Duration::from_secs(24 * 60 * 60);

/// Asks whoever creates the machine to give up. A directory that is gone meanwhile is fine.
pub(crate) fn request_removal(store: &Store, name: &MachineName) -> Result<(), StoreError> {
    match store.write(&file(store, name), "", Access::Private) {
        Err(_) if !store.exists(name) => Ok(()),
        written => written,
    }
}

/// Takes a request back that nobody has to obey any more.
pub(crate) fn withdraw_request(store: &Store, name: &MachineName) {
    // Where it stays, the next create of that name has a directory of its own anyway.
    let _ = store.remove_file(&file(store, name));
}

/// Runs an operation, and cancels it as soon as somebody asks for the machine's removal. The
/// operation is still waited for: it ends by itself, and its answers reach the record.
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

/// A watch is not part of the operation's story.
fn quiet(cx: &Cx) -> Cx {
    Cx {
        events: std::sync::Arc::new(()),
        ..cx.clone()
    }
}
