//! A running lab: its construction, control and inspection.

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
use crate::ec2::faults::throttle::{Buckets, Throttling};
use crate::ec2::lab::builder::Builder;
use crate::ec2::lab::clock::Clock;
use crate::ec2::lab::hosting;
use crate::ec2::lab::policy::{Denial, KeyState, Policy};
use crate::ec2::protocol::calls::Call;
use crate::ec2::protocol::query::Params;
use crate::ec2::resources::config::{Cidr, Config};
use crate::ec2::resources::groups::SecurityGroup;
use crate::ec2::resources::images::Image;
use crate::ec2::resources::instances::StateReason;
use crate::ec2::resources::life::{self, HostOrder};
use crate::ec2::resources::rules::Rule;
use crate::ec2::resources::state::World;
use crate::ec2::resources::templates::LaunchTemplate;
use crate::ec2::resources::vpc;

/// An EC2 endpoint on loopback. Dropping it ends its server; hosts end with their `Hosts`.
#[derive(Debug)]
pub struct Lab {
    pub(crate) core: Arc<Core>,
    pub(crate) address: SocketAddr,
    pub(crate) tasks: Vec<AbortHandle>,
}

/// The state shared by the server, the lab's own task and the test.
pub(crate) struct Core {
    pub(crate) clock: Clock,
    pub(crate) config: Arc<Config>,
    pub(crate) hosts: Arc<dyn Hosts>,
    pub(crate) orders: mpsc::UnboundedSender<HostOrder>,
    /// Changes whenever a call arrives or ends, or the state changes.
    pub(crate) changed: watch::Sender<u64>,
    pub(crate) log: Option<Mutex<std::fs::File>>,
    inner: Mutex<Inner>,
    /// Keeps the claimed loopback block, if there is one, until its hosts are gone.
    _claim: Option<std::net::TcpListener>,
}

