//! Calls the cloud, creates and removes machines by child processes of the same executable, so that no lock, journal or
//! crash of theirs concerns the plugin itself.
//!
//! A child reads its [`Work`] from standard input as one line of JSON: secrets do not stand in its arguments. The end of
//! that stream cancels a create; a plugin that is killed cancels all of its creates this way. A child writes [`Told`]
//! lines to standard output, and its log to standard error.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use libmachine::{Cancel, Library, Member, MemberAccess, MemberState, PoolLock};
use machine_types::one_line;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc::UnboundedSender;

use crate::config::Config;
use crate::handshake;
use crate::log::{Level, Log};
use crate::machines::{CreateFailure, Machines, Orphans, Progress};

/// The command of the executable that does a child's work.
pub const COMMAND: &str = "fleeting-child";

/// The executable of this process, also after an upgrade has replaced the file (proc(5)).
const EXECUTABLE: &str = "/proc/self/exe";

/// How long Init waits for the lock of the pool: a plugin whose host was killed ends after ten seconds.
const LOCK: Duration = Duration::from_secs(13);

/// Timeout of a query of the states.
const STATES: Duration = Duration::from_secs(90);

/// The work of a child. Contains the secrets of `MachineOptions`.
#[derive(Serialize, Deserialize)]
pub struct Work {
    /// The root of the store, as `--storage-path` takes it; empty: the default.
    pub storage_path: PathBuf,
    /// The pool.
    pub config: Config,
    /// The task.
    pub task: Task,
}

/// The task of a child.
#[derive(Debug, Serialize, Deserialize)]
pub enum Task {
    /// Create the machine of this name.
    Create(String),
    /// Remove the machines of these names.
    Remove(Vec<String>),
    /// Query the states of the machines of these names.
    States(Vec<String>),
    /// Remove the pool's resources in the cloud that no machine of the store owns. Succeeds if none is left.
    RemoveOrphans,
}

/// A line of a child's standard output.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Told {
    /// The machine is ready.
    Created,
    /// The create failed, and was rolled back.
    NotCreated {
        /// The reason.
        reason: String,
        /// Whether the cloud has no capacity.
        is_capacity: bool,
    },
    /// The machine's instance is certainly ending.
    Ending(String),
    /// The machine is removed.
    Removed(String),
    /// The machine's state.
    State(String, MemberState),
    /// The cloud was searched for orphans, and some cannot be removed.
    Left,
}

/// Returns the arguments of `create` for a machine of a pool, without the command itself.
pub fn create_arguments(config: &Config, name: &str) -> Vec<String> {
    let options = config.options.iter().map(|option| format!("--{option}"));
    let mut arguments = vec![format!("--driver={}", config.driver)];
    arguments.extend(options);
    arguments.push(name.to_owned());
    arguments
}

/// The machines of a pool in a store.
pub struct Children {
    /// The pool.
    pub config: Config,
    /// The library over the pool's store.
    pub library: Library,
    /// The plugin's log, which includes the children's.
    pub log: Log,
    /// The pool's lock, while this process keeps the pool.
    pub lock: Mutex<Option<PoolLock>>,
    /// Whether the store is not where it was, which is logged once.
    pub is_lost: AtomicBool,
    /// Why states of instances are unknown, as logged.
    pub unknown: Mutex<BTreeSet<String>>,
}

