//! The common parts of the whole-binary flows: a lab with hosts, a home directory, and runs of the binary with both.
//!
//! Owns the environment of a run (built here; of the test's own environment only `PATH` is inherited) and the queries
//! afterwards. Asserts only conditions that hold for every flow.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ec2_lab::ec2::{ACCESS_KEY, ACCOUNT, Builder, Lab};
use ec2_lab::hosts::{HostOptions, HostView, SimulatedHosts};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

use crate::suite::Suite;

/// The region of the flows.
pub const REGION: &str = "us-east-1";

/// The timeout of a run; on expiry the run is killed, and its test fails.
const TOO_LONG: Duration = Duration::from_secs(600);

/// The result of a run.
#[derive(Debug)]
pub struct Ended {
    /// The command line, for messages.
    pub argv: String,
    /// The exit status; none after a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
    /// Its duration.
    pub took: Duration,
}

impl Ended {
    /// Asserts success.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self}");
        self
    }

    /// Asserts this exit status, and that standard error contains each of these texts.
    #[track_caller]
    pub fn failed(self, code: i32, said: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        for text in said {
            assert!(self.err.contains(text), "not said: {text:?}\n{self}");
        }
        assert!(!self.err.contains("this is a bug"), "{self}");
        self
    }

    /// Prints the duration of this `create`, and the binary's own figure.
    ///
    /// # Panics
    /// The binary prints no figure.
    pub fn tell_time(&self, what: &str) {
        let line = self.out.lines().find(|line| line.starts_with("Created in"));
        let (seconds, line) = (self.took.as_secs_f64(), line.unwrap());
        crate::tell(&format!("create {what}: {seconds:.1} s ({line})"));
    }

    /// Returns the words of each line of standard output.
    pub fn table(&self) -> Vec<Vec<&str>> {
        let lines = self.out.lines();
        lines
            .map(|line| line.split_whitespace().collect())
            .collect()
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            argv,
            code,
            out,
            err,
            ..
        } = self;
        write!(
            f,
            "$ {argv}\nexit {code:?}\n--- stdout\n{out}\n--- stderr\n{err}"
        )
    }
}

/// A user's home directory with a store in it.
#[derive(Debug)]
pub struct Home {
    binary: PathBuf,
    directory: TempDir,
    environment: BTreeMap<OsString, OsString>,
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

impl Home {
    /// Makes a home directory without AWS credentials except the lab's, for the `docker-machine` under test.
    pub fn new() -> Self {
        Self::of(crate::binary())
    }

    /// Makes one for any `docker-machine`, a file of that name.
    pub fn of(binary: PathBuf) -> Self {
        let directory = TempDir::with_prefix("home-").unwrap();
        let home = directory.path();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let programs = binary.parent().unwrap().to_owned();
        let path = std::iter::once(programs).chain(std::env::split_paths(&path));
        let environment: [(&str, OsString); 8] = [
            ("PATH", std::env::join_paths(path).unwrap()),
            ("HOME", home.into()),
            ("USER", "tester".into()),
            ("SHELL", "/bin/bash".into()),
            ("TERM", "dumb".into()),
            ("MACHINE_STORAGE_PATH", home.join("store").into()),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY.into()),
            ("AWS_SECRET_ACCESS_KEY", "SECRETEXAMPLE".into()),
        ];
        let mut made = Self {
            binary,
            environment: environment.map(|(name, value)| (name.into(), value)).into(),
            directory,
        };
        made.set("AWS_EC2_METADATA_DISABLED", "true");
        made
    }

    /// Sets a variable for later runs.
    pub fn set(&mut self, name: &str, value: impl AsRef<OsStr>) {
        let value = value.as_ref().to_owned();
        self.environment.insert(name.into(), value);
    }

    /// Returns the variables of its runs.
    pub fn environment(&self) -> &BTreeMap<OsString, OsString> {
        &self.environment
    }

    /// Returns the `docker-machine` of its runs.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// Removes a variable.
    pub fn unset(&mut self, name: &str) {
        self.environment.remove(OsStr::new(name));
    }

    /// Returns the home directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Returns the store's root.
    pub fn store(&self) -> PathBuf {
        PathBuf::from(&self.environment[OsStr::new("MACHINE_STORAGE_PATH")])
    }

    /// Returns a machine's directory.
    pub fn machine(&self, name: &str) -> PathBuf {
        self.store().join("machines").join(name)
    }

