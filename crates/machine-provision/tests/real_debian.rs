//! A real Debian with systemd and dockerd, in a container of the lab's. It needs root, so it runs
//! only where `LAB_REAL_HOSTS=1` asks for it; then what is missing is a failure.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)] // What only tests call.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ec2_lab::hosts::{DebianHosts, DebianImage, DebianOptions, HostSpec};
use machine_ops::{Cx, Event, Events, MemoryJournal};
use machine_provision::{Certificates, InstallSource, Plan, provision};
use machine_ssh::{Credentials, HostKeys, KeyType, generate_key_pair, wait_for_ssh};
use machine_types::{EngineOptions, SshEndpoint};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::sync::Notify;

/// The lab's options, or none where the test is left out.
fn options() -> Option<DebianOptions> {
    if std::env::var_os("LAB_REAL_HOSTS").is_none_or(|value| value != "1") {
        eprintln!("left out: real hosts, without LAB_REAL_HOSTS=1");
        return None;
    }
    let variable = std::env::var_os;
    let directory = DebianOptions::cache_directory(
        variable("XDG_CACHE_HOME").as_deref(),
        variable("HOME").as_deref(),
    );
    Some(DebianOptions::in_directory(
        directory.expect("neither XDG_CACHE_HOME nor HOME"),
    ))
}

const NASTY: &[&str] = &[
    "two words",
    "it's",
    "\"quoted\"",
    "back\\slash",
    "trailing\\",
    "100%",
    "%n%%h",
    "$HOME ${HOME} $$",
    "`id`",
    ";",
    "a;b && c",
    "#x",
    "tab\there",
    "line\nend",
    "Zürich",
    "=",
    "\\n \\x41",
    "*?[a]~",
];

fn plan(address: &str) -> Plan {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec![address.to_owned()]).unwrap();
    let numbered = |prefix: &str| {
        let values = NASTY.iter().enumerate();
        Some(
            values
                .map(|(n, value)| format!("{prefix}{n}={value}"))
                .collect(),
        )
    };
    Plan {
        machine: "m1".to_owned(),
        hostname: "m1".to_owned(),
        provider: "generic".to_owned(),
        engine: EngineOptions {
            labels: numbered("l"),
            env: numbered("V"),
            arbitrary_flags: Some(vec!["mtu=1400".into(), "log-opt=max-size=10m".into()]),
            registry_mirror: Some(vec!["http://127.0.0.1:5555".into()]),
            ..EngineOptions::default()
        },
        engine_port: 2376,
        ipv6: false,
        engine_version: None,
        install: InstallSource::parse(""),
        fetch: None,
        certificates: Certificates {
            ca: ca_pem,
            server: server.signed_by(&key, &issuer).unwrap().pem(),
            key: key.serialize_pem().into(),
        },
        open_firewall: false,
    }
}

/// Tells when the package manager is waited for.
struct Waits(Notify);

impl Events for Waits {
    fn emit(&self, event: Event) {
        if matches!(event, Event::Say(line) if line == "Waiting for the package manager...") {
            self.0.notify_one();
        }
    }
}

/// What apt does to its lock, for as long as it is at work (fcntl(2), `struct flock` of x86-64 and arm64).
const APT_AT_WORK: &str = r#"
cat >/run/at-work <<'END'
use Fcntl;
open F, ">>", "/var/lib/dpkg/lock-frontend" or die;
my $lock = pack("s s x4 q q i x4", F_WRLCK, 0, 0, 0, 0);
fcntl(F, F_SETLK, $lock) or die;
sleep;
END
systemd-run -q --unit=apt perl /run/at-work
inode=$(stat -c %i /var/lib/dpkg/lock-frontend)
timeout 30 sh -c "until grep -q :$inode /proc/locks; do sleep 0.1; done"
"#;

/// NUL-separated words of a file of dockerd's process.
async fn words(hosts: &DebianHosts, file: &str) -> Vec<String> {
    let command = format!("cat /proc/$(pidof dockerd)/{file}");
    let output = hosts.exec("i-p1", &["sh", "-c", &command]).await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_terminator('\0').map(str::to_owned).collect()
}

