//! Commands without their process: the library, the store and the real driver, each run on a thread and
//! a runtime of its own, which a crash takes away whole. Their time is the lab's, and it flies.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use driver_amazonec2::AmazonEc2;
use ec2_lab::ec2::{Clock, Lab};
use libmachine::{
    Ambient, CertificatePaths, CreateRequest, Library, Provisioning, PruneOptions, RemoveOptions,
    Settings, SystemAmbient,
};
use machine_driver::{DriverKind, OptionValue, Options};
use machine_ops::{Cx, Look, MemoryJournal, WaitPolicy, wait_until_ready};
use machine_store::Store;
use machine_tests::flows::Flow;
use machine_types::{EngineOptions, SwarmOptions};
use tokio::task::JoinHandle;

use crate::knife::{Crash, Knife, Places};
use crate::store;

/// By how much the lab's time is faster than ours.
const HASTE: u32 = 10;

/// How often the lab's clock is moved.
const TICK: Duration = Duration::from_millis(5);

/// A process's main thread has that much (`ulimit -s`), other threads a quarter.
const STACK: usize = 8 << 20;

/// The machine of every room.
pub(crate) const NAME: &str = "m1";

/// A command that works on the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    Create,
    Start,
    Stop,
    Provision,
    RegenerateCerts,
    Config,
    Remove,
    /// `prune --force`, for the tombstones.
    Settle,
    /// What the timer runs: `prune --force`, of what has been unused for two hours.
    Prune,
}

impl Command {
    /// The commands that change a machine which is there already.
    pub(crate) const CHANGES: [Self; 3] = [Self::Start, Self::Provision, Self::RegenerateCerts];
}

/// How a command ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// As it should.
    Well,
    /// With an error: its chain.
    Badly(String),
    /// It was cut off by a crash.
    Crashed,
}

impl Ended {
    #[track_caller]
    pub(crate) fn ok(self) {
        assert_eq!(self, Self::Well);
    }
}

/// A lab in a hurry, and a store.
pub(crate) struct Room {
    pub(crate) flow: Arc<Flow>,
    ticker: JoinHandle<()>,
}

fn tick(clock: Clock, haste: u32) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut interval = tokio::time::interval(TICK);
        loop {
            interval.tick().await;
            clock.advance(TICK * (haste - 1));
        }
    })
}

impl Drop for Room {
    fn drop(&mut self) {
        self.ticker.abort();
    }
}

impl Room {
    pub(crate) async fn new() -> Self {
        let flow = Arc::new(Flow::start().await);
        let ticker = tick(flow.lab.clock().clone(), HASTE);
        Self { flow, ticker }
    }

    /// Makes the lab's time so many times as fast as ours.
    pub(crate) fn hurry(&mut self, haste: u32) {
        self.ticker.abort();
        self.ticker = tick(self.flow.lab.clock().clone(), haste);
    }

    pub(crate) fn lab(&self) -> &Lab {
        &self.flow.lab
    }

    /// Where a command can be cut: it is run once, to its end.
    pub(crate) async fn places(places: Places, command: Command) -> Vec<String> {
        let room = Self::new().await;
        if command != Command::Create {
            room.run(Command::Create).await.ok();
            room.prepare(command).await;
        }
        let knife = Arc::new(Knife::counting(places));
        room.cut(command, &knife).await.ok();
        room.leave().await;
        knife.seen()
    }

    /// Brings the machine into the state that a command finds.
    pub(crate) async fn prepare(&self, command: Command) {
        if command == Command::Start {
            self.run(Command::Stop).await.ok();
        }
    }

    /// Looks at a machine at which a command was cut. It can be reached at once, unless it was down; and
    /// the command, run again, comes to its end.
    pub(crate) async fn assert_usable(&self, command: Command, ended: &Ended) {
        if command != Command::Start {
            self.until_reached().await;
        }
        if *ended != Ended::Well {
            let repair = match command {
                Command::Start => Command::Provision,
                other => other,
            };
            if command == Command::Start {
                // It may run already, and then says so.
                self.run(Command::Start).await;
            }
            self.run(repair).await.ok();
        }
        self.run(Command::Config).await.ok();
    }

    /// Waits until the engine answers, with a certificate that this machine was given: it may be
    /// restarting just now, and then answers nobody, or nobody whole.
    pub(crate) async fn until_reached(&self) {
        let cx = Cx::new(Arc::<MemoryJournal>::default());
        let policy = WaitPolicy::every(Duration::from_millis(20), Duration::from_secs(20));
        let reached = wait_until_ready(&cx, "the engine", policy, || async {
            Ok::<_, Infallible>(match self.run(Command::Config).await {
                Ended::Well => Look::Ready(()),
                ended => Look::Pending(format!("{ended:?}")),
            })
        });
        reached.await.unwrap();
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, command: Command) -> Ended {
        let knife = Arc::new(Knife::counting(Places::Moments));
        self.cut(command, &knife).await
    }

