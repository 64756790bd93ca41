//! The builder of a lab.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::hosts::Hosts;

use crate::ec2::faults::throttle::Throttling;
use crate::ec2::lab::clock::Clock;
use crate::ec2::lab::core::{Core, Lab};
use crate::ec2::lab::hosting;
use crate::ec2::lab::server;
use crate::ec2::resources::config::{Cidr, Config, Durations};
use crate::ec2::resources::images::Image;

/// The access key of a lab without other access keys.
pub const ACCESS_KEY: &str = "AKIDEXAMPLE";
/// The account of [`ACCESS_KEY`].
pub const ACCOUNT: &str = "123456789012";
/// An access key of another account.
pub const OTHER_ACCESS_KEY: &str = "AKIDOTHER";
/// The account of [`OTHER_ACCESS_KEY`].
pub const OTHER_ACCOUNT: &str = "210987654321";

/// The last sixteenth of a VPC: zones, at most fifteen then, use the ones before it.
const LAST_PART: u32 = 15;

/// The port that a lab binds to claim its loopback block, across processes.
const CLAIM_PORT: u16 = 20_222;

/// The cause of a failed start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The endpoint's address is in use or not allowed.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The operating system's error.
        #[source]
        source: std::io::Error,
    },
    /// The log cannot be written.
    #[error("cannot open the log {}", path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        source: std::io::Error,
    },
    /// All blocks of loopback addresses are claimed by other labs.
    #[error("every block 127.64.0.0/16 to 127.254.0.0/16 is claimed by another lab")]
    NoLoopback,
}

/// The builder of a lab; see [`Lab::builder`].
#[derive(Default)]
pub struct Builder {
    config: Config,
    clock: Option<Clock>,
    hosts: Option<Arc<dyn Hosts>>,
    listen: Option<SocketAddr>,
    log: Option<PathBuf>,
    loopback: bool,
    public_loopback: bool,
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Builder {
    /// Sets the hosts of the instances; without hosts, no process answers at their addresses.
    #[must_use]
    pub fn hosts(mut self, hosts: Arc<dyn Hosts>) -> Self {
        self.hosts = Some(hosts);
        self
    }

    /// Sets the clock; the default runs with real time.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Sets the endpoint's address; the default is a free port of 127.0.0.1.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = Some(address);
        self
    }

    /// Appends every call to a file, one JSON object per line.
    #[must_use]
    pub fn log(mut self, path: impl Into<PathBuf>) -> Self {
        self.log = Some(path.into());
        self
    }

    /// Adds an access key of an account (an account may have several). The default is [`ACCESS_KEY`] and
    /// [`OTHER_ACCESS_KEY`].
    #[must_use]
    pub fn access_key(mut self, key: impl Into<String>, account: impl Into<String>) -> Self {
        self.config.access_keys.insert(key.into(), account.into());
        self
    }

    /// Sets the duration of `pending`.
    #[must_use]
    pub fn pending(mut self, time: Duration) -> Self {
        self.config.durations.pending = time;
        self
    }

    /// Sets the durations of all states.
    #[must_use]
    pub fn durations(mut self, durations: Durations) -> Self {
        self.config.durations = durations;
        self
    }

    /// Sets the default VPC's block, a `/24` or larger; each zone gets a sixteenth of it.
    #[must_use]
    pub fn vpc_cidr(mut self, cidr: Cidr) -> Self {
        self.config.vpc_cidr = cidr;
        self
    }

    /// Takes a `/16` of loopback that no other lab on this machine uses, for hosts in process.
    #[must_use]
    pub fn loopback(mut self) -> Self {
        self.loopback = true;
        self
    }

    /// Sets the number of zones of a region: a, b, c…; six by default.
    #[must_use]
    pub fn zones(mut self, zones: u8) -> Self {
        self.config.zones = zones.clamp(1, 16);
        self
    }

