//! Waiting for a machine that is still booting.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use machine_ops::{Cx, Look, WaitError, WaitPolicy, wait_until};
use machine_types::SshEndpoint;

use crate::connect::attempt;
use crate::dial::authority;
use crate::{ConnectError, Credentials, HostKeys, Layer, Session};

/// Waits until a machine can be logged in to, and returns the session.
///
/// Dials at a tight pace while nothing answers or the port is refused, and finishes the
/// handshake on the first connection that is accepted. A refused login is tried again only after
/// seconds: early on it means that the key has not been put there yet, and sshd blocks clients
/// that fail too often. Ends early on what waiting cannot mend: a changed host key, a private
/// key that cannot be used; of a host that is up (see [`WaitLimits`]) also a name without an address, a refused
/// port and a refused login. To end it for a reason of the caller's own (the instance has
/// terminated), drop the future: nothing is left open.
///
/// # Errors
/// [`WaitForSshError::TimedOut`] tells how far it got.
pub async fn wait_for_ssh(
    endpoint: &SshEndpoint,
    credentials: &Credentials,
    host_keys: &HostKeys,
    cx: &Cx,
    limits: impl Into<WaitLimits>,
) -> Result<Session, WaitForSshError> {
    let WaitLimits { within, is_up } = limits.into();
    let wait = Arc::new(Wait {
        endpoint: endpoint.clone(),
        credentials: credentials.clone(),
        host_keys: host_keys.clone(),
        cx: cx.clone(),
        begun: cx.ambient.monotonic(),
        within,
        is_up,
        progress: Mutex::default(),
    });
    let name = format!("{}@{}", endpoint.user, authority(endpoint));
    let policy = WaitPolicy::every(PACE, within);
    // Each look owns what it uses: of a future that borrows from a closure the compiler cannot
    // tell whether it may move to another thread.
    let look = {
        let wait = wait.clone();
        move || {
            let wait = wait.clone();
            async move { wait.look().await }
        }
    };
    match wait_until(cx, &format!("SSH on {name}"), policy, look).await {
        Ok(session) => Ok(session),
        Err(WaitError::Failed(error)) => Err(WaitForSshError::Hopeless(error)),
        Err(WaitError::Cancelled(reason)) => Err(WaitForSshError::Cancelled(reason)),
        Err(WaitError::TimedOut { .. }) => Err(wait.timed_out(name)),
    }
}

/// When a wait ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitLimits {
    within: Duration,
    is_up: bool,
}

impl WaitLimits {
    /// Ends after this time, and sooner where a host that is up is reached no better by waiting: at once for a name
    /// without an address, after 10 s of refused connections, after three refused logins.
    pub fn of_host_that_is_up(within: Duration) -> Self {
        Self {
            within,
            is_up: true,
        }
    }
}

impl From<Duration> for WaitLimits {
    fn from(within: Duration) -> Self {
        Self {
            within,
            is_up: false,
        }
    }
}

/// For how long a host that is up may have no address or refuse connections, and how many logins.
const REFUSED_CONNECTIONS: Duration = Duration::from_secs(10);
const REFUSED_LOGINS: u32 = 3;

/// The pause between two attempts that did not reach a server.
const PACE: Duration = Duration::from_millis(200);

/// The bound of one round of dialling, within which attempts overlap.
const DIAL: Duration = Duration::from_secs(3);

/// The bound of one attempt: a small machine that is still booting takes seconds for a key
/// exchange.
const HANDSHAKE: Duration = Duration::from_secs(20);

/// What the last attempt gets, at the end of all patience.
const SHORTEST: Duration = Duration::from_millis(100);

/// OpenSSH 9.8 and later count 5 s against the client's address for each failed login
/// (`PerSourcePenalties authfail:5s`), forget one second per second, and shut it out once 15 s
/// have added up. After a first quick retry, one try in five seconds never gets there.
const FIRST_REFUSAL: Duration = Duration::from_secs(2);
const LATER_REFUSALS: Duration = Duration::from_millis(5500);

/// The same servers count 1 s for a connection without a login.
const NO_LOGIN: Duration = Duration::from_secs(1);

/// One wait: what for, and how far it got.
struct Wait {
    endpoint: SshEndpoint,
    credentials: Credentials,
    host_keys: HostKeys,
    cx: Cx,
    begun: Duration,
    within: Duration,
    is_up: bool,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    /// The last attempt's error, its layer, and since when it has been that layer.
    last: Option<(ConnectError, Layer, Duration)>,
    refusals: u32,
}

