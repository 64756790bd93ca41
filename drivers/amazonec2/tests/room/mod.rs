//! What the tests share: a lab on its own clock, and machines made from flags.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file is a crate of its own that uses a part of it"
)]

pub mod fleet;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use driver_amazonec2::AmazonEc2;
use ec2_lab::ec2::{ACCESS_KEY, ACCOUNT, Cidr, Clock, Lab};
use machine_driver::{
    Base, Driver, DriverError, DriverKind, KeyMaterial, OptionValue, Options, OwnedBy,
};
use machine_ops::*;

pub const REGION: &str = "us-east-1";
pub const AMI: &str = "ami-1e749f67";

/// A public key; nobody has its other half.
pub const PUBLIC: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF3vJmZrGmnAk7wUyCHvBqH3b0cT4mB4pPCmWn2yo8pZ e1";

/// Time of the lab: a pause moves its clock and takes none of ours.
struct LabTime {
    clock: Clock,
    begun: SystemTime,
    drawn: std::sync::atomic::AtomicU64,
}

#[async_trait]
impl Ambient for LabTime {
    fn now(&self) -> SystemTime {
        self.clock.now()
    }
    fn monotonic(&self) -> Duration {
        self.clock.now().duration_since(self.begun).unwrap()
    }
    async fn sleep(&self, duration: Duration) {
        self.clock.advance(duration);
        tokio::task::yield_now().await;
    }
    fn random(&self) -> u64 {
        let n = self
            .drawn
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let id = u64::from(std::process::id());
        (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (id << 20)
    }
}

/// A place of which nothing is on record.
static NOWHERE: std::sync::OnceLock<Scope> = std::sync::OnceLock::new();

/// What one store's resources carry, in whatever account.
pub fn owner(store: &str) -> OwnedBy<'_> {
    OwnedBy {
        store: Some(store),
        tags: &[],
        scope: NOWHERE.get_or_init(Scope::default),
    }
}

/// Keeps what was told.
#[derive(Default)]
pub struct Told(Mutex<Vec<Event>>);