impl Children {
    fn kept(&self) -> MutexGuard<'_, Option<PoolLock>> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, about: &[String], task: Task) -> io::Result<Running> {
        let work = Work {
            storage_path: self.library.store_root().to_owned(),
            config: self.config.clone(),
            task,
        };
        let mut command = Command::new(EXECUTABLE);
        command
            .arg0("docker-machine")
            .arg(COMMAND)
            .args(about)
            .env("MACHINE_LOG", "json")
            .env_remove(handshake::COOKIE_NAME)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        if matches!(work.task, Task::States(_)) {
            command.kill_on_drop(true);
        }
        let mut child = command.spawn()?;
        let missing = || io::Error::other("a child without its streams");
        let line = serde_json::to_vec(&work)?;
        Ok(Running {
            stdin: child.stdin.take().ok_or_else(missing)?,
            stdout: child.stdout.take().ok_or_else(missing)?,
            stderr: child.stderr.take().ok_or_else(missing)?,
            line,
            child,
        })
    }

    /// Runs a child to its end, and closes its standard input if `cancel` is set. Calls `told` for each line. Its errors
    /// have the given level in the log.
    async fn run(
        &self,
        running: Running,
        cancel: &Cancel,
        (instance, errors): (&str, Level),
        mut told: impl FnMut(Told) + Send,
    ) -> io::Result<ExitStatus> {
        let Running {
            mut child,
            mut stdin,
            stdout,
            stderr,
            mut line,
        } = running;
        line.push(b'\n');
        let input = async {
            // A child that ended early has told why.
            let _ = stdin.write_all(&line).await;
            let _ = stdin.flush().await;
            cancel.cancelled().await;
            drop(stdin);
            std::future::pending().await
        };
        let output = async {
            let mut lines = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if let Ok(line) = serde_json::from_str(&line) {
                    told(line);
                }
            }
        };
        let log = async {
            let mut lines = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                self.forward(instance, errors, &line);
            }
        };
        let ended = async {
            tokio::join!(output, log);
            child.wait().await
        };
        tokio::select! {
            never = input => never,
            ended = ended => ended,
        }
    }

    /// Writes that a child has not done its work.
    fn warn_of(&self, work: &str, ended: io::Result<ExitStatus>) {
        let why = match ended {
            Ok(status) => format!("its process ended with {status}"),
            Err(error) => error.to_string(),
        };
        let message = format!("{work} failed: {why}: it is repeated");
        self.log.line(Level::Warn, &message, &[]);
    }

    /// Writes a line of a child's log.
    fn forward(&self, instance: &str, errors: Level, line: &str) {
        let fields: Option<Value> = serde_json::from_str(line).ok();
        let text = |name: &str| fields.as_ref()?.get(name)?.as_str();
        match (text("level"), text("message"), &fields) {
            (Some(level), Some(message), _) => {
                // Its progress would be a dozen lines for each machine in the runner's log.
                let level = match Level::of(level) {
                    Level::Info => Level::Debug,
                    Level::Error => errors,
                    other => other,
                };
                self.log.about(level, instance, message);
            }
            // A finished operation, for MACHINE_TRACE.
            (_, _, Some(_)) => {}
            (_, _, None) => self.log.about(Level::Warn, instance, line),
        }
    }
}

/// A child whose work is not sent yet.
struct Running {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    stderr: ChildStderr,
    line: Vec<u8>,
}

#[async_trait]
impl Machines for Children {
    async fn open(&self) -> Result<Vec<Member>, String> {
        let name = &self.config.name;
        let lock = libmachine::lock_pool(&self.library, name, LOCK).await;
        *self.kept() = Some(lock.map_err(one_line)?);
        let is_member = |name: &str| self.config.is_member(name);
        let members = libmachine::pool_members(&self.library, name, is_member);
        members.await.map_err(one_line)
    }

    async fn remove_orphans(&self) -> Orphans {
        let mut is_left = false;
        let told = |told| is_left |= told == Told::Left;
        let ended = match self.start(&["prune".to_owned()], Task::RemoveOrphans) {
            Ok(running) => {
                let pool = (self.config.name.as_str(), Level::Warn);
                self.run(running, &Cancel::new(), pool, told).await
            }
            Err(error) => Err(error),
        };
        match ended {
            Ok(status) if status.success() => Orphans::None,
            Ok(_) if is_left => Orphans::Left,
            ended => {
                self.warn_of("the search for orphaned resources", ended);
                Orphans::Unknown
            }
        }
    }