impl Wait {
    async fn look(&self) -> Result<Look<Session>, ConnectError> {
        let left = self.within.saturating_sub(self.elapsed()).max(SHORTEST);
        let (dial, whole) = (DIAL.min(left), HANDSHAKE.min(left));
        let Self {
            endpoint,
            credentials,
            host_keys,
            cx,
            ..
        } = self;
        match attempt(endpoint, credentials, host_keys, cx, dial, whole).await {
            Ok(session) => Ok(Look::Ready(session)),
            Err(error) => match error.layer() {
                Some(layer) if layer != Layer::HostKey => {
                    if self.is_up && self.is_for_good(&error, layer) {
                        return Err(error);
                    }
                    let pause = self.note(error, layer);
                    Ok(Look::PendingFor(layer.reason().to_owned(), pause))
                }
                _ => Err(error),
            },
        }
    }

    fn elapsed(&self) -> Duration {
        self.cx.ambient.monotonic().saturating_sub(self.begun)
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whether a host that is up will go on failing like this.
    fn is_for_good(&self, error: &ConnectError, layer: Layer) -> bool {
        let progress = self.progress();
        let lasts = match &progress.last {
            Some((_, last, since)) if *last == layer => {
                self.elapsed().saturating_sub(*since) >= REFUSED_CONNECTIONS
            }
            _ => false,
        };
        match (layer, error) {
            (Layer::Address, ConnectError::Resolve { source, .. }) => {
                lasts || source.kind() == io::ErrorKind::NotFound
            }
            (Layer::Port, _) => lasts,
            (Layer::Authentication, _) => progress.refusals + 1 >= REFUSED_LOGINS,
            _ => false,
        }
    }

    /// Notes a failed attempt, and returns how long to leave the machine alone at least.
    fn note(&self, error: ConnectError, layer: Layer) -> Duration {
        let mut progress = self.progress();
        // The overall timeout cuts the last attempt short. If an earlier attempt got as far, its error says more.
        let is_over = self.elapsed() >= self.within;
        if is_over && progress.last.as_ref().is_some_and(|last| last.1 >= layer) {
            return Duration::ZERO;
        }
        let since = match &progress.last {
            Some((_, last, since)) if *last == layer => *since,
            _ => self.elapsed(),
        };
        progress.last = Some((error, layer, since));
        match layer {
            Layer::Address | Layer::Route | Layer::Port => Duration::ZERO,
            Layer::Banner | Layer::KeyExchange | Layer::HostKey => NO_LOGIN,
            Layer::Authentication => {
                progress.refusals += 1;
                match progress.refusals {
                    1 => FIRST_REFUSAL,
                    _ => LATER_REFUSALS,
                }
            }
        }
    }

    fn timed_out(&self, endpoint: String) -> WaitForSshError {
        let within = self.within;
        let (last, reached, since) = self.progress().last.take().unwrap_or_else(|| {
            let address = endpoint.clone();
            let nothing = ConnectError::NoAnswer { address, within };
            (nothing, Layer::Route, Duration::ZERO)
        });
        WaitForSshError::TimedOut {
            endpoint,
            within,
            reached,
            stuck: self.elapsed().saturating_sub(since),
            last,
        }
    }
}

/// Why waiting for SSH ended without a session.
#[derive(Debug, thiserror::Error)]
pub enum WaitForSshError {
    /// Patience ran out.
    #[error("no login at {endpoint} within {} s; it got no further than the {reached}, for the last {} s", within.as_secs(), stuck.as_secs())]
    TimedOut {
        /// `USER@HOST:PORT`.
        endpoint: String,
        /// For how long it was tried.
        within: Duration,
        /// The layer that failed last.
        reached: Layer,
        /// Since when it has been that layer.
        stuck: Duration,
        /// The last attempt's error.
        #[source]
        last: ConnectError,
    },
    /// More waiting would not have helped.
    #[error(transparent)]
    Hopeless(ConnectError),
    /// The operation was cancelled.
    #[error("cancelled by {0}")]
    Cancelled(&'static str),
}

impl WaitForSshError {
    /// Returns the layer that it did not get beyond, where one is known.
    pub fn layer(&self) -> Option<Layer> {
        match self {
            Self::TimedOut { reached, .. } => Some(*reached),
            Self::Hopeless(error) => error.layer(),
            Self::Cancelled(_) => None,
        }
    }
}
