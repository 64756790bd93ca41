//! SSH that never becomes ready. The error names the failed layer, and quotes the end of the console if the policy
//! allows it.
//!
//! A create waits for fifteen minutes. The command line runs in this process, with a clock that shortens this to
//! seconds. Everything else is as in the other flows.

use std::io::{Cursor, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use docker_machine::environment::Environment;
use docker_machine::output::console::{Console, Terminals};
use docker_machine::{World, run};
use ec2_lab::ec2::{ACCESS_KEY, Denial};
use ec2_lab::hosts::{HostOptions, Moment};
use libmachine::{Ambient, Cancel, SystemAmbient};
use machine_tests::flows::Flow;

/// The factor by which the clock is faster.
const FASTER: u32 = 120;

/// The last line on the console of the lab's hosts.
const CONSOLE: &str = "-----END SSH HOST KEY FINGERPRINTS-----";

/// The system's clock, accelerated.
struct Fast {
    real: SystemAmbient,
    begun: SystemTime,
}

#[async_trait]
impl Ambient for Fast {
    fn now(&self) -> SystemTime {
        self.begun + self.monotonic()
    }
    fn monotonic(&self) -> Duration {
        self.real.monotonic() * FASTER
    }
    async fn sleep(&self, duration: Duration) {
        self.real.sleep(duration / FASTER).await;
    }
    fn random(&self) -> u64 {
        self.real.random()
    }
}

/// A standard stream that a test can read.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Creates a machine on an accelerated clock. Returns the exit status and standard error.
async fn create(flow: &Flow) -> (u8, String) {
    let (out, err) = (Kept::default(), Kept::default());
    let mut args = vec!["docker-machine".to_owned(), "create".to_owned()];
    args.extend(flow.flags());
    args.extend([
        format!("--amazonec2-access-key={ACCESS_KEY}"),
        "--amazonec2-secret-key=SECRETEXAMPLE".to_owned(),
        "m1".to_owned(),
    ]);
    let store = flow.home.store().display().to_string();
    let world = World {
        args,
        environment: Environment::new([("MACHINE_STORAGE_PATH".to_owned(), store)]),
        home: Some(flow.home.path().to_owned()),
        directory: flow.home.path().to_owned(),
        console: Arc::new(Console::new(
            Box::new(out),
            Box::new(err.clone()),
            Terminals::default(),
        )),
        input: Arc::new(Mutex::new(Box::new(Cursor::new(Vec::new())))),
        ambient: Arc::new(Fast {
            real: SystemAmbient::new(),
            begun: SystemTime::now(),
        }),
        cancel: Cancel::new(),
        listen: |_| {},
    };
    let status = tokio::task::spawn_blocking(|| on_a_separate_thread(world));
    let status = status.await.unwrap();
    let text = err.0.lock().unwrap().clone();
    (status, String::from_utf8(text).unwrap())
}

/// Runs the command line as `main` does: on one thread, with the stack size of a main thread.
fn on_a_separate_thread(world: World) -> u8 {
    let main = std::thread::Builder::new().stack_size(8 << 20);
    let main = main.spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let status = runtime.block_on(run(world));
        runtime.shutdown_background();
        status.code()
    });
    main.unwrap().join().unwrap()
}

/// Asserts that a create fails with all these texts in its error, and leaves nothing.
async fn fails(options: HostOptions, said: &[&str]) -> String {
    let flow = Flow::with_hosts(options).await;
    let (status, err) = create(&flow).await;
    assert_eq!(status, 1, "{err}");
    for text in said {
        assert!(err.contains(text), "missing text: {text:?}\n{err}");
    }
    flow.assert_clean();
    err
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_port_is_reported() {
    let options = HostOptions {
        listens: Moment::WhenTold,
        ..HostOptions::default()
    };
    fails(
        options,
        &[
            "it got no further than the port",
            "refuses connections",
            "check the port",
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_banner_is_reported() {
    let options = HostOptions {
        greets: Moment::WhenTold,
        ..HostOptions::default()
    };
    fails(
        options,
        &["it got no further than the banner", "accepts connections"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_is_reported_with_the_console() {
    let options = HostOptions {
        accepts_key: Moment::WhenTold,
        ..HostOptions::default()
    };
    fails(
        options,
        &[
            "it got no further than the authentication",
            "refuses to log in",
            "check the user name",
            "the console of the machine ends with",
            CONSOLE,
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_that_the_policy_denies_is_not_mentioned() {
    let flow = Flow::with_hosts(HostOptions {
        listens: Moment::WhenTold,
        ..HostOptions::default()
    })
    .await;
    flow.lab.deny(Denial::of("ec2:GetConsoleOutput"));
    let (status, err) = create(&flow).await;
    assert_eq!(status, 1, "{err}");
    assert_eq!(flow.lab.count("GetConsoleOutput"), 1);
    assert!(err.contains("it got no further than the port"), "{err}");
    assert!(
        !err.contains("GetConsoleOutput") && !err.contains(CONSOLE),
        "{err}"
    );
    flow.assert_clean();
}
