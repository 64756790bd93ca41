//! The token bucket of one API action, shared by the processes of a store. Pure: the caller passes the time.
//!
//! EC2 keeps a token bucket for each account, region and API action. This is a model of one of them. It starts with the
//! documented size and rate, and multiplies both by a scale that follows the measured rate: other programs may use the
//! same account, and a quota may have been raised.
//!
//! - Until EC2 refuses a call, each call that it serves while others wait raises the scale (slow start).
//! - A refusal corrects the scale to the rate that was measured since the bucket was last known to be full or
//!   empty. Calls that were sent before a correction took effect do not correct again; they refine its
//!   measurement (one reduction for a window of data, RFC 5681, section 4.3).
//! - From then on the scale grows with the third power of the calls that were served since (CUBIC, RFC 9438),
//!   counted in calls instead of seconds, so that slow and fast buckets behave alike: quickly up to the documented
//!   rate, and beyond it slowly at first.
//! - Callers wait in the order of their tickets. A refused caller keeps its ticket and is first again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A timestamp further in the future than this was written before the clock was set back.
const CLOCK_SKEW: u64 = 60_000;

/// A caller without a heartbeat for this long was killed and loses its place.
const FORGOTTEN: u64 = 5_000;

/// Interval of a waiting caller's heartbeats.
const HEARTBEAT: u64 = 1_500;

/// Longest interval between two polls of a waiting caller: a raised quota may shorten the queue at any time.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Part of a burst that is sent before the first response shows whether the bucket has its documented size (the initial
/// window of RFC 6928).
const INITIAL_BURST: f64 = 10.0;

/// The bounds of the scale.
const SMALLEST: f64 = 0.02;
const LARGEST: f64 = 100.0;

/// Growth of the scale below the documented rate, and above it.
const RECOVERY: f64 = 2e-4;
const PROBING: f64 = 2e-5;

/// A correction lowers the scale to the measured rate, but keeps at least this part of it: a small bucket that was full
/// for a while makes a measurement too low.
const KEPT: f64 = 0.9;
/// The same if no call was served since the last correction.
const KEPT_AGAIN: f64 = 0.7;
/// The same if the measurement clearly contradicts the scale.
const KEPT_AT_LEAST: f64 = 0.5;
/// Maximum of the scale relative to the measured rate.
const ABOVE_MEASURED: f64 = 1.25;

/// Tokens left in the bucket when a call that was sent on time is refused: most of one.
const LEFT_WHEN_DUE: f64 = 0.8;
const LEFT_WHEN_AGAIN: f64 = 0.5;

/// The size of a bucket in calls, and its refill rate in calls per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Limit {
    pub size: f64,
    pub rate: f64,
}

impl Limit {
    /// Returns the documented limit of an action (EC2 Developer Guide, "Request throttling for the Amazon EC2
    /// API", "Request token bucket sizes and refill rates"); `None` for actions of other services.
    pub(super) fn of(action: &str) -> Option<Self> {
        let (size, rate) = match action {
            "GetCallerIdentity" | "GetAccessKeyInfo" => return None,
            "RunInstances" | "StartInstances" => (5.0, 2.0),
            "TerminateInstances" | "DeleteVolume" | "AssociateIamInstanceProfile" => (100.0, 5.0),
            "CreateTags" | "DeleteTags" => (100.0, 10.0),
            _ if action.starts_with("Describe") || action.starts_with("Get") => (100.0, 20.0),
            _ => (50.0, 5.0),
        };
        Some(Self { size, rate })
    }
}

/// Whether a caller may send its call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Turn {
    /// Yes; the token is taken.
    Now,
    Later(Queued),
}

/// A place in the queue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Queued {
    /// When the token is due at the current rate.
    pub due: Duration,
    /// When to poll again.
    pub pause: Duration,
    /// Number of callers ahead of this one.
    pub ahead: usize,
}

/// A token bucket and its queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct TokenBucket {
    /// The measured limit, as a multiple of the documented one.
    scale: f64,
    /// Tokens in the bucket at the time `at` (Unix time in milliseconds, as all times here).
    level: f64,
    at: u64,
    /// The part of the documented size that no served call has confirmed yet.
    unproven: f64,
    window: Window,
    correction: Option<Correction>,
    waiting: Vec<Waiting>,
}

/// The calls sent since the bucket was last known to be full or empty.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Window {
    since: u64,
    was_full: bool,
    sent: f64,
}