    /// Writes a file in the home directory; returns its path.
    pub fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, contents).unwrap();
        path
    }

    /// Returns the machines' directories, including half-created and half-removed ones.
    pub fn directories(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.store().join("machines")) else {
            return Vec::new();
        };
        entries
            .map(Result::unwrap)
            .filter(|entry| entry.file_type().unwrap().is_dir())
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect()
    }

    /// Makes all times of a machine's journal ten minutes older: beyond EC2's consistency window for new resources.
    ///
    /// # Panics
    /// There is no journal.
    pub fn age_journal(&self, name: &str) {
        let file = self.machine(name).join(".journal");
        let journal = std::fs::read_to_string(&file).unwrap();
        let older = journal.lines().map(|line| {
            let mut entry: serde_json::Value = serde_json::from_str(line).unwrap();
            entry["at"] = (entry["at"].as_u64().unwrap() - 600_000).into();
            format!("{entry}\n")
        });
        std::fs::write(&file, older.collect::<String>()).unwrap();
    }

    /// Returns the number of tombstones in the store.
    pub fn tombstones(&self) -> usize {
        std::fs::read_dir(self.store().join(".tombstones")).map_or(0, Iterator::count)
    }

    /// Runs `docker-machine`.
    pub async fn run<S: AsRef<OsStr>>(&self, argv: impl IntoIterator<Item = S>) -> Ended {
        self.feed(argv, b"").await
    }

    /// Runs `docker-machine` with this standard input.
    pub async fn feed<S: AsRef<OsStr>>(
        &self,
        argv: impl IntoIterator<Item = S>,
        input: &[u8],
    ) -> Ended {
        let mut command = Command::new(&self.binary);
        command.args(argv);
        self.end(command, input).await
    }

    /// Runs a line in bash, which finds `docker-machine` in its `PATH`.
    pub async fn shell(&self, line: &str) -> Ended {
        let mut command = Command::new("bash");
        command.args(["-euc", line]);
        self.end(command, b"").await
    }

    /// Starts `docker-machine`, for a test that does not wait for its end. Discards its output; dropping it kills it.
    pub fn start<S: AsRef<OsStr>>(&self, argv: impl IntoIterator<Item = S>) -> Child {
        self.command(argv).spawn().unwrap()
    }

    /// Returns a `docker-machine` command that is not started yet, for a test that reads its output.
    pub fn command<S: AsRef<OsStr>>(&self, argv: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(&self.binary);
        self.surround(command.args(argv))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// Sets the environment of a program, and kills it when it is dropped.
    pub fn surround<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env_clear()
            .envs(&self.environment)
            .current_dir(self.path())
            .kill_on_drop(true)
    }

    /// Runs any program in this environment to its end.
    pub async fn end(&self, mut command: Command, input: &[u8]) -> Ended {
        let argv = command.as_std();
        let words = std::iter::once(argv.get_program()).chain(argv.get_args());
        let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
        let argv = words.join(" ");
        let begun = Instant::now();
        let mut child = self
            .surround(&mut command)
            .stdin(if input.is_empty() {
                Stdio::null()
            } else {
                Stdio::piped()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{argv}: {error}"));
        let stdin = child.stdin.take();
        let fed = async {
            if let Some(mut stdin) = stdin {
                // A program that does not read its input closes the pipe.
                let _ = stdin.write_all(input).await;
            }
        };
        let both = async { tokio::join!(child.wait_with_output(), fed).0.unwrap() };
        let output = tokio::time::timeout(TOO_LONG, both).await;
        let output = output.unwrap_or_else(|_| panic!("still running after {TOO_LONG:?}: {argv}"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ended {
            argv,
            code: output.status.code(),
            out: text(&output.stdout),
            err: text(&output.stderr),
            took: begun.elapsed(),
        }
    }
}

/// An EC2 with simulated hosts, and a home directory for the binary.
#[derive(Debug)]
pub struct Flow {
    /// The hosts of the endpoint. Dropped first: the lab keeps their addresses until then.
    pub hosts: Arc<SimulatedHosts>,
    /// The endpoint.
    pub lab: Lab,
    /// The home directory of the binary.
    pub home: Home,
}

impl Flow {
    /// Starts a flow whose hosts are a Debian 12 with Docker.
    pub async fn start() -> Self {
        Self::with(HostOptions::default(), |lab| lab).await
    }

    /// Starts a flow with other hosts.
    pub async fn with_hosts(options: HostOptions) -> Self {
        Self::with(options, |lab| lab).await
    }

    /// Starts a flow with other hosts and another endpoint.
    pub async fn with(options: HostOptions, change: impl FnOnce(Builder) -> Builder) -> Self {
        let hosts = Arc::new(SimulatedHosts::new(options).unwrap());
        let lab = change(Lab::builder().loopback().hosts(hosts.clone()));
        Self {
            lab: lab.start().await.unwrap(),
            hosts,
            home: Home::new(),
        }
    }

    /// Returns the flags of a create with the lab's endpoint and defaults otherwise.
    pub fn flags(&self) -> Vec<String> {
        let mut flags = endpoint_flags(&self.lab.endpoint());
        flags.push("--amazonec2-ssh-port=2222".to_owned());
        flags
    }

    /// Returns those flags, plus all ids.
    pub fn flags_with_ids(&self) -> Vec<String> {
        let mut flags = self.flags();
        flags.extend(ids(&self.lab));
        flags
    }

    /// Returns the suite of flows that must pass on any EC2, on this one.
    pub fn suite(&self) -> Suite<'_> {
        Suite {
            home: &self.home,
            hosts: &self.hosts,
            flags: self.flags(),
            restarts: true,
        }
    }

    /// Creates a machine with these flags besides [`flags`](Self::flags).
    pub async fn create(&self, name: &str, more: &[&str]) -> Ended {
        self.home.run(self.creating(name, more)).await
    }

    /// Returns the command of [`create`](Self::create), for a test that does not wait for its end.
    pub fn creating(&self, name: &str, more: &[&str]) -> Vec<String> {
        let mut argv = vec!["create".to_owned()];
        argv.extend(self.flags());
        argv.extend(more.iter().map(|flag| (*flag).to_owned()));
        argv.push(name.to_owned());
        argv
    }

    /// Returns the only host.
    #[track_caller]
    pub fn host(&self) -> HostView {
        let mut hosts = self.hosts.hosts();
        assert_eq!(hosts.len(), 1);
        hosts.remove(0)
    }

    /// Waits until the ID of a machine's instance is on record.
    pub async fn on_record(&self, name: &str) {
        let config = self.home.machine(name).join("config.json");
        let has_id = || {
            let text = std::fs::read_to_string(&config).unwrap_or_default();
            text.contains("\"InstanceId\": \"i-")
        };
        self.lab.until(|_| has_id()).await;
    }

    /// Waits until the only host is on, and makes its sshd listen.
    pub async fn let_listen(&self) {
        let is_on = || self.hosts.hosts().iter().any(HostView::is_on);
        self.lab.until(|_| is_on()).await;
        self.host().let_listen();
    }

    /// Returns the names of the EC2 calls that changed something, in order.
    pub fn changes(&self) -> Vec<String> {
        let reads = ["Describe", "Get"];
        let calls = self.lab.calls().into_iter().map(|call| call.action);
        calls
            .filter(|action| !reads.iter().any(|read| action.starts_with(read)))
            .collect()
    }

    /// Asserts that no machine has left resources at EC2 or files in the store.
    #[track_caller]
    pub fn assert_clean(&self) {
        assert_eq!(self.lab.left_over(), Vec::<String>::new());
        assert_eq!(self.home.directories(), Vec::<String>::new());
        assert_eq!(self.home.tombstones(), 0);
    }
}

/// Returns the flags for an endpoint whose hosts are reachable only at their private addresses.
pub fn endpoint_flags(endpoint: &str) -> Vec<String> {
    vec![
        "--driver=amazonec2".to_owned(),
        format!("--amazonec2-endpoint={endpoint}"),
        format!("--amazonec2-region={REGION}"),
        format!("--amazonec2-zone={REGION}a"),
        "--amazonec2-use-private-address".to_owned(),
    ]
}

/// Returns the flags that set every id: no lookup is needed.
///
/// # Panics
/// The lab has no subnet.
pub fn ids(lab: &Lab) -> [String; 6] {
    let subnets = lab.subnets(ACCOUNT, REGION);
    let subnet = subnets.first().unwrap();
    [
        format!("--amazonec2-vpc-id={}", subnet.vpc),
        format!("--amazonec2-subnet-id={}", subnet.id),
        format!("--amazonec2-zone={}", subnet.zone),
        "--amazonec2-ami=ami-1e749f67".to_owned(),
        "--amazonec2-security-group=default".to_owned(),
        "--amazonec2-security-group-readonly".to_owned(),
    ]
}
