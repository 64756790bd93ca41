//! The pace that the processes of one store share once EC2 has said that there are too many calls.
//!
//! EC2 counts the calls of an account in a region, whichever process makes them. Left alone, each of
//! two hundred creates finds out by being refused, again and again. Here whoever is refused puts up a
//! queue in the store, and from then on everybody takes turns in it, in the order of arrival and as fast
//! as EC2 lets calls through. Who has never been refused never waits: without a recent refusal there is no
//! queue. A record that cannot be locked, read or written is none: then each process backs off by itself.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use machine_ops::{Cx, Look, WaitPolicy, wait_until_ready};
use serde::{Deserialize, Serialize};

/// The record. Dot-named, like all in a store that is not the Go binary's.
const FILE: &str = ".ec2-pace.json";

/// How long after the last turn a queue is still there.
const REMEMBERED: u64 = 10_000;

/// No queue is longer than a throttled call's patience: a turn behind that is a clock that was set back.
const LONGEST_QUEUE: u64 = crate::api::client::THROTTLED.as_millis() as u64;

/// How slow and how fast the turns can become, as a multiple of the documented interval: other managers
/// may use the same account, and a raised quota may let ten times as many calls through.
const SLOWEST: f64 = 16.0;
const FASTEST: f64 = 0.1;

/// A refused turn makes the turns this much longer, one that EC2 let through this much shorter.
const REFUSED: f64 = 1.25;
const SERVED: f64 = 0.99;

/// The calls that EC2 counts together, and how often it lets one through once the bucket is empty
/// (EC2 Developer Guide, "Request throttling for the Amazon EC2 API").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Bucket {
    Launch,
    Mutating,
    Describe,
}

impl Bucket {
    /// Returns the bucket of an action; `None` for those of STS.
    fn of(action: &str) -> Option<Self> {
        match action {
            "RunInstances" | "CreateFleet" => Some(Self::Launch),
            "GetCallerIdentity" | "GetAccessKeyInfo" => None,
            _ if action.starts_with("Describe") || action.starts_with("Get") => {
                Some(Self::Describe)
            }
            _ => Some(Self::Mutating),
        }
    }

    /// Milliseconds between two calls: 2, 5 and 20 calls a second.
    fn interval(self) -> f64 {
        match self {
            Self::Launch => 500.0,
            Self::Mutating => 200.0,
            Self::Describe => 50.0,
        }
    }

    /// The shortest and the longest that it can become.
    fn intervals(self) -> (f64, f64) {
        (self.interval() * FASTEST, self.interval() * SLOWEST)
    }
}

/// Who is in turn for one bucket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Queue {
    region: String,
    endpoint: String,
    bucket: Bucket,
    /// When the next turn is free, Unix time in milliseconds.
    next: u64,
    /// Milliseconds between two turns.
    interval: f64,
}

impl Queue {
    fn is_there(&self, now: u64) -> bool {
        self.next.saturating_add(REMEMBERED) > now && self.next < now + LONGEST_QUEUE
    }

    /// Takes the next free turn; returns how long it is until then.
    fn take(&mut self, now: u64) -> Duration {
        let at = self.next.max(now);
        self.next = at + self.interval as u64;
        Duration::from_millis(at - now)
    }

    fn scale(&mut self, by: f64) {
        let (shortest, longest) = self.bucket.intervals();
        self.interval = (self.interval * by).clamp(shortest, longest);
    }

    /// Tells whether it can be what one of us has written.
    fn is_sane(&self) -> bool {
        let (shortest, longest) = self.bucket.intervals();
        (shortest..=longest).contains(&self.interval)
    }
}

/// The store's record, as seen by one client.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    file: PathBuf,
    region: String,
    endpoint: String,
}

impl Pace {
    pub(crate) fn new(store: &Path, region: &str, endpoint: &str) -> Self {
        Self {
            file: store.join(FILE),
            region: region.to_owned(),
            endpoint: endpoint.to_owned(),
        }
    }

    /// Returns the same store's record as seen by a client of another place, whose buckets are others.
    pub(crate) fn elsewhere(&self, region: &str, endpoint: &str) -> Self {
        Self {
            file: self.file.clone(),
            region: region.to_owned(),
            endpoint: endpoint.to_owned(),
        }
    }

