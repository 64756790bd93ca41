//! Commands without their process: the library, the store and the real driver. Each command runs on its own thread
//! and runtime, which a simulated crash discards. They use the lab's time, which runs faster than real time.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use driver_amazonec2::AmazonEc2;
use ec2_lab::ec2::{Clock, Lab};
use libmachine::{
    Ambient, CertificatePaths, CreateRequest, HostKeyPolicy, Library, Provisioning, PruneOptions,
    RemoveOptions, Settings, SystemAmbient,
};
use machine_driver::{DriverKind, OptionValue, Options};
use machine_ops::{Cx, Look, MemoryJournal, WaitPolicy, wait_until_ready};
use machine_store::{EngineOptions, Store, SwarmOptions};
use machine_tests::flows::Flow;
use tokio::task::JoinHandle;

use crate::fault_injection::{Crash, FaultInjector, Places};
use crate::store;

/// The ratio of the lab's time to real time.
const SPEEDUP: u32 = 10;

/// The interval at which the lab's clock is advanced.
const TICK: Duration = Duration::from_millis(5);

/// The stack size of a process's main thread (`ulimit -s`); other threads have a quarter.
const STACK: usize = 8 << 20;

/// The machine of every fixture.
pub(crate) const NAME: &str = "m1";

/// A command on the machine.
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
    PruneTombstones,
    /// The timer's command: `prune --force` of resources that have been unused for two hours.
    Prune,
}

impl Command {
    /// The commands that change an existing machine.
    pub(crate) const CHANGES: [Self; 3] = [Self::Start, Self::Provision, Self::RegenerateCerts];
}

/// The result of a command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Success.
    Succeeded,
    /// Failure, with the error chain.
    Failed(String),
    /// Interrupted by a simulated crash.
    Crashed,
}

impl Ended {
    #[track_caller]
    pub(crate) fn ok(self) {
        assert_eq!(self, Self::Succeeded);
    }
}

/// A lab with fast time, and a store.
pub(crate) struct Fixture {
    pub(crate) flow: Arc<Flow>,
    ticker: JoinHandle<()>,
}

fn tick(clock: Clock, speedup: u32) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut interval = tokio::time::interval(TICK);
        loop {
            interval.tick().await;
            clock.advance(TICK * (speedup - 1));
        }
    })
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.ticker.abort();
    }
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let flow = Arc::new(Flow::start().await);
        let ticker = tick(flow.lab.clock().clone(), SPEEDUP);
        Self { flow, ticker }
    }

    /// Sets the ratio of the lab's time to real time.
    pub(crate) fn set_speedup(&mut self, speedup: u32) {
        self.ticker.abort();
        self.ticker = tick(self.flow.lab.clock().clone(), speedup);
    }

    pub(crate) fn lab(&self) -> &Lab {
        &self.flow.lab
    }

    /// Returns the places of a command: of the shorter of two complete runs, since a run on a busy computer may read a
    /// file once more.
    pub(crate) async fn places(places: Places, command: Command) -> Vec<String> {
        let one = Self::places_of_a_run(places, command).await;
        let other = Self::places_of_a_run(places, command).await;
        if other.len() < one.len() { other } else { one }
    }

    async fn places_of_a_run(places: Places, command: Command) -> Vec<String> {
        let fixture = Self::new().await;
        if command != Command::Create {
            fixture.run(Command::Create).await.ok();
            fixture.prepare(command).await;
        }
        let fault_injection = Arc::new(FaultInjector::counting(places));
        fixture.cut(command, &fault_injection).await.ok();
        fixture.leave().await;
        fault_injection.seen()
    }

    /// Brings the machine into the state that a command requires.
    pub(crate) async fn prepare(&self, command: Command) {
        if command == Command::Start {
            self.run(Command::Stop).await.ok();
        }
    }

    /// Checks a machine after an injected fault. It is reachable at once, unless it was down; and the command
    /// succeeds when it is run again.
    pub(crate) async fn assert_usable(&self, command: Command, ended: &Ended) {
        if command != Command::Start {
            self.until_reached().await;
        }
        if *ended != Ended::Succeeded {
            let repair = match command {
                Command::Start => Command::Provision,
                other => other,
            };
            if command == Command::Start {
                // If the machine runs already, the command returns an error.
                self.run(Command::Start).await;
            }
            self.run(repair).await.ok();
        }
        self.run(Command::Config).await.ok();
    }

    /// Waits until the engine answers with a certificate that was issued to this machine: it may be restarting just
    /// now, and then gives no answer or an incomplete one.
    pub(crate) async fn until_reached(&self) {
        let cx = Cx::new(Arc::<MemoryJournal>::default());
        let policy = WaitPolicy::every(Duration::from_millis(20), Duration::from_secs(20));
        let reached = wait_until_ready(&cx, "the engine", policy, || async {
            Ok::<_, Infallible>(match self.run(Command::Config).await {
                Ended::Succeeded => Look::Ready(()),
                ended => Look::Pending(format!("{ended:?}")),
            })
        });
        reached.await.unwrap();
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, command: Command) -> Ended {
        let fault_injection = Arc::new(FaultInjector::counting(Places::Moments));
        self.cut(command, &fault_injection).await
    }

    /// Runs a command under the fault injector.
    pub(crate) async fn cut(
        &self,
        command: Command,
        fault_injection: &Arc<FaultInjector>,
    ) -> Ended {
        let (flow, fault_injection) = (self.flow.clone(), fault_injection.clone());
        let process = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let library = library(&flow, &fault_injection);
            let done = std::panic::catch_unwind(AssertUnwindSafe(|| {
                runtime.block_on(perform(command, &library, &flow))
            }));
            match done {
                Ok(Ok(())) => Ended::Succeeded,
                Ok(Err(error)) => Ended::Failed(chain(&error)),
                Err(payload) if payload.is::<Crash>() => Ended::Crashed,
                Err(payload) => std::panic::resume_unwind(payload),
            }
        };
        let (tell, told) = tokio::sync::oneshot::channel();
        let thread = std::thread::Builder::new().stack_size(STACK);
        // The receiver may be gone if the test has failed meanwhile.
        thread.spawn(move || tell.send(process()).ok()).unwrap();
        told.await.unwrap()
    }

    /// Removes the machine and checks that nothing is left: first the resources that `rm` can see, then, when EC2
    /// shows everything, those that it had to leave in the journal.
    pub(crate) async fn leave(&self) {
        if self.flow.home.machine(NAME).exists() {
            self.run(Command::Remove).await.ok();
        }
        if self.flow.home.tombstones() > 0 {
            self.lab().clock().advance(Duration::from_secs(6 * 60));
            self.lab().heal();
            // After the last tombstone, prune finds no scope to query, and reports it.
            self.run(Command::PruneTombstones).await;
        }
        assert_eq!(self.lab().left_over(), Vec::<String>::new());
        assert_eq!(store::machines(&self.flow.home), Vec::<String>::new());
        assert_eq!(self.flow.home.tombstones(), 0);
    }
}

