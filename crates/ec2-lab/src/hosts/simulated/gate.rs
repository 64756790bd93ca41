//! A gate that opens once: immediately, after a delay, or on a test's command.

use tokio::sync::watch;

use super::options::Moment;
use crate::hosts::pause;

/// A gate that opens once. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Gate(watch::Sender<bool>);

impl Gate {
    /// Makes a gate that opens at that moment, counted from now.
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

    /// Returns once the gate is open.
    pub(super) async fn opened(&self) {
        // `self` holds the sender, so the channel cannot close here.
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}
