//! Fault injection: the places of a command, and the injector.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use machine_ops::{Cancel, Cut, Event, Events, Hook, Injected, SpanKind};
use machine_store::{FileHook, FileOp};

/// The kind of places that a fault injector counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Places {
    /// The moments of every journalled step.
    Moments,
    /// Every file operation of the store, before it happens.
    Files,
    /// Every EC2 call and every SSH command, after its end.
    Work,
}

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// The operation fails once, with this errno if it has one.
    Fails(i32),
    /// The operation fails, and so does every later one of its kind.
    IsBroken(i32),
    /// The process ends immediately.
    Crashes,
    /// The operation is cancelled, as by a signal.
    IsCancelled,
}

/// The payload of a simulated crash: not a panic, and not printed.
pub(crate) struct Crash;

/// Counts places, and injects a fault at one of them.
pub(crate) struct FaultInjector {
    places: Places,
    cut: Option<(usize, Way)>,
    cancel: Cancel,
    seen: Mutex<Vec<String>>,
    warnings: Mutex<Vec<String>>,
    crashed: AtomicBool,
}

impl FaultInjector {
    /// Counts places, and injects no fault.
    pub(crate) fn counting(places: Places) -> Self {
        Self::new(places, None)
    }

    /// Injects a fault at the n-th place, counted from 0.
    pub(crate) fn at(places: Places, nth: usize, way: Way) -> Self {
        Self::new(places, Some((nth, way)))
    }

    fn new(places: Places, cut: Option<(usize, Way)>) -> Self {
        Self {
            places,
            cut,
            cancel: Cancel::new(),
            seen: Mutex::default(),
            warnings: Mutex::default(),
            crashed: AtomicBool::new(false),
        }
    }

    /// Returns the flag that a cancellation sets.
    pub(crate) fn cancel(&self) -> Cancel {
        self.cancel.clone()
    }

    /// Returns the places so far, including that of the fault.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.names().clone()
    }

    /// Returns the warnings for the user.
    pub(crate) fn warnings(&self) -> String {
        lock(&self.warnings).join("\n")
    }

    /// Returns whether the fault was injected.
    pub(crate) fn has_cut(&self) -> bool {
        self.cut.is_some_and(|(nth, _)| self.names().len() > nth)
    }

    fn names(&self) -> MutexGuard<'_, Vec<String>> {
        lock(&self.seen)
    }

    /// Passes a place; returns the errno of a failing operation.
    fn pass(&self, places: Places, name: impl FnOnce() -> String) -> Option<i32> {
        if places != self.places || self.crashed.load(Ordering::SeqCst) {
            return None;
        }
        let index = {
            let mut names = self.names();
            names.push(name());
            names.len() - 1
        };
        let (nth, way) = self.cut?;
        match way {
            Way::IsBroken(errno) if index >= nth => Some(errno),
            Way::Fails(errno) if index == nth => Some(errno),
            Way::Crashes if index == nth => {
                self.crashed.store(true, Ordering::SeqCst);
                std::panic::resume_unwind(Box::new(Crash))
            }
            Way::IsCancelled if index == nth => {
                self.cancel.cancel("SIGTERM");
                None
            }
            _ => None,
        }
    }
}

impl Hook for FaultInjector {
    fn at(&self, cut: &Cut) -> Result<(), Injected> {
        let name = || format!("{:?} of {:?}", cut.moment, cut.step);
        match self.pass(Places::Moments, name) {
            None => Ok(()),
            Some(_) => Err(Injected {
                step: cut.step.clone(),
                moment: cut.moment,
            }),
        }
    }
}

impl FileHook for FaultInjector {
    fn before(&self, op: FileOp, path: &Path) -> io::Result<()> {
        let name = || format!("{op:?} of {}", path.display());
        match self.pass(Places::Files, name) {
            None => Ok(()),
            Some(errno) => Err(io::Error::from_raw_os_error(errno)),
        }
    }
}

impl Events for FaultInjector {
    fn emit(&self, event: Event) {
        match event {
            Event::Ended(span) if matches!(span.kind, SpanKind::Api | SpanKind::Ssh) => {
                // A completed operation cannot fail any more.
                let _ = self.pass(Places::Work, || format!("{:?} {}", span.kind, span.name));
            }
            Event::Warn(line) => lock(&self.warnings).push(line),
            _ => {}
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
