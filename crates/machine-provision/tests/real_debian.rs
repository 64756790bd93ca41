//! A real Debian with systemd and dockerd, in a container of the lab. It requires root, so it runs only with
//! `LAB_REAL_HOSTS=1`; then a missing prerequisite is a failure.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)] // Helpers outside test functions.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ec2_lab::hosts::{DebianHosts, DebianImage, DebianOptions, HostSpec};
use machine_ops::{Cx, Event, Events, MemoryJournal};
use machine_provision::{
    Certificates, EngineConfig, InstallSource, Plan, ProvisionError, Report, provision,
};
use machine_ssh::{Credentials, HostKeys, KeyType, Session, generate_key_pair, wait_for_ssh};
use machine_types::SshEndpoint;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::sync::Notify;

/// Returns the lab's options, or none if the test is skipped.
fn options() -> Option<DebianOptions> {
    if std::env::var_os("LAB_REAL_HOSTS").is_none_or(|value| value != "1") {
        eprintln!("skipped: real hosts, without LAB_REAL_HOSTS=1");
        return None;
    }
    let variable = std::env::var_os;
    let directory = DebianOptions::cache_directory(
        variable("XDG_CACHE_HOME").as_deref(),
        variable("HOME").as_deref(),
    );
    Some(DebianOptions::in_directory(
        directory.expect("neither XDG_CACHE_HOME nor HOME is set"),
    ))
}

const NASTY: &[&str] = &[
    "two words",
    "it's",
    "so \"quoted\"",
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
        values
            .map(|(n, value)| format!("{prefix}{n}={value}"))
            .collect()
    };
    Plan {
        machine: "m1".to_owned(),
        hostname: "m1".to_owned(),
        provider: "generic".to_owned(),
        engine: EngineConfig {
            labels: numbered("l"),
            env: numbered("V"),
            arbitrary_flags: vec!["mtu=1400".into(), "log-opt=max-size=10m".into()],
            registry_mirror: vec!["http://127.0.0.1:5555".into()],
            ..EngineConfig::default()
        },
        engine_port: 2376,
        ipv6: false,
        engine_version: None,
        install: InstallSource::parse(""),
        fetch: None,
        certificates: Some(Certificates {
            ca: ca_pem,
            server: server.signed_by(&key, &issuer).unwrap().pem(),
            key: key.serialize_pem().into(),
        }),
        open_firewall: false,
    }
}

/// Notifies when provisioning waits for the package manager.
struct Waits(Notify);

impl Events for Waits {
    fn emit(&self, event: Event) {
        if matches!(event, Event::Say(line) if line == "Waiting for the package manager...") {
            self.0.notify_one();
        }
    }
}

/// Takes apt's lock as apt does during its work (fcntl(2), `struct flock` of x86-64 and arm64).
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

/// A host of the lab, and a login to it.
struct Host {
    hosts: DebianHosts,
    address: String,
    session: Session,
    cx: Cx,
}

impl Host {
    /// Boots it with the given number as the end of its address.
    async fn boot(options: DebianOptions, image: DebianImage, number: u8) -> Self {
        let hosts = DebianHosts::prepare(options).await.unwrap();
        let address = IpAddr::from([172, 31, 9, number]);
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
        hosts.boot_image(spec, image).await.unwrap();
        let endpoint = SshEndpoint {
            host: address.to_string(),
            port: 22,
            user: "admin".to_owned(),
            key: Some(key.path().to_owned()),
        };
        let cx = Cx::new(Arc::new(MemoryJournal::default()));
        let credentials = Credentials::KeyFile(key.path().to_owned());
        let within = Duration::from_secs(60);
        let session = wait_for_ssh(&endpoint, &credentials, &HostKeys::AcceptAny, &cx, within)
            .await
            .unwrap();
        Self {
            hosts,
            address: address.to_string(),
            session,
            cx,
        }
    }

    /// Returns a plan without any option.
    fn plan(&self) -> Plan {
        let mut plan = plan(&self.address);
        plan.engine = EngineConfig::default();
        plan
    }

    async fn provision(&self, plan: &Plan) -> Report {
        let report = provision(&self.session, plan, &self.cx).await;
        report.unwrap_or_else(|error| panic!("{error}"))
    }

