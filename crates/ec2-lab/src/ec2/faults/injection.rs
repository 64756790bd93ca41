//! Injected faults: which call is met, and what befalls it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::watch;

use crate::ec2::protocol::calls::Call;
use crate::ec2::protocol::error::ApiError;
use crate::ec2::protocol::query::wildcard;

type Predicate = Arc<dyn Fn(&Call) -> bool + Send + Sync>;

/// A fault in waiting: it meets calls of an action, in order, until it is used up.
#[derive(Clone, Deserialize)]
pub struct Fault {
    /// A pattern such as `Describe*`.
    action: String,
    /// How many matching calls pass first.
    #[serde(default)]
    skip: u32,
    /// How many it meets then; `None` for all.
    #[serde(default = "once")]
    times: Option<u32>,
    /// Patterns that parameters must match.
    #[serde(default)]
    params: BTreeMap<String, String>,
    #[serde(skip)]
    predicate: Option<Predicate>,
    effect: Effect,
}

#[expect(clippy::unnecessary_wraps, reason = "serde wants the field's type")]
fn once() -> Option<u32> {
    Some(1)
}

/// What befalls a call.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// An error instead of the act.
    Error {
        /// The error's code.
        code: String,
        /// Its text.
        #[serde(default)]
        message: String,
        /// The HTTP status, where it is not the one that EC2 gives to this code.
        status: Option<u16>,
    },
    /// The act, and an error all the same.
    ErrorAfterAct {
        /// The error's code.
        code: String,
    },
    /// No act: the connection is dropped.
    Drop,
    /// The act, and then the connection is dropped without an answer.
    LoseAnswer,
    /// The act on all that there is, whatever filters ask for: an emulator or a proxy that does not know them.
    Unfiltered,
    /// The act twice, as where a request is delivered twice; the answer is the second one's.
    Twice,
    /// The answer comes late by this much time on the lab's clock; the act is on time.
    #[serde(deserialize_with = "crate::ec2::lab::control::milliseconds")]
    Delay(Duration),
    /// The act, and then these bytes with status 200 instead of the answer.
    Garble(String),
    /// The act, and then the first so many bytes of the answer before the connection ends.
    Truncate(usize),
    /// The act, and then an answer of this many bytes of well-formed XML.
    Huge(u64),
    /// The call waits before the act until the gate opens.
    #[serde(skip)]
    Hold(Gate),
    /// The call waits after the act until the gate opens.
    #[serde(skip)]
    HoldAnswer(Gate),
}

impl Fault {
    /// Meets the next call of an action (a pattern: `*` for any) with an effect, once.
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

    /// Lets so many matching calls pass first.
    #[must_use]
    pub fn after(mut self, calls: u32) -> Self {
        self.skip = calls;
        self
    }

    /// Meets so many calls instead of one.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Meets all calls until it is removed.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.times = None;
        self
    }

    /// Meets only calls with this parameter; the value is a pattern.
    #[must_use]
    pub fn with_param(mut self, name: impl Into<String>, pattern: impl Into<String>) -> Self {
        self.params.insert(name.into(), pattern.into());
        self
    }

    /// Meets only calls that the predicate accepts.
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

/// The faults in waiting, by number.
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

    /// How many calls a fault has met.
    pub(crate) fn hits(&self, id: u64) -> u32 {
        self.all.get(&id).map_or(0, |(_, hits)| *hits)
    }

    /// All effects that meet this call, in the order in which they were set up.
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
    /// The error of an effect that is one.
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

/// Holds calls until it is opened, and tells when they have arrived. Clones are the same gate.
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

    /// Lets everything pass, now and from now on.
    pub fn open(&self) {
        self.state.send_modify(|(_, open)| *open = true);
    }

    /// Completes when so many calls have come to the gate.
    pub async fn arrived(&self, calls: u32) {
        let mut state = self.state.subscribe();
        // The sender lives in `self`.
        let _ = state.wait_for(|(n, _)| *n >= calls).await;
    }

    pub(crate) async fn pass(&self) {
        self.state.send_modify(|(n, _)| *n += 1);
        let mut state = self.state.subscribe();
        let _ = state.wait_for(|(_, open)| *open).await;
    }
}