    /// Sets the existing regions.
    #[must_use]
    pub fn regions<S: Into<String>>(mut self, regions: impl IntoIterator<Item = S>) -> Self {
        self.config.regions = regions.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the blocks of public addresses; the documentation blocks of RFC 5737 by default. Instances with a public
    /// address in 127.0.0.0/8 have their host there instead of at the private address.
    #[must_use]
    pub fn public_addresses(mut self, blocks: impl IntoIterator<Item = Cidr>) -> Self {
        self.config.public = blocks.into_iter().collect();
        self
    }

    /// Takes public addresses from the block of [`loopback`](Self::loopback) as well, from a part of it that no
    /// subnet uses.
    #[must_use]
    pub fn public_loopback(mut self) -> Self {
        self.loopback = true;
        self.public_loopback = true;
        self
    }

    /// Assigns `::1` as IPv6 address, and puts the hosts of instances that have one there.
    #[must_use]
    pub fn ipv6_on_loopback(mut self) -> Self {
        self.config.ipv6_loopback = true;
        self
    }

    /// Reuses a released address as soon as possible.
    #[must_use]
    pub fn reuse_addresses(mut self) -> Self {
        self.config.reuse_addresses = true;
        self
    }

    /// Adds an image to every region.
    #[must_use]
    pub fn image(mut self, image: Image) -> Self {
        self.config.images.push(image);
        self
    }

    /// Replaces the catalogue of images.
    #[must_use]
    pub fn images(mut self, images: impl IntoIterator<Item = Image>) -> Self {
        self.config.images = images.into_iter().collect();
        self
    }

    /// Sets the existing instance profiles; by default every name exists.
    #[must_use]
    pub fn instance_profiles<S: Into<String>>(
        mut self,
        names: impl IntoIterator<Item = S>,
    ) -> Self {
        self.config.instance_profiles = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Sets the spot price in dollars: lower caps are refused. 0.01 by default.
    #[must_use]
    pub fn spot_price(mut self, dollars: f64) -> Self {
        self.config.spot_price = dollars;
        self
    }

    /// Enables throttling from the start.
    #[must_use]
    pub fn throttling(mut self, throttling: Throttling) -> Self {
        self.config.throttling = Some(throttling);
        self
    }

    /// Starts the lab on the current tokio runtime.
    ///
    /// # Errors
    /// See [`StartError`]; no process or file is left behind.
    pub async fn start(mut self) -> Result<Lab, StartError> {
        if self.config.access_keys.is_empty() {
            for (key, account) in [(ACCESS_KEY, ACCOUNT), (OTHER_ACCESS_KEY, OTHER_ACCOUNT)] {
                self.config
                    .access_keys
                    .insert(key.to_owned(), account.to_owned());
            }
        }
        let claim = match self.loopback {
            true => {
                let (block, claim) = claim_loopback().ok_or(StartError::NoLoopback)?;
                self.config.vpc_cidr = block;
                if self.public_loopback {
                    self.config.public = vec![block.part(20, LAST_PART)];
                }
                Some(claim)
            }
            false => None,
        };
        let log = match &self.log {
            None => None,
            Some(path) => Some(Lab::open_log(path).map_err(|source| StartError::Log {
                path: path.clone(),
                source,
            })?),
        };
        let address = self
            .listen
            .unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let failed = |source| StartError::Listen { address, source };
        let listener = tokio::net::TcpListener::bind(address)
            .await
            .map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let clock = self.clock.unwrap_or_else(Clock::running);
        let (core, orders) = Core::new(self.config, clock, self.hosts, log, seed(), claim);
        let serving = tokio::spawn(server::serve(core.clone(), listener));
        let hosting = tokio::spawn(hosting::carry_out(core.clone(), orders));
        let timing = tokio::spawn(hosting::drive(core.clone()));
        Ok(Lab {
            core,
            address,
            tasks: [serving, hosting, timing]
                .iter()
                .map(|t| t.abort_handle())
                .collect(),
        })
    }
}

/// Finds a free `/16` of loopback. A listener within it is the claim: the operating system releases it even if the
/// process is killed.
fn claim_loopback() -> Option<(Cidr, TcpListener)> {
    (64..=254).find_map(|n| {
        let block = Cidr::new(Ipv4Addr::new(127, n, 0, 0), 16);
        // The first address of a subnet is reserved for EC2, so no host uses it.
        let claim = TcpListener::bind((block.at(1), CLAIM_PORT)).ok()?;
        Some((block, claim))
    })
}

/// Returns a seed that differs between labs of a process and, with high probability, between processes.
fn seed() -> u64 {
    static LABS: AtomicU64 = AtomicU64::new(1);
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos();
    let low = u64::try_from(nanos & u128::from(u64::MAX)).unwrap_or_default();
    let nth = LABS.fetch_add(1, Ordering::Relaxed);
    low ^ (u64::from(std::process::id()) << 40) ^ nth.wrapping_mul(0x2545_f491_4f6c_dd1d)
}
