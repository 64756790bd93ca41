//! A running lab: how it is built, steered and looked at.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use crate::hosts::{Hosts, NoHosts};

use crate::ec2::faults::capacity::Shortage;
use crate::ec2::faults::consistency::{Blindness, Kind};
use crate::ec2::faults::injection::{Effect, Fault, Faults, Gate};
use crate::ec2::faults::policy::{Denial, KeyState, Policy};
use crate::ec2::faults::throttle::{Buckets, Throttling};
use crate::ec2::lab::builder::Builder;
use crate::ec2::lab::clock::Clock;
use crate::ec2::lab::config::{Cidr, Config};
use crate::ec2::lab::hosting;
use crate::ec2::lab::state::World;
use crate::ec2::protocol::calls::Call;
use crate::ec2::resources::images::Image;
use crate::ec2::resources::instances::StateReason;
use crate::ec2::resources::life::{self, HostOrder};
use crate::ec2::resources::vpc;

/// An EC2 endpoint on loopback. Dropping it ends its server; hosts end with their `Hosts`.
#[derive(Debug)]
pub struct Lab {
    pub(crate) core: Arc<Core>,
    pub(crate) address: SocketAddr,
    pub(crate) tasks: Vec<AbortHandle>,
}

/// What the server, the lab's own task and the test share.
pub(crate) struct Core {
    pub(crate) clock: Clock,
    pub(crate) config: Arc<Config>,
    pub(crate) hosts: Arc<dyn Hosts>,
    pub(crate) orders: mpsc::UnboundedSender<HostOrder>,
    /// Changes whenever a call comes or ends, or the state moves.
    pub(crate) changed: watch::Sender<u64>,
    pub(crate) log: Option<Mutex<std::fs::File>>,
    inner: Mutex<Inner>,
    /// Keeps the claimed loopback block, where there is one: until the hosts on it are gone.
    _claim: Option<std::net::TcpListener>,
}

/// What the lock guards.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) world: World,
    pub(crate) calls: Vec<Call>,
    pub(crate) next_seq: u64,
    pub(crate) faults: Faults,
    pub(crate) policy: Policy,
    pub(crate) buckets: Buckets,
    pub(crate) throttling: Option<Throttling>,
    pub(crate) blindness: BTreeMap<Kind, Blindness>,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Core {
    pub(crate) fn new(
        config: Config,
        clock: Clock,
        hosts: Option<Arc<dyn Hosts>>,
        log: Option<std::fs::File>,
        seed: u64,
        claim: Option<std::net::TcpListener>,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<HostOrder>) {
        let (orders, to_hosts) = mpsc::unbounded_channel();
        let config = Arc::new(config);
        let inner = Inner {
            world: World::new(config.clone(), seed, hosts.is_some()),
            calls: Vec::new(),
            next_seq: 1,
            faults: Faults::default(),
            policy: Policy::default(),
            buckets: Buckets::default(),
            throttling: config.throttling,
            blindness: BTreeMap::new(),
        };
        let core = Self {
            clock,
            hosts: hosts.unwrap_or_else(|| Arc::new(NoHosts)),
            orders,
            changed: watch::Sender::new(0),
            log: log.map(Mutex::new),
            config,
            inner: Mutex::new(inner),
            _claim: claim,
        };
        (Arc::new(core), to_hosts)
    }

    /// Locks the state after letting time take effect.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        life::settle(&mut inner.world, self.clock.now());
        self.send_orders(&mut inner);
        inner
    }

    /// Passes on what a call or the clock has ordered, in the order in which it happened.
    pub(crate) fn send_orders(&self, inner: &mut Inner) {
        for order in inner.world.shared.orders.drain(..) {
            // Without its receiver the lab is shutting down.
            let _ = self.orders.send(order);
        }
    }

    /// See [`Lab::heal`].
    pub(crate) fn heal(&self) {
        let mut inner = self.lock();
        inner.faults.clear();
        inner.policy = Policy::default();
        inner.throttling = None;
        inner.buckets = Buckets::default();
        inner.blindness.clear();
        self.end_shortages(&mut inner);
    }

    fn end_shortages(&self, inner: &mut Inner) {
        inner.world.shared.shortages.0.clear();
        inner.world.fulfil_spot_requests(self.clock.now());
        self.send_orders(inner);
    }

    pub(crate) fn notify(&self) {
        self.changed.send_modify(|n| *n += 1);
    }
}

impl Lab {
    /// Starts to describe a lab.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The URL of the endpoint, `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The lab's clock.
    pub fn clock(&self) -> &Clock {
        &self.core.clock
    }

    /// The block that private addresses come from.
    pub fn vpc_cidr(&self) -> Cidr {
        self.core.config.vpc_cidr
    }

    /// Sets a fault up; returns its number.
    pub fn inject(&self, fault: Fault) -> u64 {
        self.core.lock().faults.add(fault)
    }

    /// Holds the next call of an action before it acts, until the gate is opened.
    pub fn hold(&self, action: &str) -> Gate {
        let gate = Gate::new();
        self.inject(Fault::on(action, Effect::Hold(gate.clone())));
        gate
    }

    /// How many calls a fault has met.
    pub fn hits(&self, fault: u64) -> u32 {
        self.core.lock().faults.hits(fault)
    }

    /// Takes one fault away.
    pub fn remove_fault(&self, fault: u64) {
        self.core.lock().faults.remove(fault);
    }

    /// Takes faults, denials, shortages, throttling and blindness away, and makes all access
    /// keys good again. What is already blind stays so until its time is over.
    pub fn heal(&self) {
        self.core.heal();
    }

