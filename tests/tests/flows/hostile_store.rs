//! Objects in a store in place of a regular file. No command blocks on them, reads more of them than the file can have,
//! or writes through them.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use machine_tests::flows::Flow;

/// The limit of a run's mapped memory: several times its need, and far less than the size of the files here.
const MEMORY_KIB: u64 = 1024 * 1024;

/// More than the memory limit of a run.
const HUGE: u64 = 6 << 30;

/// The maximum duration of a command. A failed connection has its own timeouts, and everything here is reachable.
const AT_ONCE: Duration = Duration::from_secs(15);

const PRECIOUS: &str = "precious\n";

/// The object in place of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Planted {
    Fifo,
    Huge,
    Link,
    HardLink,
    Directory,
}

impl Planted {
    const ALL: [Self; 5] = [
        Self::Fifo,
        Self::Huge,
        Self::Link,
        Self::HardLink,
        Self::Directory,
    ];

    fn plant(self, path: &Path, victim: &Path) {
        match self {
            Self::Fifo => {
                let made = Command::new("mkfifo").arg(path).status().unwrap();
                assert!(made.success());
            }
            Self::Huge => File::create(path).unwrap().set_len(HUGE).unwrap(),
            Self::Link => symlink(victim, path).unwrap(),
            Self::HardLink => fs::hard_link(victim, path).unwrap(),
            Self::Directory => fs::create_dir(path).unwrap(),
        }
    }
}

fn remove(path: &Path) {
    let Ok(found) = fs::symlink_metadata(path) else {
        return;
    };
    if found.is_dir() {
        fs::remove_dir_all(path).unwrap();
    } else {
        fs::remove_file(path).unwrap();
    }
}

/// The files of a store with content, and some optional ones.
fn targets(flow: &Flow) -> Vec<PathBuf> {
    let store = flow.home.store();
    let shared = [
        ".ec2-preflight.json",
        ".ec2-rate-limit.json",
        ".ec2-shortages.json",
        ".sightings.json",
        ".docker-machine-store-id",
        ".locks/.m1",
        ".locks/.-bootstrap",
        ".locks/.-store-id",
        "certs/ca.pem",
        "certs/key.pem",
    ];
    let machine = [
        "config.json",
        ".journal",
        ".known_hosts",
        "id_rsa",
        "server.pem",
    ];
    let shared = shared.map(|file| store.join(file));
    let machine = machine.map(|file| flow.home.machine("m1").join(file));
    shared.into_iter().chain(machine).collect()
}

/// Tries each file in a separate store, and returns the failures.
async fn attack(planted: Planted) -> Vec<String> {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    let victim = flow.home.file("victim", PRECIOUS);
    let aside = flow.home.path().join("aside");
    let mut wrong = Vec::new();
    for path in targets(&flow) {
        let is_there = path.exists();
        if is_there {
            fs::rename(&path, &aside).unwrap();
        }
        planted.plant(&path, &victim);
        let create = flow.creating("m2", &[]).join(" ");
        let is_shared = !path.starts_with(flow.home.machine("m1"));
        let commands = match is_shared {
            true => [
                "status m1",
                "config m1",
                "ssh m1 true",
                "ssh m1 -o ConnectTimeout=3 true",
                "doctor",
                &create,
                "rm -y m2",
            ],
            false => [
                "status m1",
                "config m1",
                "ssh m1 true",
                "ssh m1 -o ConnectTimeout=3 true",
                "ls",
                "prune",
                "start m1",
            ],
        };
        for command in commands {
            let binary = machine_tests::binary();
            let seconds = AT_ONCE.as_secs();
            let line = format!(
                "ulimit -v {MEMORY_KIB}; timeout {seconds} {} {command} </dev/null || echo exit $?",
                binary.display()
            );
            let ended = flow.home.shell(&line).await;
            let is_bug = ended.err.contains("this is a bug") || ended.err.contains("memory");
            if ended.out.contains("exit 124") || ended.out.contains("exit 13") || is_bug {
                wrong.push(format!("{planted:?} at {}: {ended}", path.display()));
            }
            let kept = fs::read_to_string(&victim).unwrap();
            if kept != PRECIOUS {
                wrong.push(format!(
                    "{planted:?} at {}: {command}: {kept}",
                    path.display()
                ));
                fs::write(&victim, PRECIOUS).unwrap();
            }
        }
        remove(&path);
        if is_there {
            fs::rename(&aside, &path).unwrap();
        }
        if flow.home.machine("m2").exists() {
            flow.home.run(["rm", "-y", "-f", "m2"]).await.ok();
        }
    }
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    if !flow.lab.left_over().is_empty() {
        wrong.push(format!("{planted:?}: {:?} remain", flow.lab.left_over()));
    }
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn no_command_blocks_on_hostile_files_reads_them_whole_or_writes_through_them() {
    let attacks = Planted::ALL.map(|planted| tokio::spawn(attack(planted)));
    let mut wrong = Vec::new();
    for attack in attacks {
        wrong.extend(attack.await.unwrap());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
