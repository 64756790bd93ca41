//! Waits for a machine that is still booting.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use machine_ops::{Cx, Look, WaitError, WaitPolicy, wait_until};
use machine_types::SshEndpoint;

use crate::connect::attempt;
use crate::dial::authority;
use crate::{ConnectError, Credentials, HostKeys, Layer, Session};

/// Waits until a login to a machine succeeds, and returns the session.
///
/// Dials in short intervals while there is no response or the port is refused, and completes the handshake on the
/// first connection that is accepted. Retries a refused login only after seconds: early on, a refusal means that the
/// key is not installed yet, and sshd blocks clients that fail too often. Ends early on permanent errors: a changed
/// host key, or a private key that cannot be used; for a host that is up (see [`WaitLimits`]) also a name without an
/// address, a refused port and a refused login. To end the wait for another reason (the instance has terminated), drop
/// the future: nothing is left open.
///
/// # Errors
/// Returns a [`WaitForSshError::TimedOut`] that names the layer reached.
pub async fn wait_for_ssh(
    endpoint: &SshEndpoint,
    credentials: &Credentials,
    host_keys: &HostKeys,
    cx: &Cx,
    limits: impl Into<WaitLimits>,
) -> Result<Session, WaitForSshError> {
    let WaitLimits {
        within,
        is_up,
        refusals,
    } = limits.into();
    let wait = Arc::new(Wait {
        endpoint: endpoint.clone(),
        credentials: credentials.clone(),
        host_keys: host_keys.clone(),
        cx: cx.clone(),
        begun: cx.ambient.monotonic(),
        within,
        is_up,
        refusals,
        progress: Mutex::default(),
    });
    let name = format!("{}@{}", endpoint.user, authority(endpoint));
    let policy = WaitPolicy::every(PACE, within);
    // Each poll owns its data: for a future that borrows from a closure, the compiler cannot prove that it is `Send`.
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

/// Time limits of a wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitLimits {
    within: Duration,
    is_up: bool,
    refusals: Option<String>,
}

impl WaitLimits {
    /// Ends after this time, or sooner if a host that is up fails permanently: at once for a name without an address,
    /// after 10 s of refused connections, after three refused logins.
    pub fn of_host_that_is_up(within: Duration) -> Self {
        Self {
            within,
            is_up: true,
            refusals: None,
        }
    }

    /// Prints a warning, once, if logins have been refused for 60 s: a key that is not installed by then was probably
    /// installed for another user. The wait goes on.
    #[must_use]
    pub fn with_warning_of_refusals(self, warning: String) -> Self {
        Self {
            refusals: Some(warning),
            ..self
        }
    }
}

impl From<Duration> for WaitLimits {
    fn from(within: Duration) -> Self {
        Self {
            within,
            is_up: false,
            refusals: None,
        }
    }
}

/// Limits for a host that is up: the time without an address or with refused connections, and the number of refused
/// logins.
const REFUSED_CONNECTIONS: Duration = Duration::from_secs(10);
const REFUSED_LOGINS: u32 = 3;

/// Time of refused logins after which a warning is printed: cloud-init installs keys within seconds of sshd's start.
const REFUSED_FOR_LONG: Duration = Duration::from_secs(60);

/// Delay between two attempts that did not reach a server.
const PACE: Duration = Duration::from_millis(200);

/// Timeout of one round of dialling, within which attempts overlap.
const DIAL: Duration = Duration::from_secs(3);

/// Timeout of one attempt: a small machine that is still booting takes seconds for a key exchange.
const HANDSHAKE: Duration = Duration::from_secs(20);

/// Minimum timeout of the last attempt, at the end of the overall timeout.
const SHORTEST: Duration = Duration::from_millis(100);

/// Delays after a failed login. OpenSSH 9.8 and later count 5 s against the client's address for each
/// (`PerSourcePenalties authfail:5s`), subtract one second per second, and block the client at 15 s. After a first
/// quick retry, one attempt per 5.5 s never reaches that limit.
const FIRST_REFUSAL: Duration = Duration::from_secs(2);
const LATER_REFUSALS: Duration = Duration::from_millis(5500);

/// Delay after a connection without a login, for which the same servers count 1 s.
const NO_LOGIN: Duration = Duration::from_secs(1);

/// Target and progress of one wait.
struct Wait {
    endpoint: SshEndpoint,
    credentials: Credentials,
    host_keys: HostKeys,
    cx: Cx,
    begun: Duration,
    within: Duration,
    is_up: bool,
    refusals: Option<String>,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    /// The last attempt's error, its layer, and the time since which this layer fails.
    last: Option<(ConnectError, Layer, Duration)>,
    refusals: u32,
    has_warned: bool,
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

    /// Returns whether a failure of a host that is up is permanent.
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

    /// Records a failed attempt, and returns the minimum delay before the next one.
    fn note(&self, error: ConnectError, layer: Layer) -> Duration {
        let mut progress = self.progress();
        // The overall timeout cuts the last attempt short. If an earlier attempt got as far, its error is more
        // specific.
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
                if let Some(warning) = &self.refusals
                    && !progress.has_warned
                    && self.elapsed().saturating_sub(since) >= REFUSED_FOR_LONG
                {
                    progress.has_warned = true;
                    self.cx.warn(warning);
                }
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

/// Reason why waiting for SSH ended without a session.
#[derive(Debug, thiserror::Error)]
pub enum WaitForSshError {
    /// The timeout expired.
    #[error("no login at {endpoint} within {} s; it got no further than the {reached}, for the last {} s", within.as_secs(), stuck.as_secs())]
    TimedOut {
        /// `USER@HOST:PORT`.
        endpoint: String,
        /// The overall timeout.
        within: Duration,
        /// The layer that failed last.
        reached: Layer,
        /// For how long this layer has failed.
        stuck: Duration,
        /// The last attempt's error.
        #[source]
        last: ConnectError,
    },
    /// The error is permanent.
    #[error(transparent)]
    Hopeless(ConnectError),
    /// The operation was cancelled.
    #[error("cancelled by {0}")]
    Cancelled(&'static str),
}

impl WaitForSshError {
    /// Returns the last layer that failed, if known.
    pub fn layer(&self) -> Option<Layer> {
        match self {
            Self::TimedOut { reached, .. } => Some(*reached),
            Self::Hopeless(error) => error.layer(),
            Self::Cancelled(_) => None,
        }
    }
}
