//! Where a command can be cut, and the knife that does it.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use machine_ops::{Cancel, Cut, Event, Events, Hook, Injected, SpanKind};
use machine_store::{FileHook, FileOp};

/// What kind of places a knife counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Places {
    /// The moments of every journalled step.
    Moments,
    /// Every operation of the store on a file, before it happens.
    Files,
    /// Every call of EC2 and every command over SSH, when it has ended.
    Work,
}

/// How a command is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// What is tried there fails, once, with this errno where it has one.
    Fails(i32),
    /// It fails, and so does everything of its kind that comes later.
    IsBroken(i32),
    /// The process is gone from one instruction to the next.
    Crashes,
    /// The operation is cancelled, as by a signal.
    IsCancelled,
}

/// The payload of a crash: no panic, and nobody prints it.
pub(crate) struct Crash;

/// Counts places, and cuts at one of them.
pub(crate) struct Knife {
    places: Places,
    cut: Option<(usize, Way)>,
    cancel: Cancel,
    seen: Mutex<Vec<String>>,
    warnings: Mutex<Vec<String>>,
    crashed: AtomicBool,
}

impl Knife {
    /// Counts places, and cuts nothing.
    pub(crate) fn counting(places: Places) -> Self {
        Self::new(places, None)
    }

    /// Cuts at the n-th place, counted from 0.
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

    /// The flag that a cancellation sets.
    pub(crate) fn cancel(&self) -> Cancel {
        self.cancel.clone()
    }

    /// The places that were passed, the one of the cut included.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.names().clone()
    }

    /// What the user was warned of.
    pub(crate) fn warnings(&self) -> String {
        lock(&self.warnings).join("\n")
    }

    /// Whether it has cut.
    pub(crate) fn has_cut(&self) -> bool {
        self.cut.is_some_and(|(nth, _)| self.names().len() > nth)
    }

    fn names(&self) -> MutexGuard<'_, Vec<String>> {
        lock(&self.seen)
    }

    /// Passes a place; the errno of what fails there.
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

impl Hook for Knife {
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

impl FileHook for Knife {
    fn before(&self, op: FileOp, path: &Path) -> io::Result<()> {
        let name = || format!("{op:?} of {}", path.display());
        match self.pass(Places::Files, name) {
            None => Ok(()),
            Some(errno) => Err(io::Error::from_raw_os_error(errno)),
        }
    }
}

impl Events for Knife {
    fn emit(&self, event: Event) {
        match event {
            Event::Ended(span) if matches!(span.kind, SpanKind::Api | SpanKind::Ssh) => {
                // What has ended cannot fail any more.
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
