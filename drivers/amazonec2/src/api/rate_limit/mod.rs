//! The rate limiter that the processes of one store share: a token bucket for each API action.
//!
//! EC2 counts the calls of an account in a region over all processes. Each process takes its tokens from the store's
//! record, so that two hundred parallel creates send as many calls as EC2 serves, without repeated bursts. See
//! [`bucket`] for how the record follows EC2's real limits.
//!
//! The record is a hint. If it cannot be locked, read or written, each process backs off by itself.

mod bucket;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use machine_ops::{Cx, Look, WaitError, WaitPolicy, wait_until_ready};
use serde::{Deserialize, Serialize};

use self::bucket::{Limit, Queued, TokenBucket, Turn};
use crate::api::shared_record::{SharedRecord, millis};

/// File name of the record.
const FILE: &str = ".ec2-rate-limit.json";

/// File name of the record in versions before 0.17.
const OLD_FILE: &str = ".ec2-pace.json";

/// An unused bucket is kept for this long. A longer time would keep the effects of other programs' past load.
const REMEMBERED: u64 = 600_000;

/// Time until the first report of a long wait, which a user would otherwise take for a hang, and between later ones.
const WORTH_TELLING: Duration = Duration::from_secs(5);
const TOLD_AGAIN: Duration = Duration::from_secs(30);

/// A bucket and its owner.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Entry {
    /// The access key of the machine's own credentials; empty for those of the environment.
    access_key: String,
    region: String,
    endpoint: String,
    action: String,
    bucket: TokenBucket,
}

/// The store's record, as used by one client.
#[derive(Debug, Clone)]
pub(crate) struct RateLimiter {
    directory: PathBuf,
    access_key: String,
    region: String,
    endpoint: String,
}

/// A call's place in the order of arrival. The call keeps it when EC2 refuses it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket {
    action: &'static str,
    limit: Limit,
    /// Whether the call only reads. Such calls are not counted before EC2 refuses one: read-only commands then write
    /// nothing, and EC2 serves a hundred of them at once.
    is_read: bool,
    number: u64,
}

impl RateLimiter {
    pub(crate) fn new(store: &Path, access_key: &str, region: &str, endpoint: &str) -> Self {
        Self {
            directory: store.to_owned(),
            access_key: access_key.to_owned(),
            region: region.to_owned(),
            endpoint: endpoint.to_owned(),
        }
    }

    /// Returns the same store's record for a client of another place, which has other buckets.
    pub(crate) fn elsewhere(&self, region: &str, endpoint: &str) -> Self {
        Self::new(&self.directory, &self.access_key, region, endpoint)
    }

    /// Returns the same store's record for a client with the environment's credentials.
    pub(crate) fn of_the_environment(&self) -> Self {
        Self::new(&self.directory, "", &self.region, &self.endpoint)
    }

    /// Returns a ticket for a call; `None` for an action without a limit.
    pub(crate) fn ticket(&self, cx: &Cx, action: &'static str) -> Option<Ticket> {
        let limit = Limit::of(action)?;
        let number = millis(cx.ambient.now()) << 20 | cx.ambient.random() >> 44;
        Some(Ticket {
            action,
            limit,
            is_read: action.starts_with("Describe") || action.starts_with("Get"),
            number,
        })
    }

