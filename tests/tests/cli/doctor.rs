//! `doctor`: its tables for healthy and broken setups. It changes nothing.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use ec2_lab::ec2::{ACCESS_KEY, Fault, KeyState};
use machine_tests::certificates::{Pair, client};
use machine_tests::flows::{Ended, Flow};
use machine_tests::shown::assert_shown;
use machine_tests::terminal::Terminal;

/// Mode, modification time, inode and contents of each file and directory of the store.
type Tree = BTreeMap<PathBuf, (u32, i64, i64, u64, Vec<u8>)>;

fn tree(root: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let metadata = std::fs::symlink_metadata(&path).unwrap();
            let contents = match metadata.is_file() {
                true => std::fs::read(&path).unwrap(),
                false => Vec::new(),
            };
            if metadata.is_dir() {
                directories.push(path.clone());
            }
            let when = (metadata.mtime(), metadata.mtime_nsec());
            tree.insert(
                path,
                (metadata.mode(), when.0, when.1, metadata.ino(), contents),
            );
        }
    }
    tree
}

/// Runs `doctor`, and asserts that it changed nothing anywhere.
async fn doctor(flow: &Flow, arguments: &[String]) -> Ended {
    let store = flow.home.store();
    let before = store.exists().then(|| tree(&store));
    let changes = flow.changes();
    let argv = std::iter::once("doctor".to_owned()).chain(arguments.iter().cloned());
    let ended = flow.home.run(argv).await;
    let after = store.exists().then(|| tree(&store));
    assert_eq!(after, before, "doctor changed the store: {ended}");
    assert_eq!(flow.changes(), changes, "doctor changed something at EC2");
    ended
}

/// The one line whose subject and finding contain these words.
#[track_caller]
fn line<'a>(ended: &'a Ended, subject: &str, found: &str) -> &'a str {
    let mut lines = ended
        .out
        .lines()
        .filter(|line| line.contains(subject) && line.contains(found));
    let first = lines.next();
    first.unwrap_or_else(|| panic!("no line of {subject:?} with {found:?}\n{ended}"))
}

#[track_caller]
fn assert_wrong(ended: &Ended, subject: &str, found: &str, remedy: &str) {
    let line = line(ended, subject, found);
    assert!(line.starts_with("WRONG "), "{line}\n{ended}");
    assert!(line.contains(remedy), "missing remedy {remedy:?}: {line}");
    assert_eq!(ended.code, Some(1), "{ended}");
    assert!(ended.err.contains("wrong"), "{ended}");
}

fn wrong(ended: &Ended) -> usize {
    ended
        .out
        .lines()
        .filter(|line| line.starts_with("WRONG "))
        .count()
}

