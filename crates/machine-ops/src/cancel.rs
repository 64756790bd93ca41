//! Cancellation: a signal that was caught, or an operation that has lost its purpose.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::watch;

/// A flag that many futures can wait for. Clones share it; it is set once and stays set.
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

    /// Sets the flag; `why` is shown to the user (`"SIGTERM"`). The first reason stays.
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
                // The sender lives in `self`, which is borrowed here: this cannot happen.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Runs a future until it ends or the flag is set; then the future is dropped.
    ///
    /// # Errors
    /// The reason of the cancellation.
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