    async fn refusal(&self, plan: &Plan) -> ProvisionError {
        let report = provision(&self.session, plan, &self.cx).await;
        report.unwrap_err()
    }

    /// Returns the NUL-separated words of a file of dockerd's process.
    async fn words(&self, file: &str) -> Vec<String> {
        let text = self
            .shell(&format!("cat /proc/$(pidof dockerd)/{file}"))
            .await;
        text.split_terminator('\0').map(str::to_owned).collect()
    }

    async fn shell(&self, command: &str) -> String {
        let output = self
            .hosts
            .exec("i-p1", &["sh", "-c", command])
            .await
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_debian_is_provisioned_with_every_option_as_typed() {
    let Some(options) = options() else { return };
    let host = Host::boot(options, DebianImage::WithoutDocker, 1).await;

    // The default URL is unreachable: Debian's package, which starts dockerd, is installed as soon as no other
    // installation runs.
    let mut plan = plan(&host.address);
    host.shell(APT_AT_WORK).await;
    let waits = Arc::new(Waits(Notify::new()));
    let mut watched = host.cx.clone();
    watched.events = waits.clone();
    let release = async {
        let waiting = tokio::time::timeout(Duration::from_secs(60), waits.0.notified());
        waiting.await.expect("no wait for apt");
        host.shell("systemctl stop apt").await;
    };
    let (report, ()) = tokio::join!(provision(&host.session, &plan, &watched), release);
    let report = report.unwrap();
    assert!(report.installed && report.restarted, "{report:?}");
    assert_eq!(
        (report.os.id.as_str(), report.os.version.as_str()),
        ("debian", "12")
    );

    let command = host.words("cmdline").await;
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
    for label in &plan.engine.labels {
        assert!(command.contains(label), "{label:?} in {command:?}");
    }
    let environment = host.words("environ").await;
    for variable in &plan.engine.env {
        assert!(
            environment.contains(variable),
            "{variable:?} in {environment:?}"
        );
    }
    assert_eq!(
        host.shell("stat -c %a /etc/docker/server-key.pem; hostname; tail -n 1 /etc/hosts")
            .await,
        "600\nm1\n127.0.1.1 m1\n"
    );

    // A second run changes nothing.
    let pid = host.shell("pidof dockerd").await;
    let report = host.provision(&plan).await;
    assert!(!report.changed && !report.restarted, "{report:?}");
    assert_eq!(host.shell("pidof dockerd").await, pid);

    // A file of the image that conflicts with nearly every option.
    host.shell(r#"echo '{"hosts":["fd://"],"tlsverify":true,"labels":["image=1"],"mtu":1450,"log-opts":{"max-file":"3"}}' >/etc/docker/daemon.json"#).await;
    plan.engine.labels = vec!["one=1".to_owned()];
    assert!(host.provision(&plan).await.restarted);
    // dockerd keeps them in a map, without order.
    let info = "docker info --format '{{range .Labels}}{{println .}}{{end}}' | sort";
    let labels = host.shell(info).await;
    assert_eq!(labels.trim(), "image=1\none=1\nprovider=generic");

    // A flag that dockerd does not know: dockerd's own message, and the remedy.
    plan.engine.arbitrary_flags = vec!["no-such-flag=1".to_owned()];
    let error = host.refusal(&plan).await;
    assert!(
        error.to_string().contains("unknown flag: --no-such-flag"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("--engine-opt"));
    plan.engine.arbitrary_flags.clear();
    assert!(host.provision(&plan).await.restarted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_system_container_keeps_its_mounts_and_its_name() {
    let Some(mut options) = options() else { return };
    options.names_are_mounts = true;
    let host = Host::boot(options, DebianImage::WithDocker, 2).await;
    let mut plan = host.plan();

    // mv(1) fails here, because these files are Docker's mount points.
    let moved = "cp /etc/hosts /etc/h && mv -f /etc/h /etc/hosts 2>&1";
    assert!(host.shell(moved).await.contains("Device or resource busy"));
    host.shell("rm -f /etc/h").await;
    assert!(host.provision(&plan).await.restarted);
    let names = "cat /etc/hostname; hostname; tail -n 1 /etc/hosts; grep -c ' /etc/host' /proc/self/mounts; ls -d /etc/*.new";
    assert_eq!(host.shell(names).await, "m1\nm1\n127.0.1.1 m1\n2\n");
    assert!(!host.provision(&plan).await.changed);

    // A line with the host's name is kept.
    plan.hostname = "web1".to_owned();
    host.shell("echo '127.0.1.1 web1.example.com web1' >/etc/hosts")
        .await;
    assert!(host.provision(&plan).await.changed);
    let names = host
        .shell("cat /etc/hosts; getent hosts web1; hostname -f")
        .await;
    assert_eq!(
        names.split_whitespace().collect::<Vec<_>>().join(" "),
        "127.0.1.1 web1.example.com web1 127.0.1.1 web1.example.com web1 web1.example.com"
    );

    // Masked: reported as such from the unit itself.
    host.shell("systemctl mask docker.service").await;
    let error = host.refusal(&plan).await;
    assert!(
        error.to_string().contains("docker.service is masked"),
        "{error}"
    );
    host.shell("systemctl unmask docker.service").await;
    host.provision(&plan).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_images_own_options_stay_and_a_bad_change_is_rolled_back() {
    let Some(options) = options() else { return };
    let host = Host::boot(options, DebianImage::WithDocker, 3).await;
    let mut plan = host.plan();
    let info = async |format: &str| {
        let text = host
            .shell(&format!("docker info --format '{{{{{format}}}}}'"))
            .await;
        text.trim().to_owned()
    };

    // Debian's unit passes $DOCKER_OPTS, and a drop-in of the image one more flag.
    host.shell("echo 'DOCKER_OPTS=\"--data-root=/var/lib/docker/other --label image=1 --label provider=x\"' >/etc/default/docker").await;
    host.shell("mkdir -p /etc/systemd/system/docker.service.d; sed -n 's/^ExecStart=.*/[Service]\\nExecStart=\\n& --shutdown-timeout=20/p' /lib/systemd/system/docker.service >/etc/systemd/system/docker.service.d/05-image.conf; systemctl daemon-reload; systemctl restart docker").await;
    assert_eq!(info(".DockerRootDir").await, "/var/lib/docker/other");
    assert!(host.provision(&plan).await.restarted);
    assert_eq!(info(".DockerRootDir").await, "/var/lib/docker/other");
    let words = host.words("cmdline").await;
    for word in ["--shutdown-timeout=20", "image=1", "provider=generic"] {
        assert!(words.contains(&word.to_owned()), "{word}: {words:?}");
    }
    // dockerd rejects two labels with the same name.
    assert!(!words.contains(&"provider=x".to_owned()), "{words:?}");
    assert!(!host.provision(&plan).await.changed);

    // A change with which dockerd does not start is rolled back, and it runs as before.
    plan.engine.arbitrary_flags = vec!["no-such-flag=1".to_owned()];
    let error = host.refusal(&plan).await.to_string();
    assert!(error.contains("unknown flag: --no-such-flag"), "{error}");
    assert_eq!(host.words("cmdline").await, words);
    plan.engine.arbitrary_flags.clear();
    assert!(!host.provision(&plan).await.restarted);

    // A host of the Go binary, which chose a storage driver and dropped the rest: it keeps these settings.
    let go = "[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H tcp://0.0.0.0:2376 -H unix:///var/run/docker.sock --storage-driver vfs --tlsverify --tlscacert /etc/docker/ca.pem --tlscert /etc/docker/server.pem --tlskey /etc/docker/server-key.pem --label provider=generic \nEnvironment=\n";
    host.shell(&format!("printf '{}' >/etc/systemd/system/docker.service.d/10-machine.conf; systemctl daemon-reload; systemctl restart docker", go.replace('\n', "\\n"))).await;
    assert_eq!(info(".DockerRootDir").await, "/var/lib/docker");
    assert_eq!(info(".Driver").await, "vfs");
    host.provision(&plan).await;
    assert_eq!(info(".DockerRootDir").await, "/var/lib/docker");
    assert_eq!(info(".Driver").await, "vfs");
}