async fn shell(hosts: &DebianHosts, command: &str) -> String {
    let output = hosts.exec("i-p1", &["sh", "-c", command]).await.unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_debian_becomes_an_engine_with_every_option_as_typed() {
    let Some(options) = options() else { return };
    let hosts = DebianHosts::prepare(options).await.unwrap();
    let address = IpAddr::from([172, 31, 9, 1]);
    let pair = generate_key_pair(KeyType::Ed25519).unwrap();
    let key = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(key.path(), pair.private.expose()).unwrap();
    let spec = HostSpec {
        instance_id: "i-p1".to_owned(),
        address,
        user: "admin".to_owned(),
        public_key: Some(pair.public),
        user_data: Vec::new(),
    };
    hosts
        .boot_image(spec, DebianImage::WithoutDocker)
        .await
        .unwrap();
    let endpoint = SshEndpoint {
        host: address.to_string(),
        port: 22,
        user: "admin".to_owned(),
        key: Some(key.path().to_owned()),
    };
    let cx = Cx::new(Arc::new(MemoryJournal::default()));
    let credentials = Credentials::KeyFile(key.path().to_owned());
    let session = wait_for_ssh(
        &endpoint,
        &credentials,
        &HostKeys::AcceptAny,
        &cx,
        Duration::from_secs(60),
    )
    .await
    .unwrap();

    // There is no way out to the default URL: Debian's package, which starts dockerd, is installed,
    // as soon as nobody else installs anything.
    let mut plan = plan(&address.to_string());
    shell(&hosts, APT_AT_WORK).await;
    let waits = Arc::new(Waits(Notify::new()));
    let mut watched = cx.clone();
    watched.events = waits.clone();
    let release = async {
        let waiting = tokio::time::timeout(Duration::from_secs(60), waits.0.notified());
        waiting.await.expect("nobody waits for apt");
        shell(&hosts, "systemctl stop apt").await;
    };
    let (report, ()) = tokio::join!(provision(&session, &plan, &watched), release);
    let report = report.unwrap();
    assert!(report.installed && report.restarted, "{report:?}");
    assert_eq!(
        (report.os.id.as_str(), report.os.version.as_str()),
        ("debian", "12")
    );

    let command = words(&hosts, "cmdline").await;
    assert_eq!(
        command[..5],
        [
            "/usr/sbin/dockerd",
            "-H",
            "tcp://0.0.0.0:2376",
            "-H",
            "unix:///var/run/docker.sock"
        ]
    );
    for label in plan.engine.labels.iter().flatten() {
        assert!(command.contains(label), "{label:?} in {command:?}");
    }
    let environment = words(&hosts, "environ").await;
    for variable in plan.engine.env.iter().flatten() {
        assert!(
            environment.contains(variable),
            "{variable:?} in {environment:?}"
        );
    }
    assert_eq!(
        shell(
            &hosts,
            "stat -c %a /etc/docker/server-key.pem; hostname; tail -n 1 /etc/hosts"
        )
        .await,
        "600\nm1\n127.0.1.1 m1\n"
    );

    // Twice: nothing.
    let pid = shell(&hosts, "pidof dockerd").await;
    let report = provision(&session, &plan, &cx).await.unwrap();
    assert!(!report.changed && !report.restarted, "{report:?}");
    assert_eq!(shell(&hosts, "pidof dockerd").await, pid);

    // A file of the image that collides with nearly everything.
    shell(&hosts, r#"echo '{"hosts":["fd://"],"tlsverify":true,"labels":["image=1"],"mtu":1450,"log-opts":{"max-file":"3"}}' >/etc/docker/daemon.json"#).await;
    plan.engine.labels = Some(vec!["one=1".to_owned()]);
    let error = provision(&session, &plan, &cx).await;
    let report = error.unwrap_or_else(|error| panic!("{error}"));
    assert!(report.restarted);
    // dockerd keeps them in a map, in no order.
    let info = "docker info --format '{{range .Labels}}{{println .}}{{end}}' | sort";
    let labels = shell(&hosts, info).await;
    assert_eq!(labels.trim(), "image=1\none=1\nprovider=generic");

    // A flag that dockerd does not know: its own words, and what to do.
    plan.engine.arbitrary_flags = Some(vec!["no-such-flag=1".to_owned()]);
    let error = provision(&session, &plan, &cx).await.unwrap_err();
    assert!(
        error.to_string().contains("unknown flag: --no-such-flag"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("--engine-opt"));
    plan.engine.arbitrary_flags = None;
    assert!(provision(&session, &plan, &cx).await.unwrap().restarted);
}