/// The last correction of the scale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Correction {
    /// Calls sent until then belong to the same burst.
    at: u64,
    /// The calls that EC2 served in the previous window, as far as known by now.
    let_through: f64,
    /// The number of calls that the documented limit allows in that window.
    documented: f64,
    /// The previous scale, and the minimum part of it that is kept.
    before: f64,
    kept: f64,
    /// Maximum of the scale relative to the measured rate; no maximum if nothing was served to measure.
    above_measured: Option<f64>,
    /// The new scale.
    base: f64,
    /// The calls sent after the correction that were served.
    served: u32,
    /// The scale doubles at most once for each round trip: it stays below the ceiling until a call that was sent after
    /// `round` is answered.
    round: u64,
    ceiling: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Waiting {
    ticket: u64,
    seen: u64,
}

impl Waiting {
    fn is_there(&self, now: u64) -> bool {
        self.seen.saturating_add(FORGOTTEN) > now
    }
}

impl Correction {
    fn numbers(&self) -> [f64; 4] {
        [self.documented, self.before, self.base, self.ceiling]
    }
}

impl TokenBucket {
    pub(super) fn new(limit: Limit, now: u64) -> Self {
        let level = limit.size.min(INITIAL_BURST);
        Self {
            scale: 1.0,
            level,
            at: now,
            unproven: limit.size - level,
            window: Window {
                since: now,
                was_full: true,
                sent: 0.0,
            },
            correction: None,
            waiting: Vec::new(),
        }
    }

    /// Creates the bucket of an action whose calls were not counted until EC2 refused one.
    pub(super) fn empty(limit: Limit, now: u64) -> Self {
        let mut bucket = Self::new(limit, now);
        bucket.correction = Some(Correction {
            kept: 1.0,
            above_measured: None,
            ..bucket.correct(limit, 0, now)
        });
        bucket.level = 0.0;
        bucket
    }

    /// Returns the time of the record's last change.
    pub(super) fn changed(&self) -> u64 {
        self.at
    }

    /// Returns whether this process or another one can have written the record by `now`.
    pub(super) fn is_sane(&self, now: u64) -> bool {
        let is_number = |number: &f64| (0.0..=1e6).contains(number);
        let mut numbers = vec![self.level, self.unproven, self.window.sent];
        numbers.extend(self.correction.iter().flat_map(Correction::numbers));
        let latest = now.saturating_add(CLOCK_SKEW);
        (SMALLEST..=LARGEST).contains(&self.scale)
            && numbers.iter().all(is_number)
            && self.at <= latest
            && self.waiting.iter().all(|other| other.seen <= latest)
    }

    /// Takes a token, or a place in the queue.
    pub(super) fn take(&mut self, limit: Limit, ticket: u64, now: u64) -> Turn {
        self.refill(limit, now);
        self.leave(ticket);
        self.waiting.retain(|other| other.is_there(now));
        match self.place(limit, ticket, now) {
            Turn::Now => {
                self.level -= 1.0;
                self.window.sent += 1.0;
                Turn::Now
            }
            later => {
                self.waiting.push(Waiting { ticket, seen: now });
                later
            }
        }
    }

    /// Returns the place of a queued caller whose next heartbeat is not due yet.
    pub(super) fn queued(&self, limit: Limit, ticket: u64, now: u64) -> Option<Queued> {
        let own = self.waiting.iter().find(|own| own.ticket == ticket)?;
        match self.place(limit, ticket, now) {
            Turn::Later(queued) if own.seen.saturating_add(HEARTBEAT) > now => Some(queued),
            _ => None,
        }
    }

    /// Leaves the queue.
    pub(super) fn leave(&mut self, ticket: u64) {
        self.waiting.retain(|other| other.ticket != ticket);
    }

    /// Returns whether to record the response of a call: callers wait, or the burst size is not confirmed yet.
    pub(super) fn is_busy(&self, limit: Limit, now: u64) -> bool {
        self.unproven > 0.0 || !self.waiting.is_empty() || self.level_at(limit, now) < 1.0
    }

