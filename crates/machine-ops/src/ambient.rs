//! Clock and random numbers, passed in by the caller.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;

/// Clock and random number source of an operation. The binary uses the system's; tests use their own.
#[async_trait]
pub trait Ambient: Send + Sync {
    /// Returns the wall-clock time, for records that people and other processes read.
    fn now(&self) -> SystemTime;
    /// Returns the time since some fixed moment; monotonic. For deadlines.
    fn monotonic(&self) -> Duration;
    /// Returns after `duration`. Only the waiter calls it.
    async fn sleep(&self, duration: Duration);
    /// Returns 64 random bits: for jitter, client tokens and identifiers.
    fn random(&self) -> u64;
}

/// The operating system's clock and random numbers.
#[derive(Debug)]
pub struct SystemAmbient {
    start: std::time::Instant,
}

impl SystemAmbient {
    /// Makes the system implementation; its monotonic clock starts at zero now.
    pub fn new() -> Self {
        Self {
            start: std::time::Instant::now(),
        }
    }
}

impl Default for SystemAmbient {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Ambient for SystemAmbient {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "the only sleep; every wait goes through the waiter"
    )]
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn random(&self) -> u64 {
        use std::hash::{BuildHasher, RandomState};
        // Every RandomState has its own key, taken from the system's random numbers once per thread and incremented
        // for each later one; SipHash spreads it over all 64 bits.
        RandomState::new().hash_one(self.start.elapsed().as_nanos())
    }
}