fn library(flow: &Flow, fault_injection: &Arc<FaultInjector>) -> Library {
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
        random: SystemAmbient::new(),
    });
    let store = Store::new(base, ambient.clone()).with_hook(fault_injection.clone());
    let kinds: Vec<Arc<dyn DriverKind>> = vec![Arc::new(AmazonEc2)];
    Library::new(
        settings,
        kinds,
        fault_injection.clone(),
        fault_injection.cancel(),
    )
    .with_ambient(ambient)
    .with_hook(fault_injection.clone())
    .with_store(store)
}

async fn perform(
    command: Command,
    library: &Library,
    flow: &Flow,
) -> Result<(), libmachine::Error> {
    match command {
        Command::Create => libmachine::create(library, request(flow)).await.map(|_| ()),
        Command::Start => libmachine::start(library, NAME).await,
        Command::Stop => libmachine::stop(library, NAME).await,
        Command::Provision => libmachine::provision(library, NAME, Provisioning::default()).await,
        Command::RegenerateCerts => {
            libmachine::regenerate_certificates(library, NAME, false, HostKeyPolicy::Pinned).await
        }
        Command::Config => {
            let mut machine = library.open(NAME).await?;
            libmachine::connection(library, &mut machine, false)
                .await
                .map(|_| ())
        }
        Command::Remove => {
            let options = RemoveOptions {
                force: false,
                places: vec![("amazonec2", options(flow))],
            };
            libmachine::remove(library, NAME, &options)
                .await
                .map(|_| ())
        }
        Command::PruneTombstones | Command::Prune => {
            let options = PruneOptions {
                force: true,
                older_than: match command {
                    Command::PruneTombstones => Duration::ZERO,
                    _ => Duration::from_secs(2 * 3600),
                },
                all_stores: false,
                tags: Vec::new(),
                place: None,
            };
            libmachine::prune(library, &options).await.map(|_| ())
        }
    }
}

/// Returns the request that the binary makes from the flags of a flow.
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
        pool: None,
        limit: libmachine::CREATE_LIMIT,
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
    random: SystemAmbient,
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
        self.random.random()
    }
}