    /// Waits for a token with the timeout `within`, and reports a long wait. Returns when the token was taken (Unix
    /// time in milliseconds), or `None` on a timeout or if the record is unusable.
    ///
    /// # Errors
    /// Fails if the operation is cancelled meanwhile; leaves the queue.
    pub(crate) async fn acquire(
        &self,
        cx: &Cx,
        ticket: Ticket,
        within: Duration,
    ) -> Result<Option<u64>, &'static str> {
        let what = format!("a token for {}", ticket.action);
        let policy = WaitPolicy::every(Duration::ZERO, within);
        let told = &std::sync::Mutex::new(None);
        let first = self.look(cx, ticket).await;
        let taken = |turn: Option<Turn>| turn.map(|_| millis(cx.ambient.now()));
        let Some(Turn::Later(first)) = first else {
            return Ok(taken(first));
        };
        let mut first = Some(first);
        let waited = wait_until_ready(cx, &what, policy, || {
            let known = first.take();
            async move {
                let turn = match known {
                    Some(queued) => Some(Turn::Later(queued)),
                    None => self.look(cx, ticket).await,
                };
                Ok::<_, std::convert::Infallible>(match turn {
                    Some(Turn::Later(queued)) => {
                        report(cx, ticket.action, queued, told);
                        let ahead = format!("{} calls ahead", queued.ahead);
                        Look::PendingFor(ahead, queued.pause)
                    }
                    turn => Look::Ready(turn),
                })
            }
        });
        match waited.await {
            Ok(turn) => Ok(taken(turn)),
            Err(WaitError::Cancelled(reason)) => {
                let leave = |bucket: &mut TokenBucket, _| bucket.leave(ticket.number);
                self.change(cx, ticket, leave).await;
                Err(reason)
            }
            Err(_) => {
                let leave = |bucket: &mut TokenBucket, _| bucket.leave(ticket.number);
                self.change(cx, ticket, leave).await;
                Ok(None)
            }
        }
    }

    /// Takes a token or a place in the queue. Waiting callers usually read the record without its lock.
    async fn look(&self, cx: &Cx, ticket: Ticket) -> Option<Turn> {
        let now = millis(cx.ambient.now());
        let (limit, number) = (ticket.limit, ticket.number);
        let queued = match self.find(&mut self.read(now), ticket.action) {
            Some(entry) => entry.bucket.queued(limit, number, now),
            None if ticket.is_read => return Some(Turn::Now),
            None => None,
        };
        if let Some(queued) = queued {
            return Some(Turn::Later(queued));
        }
        let take = |bucket: &mut TokenBucket, now| bucket.take(limit, number, now);
        self.change(cx, ticket, take).await
    }

    /// Records that EC2 served a call.
    pub(crate) async fn served(&self, cx: &Cx, ticket: Ticket, sent: u64) {
        let now = millis(cx.ambient.now());
        let is_idle = self
            .find(&mut self.read(now), ticket.action)
            .map_or(ticket.is_read, |entry| {
                !entry.bucket.is_busy(ticket.limit, now)
            });
        if !is_idle {
            let note = |bucket: &mut TokenBucket, now| bucket.served(ticket.limit, sent, now);
            self.change(cx, ticket, note).await;
        }
    }

    /// Records that EC2 throttled a call.
    pub(crate) async fn refused(&self, cx: &Cx, ticket: Ticket, sent: u64) {
        let note = |bucket: &mut TokenBucket, now| bucket.refused(ticket.limit, sent, now);
        self.change(cx, ticket, note).await;
    }

    fn find<'a>(&self, entries: &'a mut [Entry], action: &str) -> Option<&'a mut Entry> {
        entries.iter_mut().find(|entry| {
            entry.action == action
                && entry.region == self.region
                && entry.endpoint == self.endpoint
                && entry.access_key == self.access_key
        })
    }

    fn record(&self) -> SharedRecord {
        SharedRecord::new(&self.directory, FILE)
    }

    /// Reads the current entries of the record. A caller without the lock that reads a partial write retries with the
    /// lock.
    fn read(&self, now: u64) -> Vec<Entry> {
        let mut entries: Vec<Entry> = self.record().read();
        entries.retain(|entry| {
            let until = entry.bucket.changed().saturating_add(REMEMBERED);
            entry.bucket.is_sane(now) && until > now
        });
        entries
    }

    /// Changes a bucket under the record's lock; returns `None` if that fails.
    async fn change<T>(
        &self,
        cx: &Cx,
        ticket: Ticket,
        change: impl FnOnce(&mut TokenBucket, u64) -> T,
    ) -> Option<T> {
        let file = self.record().open()?;
        lock(cx, &file).await?;
        let now = millis(cx.ambient.now());
        let mut entries = self.read(now);
        if entries.is_empty() {
            let _ = std::fs::remove_file(self.directory.join(OLD_FILE));
        }
        let value = match self.find(&mut entries, ticket.action) {
            Some(entry) => change(&mut entry.bucket, now),
            None => {
                let mut bucket = match ticket.is_read {
                    true => TokenBucket::empty(ticket.limit, now),
                    false => TokenBucket::new(ticket.limit, now),
                };
                let value = change(&mut bucket, now);
                entries.push(Entry {
                    access_key: self.access_key.clone(),
                    region: self.region.clone(),
                    endpoint: self.endpoint.clone(),
                    action: ticket.action.to_owned(),
                    bucket,
                });
                value
            }
        };
        SharedRecord::write(&file, &entries).ok()?;
        Some(value)
    }
}

/// Locks the record. The lock is held for microseconds; a suspended lock holder does not block other processes.
async fn lock(cx: &Cx, file: &File) -> Option<()> {
    if file.try_lock().is_ok() {
        return Some(());
    }
    let policy = WaitPolicy::backing_off(
        Duration::from_millis(2),
        Duration::from_millis(20),
        Duration::from_secs(1),
    );
    let quiet = Cx {
        events: std::sync::Arc::new(()),
        ..cx.with_cancel(machine_ops::Cancel::new())
    };
    let locked = wait_until_ready(&quiet, "the rate limiter's lock", policy, || async {
        Ok::<_, std::convert::Infallible>(match file.try_lock() {
            Ok(()) => Look::Ready(()),
            Err(_) => Look::Pending("locked by another process".into()),
        })
    });
    locked.await.ok()
}

/// Reports the reason for a long wait: on a terminal at each poll, otherwise every half a minute.
fn report(cx: &Cx, action: &str, queued: Queued, told: &std::sync::Mutex<Option<Duration>>) {
    if queued.due < WORTH_TELLING {
        return;
    }
    let line = format!(
        "EC2's rate limit of {action}: {} calls ahead, about {} s to wait",
        queued.ahead,
        queued.due.as_secs()
    );
    let now = cx.ambient.monotonic();
    let mut last = told
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if last.is_none_or(|last| now.saturating_sub(last) >= TOLD_AGAIN) {
        *last = Some(now);
        cx.say(line.clone());
    }
    cx.phase(line);
}