/// The state behind the lock.
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

    /// Locks the state after applying the elapsed time.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        life::apply_time(&mut inner.world, self.clock.now());
        self.send_orders(&mut inner);
        inner
    }

    /// Sends the orders of a call or of the clock, in the order in which they happened.
    pub(crate) fn send_orders(&self, inner: &mut Inner) {
        for order in inner.world.shared.orders.drain(..) {
            // Without a receiver the lab is shutting down.
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
    /// Returns a builder of a lab.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Returns the URL of the endpoint, `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the lab's clock.
    pub fn clock(&self) -> &Clock {
        &self.core.clock
    }

    /// Returns the block of the private addresses.
    pub fn vpc_cidr(&self) -> Cidr {
        self.core.config.vpc_cidr
    }

    /// Injects a fault; returns its number.
    pub fn inject(&self, fault: Fault) -> u64 {
        self.core.lock().faults.add(fault)
    }

    /// Holds the next call of an action before its execution, until the gate is opened.
    pub fn hold(&self, action: &str) -> Gate {
        let gate = Gate::new();
        self.inject(Fault::on(action, Effect::Hold(gate.clone())));
        gate
    }

    /// Returns the number of calls that a fault has affected.
    pub fn hits(&self, fault: u64) -> u32 {
        self.core.lock().faults.hits(fault)
    }

    /// Removes one fault.
    pub fn remove_fault(&self, fault: u64) {
        self.core.lock().faults.remove(fault);
    }

    /// Removes faults, denials, shortages, throttling and blindness, and makes all access keys valid again. Resources
    /// that are already invisible stay so until their time is over.
    pub fn heal(&self) {
        self.core.heal();
    }

    /// Adds a shortage after the existing ones.
    pub fn shortage(&self, shortage: Shortage) {
        self.core.lock().world.shared.shortages.0.push(shortage);
    }

    /// Ends all shortages, and fulfils open spot requests.
    pub fn end_shortages(&self) {
        let mut inner = self.core.lock();
        self.core.end_shortages(&mut inner);
    }

    /// Sets the spot price of all types, in dollars an hour. Fulfils open spot requests that offer at least that
    /// much.
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

    /// Restricts an access key to an IAM policy document with its conditions on tags.
    ///
    /// # Errors
    /// The document has an element that the lab cannot evaluate.
    pub fn allow_policy(&self, access_key: &str, document: &str) -> Result<(), serde_json::Error> {
        let document = serde_json::from_str(document)?;
        let mut inner = self.core.lock();
        inner
            .policy
            .documents
            .insert(access_key.to_owned(), document);
        Ok(())
    }

    /// Restricts an access key to these actions (`ec2:Describe*`); all others are denied.
    pub fn allow_only<S: Into<String>>(
        &self,
        access_key: &str,
        actions: impl IntoIterator<Item = S>,
    ) {
        let actions = actions.into_iter().map(Into::into).collect();
        let mut inner = self.core.lock();
        inner.policy.allowed.insert(access_key.to_owned(), actions);
    }

    /// Sets the state of an access key.
    pub fn set_key_state(&self, access_key: &str, state: KeyState) {
        self.core
            .lock()
            .policy
            .keys
            .insert(access_key.to_owned(), state);
    }

    /// Enables throttling (with full buckets) or disables it.
    pub fn throttle(&self, throttling: Option<Throttling>) {
        let mut inner = self.core.lock();
        inner.throttling = throttling;
        inner.buckets = Buckets::default();
    }

    /// Makes fresh resources of a kind invisible, for resources created from now on.
    pub fn blind(&self, kind: Kind, blindness: Blindness) {
        self.core.lock().blindness.insert(kind, blindness);
    }

    /// Adds an image to a region.
    pub fn add_image(&self, account: &str, region: &str, image: Image) {
        let mut inner = self.core.lock();
        let (region, _) = inner.world.region(account, region);
        region.images.insert(image.id.clone(), image);
    }

    /// Adds a security group with these rules; returns its id.
    pub fn add_security_group(
        &self,
        account: &str,
        region: &str,
        vpc: &str,
        name: &str,
        ingress: impl IntoIterator<Item = Rule>,
    ) -> String {
        let mut inner = self.core.lock();
        let (region, shared) = inner.world.region(account, region);
        let group = SecurityGroup {
            id: shared.ids.id("sg-"),
            name: name.to_owned(),
            description: String::new(),
            vpc: vpc.to_owned(),
            ingress: ingress.into_iter().collect(),
        };
        let id = group.id.clone();
        region.groups.insert(id.clone(), group);
        id
    }

    /// Adds a launch template from parameters of RunInstances; returns its id.
    pub fn add_launch_template(
        &self,
        account: &str,
        region: &str,
        name: &str,
        data: &[(&str, &str)],
    ) -> String {
        let mut params = Params::default();
        for (name, value) in data {
            params.set(*name, *value);
        }
        let mut inner = self.core.lock();
        let (region, shared) = inner.world.region(account, region);
        let template = LaunchTemplate {
            id: shared.ids.id("lt-"),
            name: name.to_owned(),
            created: self.core.clock.now(),
            data: params,
        };
        let id = template.id.clone();
        region.templates.insert(id.clone(), template);
        id
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

    /// Shuts an instance down like a `shutdown` on the host: it stops, or terminates if it was launched so. False if
    /// no such instance is running.
    pub fn shut_down_from_inside(&self, instance: &str) -> bool {
        let shut = hosting::shut_down_from_inside(&self.core, instance);
        self.core.notify();
        shut
    }

    /// Makes the next start of an instance end in `stopped` after `pending`, with this state reason, like the start
    /// of an instance whose volume's KMS key cannot be used (EC2 API Reference, StateReason: `Client.InternalError`).
    /// False if there is no such instance.
    pub fn fail_next_start(&self, instance: &str, code: &str, message: &str) -> bool {
        let mut inner = self.core.lock();
        let mut regions = inner.world.regions.values_mut();
        let found = regions.find_map(|region| region.instances.get_mut(instance));
        let reason = StateReason::new(code, message);
        found
            .map(|instance| instance.fails_to_start = Some(reason))
            .is_some()
    }

    /// Reclaims a spot instance, as EC2 does when the price rises. False if no such instance is running.
    pub fn reclaim(&self, instance: &str) -> bool {
        let reclaimed = hosting::reclaim(&self.core, instance);
        self.core.notify();
        reclaimed
    }

    /// Returns all calls so far, in order of arrival, including those in progress.
    pub fn calls(&self) -> Vec<Call> {
        self.core.lock().calls.clone()
    }

    /// Clears the recorded calls; their numbers continue.
    pub fn clear_calls(&self) {
        self.core.lock().calls.retain(|c| !c.finished);
    }

    /// Returns the number of calls of an action.
    pub fn count(&self, action: &str) -> usize {
        let inner = self.core.lock();
        inner.calls.iter().filter(|c| c.action == action).count()
    }

    /// Returns the number of calls by action.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for call in &self.core.lock().calls {
            *counts.entry(call.action.clone()).or_insert(0) += 1;
        }
        counts
    }

    /// Completes when the condition holds; checks it at every call and change.
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

    /// Opens a log file for the calls, one JSON object per line.
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

/// The maximum sleep of the lab's task when no state has a due time.
pub(crate) const IDLE: Duration = Duration::from_secs(3600);
