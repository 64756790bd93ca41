//! The environment of a case: a separate home, store and EC2.
//!
//! The recording host had only loopback, so that nothing answered at 172.31.0.4. Here the endpoint assigns loopback
//! addresses without a listener: connections are refused likewise, and no other host is contacted.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use ec2_lab::ec2::{ACCOUNT, Cidr, Image, Lab};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

use crate::reference::case::{Call, Case};

/// The output of a `create` that has launched its instance and waits for a login. The recording was stopped at this
/// point.
const WAITS: &str = "Waiting for SSH to be available...";

/// A case that runs this long hangs.
const TOO_LONG: Duration = Duration::from_secs(60);

/// The result of a case, with the recording's placeholders.
#[derive(Debug)]
pub(crate) struct Replayed {
    /// `None`: the command waited for SSH, and was killed.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) files_left: Vec<String>,
    pub(crate) config: Option<Value>,
    pub(crate) wire: Vec<Call>,
}

/// Runs a case.
pub(crate) async fn replay(case: &Case) -> Replayed {
    let root = TempDir::with_prefix("reference-").unwrap();
    let loopback = |third| Cidr::new([127, 63, third, 0].into(), 24);
    let lab = Lab::builder()
        .loopback()
        .public_addresses([loopback(7)])
        .access_key("AK", ACCOUNT)
        .access_key(ec2_lab::ec2::ACCESS_KEY, ACCOUNT)
        .instance_profiles(["another"])
        .image(Image::new(
            "ami-1e749f67",
            "ubuntu",
            "099720109477",
            "x86_64",
            "ubuntu",
        ))
        .start()
        .await
        .unwrap();
    let home = Home {
        root: root.path().canonicalize().unwrap(),
        lab,
    };
    home.write(&case.files);
    for argv in &case.setup {
        home.run(argv, &BTreeMap::new(), "").await;
    }
    home.write(&case.files_after);
    home.lab.clear_calls();
    let (code, stdout, stderr) = home.run(&case.argv, &case.env, &case.stdin).await;
    let wire = home.lab.calls().into_iter().map(|call| Call {
        action: call.action,
        params: call
            .params
            .into_iter()
            .map(|(name, value)| (name, home.placed(&value)))
            .collect(),
    });
    Replayed {
        code,
        stdout: home.placed(&stdout),
        stderr: home.placed(&stderr),
        files_left: home.files_left(),
        config: home.config(),
        wire: wire.collect(),
    }
}

struct Home {
    root: PathBuf,
    lab: Lab,
}

impl Home {
    fn store(&self) -> PathBuf {
        self.root.join("store")
    }

    /// The value of each placeholder. If one value begins with another, the longer one comes first.
    fn placeholders(&self) -> Vec<(String, String)> {
        let mut all = vec![
            ("$STORE".to_owned(), self.store().display().to_string()),
            ("$ROOT".to_owned(), self.root.display().to_string()),
            ("http://127.0.0.1:5001".to_owned(), self.lab.endpoint()),
        ];
        for subnet in self.lab.subnets(ACCOUNT, "us-east-1") {
            let zone = subnet.zone.chars().last().unwrap();
            all.push((format!("$SUBNET_{zone}"), subnet.id));
            all.push(("$VPC".to_owned(), subnet.vpc));
        }
        all
    }

    /// Replaces a recording's placeholders with values.
    fn filled(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, value) in self.placeholders() {
            text = text.replace(&name, &value);
        }
        text
    }

    /// Replaces a run's values with placeholders.
    pub(crate) fn placed(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, value) in self.placeholders() {
            text = text.replace(&value, &name);
        }
        for instance in self.lab.instances() {
            text = text.replace(&instance.id, "$INSTANCE");
        }
        for group in self.lab.security_groups() {
            text = text.replace(&group.id, "$SG");
        }
        let addresses = regex::Regex::new(r"127\.(6[3-9]|[7-9]\d|1\d\d|2\d\d)\.\d+\.\d+").unwrap();
        addresses.replace_all(&text, "$$IP").into_owned()
    }

    fn write(&self, files: &BTreeMap<String, String>) {
        for (path, contents) in files {
            let path = PathBuf::from(self.filled(path));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, contents).unwrap();
        }
    }

    /// Runs the binary under its recorded name, until it ends or waits for SSH.
    async fn run(
        &self,
        argv: &[String],
        env: &BTreeMap<String, Option<String>>,
        stdin: &str,
    ) -> (Option<i32>, String, String) {
        let mut command = std::process::Command::new(machine_tests::binary());
        command
            .arg0("docker-machine")
            .args(argv.iter().map(|word| self.filled(word)))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.root)
            .env("USER", "tester")
            .env("SHELL", "/bin/bash")
            .env("TERM", "dumb")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("MACHINE_STORAGE_PATH", self.store())
            .current_dir(&self.root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for (name, value) in env {
            match value {
                Some(value) => command.env(name, self.filled(value)),
                None => command.env_remove(name),
            };
        }
        let mut child = Command::from(command).kill_on_drop(true).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        // A command that does not read its input closes it.
        let _ = input.write_all(stdin.as_bytes()).await;
        drop(input);
        let mut errors = child.stderr.take().unwrap();
        let stderr = tokio::spawn(async move {
            let mut bytes = Vec::new();
            errors.read_to_end(&mut bytes).await.map(|_| bytes)
        });
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut stdout = Vec::new();
        let reading = async {
            while output.read_until(b'\n', &mut stdout).await.unwrap() > 0 {
                if stdout.trim_ascii_end().ends_with(WAITS.as_bytes()) {
                    return true;
                }
            }
            false
        };
        let waits = tokio::time::timeout(TOO_LONG, reading).await;
        let waits = waits.unwrap_or_else(|_| panic!("still running after {TOO_LONG:?}: {argv:?}"));
        if waits {
            child.kill().await.unwrap();
        }
        let status = child.wait().await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            status.code(),
            text(&stdout),
            text(&stderr.await.unwrap().unwrap()),
        )
    }

    /// The files of the store, except those of this program alone, whose names or directories begin with a dot.
    fn files_left(&self) -> Vec<String> {
        let mut files = Vec::new();
        let mut directories = vec![self.store()];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.file_name().unwrap().to_string_lossy().starts_with('.') {
                    continue;
                }
                match path.is_dir() {
                    true => directories.push(path),
                    false => files.push(relative(&path, &self.store())),
                }
            }
        }
        files.sort();
        files
    }

    /// The `config.json` of the only machine.
    fn config(&self) -> Option<Value> {
        let machines = std::fs::read_dir(self.store().join("machines")).ok()?;
        let mut records = machines.map(|entry| entry.unwrap().path().join("config.json"));
        let text = std::fs::read_to_string(records.find(|record| record.is_file())?).ok()?;
        serde_json::from_str(&self.placed(&text)).ok()
    }
}

fn relative(path: &Path, base: &Path) -> String {
    path.strip_prefix(base).unwrap().display().to_string()
}
