//! Fault injection: the affected calls, and the effect on them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::watch;

use crate::ec2::protocol::calls::Call;
use crate::ec2::protocol::error::ApiError;
use crate::ec2::protocol::query::wildcard;

/// Deserializes a number of milliseconds.
fn milliseconds<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    u64::deserialize(from).map(Duration::from_millis)
}

type Predicate = Arc<dyn Fn(&Call) -> bool + Send + Sync>;

/// A pending fault: it affects calls of an action, in order, until it is used up.
#[derive(Clone, Deserialize)]
pub struct Fault {
    /// A pattern such as `Describe*`.
    action: String,
    /// The number of matching calls that pass first.
    #[serde(default)]
    skip: u32,
    /// The number of calls that it affects then; `None` for all.
    #[serde(default = "once")]
    times: Option<u32>,
    /// Patterns that parameters must match.
    #[serde(default)]
    params: BTreeMap<String, String>,
    #[serde(skip)]
    predicate: Option<Predicate>,
    effect: Effect,
}

#[expect(clippy::unnecessary_wraps, reason = "serde requires the field's type")]
fn once() -> Option<u32> {
    Some(1)
}

/// The effect of a fault on a call.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Returns an error and does not execute the call.
    Error {
        /// The error's code.
        code: String,
        /// Its message.
        #[serde(default)]
        message: String,
        /// The HTTP status, if it differs from EC2's status for this code.
        status: Option<u16>,
    },
    /// Executes the call, and returns an error nevertheless.
    ErrorAfterAct {
        /// The error's code.
        code: String,
    },
    /// Does not execute the call, and drops the connection.
    Drop,
    /// Executes the call, and drops the connection without an answer.
    LoseAnswer,
    /// Executes the call on all resources and ignores its filters, like an emulator or a proxy that does not support
    /// them.
    Unfiltered,
    /// Executes the call twice, as if the request were delivered twice; the answer is the second one's.
    Twice,
    /// Executes the call on time, and delays the answer by this much time on the lab's clock.
    #[serde(deserialize_with = "milliseconds")]
    Delay(Duration),
    /// Executes the call, and sends these bytes with status 200 instead of the answer.
    Garble(String),
    /// Executes the call, and closes the connection after this many bytes of the answer.
    Truncate(usize),
    /// Executes the call, and sends an answer of this many bytes of well-formed XML.
    Huge(u64),
    /// Holds the call before its execution until the gate opens.
    #[serde(skip)]
    Hold(Gate),
    /// Holds the call after its execution until the gate opens.
    #[serde(skip)]
    HoldAnswer(Gate),
}

impl Fault {
    /// Affects the next call of an action (a pattern: `*` for any) once.
    pub fn on(action: impl Into<String>, effect: Effect) -> Self {
        Self {
            action: action.into(),
            skip: 0,
            times: Some(1),
            params: BTreeMap::new(),
            predicate: None,
            effect,
        }
    }

    /// Shorthand for [`Effect::Error`].
    pub fn error(action: impl Into<String>, code: impl Into<String>) -> Self {
        let (code, message) = (code.into(), "Injected by the lab.".to_owned());
        Self::on(
            action,
            Effect::Error {
                code,
                message,
                status: None,
            },
        )
    }

    /// Lets a number of matching calls pass first.
    #[must_use]
    pub fn after(mut self, calls: u32) -> Self {
        self.skip = calls;
        self
    }

    /// Affects a number of calls instead of one.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Affects all calls until it is removed.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.times = None;
        self
    }

    /// Affects only calls with this parameter; the value is a pattern.
    #[must_use]
    pub fn with_param(mut self, name: impl Into<String>, pattern: impl Into<String>) -> Self {
        self.params.insert(name.into(), pattern.into());
        self
    }

    /// Affects only calls that the predicate accepts.
    #[must_use]
    pub fn when(mut self, predicate: impl Fn(&Call) -> bool + Send + Sync + 'static) -> Self {
        self.predicate = Some(Arc::new(predicate));
        self
    }

    fn fits(&self, call: &Call) -> bool {
        wildcard(&self.action, &call.action)
            && self
                .params
                .iter()
                .all(|(name, pattern)| call.params.get(name).is_some_and(|v| wildcard(pattern, v)))
            && self.predicate.as_ref().is_none_or(|p| p(call))
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fault")
            .field("action", &self.action)
            .field("skip", &self.skip)
            .field("times", &self.times)
            .field("effect", &self.effect)
            .finish_non_exhaustive()
    }
}

/// The pending faults, by number.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    next: u64,
    all: BTreeMap<u64, (Fault, u32)>,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) -> u64 {
        self.next += 1;
        self.all.insert(self.next, (fault, 0));
        self.next
    }

    pub(crate) fn remove(&mut self, id: u64) {
        self.all.remove(&id);
    }

    pub(crate) fn clear(&mut self) {
        self.all.clear();
    }

    /// Returns the number of calls that a fault has affected.
    pub(crate) fn hits(&self, id: u64) -> u32 {
        self.all.get(&id).map_or(0, |(_, hits)| *hits)
    }

    /// Returns all effects on this call, in the order in which they were injected.
    pub(crate) fn meet(&mut self, call: &Call) -> Vec<Effect> {
        let mut effects = Vec::new();
        for (fault, hits) in self.all.values_mut() {
            if fault.times == Some(0) || !fault.fits(call) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            if let Some(times) = &mut fault.times {
                *times -= 1;
            }
            *hits += 1;
            effects.push(fault.effect.clone());
        }
        effects
    }
}

impl Effect {
    /// Returns the error of an effect that is an error.
    pub(crate) fn as_error(&self) -> Option<ApiError> {
        match self {
            Self::Error {
                code,
                message,
                status,
            } => {
                let mut error = ApiError::new(code, message);
                error.status = status.unwrap_or(error.status);
                Some(error)
            }
            _ => None,
        }
    }
}

/// Holds calls until it is opened, and notifies when they have arrived. Clones are the same gate.
#[derive(Debug, Clone)]
pub struct Gate {
    state: Arc<watch::Sender<(u32, bool)>>,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    /// Makes a closed gate.
    pub fn new() -> Self {
        Self {
            state: Arc::new(watch::Sender::new((0, false))),
        }
    }

    /// Lets all current and later calls pass.
    pub fn open(&self) {
        self.state.send_modify(|(_, open)| *open = true);
    }

    /// Completes when this many calls have arrived at the gate.
    pub async fn arrived(&self, calls: u32) {
        let mut state = self.state.subscribe();
        // `self` holds the sender.
        let _ = state.wait_for(|(n, _)| *n >= calls).await;
    }

    pub(crate) async fn pass(&self) {
        self.state.send_modify(|(n, _)| *n += 1);
        let mut state = self.state.subscribe();
        let _ = state.wait_for(|(_, open)| *open).await;
    }
}