async fn with_machine() -> Flow {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    flow
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_setup_has_nothing_wrong() {
    let flow = with_machine().await;
    let ended = doctor(&flow, &flow.flags_with_ids()).await.ok();
    assert_shown("Healthy setup", &ended.out, &flow.home);
    assert_eq!(
        ended.table()[0],
        ["RESULT", "SUBJECT", "FOUND", "WHAT", "TO", "DO"]
    );
    assert_eq!(wrong(&ended), 0, "{ended}");
    for (subject, found) in [
        ("store", ", 1 machine, id "),
        ("CA", "valid for 1079 days"),
        ("client certificate", "valid for 1079 days"),
        ("credentials", "of account 123456789012"),
        ("region", "us-east-1"),
        ("VPC", "vpc-"),
        ("subnet", "us-east-1a"),
        ("security group", "default"),
        ("image", "ami-1e749f67"),
        ("machine m1", "SSH answers at 127."),
        ("machine m1", "Docker answers at tcp"),
    ] {
        let found = found.trim_end_matches(" tcp");
        line(&ended, subject, found);
    }
    // Without flags and names.
    let ended = doctor(&flow, &[]).await.ok();
    line(&ended, "machine m1", "Docker answers");
    assert!(!ended.out.contains("subnet"), "{ended}");
    // A stopped machine is not an error.
    flow.home.run(["stop", "m1"]).await.ok();
    let ended = doctor(&flow, &["m1".to_owned()]).await.ok();
    assert!(
        line(&ended, "machine m1", "Stopped").starts_with("note "),
        "{ended}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_store_is_a_note() {
    let flow = Flow::start().await;
    let ended = doctor(&flow, &flow.flags()).await.ok();
    assert!(
        line(&ended, "store", "there is no").starts_with("note "),
        "{ended}"
    );
    line(&ended, "certificates", "none yet");
    line(&ended, "security group", "there is no docker-machine yet");
    assert!(!flow.home.store().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_that_other_users_can_read_are_wrong() {
    let flow = with_machine().await;
    for path in ["certs/ca-key.pem", "machines/m1/config.json"] {
        let path = flow.home.store().join(path);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    }
    let ended = doctor(&flow, &[]).await;
    assert_wrong(&ended, "mode", "ca-key.pem has mode 0644", "chmod 600 ");
    assert_wrong(&ended, "mode", "config.json has mode 0644", "chmod 600 ");
    assert_eq!(wrong(&ended), 2, "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_that_cannot_be_read_are_reported() {
    let flow = with_machine().await;
    let broken = flow.home.machine("m2");
    std::fs::create_dir(&broken).unwrap();
    std::fs::write(broken.join("config.json"), "{\"ConfigVersion\": 3, ").unwrap();
    std::fs::create_dir(flow.home.machine("no name")).unwrap();
    let foreign = flow.home.machine("m3");
    std::fs::create_dir(&foreign).unwrap();
    let google = r#"{"ConfigVersion":3,"DriverName":"google","Name":"m3","Driver":{}}"#;
    std::fs::write(foreign.join("config.json"), google).unwrap();
    for path in [&broken, &foreign] {
        let config = path.join("config.json");
        std::fs::set_permissions(config, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let ended = doctor(&flow, &[]).await;
    assert_wrong(
        &ended,
        "machine m2",
        "is no machine's configuration",
        "rm -f m2",
    );
    assert_wrong(
        &ended,
        "machine",
        "machines/no name",
        "move it out of machines/",
    );
    let google = line(&ended, "machine m3", "\"google\" is not in this binary");
    assert!(google.starts_with("note "), "{google}");
    assert_eq!(wrong(&ended), 2, "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_credentials_are_reported_without_secrets() {
    let flow = with_machine().await;
    flow.lab.set_key_state(ACCESS_KEY, KeyState::Inactive);
    let ended = doctor(&flow, &flow.flags_with_ids()).await;
    assert_wrong(
        &ended,
        "credentials",
        "was refused",
        "check the AWS credentials",
    );
    assert_wrong(&ended, "machine m1", "was refused", "see the lines above");
    // The other checks at EC2 are skipped: EC2 would refuse them with the same error.
    assert!(!ended.out.contains("subnet"), "{ended}");
    assert!(!ended.out.contains("SECRETEXAMPLE") && !ended.err.contains("SECRETEXAMPLE"));
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_credentials_are_reported_in_one_line() {
    let mut flow = Flow::start().await;
    flow.home.unset("AWS_ACCESS_KEY_ID");
    flow.home.unset("AWS_SECRET_ACCESS_KEY");
    let ended = doctor(&flow, &flow.flags()).await;
    let found = "the provider chain finds none";
    assert_wrong(&ended, "credentials", found, "--amazonec2-access-key");
    // The table stays short: only --debug lists the sources.
    assert!(!ended.out.contains("WebIdentityToken"), "{ended}");
    let mut argv = vec!["--debug".to_owned(), "doctor".to_owned()];
    argv.extend(flow.flags());
    let ended = flow.home.run(argv).await;
    assert!(ended.err.contains("WebIdentityToken"), "{ended}");
    // One source that is certainly to blame is named.
    flow.home.set("AWS_PROFILE", "nosuch");
    let ended = doctor(&flow, &flow.flags()).await;
    let found = "cannot find the AWS profile \"nosuch\"";
    assert_wrong(&ended, "credentials", found, "--amazonec2-access-key");
    flow.home.unset("AWS_PROFILE");
    std::fs::create_dir(flow.home.path().join(".aws")).unwrap();
    flow.home.file(".aws/credentials", "[default\n");
    let ended = doctor(&flow, &flow.flags()).await;
    let found = "cannot use the AWS configuration files";
    let row = line(&ended, "credentials", found);
    assert!(row.contains(".aws/credentials"), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_flags_of_a_create_are_reported() {
    let flow = Flow::start().await;
    let mut flags = flow.flags();
    flags.extend(
        [
            "--amazonec2-vpc-id=vpc-0123456789abcdef0",
            "--amazonec2-subnet-id=subnet-0123456789abcdef0",
            "--amazonec2-ami=ami-0123456789abcdef0",
            "--amazonec2-security-group=sg-0123456789abcdef0",
        ]
        .map(str::to_owned),
    );
    let ended = doctor(&flow, &flags).await;
    line(&ended, "credentials", "of account");
    assert_wrong(&ended, "VPC", "there is no vpc-0123", "--amazonec2-vpc-id");
    assert_wrong(&ended, "subnet", "subnet-0123", "--amazonec2-subnet-id");
    assert_wrong(&ended, "image", "ami-0123", "--amazonec2-ami");
    assert_wrong(
        &ended,
        "security group",
        "sg-0123",
        "--amazonec2-security-group",
    );
    assert_eq!(wrong(&ended), 4, "{ended}");
    // Flags that the driver rejects are also a line of the table.
    let flags = ["--driver=amazonec2", "--amazonec2-region=xx-nowhere-9"].map(str::to_owned);
    let ended = doctor(&flow, &flags).await;
    assert_wrong(
        &ended,
        "flags",
        "Invalid region specified",
        "correct the flag",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_and_mismatched_certificates_are_reported() {
    let flow = with_machine().await;
    let certs = flow.home.store().join("certs");
    let authority = Pair::read(&certs, "ca", "ca-key");
    client(&authority, -3).write(&certs, "cert", "key");
    let ended = doctor(&flow, &[]).await;
    assert_wrong(
        &ended,
        "client certificate",
        "ended 3 days ago",
        "issues a new one",
    );
    assert_eq!(wrong(&ended), 1, "{ended}");

    client(&authority, 30).write(&certs, "cert", "key");
    let ended = doctor(&flow, &[]).await.ok();
    let soon = line(&ended, "client certificate", "ends in 2");
    assert!(soon.starts_with("note "), "{soon}");

    std::fs::copy(certs.join("ca-key.pem"), certs.join("key.pem")).unwrap();
    let ended = doctor(&flow, &[]).await;
    assert_wrong(
        &ended,
        "client key",
        "belongs to another certificate",
        "issues new ones",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_machine_is_reported() {
    let flow = Flow::start().await;
    flow.create("m1", &["--amazonec2-private-address-only"])
        .await
        .ok();
    // An address without a listener. EC2 reports no public address to use instead.
    let config = flow.home.machine("m1").join("config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    let address = flow.host().spec().address.to_string();
    let changed = text
        .replace(&address, "127.250.250.250")
        .replace("\"UsePrivateIP\": true", "\"UsePrivateIP\": false")
        .replace("\"PrivateIPOnly\": true", "\"PrivateIPOnly\": false");
    std::fs::write(&config, changed).unwrap();
    let ended = doctor(&flow, &[]).await;
    assert_wrong(
        &ended,
        "machine m1",
        "SSH: dial tcp 127.250.250.250:2222",
        "nothing listens",
    );
    assert_wrong(
        &ended,
        "machine m1",
        "Docker: dial tcp 127.250.250.250:2376",
        "nothing listens",
    );
    assert_eq!(wrong(&ended), 2, "{ended}");

    // An instance that ended without docker-machine.
    std::fs::write(&config, text).unwrap();
    let instance = flow.lab.live_instances()[0].id.clone();
    assert!(flow.lab.reclaim(&instance) || flow.lab.shut_down_from_inside(&instance));
    let ended = doctor(&flow, &[]).await;
    assert!(!ended.out.contains("SSH answers"), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_whose_key_is_refused_is_reported() {
    let flow = with_machine().await;
    let line = "ssh-keygen -q -t ed25519 -N '' -f other";
    flow.home.shell(line).await.ok();
    let key = flow.home.machine("m1").join("id_rsa");
    std::fs::copy(flow.home.path().join("other"), &key).unwrap();
    let ended = doctor(&flow, &["m1".to_owned()]).await;
    assert_wrong(
        &ended,
        "machine m1",
        "refuses to log in ubuntu",
        "check the user name",
    );
    assert_eq!(wrong(&ended), 1, "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_terminal_the_report_fits_and_counts() {
    let flow = with_machine().await;
    let left = Terminal::start(&flow.home, ["doctor"], (80, 24))
        .end()
        .await;
    let shown = left.shown.replace('\r', "");
    assert!(left.status.success(), "{shown}");
    assert!(
        shown.lines().all(|line| line.chars().count() <= 80),
        "{shown}"
    );
    assert!(shown.contains("ok     store: "), "{shown}");
    assert!(!shown.contains("machine m1"), "{shown}");
    assert!(shown.contains(" ok, 0 to note, 0 wrong\n"), "{shown}");
    let all = ["doctor", "--all"];
    let shown = Terminal::start(&flow.home, all, (80, 24)).end().await.shown;
    assert!(
        shown.contains("ok     machine m1: SSH answers at 127."),
        "{shown}"
    );
    let json = flow.home.run(["doctor", "--format", "json"]).await.ok();
    for line in json.out.lines() {
        let check: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(check["result"], "ok", "{check}");
    }
    let unknown = flow.home.run(["doctor", "--format", "yaml"]).await;
    unknown.failed(1, &["unknown format \"yaml\"", "hint: the format is json"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_tombstones_and_newer_versions_are_notes() {
    let flow = with_machine().await;
    let store = flow.home.store();
    let tombstone = store.join(".tombstones/m0-0123456789abcdef");
    std::fs::create_dir_all(&tombstone).unwrap();
    let newer = flow.home.machine("m1").join("config.json");
    let text = std::fs::read_to_string(&newer).unwrap();
    std::fs::write(
        &newer,
        text.replace("\"ConfigVersion\": 3", "\"ConfigVersion\": 4"),
    )
    .unwrap();
    let lock = store.join(".locks/.m1");
    let file = std::fs::File::options()
        .create(true)
        .truncate(true)
        .write(true)
        .open(&lock)
        .unwrap();
    std::io::Write::write_all(&mut &file, b"4711\n").unwrap();
    file.lock().unwrap();
    let ended = doctor(&flow, &[]).await.ok();
    for (subject, found) in [
        ("tombstone", "resources of m0 may still exist"),
        ("machine m1", "has version 4"),
        ("lock", "process 4711 works on m1"),
    ] {
        let line = line(&ended, subject, found);
        assert!(line.starts_with("note "), "{line}");
    }
    let unknown = flow.home.run(["doctor", "missing"]).await;
    unknown.failed(1, &["\"missing\" does not exist"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_is_not_enabled_is_told_apart_from_bad_credentials() {
    let flow = Flow::start().await;
    // EC2 answers so in a Region that is not enabled for the account; STS accepts the credentials.
    flow.lab
        .inject(Fault::error("Describe*", "AuthFailure").always());
    let ended = doctor(&flow, &flow.flags_with_ids()).await;
    let credentials = line(&ended, "credentials", "of account 123456789012");
    assert!(!credentials.starts_with("WRONG "), "{ended}");
    assert_wrong(&ended, "region", "AuthFailure", "enable us-east-1");
    assert_eq!(wrong(&ended), 1, "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_creates_of_a_runner_configuration_are_examined() {
    let flow = with_machine().await;
    let options: Vec<String> = flow
        .flags_with_ids()
        .iter()
        .filter(|flag| !flag.starts_with("--driver"))
        .map(|flag| format!("\"{}\"", flag.trim_start_matches('-')))
        .collect();
    let options = options.join(", ");
    let section = |name: &str, more: &str, machine: &str| {
        format!(
            r#"
[[runners]]
  name = "{name}"
  token = "glrt-SECRETEXAMPLE"
  executor = "docker+machine"
  [runners.machine]
    MachineDriver = "amazonec2"
    MachineName = "{machine}"
    MachineOptions = [{options}{more}]
"#
        )
    };
    let shell = "[[runners]]\n  name = \"shell\"\n  executor = \"shell\"\n";
    let right = section(
        "linux",
        ", \"engine-registry-mirror=https://mirror.example\"",
        "m-%s",
    );
    flow.home.file("config.toml", right.clone() + shell);
    let arguments = ["--config", "config.toml"].map(str::to_owned);
    let ended = doctor(&flow, &arguments).await.ok();
    for (subject, found) in [
        ("runner linux ", "create --driver amazonec2"),
        ("runner linux: VPC", "vpc-"),
        ("runner linux: image", "is available"),
    ] {
        assert!(line(&ended, subject, found).starts_with("ok "), "{ended}");
    }
    assert!(!ended.out.contains("shell"), "{ended}");
    let credentials = ended
        .out
        .lines()
        .filter(|line| line.contains("credentials"));
    assert_eq!(credentials.count(), 1, "{ended}");

    // GitLab Runner knows a runner without a name by its token.
    let dashes = ", \"--engine-opt=mtu=1400\"";
    flow.home.file("config.toml", section("", dashes, "m-%s"));
    let ended = doctor(&flow, &arguments).await;
    let found = "the entry \"--engine-opt\" of MachineOptions begins with a dash";
    assert_wrong(&ended, "runner number 1", found, "write \"engine-opt\"");

    let pool = |more: &str| {
        format!(
            r#"
[[runners]]
  name = "pool"
  executor = "docker-autoscaler"
  [runners.autoscaler]
    plugin = "fleeting-plugin-docker-machine"
    [runners.autoscaler.plugin_config]
      name = "ci"
      MachineDriver = "amazonec2"
      MachineName = "m-%s"
      MachineOptions = [{options}]
      {more}
"#
        )
    };
    flow.home
        .file("config.toml", pool("create_timeout = \"5m\""));
    let ended = doctor(&flow, &arguments).await.ok();
    assert!(line(&ended, "runner pool: image", "is available").starts_with("ok "));
    flow.home.file("config.toml", pool("max_sise = 5"));
    let ended = doctor(&flow, &arguments).await;
    assert_wrong(
        &ended,
        "runner pool",
        "unknown key \"max_sise\"",
        "correct plugin_config",
    );

    let wrong_ones = [
        section("flag", ", \"amazonec2-instance-typ=t3.micro\"", "m-%s"),
        section(
            "subnet",
            ", \"amazonec2-subnet-id=subnet-0123456789abcdef0\"",
            "m-%s",
        ),
        section("name", "", "m"),
        section("label", ", \"engine-label=a b=\\u0007\"", "m-%s")
            + "    OffPeakPeriods = [\"* * * * * * *\"]\n    IdleCont = 1\n",
    ];
    flow.home.file("config.toml", wrong_ones.concat());
    let ended = doctor(&flow, &arguments).await;
    assert_eq!(ended.code, Some(1), "{ended}");
    assert_wrong(
        &ended,
        "runner flag",
        "flag provided but not defined: -amazonec2-instance-typ",
        "did you mean '--amazonec2-instance-type'?",
    );
    assert_wrong(&ended, "runner subnet: subnet", "subnet-", "");
    assert_wrong(
        &ended,
        "runner name",
        "needs exactly one %s",
        "MachineName = ",
    );
    for note in ["ignores the OffPeak settings", "the setting IdleCont"] {
        assert!(
            line(&ended, "runner label", note).starts_with("note "),
            "{ended}"
        );
    }
    assert!(!ended.to_string().contains("SECRETEXAMPLE"), "{ended}");

    flow.home.file("config.toml", shell);
    let none = doctor(&flow, &arguments).await.ok();
    line(
        &none,
        "runners",
        "no [[runners]] section of config.toml has the executor",
    );
    flow.home.file("config.toml", "[[runners");
    let broken = doctor(&flow, &arguments).await;
    broken.failed(1, &["cannot parse config.toml: line 1"]);
}
