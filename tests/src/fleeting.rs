//! The host of a fleeting plugin: GitLab's own library, in the Go program `tests/go/fleeting-host`.
//!
//! Starts the plugin as GitLab Runner does, and calls it either one RPC at a time or by the library's own loop. Reads
//! the plugin's log from the host's.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{oneshot, watch};

use crate::flows::{Flow, Home};

/// The timeout of a call and of every wait.
const TOO_LONG: Duration = Duration::from_secs(120);

/// The interval of the Updates of [`FleetingHost::until`]. The library's own is two seconds.
const UPDATES: Duration = Duration::from_millis(50);

/// The states of all instances by their id, as one Update reported them.
pub type States = BTreeMap<String, String>;

/// The result of a call.
#[derive(Debug)]
pub struct Answer {
    /// Its duration, measured by the host.
    pub took: Duration,
    /// The answer, or the error of the RPC.
    pub result: Result<Value, String>,
}

impl Answer {
    /// Returns the answer.
    ///
    /// # Panics
    /// The call failed.
    #[track_caller]
    pub fn ok(self) -> Value {
        self.result.unwrap()
    }

    /// Returns the error.
    ///
    /// # Panics
    /// The call succeeded.
    #[track_caller]
    pub fn error(self) -> String {
        self.result.unwrap_err()
    }
}

/// A line of the plugin's log.
#[derive(Debug, Clone)]
pub struct Log {
    /// `trace`, `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// The message.
    pub message: String,
    /// The other keys.
    pub fields: Value,
}

#[derive(Debug, Default)]
struct Heard {
    logs: Vec<Log>,
    plugin: Option<Pid>,
    started: Option<Result<Duration, String>>,
    ended: bool,
}

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Answer>>>>;

/// A host with its plugin. Dropping it kills both.
#[derive(Debug)]
pub struct FleetingHost {
    child: Child,
    input: tokio::sync::Mutex<Option<ChildStdin>>,
    next: AtomicU64,
    waiting: Waiting,
    heard: watch::Receiver<Heard>,
    /// The time from the start of the plugin's process to the first connection.
    pub handshake: Duration,
    /// The plugin's process.
    pub plugin: Pid,
}