    /// Takes a turn for a call, and returns how long it is until then; `None` where nobody is queueing.
    pub(crate) async fn turn(&self, cx: &Cx, action: &str) -> Option<Duration> {
        let bucket = Bucket::of(action)?;
        // The usual case costs one look at a file that is not there.
        self.queue(&self.read().ok()?, bucket, millis(cx.ambient.now()))?;
        self.change(cx, |queues, now| {
            let queue = self.find(queues, bucket);
            let queue = queue.filter(|queue| queue.is_there(now))?;
            Some(queue.take(now))
        })
        .await?
    }

    /// Notes that a call was refused, and returns how long it is until its next turn; `None` where the
    /// record is of no use. `in_turn`: it had waited for its turn, and so the turns come too fast.
    pub(crate) async fn refused(&self, cx: &Cx, action: &str, in_turn: bool) -> Option<Duration> {
        let bucket = Bucket::of(action)?;
        self.change(cx, |queues, now| {
            queues.retain(|queue| queue.is_there(now));
            if self.find(queues, bucket).is_none() {
                queues.push(Queue {
                    region: self.region.clone(),
                    endpoint: self.endpoint.clone(),
                    bucket,
                    // The bucket is empty: the first turn is when it has gained one call.
                    next: now + bucket.interval() as u64,
                    interval: bucket.interval(),
                });
            }
            let queue = self.find(queues, bucket)?;
            if in_turn {
                queue.scale(REFUSED);
            }
            Some(queue.take(now))
        })
        .await?
    }

    /// Notes that EC2 let a call through that had waited for its turn.
    pub(crate) async fn served(&self, cx: &Cx, action: &str) {
        if let Some(bucket) = Bucket::of(action) {
            self.change(cx, |queues, _| {
                if let Some(queue) = self.find(queues, bucket) {
                    queue.scale(SERVED);
                }
            })
            .await;
        }
    }

    fn find<'a>(&self, queues: &'a mut [Queue], bucket: Bucket) -> Option<&'a mut Queue> {
        queues.iter_mut().find(|queue| {
            queue.bucket == bucket && queue.region == self.region && queue.endpoint == self.endpoint
        })
    }

    fn queue(&self, queues: &[Queue], bucket: Bucket, now: u64) -> Option<Queue> {
        let mut queues = queues.to_vec();
        let queue = self.find(&mut queues, bucket);
        queue.filter(|queue| queue.is_there(now)).cloned()
    }

    fn read(&self) -> std::io::Result<Vec<Queue>> {
        Ok(parse(&std::fs::read(&self.file)?))
    }

    /// Changes the record under its lock; `None` where that cannot be done.
    async fn change<T>(
        &self,
        cx: &Cx,
        change: impl FnOnce(&mut Vec<Queue>, u64) -> T,
    ) -> Option<T> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&self.file)
            .ok()?;
        lock(cx, &file).await?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).ok()?;
        let mut queues = parse(&text);
        let value = change(&mut queues, millis(cx.ambient.now()));
        let text = serde_json::to_vec(&queues).ok()?;
        // Who looks without the lock and sees half of it sees no queue, for one call.
        file.rewind().ok()?;
        file.write_all(&text).ok()?;
        file.set_len(text.len() as u64).ok()?;
        Some(value)
    }
}

/// Locks the record. It is held for microseconds; a process that was stopped with it holds up nobody.
async fn lock(cx: &Cx, file: &File) -> Option<()> {
    if file.try_lock().is_ok() {
        return Some(());
    }
    let policy = WaitPolicy::backing_off(
        Duration::from_millis(2),
        Duration::from_millis(20),
        Duration::from_secs(1),
    );
    let locked = wait_until_ready(cx, "the lock of the pace", policy, || async {
        Ok::<_, std::convert::Infallible>(match file.try_lock() {
            Ok(()) => Look::Ready(()),
            Err(_) => Look::Pending("locked by another process".into()),
        })
    });
    locked.await.ok()
}

fn parse(text: &[u8]) -> Vec<Queue> {
    let mut queues: Vec<Queue> = serde_json::from_slice(text).unwrap_or_default();
    queues.retain(Queue::is_sane);
    queues
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}
