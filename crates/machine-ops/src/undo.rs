//! The one way to undo: the rollback of a failed create and `rm` are this function.

use std::error::Error as StdError;

use async_trait::async_trait;

use crate::{Cx, Ownership, Phase, Resource, UndoOrder};

/// How far the undoing of one resource got.
#[derive(Debug)]
pub enum Undone {
    /// It is gone, or on its way (terminated, deleted), or certain never to have been made.
    Gone,
    /// Nobody can tell: it stays on record. The text says why.
    Unresolved(String),
}

/// Undoes a driver's resources.
#[async_trait]
pub trait Undo: Send + Sync {
    /// The driver's error.
    type Error: StdError + Send + Sync + 'static;

    /// Removes one resource of ours. Idempotent: what is gone already is [`Undone::Gone`].
    /// Never replays a call that makes something: what may or may not exist is looked up.
    ///
    /// # Errors
    /// Where the cloud refuses or cannot be reached; the resource stays on record.
    async fn undo(&self, resource: &Resource, cx: &Cx) -> Result<Undone, Self::Error>;
}

/// Something that an undo could not remove.
#[derive(Debug)]
pub struct Leftover<E> {
    /// What.
    pub resource: Resource,
    /// Why: the error, or the words of [`Undone::Unresolved`].
    pub reason: Result<String, E>,
}

/// What an undo did.
#[derive(Debug)]
pub struct UndoReport<E> {
    /// How many resources are gone.
    pub gone: usize,
    /// What is left behind, in the order in which it was tried: the first error first.
    pub left: Vec<Leftover<E>>,
}

impl<E> UndoReport<E> {
    /// Tells whether nothing is left behind.
    pub fn is_clean(&self) -> bool {
        self.left.is_empty()
    }
}

/// Undoes all of ours among `resources`: first what must go [`UndoOrder::First`], then the rest
/// in reverse order. An error does not stop it. Each success is written to the journal, so that a
/// repeated undo goes on where the last one was cut; a journal that cannot be written costs a
/// repeated look, and no more.
pub async fn undo_all<U: Undo + ?Sized>(
    resources: Vec<Resource>,
    undo: &U,
    cx: &Cx,
) -> UndoReport<U::Error> {
    let ours = resources
        .into_iter()
        .filter(|r| r.intent.ownership == Ownership::Ours);
    let (first, mut rest): (Vec<_>, Vec<_>) = ours.partition(|r| r.intent.undo == UndoOrder::First);
    rest.reverse();
    let mut report = UndoReport {
        gone: 0,
        left: Vec::new(),
    };
    for resource in first.into_iter().chain(rest) {
        let reason = match undo.undo(&resource, cx).await {
            Ok(Undone::Gone) => {
                report.gone += 1;
                if let Some(step) = resource.step
                    && let Err(error) = cx.record(step, &resource.name, Phase::Undone)
                {
                    cx.debug(format!("{error}"));
                }
                continue;
            }
            Ok(Undone::Unresolved(why)) => Ok(why),
            Err(error) => Err(error),
        };
        report.left.push(Leftover { resource, reason });
    }
    report
}
