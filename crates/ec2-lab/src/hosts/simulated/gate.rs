//! A door that opens once: at once, after a while, or when a test says so.

use tokio::sync::watch;

use super::options::Moment;
use crate::hosts::pause;

/// A door that opens once. Clones are the same door.
#[derive(Debug, Clone)]
pub(super) struct Gate(watch::Sender<bool>);

impl Gate {
    /// Opens at that moment, counted from now.
    pub(super) fn at(moment: Moment) -> Self {
        let gate = Self(watch::Sender::new(moment == Moment::AtOnce));
        if let Moment::After(wait) = moment {
            let gate = gate.clone();
            tokio::spawn(async move {
                pause(wait).await;
                gate.open();
            });
        }
        gate
    }

    pub(super) fn open(&self) {
        self.0.send_replace(true);
    }

    pub(super) fn is_open(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns once the door is open.
    pub(super) async fn opened(&self) {
        // The sender lives in self, so the channel cannot close under us.
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}