    async fn create(&self, name: &str, cancel: &Cancel) -> Result<(), CreateFailure> {
        let task = Task::Create(name.to_owned());
        let mut result = None;
        let running = self.start(&["create".to_owned(), name.to_owned()], task);
        let ended = match running {
            Ok(running) => {
                let told = |told| result = Some(told);
                // The result has the same text.
                self.run(running, cancel, (name, Level::Debug), told).await
            }
            Err(error) => Err(error),
        };
        match (result, ended) {
            (Some(Told::Created), _) => Ok(()),
            (
                Some(Told::NotCreated {
                    reason,
                    is_capacity,
                }),
                _,
            ) => Err(CreateFailure {
                reason,
                is_capacity,
            }),
            (_, ended) => Err(CreateFailure {
                reason: match ended {
                    Ok(status) => {
                        format!("its process ended early: {status}")
                    }
                    Err(error) => format!("its process cannot run: {error}"),
                },
                is_capacity: false,
            }),
        }
    }

    async fn remove(&self, names: &[String], progress: UnboundedSender<Progress>) {
        let mut about = vec!["remove".to_owned()];
        about.extend_from_slice(names);
        let task = Task::Remove(names.to_vec());
        let told = |told| {
            let step = match told {
                Told::Ending(name) => Progress::Ending(name),
                Told::Removed(name) => Progress::Removed(name),
                _ => return,
            };
            // The receiver ends with this call.
            let _ = progress.send(step);
        };
        let all = names.join(" ");
        let ended = match self.start(&about, task) {
            Ok(running) => {
                let cancel = Cancel::new();
                self.run(running, &cancel, (&all, Level::Error), told).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = ended {
            let message = format!("its removal failed: {error}: the attempt is repeated");
            self.log.about(Level::Error, &all, &message);
        }
    }

    fn exists(&self, name: &str) -> bool {
        !libmachine::is_unknown(&self.library, name)
    }

    fn removed(&self, names: &BTreeSet<String>) -> BTreeSet<String> {
        // Before and after: its disk may be mounted in between.
        let was_in_place = libmachine::is_in_place(&self.library);
        let Ok(present) = self.library.names() else {
            return BTreeSet::new();
        };
        let present: BTreeSet<String> = present.into_iter().collect();
        let gone: BTreeSet<String> = names.difference(&present).cloned().collect();
        let is_in_place = was_in_place && libmachine::is_in_place(&self.library);
        let is_lost = !gone.is_empty() && !is_in_place;
        if self.is_lost.swap(is_lost, Ordering::Relaxed) != is_lost && is_lost {
            let text = "the store is not where it was (is its disk mounted?): nothing is known about its machines";
            self.log.line(Level::Warn, text, &[]);
        }
        if is_lost { BTreeSet::new() } else { gone }
    }

    async fn states(&self, names: &BTreeSet<String>) -> BTreeMap<String, MemberState> {
        let mut states = BTreeMap::new();
        let mut unknown = BTreeSet::new();
        let task = Task::States(names.iter().cloned().collect());
        let told = |told| match told {
            Told::State(_, MemberState::Unknown(why)) => drop(unknown.insert(why)),
            Told::State(name, state) => drop(states.insert(name, state)),
            _ => {}
        };
        let ended = match self.start(&["ls".to_owned()], task) {
            Ok(running) => {
                let pool = (self.config.name.as_str(), Level::Warn);
                let cancel = Cancel::new();
                let ended = self.run(running, &cancel, pool, told);
                // The child itself ends earlier.
                let ended = tokio::time::timeout(STATES, ended).await;
                ended.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            }
            Err(error) => Err(error),
        };
        if !matches!(&ended, Ok(status) if status.success()) {
            self.warn_of("the query of the cloud", ended);
        }
        // Each reason once, until there is an answer again.
        let mut told = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        for why in unknown.difference(&told) {
            let message = format!("states of instances are unknown: {why}");
            self.log.line(Level::Warn, &message, &[]);
        }
        *told = unknown;
        states
    }

    async fn access(&self, name: &str) -> Result<MemberAccess, String> {
        let access = libmachine::member_access(&self.library, name).await;
        access.map_err(one_line)
    }

    fn close(&self) {
        drop(self.kept().take());
    }
}