    /// Sets a shortage up, after those already there.
    pub fn shortage(&self, shortage: Shortage) {
        self.core.lock().world.shared.shortages.0.push(shortage);
    }

    /// Ends all shortages. Spot requests that are open get what they ask for.
    pub fn end_shortages(&self) {
        let mut inner = self.core.lock();
        self.core.end_shortages(&mut inner);
    }

    /// Sets the spot price of everything, in dollars an hour. Spot requests that are open and offer that much get
    /// what they ask for.
    pub fn set_spot_price(&self, price: f64) {
        let mut inner = self.core.lock();
        inner.world.shared.spot_price = price;
        inner.world.fulfil_spot_requests(self.core.clock.now());
        self.core.send_orders(&mut inner);
    }

    /// Denies an action.
    pub fn deny(&self, denial: Denial) {
        self.core.lock().policy.denials.push(denial);
    }

    /// Restricts an access key to these actions (`ec2:Describe*`); everything else is denied.
    pub fn allow_only<S: Into<String>>(
        &self,
        access_key: &str,
        actions: impl IntoIterator<Item = S>,
    ) {
        let actions = actions.into_iter().map(Into::into).collect();
        let mut inner = self.core.lock();
        inner.policy.allowed.insert(access_key.to_owned(), actions);
    }

    /// Sets what EC2 makes of an access key.
    pub fn set_key_state(&self, access_key: &str, state: KeyState) {
        self.core
            .lock()
            .policy
            .keys
            .insert(access_key.to_owned(), state);
    }

    /// Switches throttling on (with full buckets) or off.
    pub fn throttle(&self, throttling: Option<Throttling>) {
        let mut inner = self.core.lock();
        inner.throttling = throttling;
        inner.buckets = Buckets::default();
    }

    /// Hides resources of a kind that are made from now on while they are fresh.
    pub fn blind(&self, kind: Kind, blindness: Blindness) {
        self.core.lock().blindness.insert(kind, blindness);
    }

    /// Ends blindness for what is made from now on.
    pub fn see_all(&self) {
        self.core.lock().blindness.clear();
    }

    /// Adds an image to a region.
    pub fn add_image(&self, account: &str, region: &str, image: Image) {
        let mut inner = self.core.lock();
        let (region, _) = inner.world.region(account, region);
        region.images.insert(image.id.clone(), image);
    }

    /// Adds a VPC; returns its id.
    pub fn add_vpc(&self, account: &str, region: &str, cidr: Cidr) -> String {
        let mut inner = self.core.lock();
        let (region, shared) = inner.world.region(account, region);
        vpc::add_vpc(region, shared, cidr, false)
    }

    /// Adds a subnet; returns its id. `zone` is a full name, `us-east-1a`.
    pub fn add_subnet(
        &self,
        account: &str,
        region: &str,
        vpc: &str,
        zone: &str,
        cidr: Cidr,
    ) -> String {
        let mut inner = self.core.lock();
        let (region, shared) = inner.world.region(account, region);
        vpc::add_subnet(region, shared, vpc, zone, cidr)
    }

    /// Shuts an instance down as its own `shutdown` would: it stops, or terminates where it
    /// was launched so. False where no such instance is running.
    pub fn shut_down_from_inside(&self, instance: &str) -> bool {
        let shut = hosting::shut_down_from_inside(&self.core, instance);
        self.core.notify();
        shut
    }

    /// Makes the next start of an instance lead from `pending` back to `stopped`, with this state reason, as the start of
    /// one does whose volume's KMS key cannot be used (EC2 API Reference, StateReason: `Client.InternalError`). False
    /// where there is no such instance.
    pub fn fail_next_start(&self, instance: &str, code: &str, message: &str) -> bool {
        let mut inner = self.core.lock();
        let mut regions = inner.world.regions.values_mut();
        let found = regions.find_map(|region| region.instances.get_mut(instance));
        let reason = StateReason::new(code, message);
        found
            .map(|instance| instance.fails_to_start = Some(reason))
            .is_some()
    }

    /// Takes a spot instance back, as EC2 does when the price rises. False where no such
    /// instance is running.
    pub fn reclaim(&self, instance: &str) -> bool {
        let reclaimed = hosting::reclaim(&self.core, instance);
        self.core.notify();
        reclaimed
    }

    /// All calls so far, in order of arrival, those under way included.
    pub fn calls(&self) -> Vec<Call> {
        self.core.lock().calls.clone()
    }

    /// Forgets the calls so far; numbers go on.
    pub fn clear_calls(&self) {
        self.core.lock().calls.retain(|c| !c.finished);
    }

    /// How many calls of an action have come.
    pub fn count(&self, action: &str) -> usize {
        let inner = self.core.lock();
        inner.calls.iter().filter(|c| c.action == action).count()
    }

    /// How many calls have come, by action.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for call in &self.core.lock().calls {
            *counts.entry(call.action.clone()).or_insert(0) += 1;
        }
        counts
    }

    /// Completes when the condition holds; it is tried again at every call and change.
    pub async fn until(&self, condition: impl Fn(&Self) -> bool) {
        let mut changed = self.core.changed.subscribe();
        loop {
            changed.mark_unchanged();
            if condition(self) {
                return;
            }
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    /// Opens a log file for the calls, one JSON object a line.
    pub(crate) fn open_log(path: &Path) -> std::io::Result<std::fs::File> {
        std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// How long a lab waits for nothing in particular: state without a due time.
pub(crate) const IDLE: Duration = Duration::from_secs(3600);
