//! Cancellation: by a signal, or because the operation is no longer needed.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::watch;

/// A flag that any number of futures can wait for. Clones share it; it is set once and stays set.
#[derive(Debug, Clone)]
pub struct Cancel {
    sender: Arc<watch::Sender<Option<&'static str>>>,
}

impl Cancel {
    /// Makes a flag that is not set.
    pub fn new() -> Self {
        Self {
            sender: Arc::new(watch::Sender::new(None)),
        }
    }

    /// Sets the flag; `why` is shown to the user (`"SIGTERM"`). Later calls keep the first reason.
    pub fn cancel(&self, why: &'static str) {
        self.sender.send_if_modified(|reason| {
            let first = reason.is_none();
            if first {
                *reason = Some(why);
            }
            first
        });
    }

    /// Returns why the flag was set, if it was.
    pub fn reason(&self) -> Option<&'static str> {
        *self.sender.borrow()
    }

    /// Waits until the flag is set, and returns why.
    pub async fn cancelled(&self) -> &'static str {
        let mut receiver = self.sender.subscribe();
        loop {
            if let Some(reason) = *receiver.borrow_and_update() {
                return reason;
            }
            if receiver.changed().await.is_err() {
                // Unreachable: `self` is borrowed here and holds the sender.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Runs a future until it ends or the flag is set; in the latter case the future is dropped.
    ///
    /// # Errors
    /// The cancellation reason.
    pub async fn or<T>(&self, future: impl Future<Output = T>) -> Result<T, &'static str> {
        tokio::select! {
            biased;
            reason = self.cancelled() => Err(reason),
            value = future => Ok(value),
        }
    }
}

impl Default for Cancel {
    fn default() -> Self {
        Self::new()
    }
}