    /// Records that EC2 served a call.
    pub(super) fn served(&mut self, limit: Limit, sent: u64, now: u64) {
        self.refill(limit, now);
        if self.unproven >= 1.0 {
            self.unproven -= 1.0;
            self.level += 1.0;
            return;
        }
        self.unproven = 0.0;
        if self.waiting.is_empty() && self.level >= 1.0 {
            return;
        }
        let Some(last) = &mut self.correction else {
            self.level += 1.0;
            self.scale = (self.scale + 1.0 / limit.size).min(LARGEST);
            return;
        };
        if sent <= last.at {
            return;
        }
        if sent >= last.round {
            (last.round, last.ceiling) = (now, 2.0 * self.scale);
        }
        last.served += 1;
        let (growth, highest) = match self.scale < 1.0 {
            true => (RECOVERY, 1.0),
            false => (PROBING, LARGEST),
        };
        let grown = last.base * (1.0 + growth * f64::from(last.served).powi(3));
        let reached = self.scale < 1.0 && grown >= 1.0 && last.ceiling >= 1.0;
        self.scale = grown.min(last.ceiling).min(highest).max(self.scale);
        if reached {
            (last.base, last.served) = (1.0, 0);
        }
    }

    /// Records that EC2 throttled a call.
    pub(super) fn refused(&mut self, limit: Limit, sent: u64, now: u64) {
        self.refill(limit, now);
        let last = match self.correction.take() {
            Some(last) if sent <= last.at => last,
            last => self.correct(limit, last.map_or(0, |last| last.served), now),
        };
        let last = self.correction.insert(last);
        last.let_through -= 1.0;
        let measured = (last.let_through / last.documented).max(0.0);
        let kept = last.kept * last.before;
        let kept = last
            .above_measured
            .map_or(kept, |factor| kept.min(factor * measured));
        let least = (KEPT_AT_LEAST * last.before).max(SMALLEST);
        last.base = measured.max(kept).max(least).min(last.before);
        self.scale = last.base;
    }

    /// Starts a correction.
    fn correct(&mut self, limit: Limit, served: u32, now: u64) -> Correction {
        let window = self.window;
        let size = if window.was_full { limit.size } else { 0.0 };
        let seconds = now.saturating_sub(window.since).max(1) as f64 / 1000.0;
        let (kept, above_measured) = match (window.was_full, served) {
            (true, _) => (0.0, None),
            (false, 0) => (KEPT_AGAIN, None),
            (false, _) => (KEPT, Some(ABOVE_MEASURED)),
        };
        self.level = match (window.was_full, served) {
            (true, _) => 0.0,
            (false, 0) => LEFT_WHEN_AGAIN,
            (false, _) => LEFT_WHEN_DUE,
        };
        self.unproven = 0.0;
        self.window = Window {
            since: now,
            was_full: false,
            sent: 0.0,
        };
        Correction {
            at: now,
            let_through: window.sent,
            documented: size + limit.rate * seconds,
            before: self.scale,
            kept,
            above_measured,
            base: self.scale,
            served: 0,
            round: 0,
            ceiling: LARGEST,
        }
    }

    fn rate(&self, limit: Limit) -> f64 {
        limit.rate * self.scale
    }

    fn capacity(&self, limit: Limit) -> f64 {
        (limit.size * self.scale - self.unproven).max(1.0)
    }

    fn level_at(&self, limit: Limit, now: u64) -> f64 {
        let seconds = now.saturating_sub(self.at) as f64 / 1000.0;
        let filled = self.level + seconds * self.rate(limit);
        filled.min(self.capacity(limit)).max(self.level)
    }

    fn refill(&mut self, limit: Limit, now: u64) {
        self.level = self.level_at(limit, now);
        self.at = self.at.max(now);
        if self.level >= self.capacity(limit) && self.waiting.is_empty() {
            self.window = Window {
                since: now,
                was_full: true,
                sent: 0.0,
            };
        }
    }

    fn place(&self, limit: Limit, ticket: u64, now: u64) -> Turn {
        let is_ahead = |other: &&Waiting| other.ticket < ticket && other.is_there(now);
        let ahead = self.waiting.iter().filter(is_ahead).count();
        let missing = ahead as f64 + 1.0 - self.level_at(limit, now);
        if missing <= 0.0 {
            return Turn::Now;
        }
        let due = Duration::from_secs_f64(missing / self.rate(limit));
        // Callers near the front poll more often.
        let often = Duration::from_millis(100 + 20 * ahead as u64).min(LONGEST_PAUSE);
        let exact = due <= often;
        let pause = if exact { due } else { often.min(due / 2) };
        Turn::Later(Queued {
            due,
            pause: pause.max(Duration::from_millis(5)),
            ahead,
        })
    }
}