impl FleetingHost {
    /// Starts a plugin with this `plugin_config`, or prints that the test is skipped.
    ///
    /// # Panics
    /// The plugin does not start.
    pub async fn start(home: &Home, plugin: &Path, config: &Value, what: &str) -> Option<Self> {
        let program = crate::go::program("fleeting-host", what)?;
        let mut command = Command::new(program);
        home.surround(&mut command)
            .arg("-plugin")
            .arg(plugin)
            .arg("-config")
            .arg(config.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (told, mut heard) = watch::channel(Heard::default());
        let waiting = Waiting::default();
        tokio::spawn(listen(
            child.stdout.take().unwrap(),
            told,
            Arc::clone(&waiting),
        ));
        let started = heard.wait_for(|heard| heard.started.is_some() || heard.ended);
        let started = tokio::time::timeout(TOO_LONG, started).await.unwrap();
        let (started, plugin) = {
            let heard = started.unwrap();
            (heard.started.clone(), heard.plugin)
        };
        let handshake = started.expect("the host ended").unwrap();
        Some(Self {
            input: tokio::sync::Mutex::new(child.stdin.take()),
            child,
            next: AtomicU64::new(1),
            waiting,
            heard,
            handshake,
            plugin: plugin.unwrap(),
        })
    }

    /// Sends a command; see `tests/go/fleeting-host` for their names. Commands run at the same time.
    ///
    /// # Panics
    /// The host has ended, or does not answer.
    pub async fn call(&self, what: &str, mut command: Value) -> Answer {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        command["id"] = id.into();
        command["do"] = what.into();
        let (sender, answer) = oneshot::channel();
        self.waiting.lock().unwrap().insert(id, sender);
        {
            let mut input = self.input.lock().await;
            let line = format!("{command}\n");
            let input = input.as_mut().expect("the host was stopped");
            input.write_all(line.as_bytes()).await.unwrap();
        }
        let answer = tokio::time::timeout(TOO_LONG, answer).await;
        let answer = answer.unwrap_or_else(|_| panic!("no answer to {command}"));
        answer.unwrap_or_else(|_| panic!("the host ended before it answered {command}"))
    }

    /// Initializes the plugin without the library's loop.
    pub async fn init(&self) -> Answer {
        self.call("init", json!({})).await
    }

    /// Returns the states of all instances.
    pub async fn update(&self) -> States {
        states(&self.call("update", json!({})).await.ok())
    }

    /// Requests instances; returns how many the plugin promises.
    pub async fn increase(&self, n: usize) -> Answer {
        self.call("increase", json!({ "n": n })).await
    }

    /// Removes instances; returns the accepted ids.
    pub async fn decrease<S: AsRef<str>>(&self, ids: impl IntoIterator<Item = S>) -> Answer {
        let ids: Vec<_> = ids.into_iter().map(|id| id.as_ref().to_owned()).collect();
        self.call("decrease", json!({ "instances": ids })).await
    }

    /// Runs a command on an instance, through the library's connector; returns its `code`, `stdout` and `stderr`.
    pub async fn run(&self, id: &str, command: &str) -> Answer {
        self.call("run", json!({ "instance": id, "command": command }))
            .await
    }

    /// Sends a request to an instance's `docker.sock` through SSH; returns its `status` and `body`.
    pub async fn docker(&self, id: &str, method: &str, path: &str, body: Option<Value>) -> Answer {
        let mut request = json!({ "instance": id, "method": method, "path": path });
        if let Some(body) = body {
            request["body"] = body;
        }
        self.call("docker", request).await
    }

    /// Waits until an Update reports this.
    ///
    /// # Panics
    /// No Update does.
    pub async fn until(&self, condition: impl Fn(&States) -> bool) -> States {
        let mut last = States::new();
        let met = async {
            let mut tick = tokio::time::interval(UPDATES);
            loop {
                tick.tick().await;
                last = self.update().await;
                if condition(&last) {
                    return;
                }
            }
        };
        let met = tokio::time::timeout(TOO_LONG, met).await;
        assert!(met.is_ok(), "{last:?}\n{:#?}", self.logs());
        last
    }

    /// Waits until as many instances run, and no other exists.
    pub async fn until_running(&self, n: usize) -> States {
        self.until(|states| states.len() == n && states.values().all(|state| state == "running"))
            .await
    }

    /// Waits until no instance is left.
    pub async fn until_none(&self) {
        self.until(|states| states.values().all(|state| state == "deleted"))
            .await;
    }

    /// Returns the plugin's log.
    pub fn logs(&self) -> Vec<Log> {
        self.heard.borrow().logs.clone()
    }

    /// Waits until the plugin has logged a warning or an error whose message or fields contain this.
    ///
    /// # Panics
    /// It does not.
    pub async fn logged(&self, text: &str) -> Log {
        let mut heard = self.heard.clone();
        let found = |log: &&Log| {
            matches!(log.level.as_str(), "warn" | "error")
                && (log.message.contains(text) || log.fields.to_string().contains(text))
        };
        let is_there =
            heard.wait_for(|heard| heard.ended || heard.logs.iter().any(|log| found(&log)));
        let result = tokio::time::timeout(TOO_LONG, is_there).await;
        drop(result);
        let logs = self.logs();
        let log = logs.iter().find(found).cloned();
        log.unwrap_or_else(|| panic!("not logged: {text:?}\n{logs:#?}"))
    }

    /// Sends a signal to the plugin alone.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.plugin, signal).unwrap();
    }

    /// Returns whether the plugin's process exists. The host waits for it.
    pub fn plugin_lives(&self) -> bool {
        test_kill_process(self.plugin).is_ok()
    }

    /// Ends plugin and host as GitLab Runner ends a plugin: by its Shutdown, and SIGKILL after two seconds.
    ///
    /// # Panics
    /// The host does not end.
    pub async fn stop(mut self) {
        self.input.lock().await.take();
        let ended = tokio::time::timeout(TOO_LONG, self.child.wait()).await;
        assert!(ended.unwrap().unwrap().success());
    }

    /// Kills the host. The plugin has to notice.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }
}

impl Drop for FleetingHost {
    fn drop(&mut self) {
        // Without a host nothing waits for the plugin: after a test that failed, it may exist or not.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process(self.plugin, Signal::KILL);
        }
    }
}

