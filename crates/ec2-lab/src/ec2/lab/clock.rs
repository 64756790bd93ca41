//! The lab's own clock.
//!
//! Instance states, consistency windows, token buckets and injected latency use it. It runs with real time from the
//! lab's start plus the time that a test adds, or stands still until it is advanced.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;

/// A handle on the lab's clock; clones share it.
#[derive(Debug, Clone)]
pub struct Clock {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    base: SystemTime,
    running_since: Option<Instant>,
    added: Mutex<Duration>,
    moved: watch::Sender<()>,
}

impl Clock {
    /// Starts a clock at the present time that runs with real time.
    pub fn running() -> Self {
        Self::start(Some(Instant::now()))
    }

    /// Makes a clock that starts at the present time and moves only when it is advanced.
    pub fn manual() -> Self {
        Self::start(None)
    }

    fn start(running_since: Option<Instant>) -> Self {
        Self {
            inner: Arc::new(Inner {
                base: SystemTime::now(),
                running_since,
                added: Mutex::new(Duration::ZERO),
                moved: watch::Sender::new(()),
            }),
        }
    }

    /// Returns the lab's time.
    pub fn now(&self) -> SystemTime {
        let added = *self
            .inner
            .added
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let ran = self
            .inner
            .running_since
            .map_or(Duration::ZERO, |since| since.elapsed());
        self.inner.base + ran + added
    }

    /// Moves the clock forward, and wakes the sleepers whose time has come.
    pub fn advance(&self, by: Duration) {
        *self
            .inner
            .added
            .lock()
            .unwrap_or_else(PoisonError::into_inner) += by;
        self.inner.moved.send_replace(());
    }

    /// Completes when the clock has reached `until`.
    pub async fn sleep_until(&self, until: SystemTime) {
        let mut moved = self.inner.moved.subscribe();
        while let Ok(rest) = until.duration_since(self.now()) {
            if rest.is_zero() {
                return;
            }
            if self.inner.running_since.is_some() {
                // Elapsed or moved: the loop checks again either way.
                let _ = tokio::time::timeout(rest, moved.changed()).await;
            } else if moved.changed().await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_wakes_its_sleepers_when_it_is_advanced() {
        let clock = Clock::manual();
        let start = clock.now();
        let sleeper = {
            let clock = clock.clone();
            tokio::spawn(async move {
                clock.sleep_until(start + Duration::from_secs(600)).await;
                clock.now()
            })
        };
        clock.advance(Duration::from_secs(599));
        assert_eq!(clock.now(), start + Duration::from_secs(599));
        clock.advance(Duration::from_secs(1));
        assert_eq!(sleeper.await.unwrap(), start + Duration::from_secs(600));
    }
}