    /// Runs a command under the knife.
    pub(crate) async fn cut(&self, command: Command, knife: &Arc<Knife>) -> Ended {
        let (flow, knife) = (self.flow.clone(), knife.clone());
        let process = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let library = library(&flow, &knife);
            let done = std::panic::catch_unwind(AssertUnwindSafe(|| {
                runtime.block_on(perform(command, &library, &flow))
            }));
            match done {
                Ok(Ok(())) => Ended::Well,
                Ok(Err(error)) => Ended::Badly(chain(&error)),
                Err(payload) if payload.is::<Crash>() => Ended::Crashed,
                Err(payload) => std::panic::resume_unwind(payload),
            }
        };
        let (tell, told) = tokio::sync::oneshot::channel();
        let thread = std::thread::Builder::new().stack_size(STACK);
        // Nobody listens any more where the test has failed meanwhile.
        thread.spawn(move || tell.send(process()).ok()).unwrap();
        told.await.unwrap()
    }

    /// Removes what is there and looks that nothing is left: first what a `rm` can see, then, when EC2
    /// shows all that it has, what it had to leave on record.
    pub(crate) async fn leave(&self) {
        if self.flow.home.machine(NAME).exists() {
            self.run(Command::Remove).await.ok();
        }
        if self.flow.home.tombstones() > 0 {
            self.lab().clock().advance(Duration::from_secs(6 * 60));
            self.lab().heal();
            // With the last tombstone gone it finds no place to ask any more, and says so.
            self.run(Command::Settle).await;
        }
        assert_eq!(self.lab().left_over(), Vec::<String>::new());
        assert_eq!(store::machines(&self.flow.home), Vec::<String>::new());
        assert_eq!(self.flow.home.tombstones(), 0);
    }
}

fn library(flow: &Flow, knife: &Arc<Knife>) -> Library {
    let base = flow.home.store();
    let settings = Settings {
        certificates: CertificatePaths::of_store(&base),
        store: base.clone(),
        user: "tester".to_owned(),
        ssh_agent: None,
        user_keys: Vec::new(),
    };
    let ambient = Arc::new(LabTime {
        clock: flow.lab.clock().clone(),
        begun: flow.lab.clock().now(),
        dice: SystemAmbient::new(),
    });
    let store = Store::new(base, ambient.clone()).with_hook(knife.clone());
    let kinds: Vec<Arc<dyn DriverKind>> = vec![Arc::new(AmazonEc2)];
    Library::new(settings, kinds, knife.clone(), knife.cancel())
        .with_ambient(ambient)
        .with_hook(knife.clone())
        .with_store(store)
}

async fn perform(
    command: Command,
    library: &Library,
    flow: &Flow,
) -> Result<(), libmachine::Error> {
    match command {
        Command::Create => library.create(request(flow)).await.map(|_| ()),
        Command::Start => library.start(NAME).await,
        Command::Stop => library.stop(NAME).await,
        Command::Provision => library.provision(NAME, Provisioning::default()).await,
        Command::RegenerateCerts => library.regenerate_certificates(NAME, false).await,
        Command::Config => library.connection(NAME, false).await.map(|_| ()),
        Command::Remove => {
            let options = RemoveOptions {
                force: false,
                places: vec![("amazonec2", options(flow))],
            };
            library.remove(NAME, &options).await.map(|_| ())
        }
        Command::Settle | Command::Prune => {
            let options = PruneOptions {
                force: true,
                older_than: match command {
                    Command::Settle => Duration::ZERO,
                    _ => Duration::from_secs(2 * 3600),
                },
                all_stores: false,
                tags: Vec::new(),
                place: None,
            };
            library.prune(&options).await.map(|_| ())
        }
    }
}

/// What the binary makes of the flags of a flow.
fn request(flow: &Flow) -> CreateRequest {
    CreateRequest {
        name: NAME.to_owned(),
        driver: "amazonec2".to_owned(),
        options: options(flow),
        engine: EngineOptions {
            tls_verify: true,
            install_url: "https://get.docker.com".to_owned(),
            ..EngineOptions::default()
        },
        swarm: SwarmOptions {
            host: "tcp://0.0.0.0:3376".to_owned(),
            ..SwarmOptions::default()
        },
        tls_sans: Vec::new(),
        hostname_override: String::new(),
        custom_install_script: String::new(),
        provisioning: Provisioning::default(),
    }
}

fn options(flow: &Flow) -> Options {
    let specs = AmazonEc2.flags();
    let mut flags = flow.flags();
    // The provider chain reads the process's environment, which here is the test's own.
    flags.push(format!(
        "--amazonec2-access-key={}",
        ec2_lab::ec2::ACCESS_KEY
    ));
    flags.push("--amazonec2-secret-key=SECRETEXAMPLE".to_owned());
    let given: BTreeMap<&'static str, OptionValue> = flags
        .iter()
        .filter_map(|flag| {
            let flag = flag.trim_start_matches("--");
            let (name, value) = flag.split_once('=').unwrap_or((flag, "true"));
            let spec = specs.iter().find(|spec| spec.name == name)?;
            let value = OptionValue {
                values: vec![value.to_owned()],
                from_env: None,
            };
            Some((spec.name, value))
        })
        .collect();
    Options::new(specs, given).unwrap()
}

fn chain(error: &dyn std::error::Error) -> String {
    let links = std::iter::successors(Some(error), |link| link.source());
    let texts: Vec<String> = links.map(ToString::to_string).collect();
    texts.join(": ")
}

/// The lab's time.
struct LabTime {
    clock: Clock,
    begun: SystemTime,
    dice: SystemAmbient,
}

#[async_trait]
impl Ambient for LabTime {
    fn now(&self) -> SystemTime {
        self.clock.now()
    }

    fn monotonic(&self) -> Duration {
        self.clock
            .now()
            .duration_since(self.begun)
            .unwrap_or_default()
    }

    async fn sleep(&self, duration: Duration) {
        self.clock.sleep_until(self.clock.now() + duration).await;
    }

    fn random(&self) -> u64 {
        self.dice.random()
    }
}