impl Events for Told {
    fn emit(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

impl Told {
    /// Every line for the user.
    pub fn lines(&self) -> String {
        let lines = self.0.lock().unwrap();
        let text = lines.iter().filter_map(|event| match event {
            Event::Say(line) | Event::Warn(line) => Some(format!("{line}\n")),
            _ => None,
        });
        text.collect()
    }

    /// Everything, as a debug log would have it.
    pub fn everything(&self) -> String {
        format!("{:?}", self.0.lock().unwrap())
    }
}

/// A lab with a VPC and a subnet in each of the first three zones, and a machine's directory.
pub struct Room {
    pub lab: Lab,
    pub vpc: String,
    pub subnets: BTreeMap<char, String>,
    pub journal: Arc<MemoryJournal>,
    pub told: Arc<Told>,
    pub cx: Cx,
    pub store: tempfile::TempDir,
}

impl Room {
    pub async fn new() -> Self {
        Self::with(Lab::builder()).await
    }

    pub async fn with(builder: ec2_lab::ec2::Builder) -> Self {
        let clock = Clock::manual();
        let lab = builder.clock(clock.clone()).start().await.unwrap();
        let vpc = lab.add_vpc(ACCOUNT, REGION, Cidr::parse("10.9.0.0/16").unwrap());
        let subnets = ('a'..='c')
            .map(|zone| {
                let block = Cidr::parse(&format!("10.9.{}.0/24", zone as u8)).unwrap();
                let name = format!("{REGION}{zone}");
                (zone, lab.add_subnet(ACCOUNT, REGION, &vpc, &name, block))
            })
            .collect();
        let (journal, told) = (Arc::<MemoryJournal>::default(), Arc::<Told>::default());
        let ambient = LabTime {
            begun: clock.now(),
            clock,
            drawn: Default::default(),
        };
        let cx = Cx {
            ambient: Arc::new(ambient),
            events: told.clone(),
            ..Cx::new(journal.clone())
        };
        Self {
            lab,
            vpc,
            subnets,
            journal,
            told,
            cx,
            store: tempfile::tempdir().unwrap(),
        }
    }

    pub fn base(&self, name: &str) -> Base {
        Base {
            name: name.parse().unwrap(),
            store: self.store.path().to_owned(),
            directory: self.store.path().join("machines").join(name),
            store_id: "store-1".into(),
            swarm_master: false,
            swarm_host: "tcp://0.0.0.0:3376".into(),
            swarm_discovery: String::new(),
        }
    }

    /// The flags of the recorded plain create, then more of them.
    pub fn flags(&self, more: &[(&str, &str)]) -> Vec<(String, String)> {
        let endpoint = self.lab.endpoint();
        let plain = [
            ("access-key", ACCESS_KEY),
            ("secret-key", "SECRETEXAMPLE"),
            ("region", REGION),
            ("endpoint", endpoint.as_str()),
            ("ami", AMI),
            ("vpc-id", &self.vpc),
            ("zone", "us-east-1a"),
            ("use-private-address", "true"),
        ];
        let all = plain.iter().chain(more);
        all.map(|(flag, value)| (format!("amazonec2-{flag}"), (*value).to_owned()))
            .collect()
    }

    pub fn configure(&self, more: &[(&str, &str)]) -> Result<Box<dyn Driver>, DriverError> {
        AmazonEc2.configure(&self.base("e1"), &options(&self.flags(more)))
    }

    pub fn machine(&self, more: &[(&str, &str)]) -> Box<dyn Driver> {
        self.configure(more).unwrap()
    }

    /// Everything that `create` asks of the driver.
    pub async fn create(&self, machine: &mut Box<dyn Driver>) -> Result<(), DriverError> {
        machine.preflight(&self.cx).await?;
        machine
            .create(
                &KeyMaterial {
                    public: PUBLIC.into(),
                },
                &self.cx,
            )
            .await?;
        machine.await_address(&self.cx).await
    }

    pub async fn created(&self, more: &[(&str, &str)]) -> Box<dyn Driver> {
        let mut machine = self.machine(more);
        self.create(&mut machine).await.unwrap();
        machine
    }

    pub fn resources(&self) -> Vec<Resource> {
        open_resources(&self.journal.entries().unwrap())
    }

    /// The machine as another process finds it on the disk.
    pub fn reloaded(&self) -> Box<dyn Driver> {
        AmazonEc2
            .load(&self.base("e1"), &self.journal.driver())
            .unwrap()
    }

    /// How a machine ended that was pending for 20 s.
    pub async fn end_of(&self, machine: &dyn Driver) -> DriverError {
        assert!(machine.ended(&self.cx).await.is_none());
        self.lab.clock().advance(Duration::from_secs(20));
        machine.ended(&self.cx).await.unwrap()
    }

    pub async fn undo(&self, machine: &dyn Driver) -> UndoReport<DriverError> {
        undo_all(self.resources(), &Undoing(machine), &self.cx).await
    }
}

/// A driver, as the one undo wants it.
pub struct Undoing<'a>(pub &'a dyn Driver);

#[async_trait]
impl Undo for Undoing<'_> {
    type Error = DriverError;
    async fn undo(&self, resource: &Resource, cx: &Cx) -> Result<Undone, DriverError> {
        self.0.undo(resource, cx).await
    }
}

/// Flags as the command line gives them; of a repeated one every value.
pub fn options(flags: &[(String, String)]) -> Options {
    try_options(flags).unwrap()
}

pub fn try_options(flags: &[(String, String)]) -> Result<Options, machine_driver::OptionError> {
    let specs = AmazonEc2.flags();
    let mut given: BTreeMap<&'static str, OptionValue> = BTreeMap::new();
    for (name, value) in flags {
        let spec = specs.iter().find(|spec| spec.name == name);
        let spec = spec.unwrap_or_else(|| panic!("no flag {name}"));
        let entry = given.entry(spec.name).or_insert_with(|| OptionValue {
            values: Vec::new(),
            from_env: None,
        });
        entry.values.push(value.clone());
    }
    Options::new(specs, given)
}
