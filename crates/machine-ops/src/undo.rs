//! Undo: the rollback of a failed create and `rm` both use this function.

use std::error::Error as StdError;

use async_trait::async_trait;

use crate::{Cx, Ownership, Phase, Resource, UndoOrder};

/// The result of undoing one resource.
#[derive(Debug)]
pub enum Undone {
    /// It is gone, or being removed (terminated, deleted), or was certainly never created.
    Gone,
    /// Unknown: it stays in the journal. The text is the reason.
    Unresolved(String),
}

/// Undoes a driver's resources.
#[async_trait]
pub trait Undo: Send + Sync {
    /// The driver's error.
    type Error: StdError + Send + Sync + 'static;

    /// Removes one owned resource. Idempotent: a resource that is already gone is [`Undone::Gone`]. Never replays a
    /// call that creates something: a resource that may or may not exist is looked up.
    ///
    /// # Errors
    /// The cloud refuses or cannot be reached; the resource stays in the journal.
    async fn undo(&self, resource: &Resource, cx: &Cx) -> Result<Undone, Self::Error>;
}

/// A resource that an undo could not remove.
#[derive(Debug)]
pub struct Leftover<E> {
    /// The resource.
    pub resource: Resource,
    /// The cause: the error, or the text of [`Undone::Unresolved`].
    pub reason: Result<String, E>,
}

/// The result of an undo.
#[derive(Debug)]
pub struct UndoReport<E> {
    /// The number of resources that are gone.
    pub gone: usize,
    /// The remaining resources, in the order of the attempts: the first error comes first.
    pub left: Vec<Leftover<E>>,
}

impl<E> UndoReport<E> {
    /// Returns whether no resource remains.
    pub fn is_clean(&self) -> bool {
        self.left.is_empty()
    }
}

/// Undoes all owned resources among `resources`: first those with [`UndoOrder::First`], then the rest in reverse
/// order. Continues after an error. Writes each success to the journal, so that a repeated undo continues where the
/// last one stopped; if the journal cannot be written, the next undo only repeats a lookup.
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