/// Reads the states of an Update.
fn states(answer: &Value) -> States {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let states = answer.as_array().unwrap().iter();
    states
        .map(|state| (text(&state["id"]), text(&state["state"])))
        .collect()
}

async fn listen(output: ChildStdout, heard: watch::Sender<Heard>, waiting: Waiting) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let line: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
        let took = Duration::from_secs_f64(line["ms"].as_f64().unwrap_or_default() / 1000.0);
        let error = line["error"].as_str().map(str::to_owned);
        if let Some(id) = line["id"].as_u64() {
            let result = error.map_or_else(|| Ok(line["answer"].clone()), Err);
            if let Some(sender) = waiting.lock().unwrap().remove(&id) {
                // A test may give up waiting.
                let _ = sender.send(Answer { took, result });
            }
        } else if line["started"].is_boolean() {
            heard.send_modify(|heard| heard.started = Some(error.map_or(Ok(took), Err)));
        } else {
            heard.send_modify(|heard| note(heard, &line["log"]));
        }
    }
    // Calls without an answer fail now.
    waiting.lock().unwrap().clear();
    heard.send_modify(|heard| heard.ended = true);
}

/// Sorts a line of the host's log: the plugin's lines are those of a logger that go-plugin names after the
/// executable.
fn note(heard: &mut Heard, line: &Value) {
    let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
    if line["@message"] == "plugin started" {
        let id = line["pid"].as_i64().and_then(|id| i32::try_from(id).ok());
        heard.plugin = id.and_then(Pid::from_raw);
    }
    let module = text("@module");
    if module == "fleeting-plugin"
        || module == "fleeting-plugin.stdio"
        || line["@message"] == "plugin address"
    {
        return;
    }
    let mut fields = line.clone();
    fields
        .as_object_mut()
        .unwrap()
        .retain(|key, _| !key.starts_with('@'));
    heard.logs.push(Log {
        level: text("@level"),
        message: text("@message"),
        fields,
    });
}

/// What is left out without Go.
const WHAT: &str = "the fleeting plugin with GitLab's library";

/// Returns the plugin's executable: the `docker-machine` of a home directory under the plugin's name.
pub fn plugin(home: &Home) -> PathBuf {
    let link = home.path().join("fleeting-plugin-docker-machine");
    if !link.exists() {
        std::os::unix::fs::symlink(home.binary(), &link).unwrap();
    }
    link
}

/// Returns a `plugin_config` of pool `ci` with these flags of `create`, and other keys.
pub fn config(flags: &[String], more: Value) -> Value {
    let options = flags.iter().map(|flag| flag.trim_start_matches("--"));
    let options = options.filter(|option| !option.starts_with("driver="));
    let mut config = json!({
        "name": "ci",
        "MachineDriver": "amazonec2",
        "MachineName": "machine-%s",
        "MachineOptions": options.collect::<Vec<_>>(),
    });
    let more = more.as_object().unwrap().clone();
    config.as_object_mut().unwrap().extend(more);
    config
}

/// Starts and initializes the plugin in a flow, with pool `ci` and these keys.
pub async fn pool(flow: &Flow, more: Value) -> Option<FleetingHost> {
    let config = config(&flow.flags_with_ids(), more);
    let host = FleetingHost::start(&flow.home, &plugin(&flow.home), &config, WHAT).await?;
    host.init().await.ok();
    Some(host)
}

/// Returns the ids and command lines of the processes with this home directory.
pub fn processes(home: &Home) -> BTreeMap<u32, String> {
    let home = format!("HOME={}", home.path().display()).into_bytes();
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let name = entry.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A process may end at any time; a zombie has neither.
        let read = |file| std::fs::read(entry.path().join(file)).unwrap_or_default();
        if read("environ")
            .split(|byte| *byte == 0)
            .any(|variable| variable == home)
        {
            let line = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
            found.insert(id, line);
        }
    }
    found
}

/// Waits until no process has this home directory; returns how long that took.
///
/// # Panics
/// Some remain.
pub async fn all_gone(home: &Home) -> Duration {
    let begun = std::time::Instant::now();
    let mut tick = tokio::time::interval(UPDATES);
    while !processes(home).is_empty() {
        assert!(begun.elapsed() < TOO_LONG, "{:#?}", processes(home));
        tick.tick().await;
    }
    begun.elapsed()
}
