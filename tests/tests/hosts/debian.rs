//! The life of a machine at the lab's own endpoint, on real Debian hosts with stock docker clients.

use std::sync::Arc;

use ec2_lab::ec2::Lab;
use ec2_lab::hosts::DebianImage;
use machine_tests::containers;
use machine_tests::flows::{Ended, Home, endpoint_flags, ids};
use machine_tests::real_hosts::{Page, RealHosts};

const WHAT: &str = "the flow on real Debian hosts";

/// An EC2 whose instances are Debian hosts, and a home directory for the binary.
struct Debian {
    lab: Lab,
    hosts: Arc<RealHosts>,
    home: Home,
}

impl Debian {
    async fn start() -> Option<Self> {
        let hosts = Arc::new(RealHosts::prepare(WHAT).await?);
        Some(Self {
            lab: Lab::builder().hosts(hosts.clone()).start().await.unwrap(),
            hosts,
            home: Home::new(),
        })
    }

    async fn create(&self, name: &str, more: &[&str]) -> Ended {
        let mut argv = vec!["create".to_owned()];
        argv.extend(endpoint_flags(&self.lab.endpoint()));
        argv.extend(ids(&self.lab));
        argv.extend(more.iter().map(|flag| (*flag).to_owned()));
        argv.push(name.to_owned());
        self.home.run(argv).await
    }

    async fn run(&self, argv: &[&str]) -> Ended {
        self.home.run(argv).await.ok()
    }

    /// Runs a line on the only host.
    async fn look(&self, line: &str) -> String {
        let instances = self.lab.live_instances();
        assert_eq!(instances.len(), 1);
        self.hosts.look(&instances[0].id, line).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_lives_from_create_to_rm_and_runs_containers() {
    let Some(debian) = Debian::start().await else {
        return;
    };
    let home = &debian.home;
    let created = debian
        .create("m1", &["--engine-opt=live-restore"])
        .await
        .ok();
    created.tell_time("at the lab on a real host with Docker, its boot included");
    // Its cost, in countable operations.
    let calls = debian.lab.counts();
    assert!(calls.values().sum::<usize>() <= 5, "{calls:?}");
    assert_eq!(calls["RunInstances"], 1);
    let logins = debian
        .look("journalctl -u ssh | grep -c 'Accepted publickey'")
        .await;
    assert_eq!(logins, "1\n");
    // The host's own boot started it once; provisioning adds at most one start.
    let starts = debian.look("journalctl -u docker | grep -c 'Starting docker.service'");
    let starts: usize = starts.await.trim().parse().unwrap();
    assert!(starts <= 2, "{starts} starts of dockerd");

    let listed = debian.run(&["ls"]).await;
    let table = listed.table();
    let row = &table[1];
    assert_eq!(row[..4], ["m1", "-", "amazonec2", "Running"], "{listed}");
    assert!(row[4].starts_with("tcp://172.31."), "{listed}");
    assert!(row[5].starts_with("v20.10"), "{listed}");
    let hello = debian.run(&["ssh", "m1", "hostname; sudo -n id -u"]).await;
    assert_eq!(hello.out, "m1\n0\n");
    containers::run(home, "m1").await;

    // Without differences nothing restarts. With new certificates dockerd restarts, and containers keep running.
    containers::start(home, "m1", "stays").await;
    let inside = "inspect --format '{{.State.Pid}} {{.State.StartedAt}}' stays";
    let (dockerd, container) = (
        debian.look("pidof dockerd").await,
        containers::docker(home, "m1", inside).await,
    );
    debian.run(&["provision", "m1"]).await;
    debian.run(&["provision", "m1"]).await;
    assert_eq!(debian.look("pidof dockerd").await, dockerd);
    debian.run(&["regenerate-certs", "-f", "m1"]).await;
    assert_ne!(debian.look("pidof dockerd").await, dockerd);
    assert_eq!(containers::docker(home, "m1", inside).await, container);
    containers::docker(home, "m1", "rm --force stays").await;

    // The disk and its contents survive a stop.
    debian.run(&["stop", "m1"]).await;
    assert_eq!(debian.run(&["status", "m1"]).await.out, "Stopped\n");
    let config = home.run(["config", "m1"]).await;
    config.failed(1, &["Host is not running"]);
    debian.run(&["start", "m1"]).await;
    assert_eq!(debian.run(&["status", "m1"]).await.out, "Running\n");
    let kept = containers::docker(home, "m1", "run --rm --network none hello /hello").await;
    assert_eq!(kept, "hello from a container\n");

    debian.run(&["rm", "-y", "m1"]).await;
    assert_eq!(debian.lab.left_over(), Vec::<String>::new());
    assert_eq!(home.directories(), Vec::<String>::new());
    assert_eq!(home.tombstones(), 0);
}

/// The steps of the script of get.docker.com, as far as these hosts have packages.
pub(crate) const INSTALL: &str = "set -e\nexport DEBIAN_FRONTEND=noninteractive\napt-get -qq update\n\
                       apt-get -y -qq --no-install-recommends install docker.io >/dev/null\n";

#[tokio::test(flavor = "multi_thread")]
async fn an_install_script_and_every_engine_option() {
    let Some(debian) = Debian::start().await else {
        return;
    };
    debian.hosts.choose(DebianImage::WithoutDocker);
    let page = Page::serve(debian.hosts.gateway(), INSTALL).await;
    let options = [
        "--engine-label=note=50% of \"it\", they're $HOME \\ more",
        "--engine-label=two=2",
        "--engine-registry-mirror=http://127.0.0.1:5555",
        "--engine-insecure-registry=registry.test:5000",
        "--engine-storage-driver=vfs",
        "--engine-env=NO_PROXY=a, b",
        "--engine-env=WEIRD=%n \"$PATH\" 'x' \\",
        "--engine-opt=mtu=1400",
        "--engine-opt=log-opt=max-size=10m",
        "--engine-opt=log-opt=env=a=b",
        "--engine-opt=debug",
    ];
    let url = format!("--engine-install-url={}", page.url());
    let created = debian
        .create("m1", &[&[url.as_str()], &options[..]].concat())
        .await
        .ok();
    created.tell_time("at the lab on a real host that installs Docker, its boot included");

    let home = &debian.home;
    let info = containers::docker(home, "m1", "info --format '{{json .}}'").await;
    let info: serde_json::Value = serde_json::from_str(&info).unwrap();
    let list = |key: &str| info[key].as_array().unwrap().clone();
    let labels = list("Labels");
    for label in [
        "note=50% of \"it\", they're $HOME \\ more",
        "two=2",
        "provider=amazonec2",
    ] {
        assert!(labels.contains(&label.into()), "{label} in {labels:?}");
    }
    assert_eq!(info["Name"], "m1");
    assert_eq!(info["Driver"], "vfs");
    assert_eq!(info["Debug"], true);
    let registries = &info["RegistryConfig"];
    assert_eq!(registries["Mirrors"][0], "http://127.0.0.1:5555/");
    assert_eq!(
        registries["IndexConfigs"]["registry.test:5000"]["Secure"],
        false
    );

    // Checks the process, and the files from which systemd starts it.
    let words = async |file: &str| {
        let text = debian
            .look(&format!("cat /proc/$(pidof dockerd)/{file}"))
            .await;
        text.split_terminator('\0')
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let command = words("cmdline").await;
    for option in &options[7..] {
        let flag = option.replacen("--engine-opt=", "--", 1);
        assert!(command.contains(&flag), "{flag} in {command:?}");
    }
    let environment = words("environ").await;
    for option in &options[5..7] {
        let variable = option.replacen("--engine-env=", "", 1);
        assert!(
            environment.contains(&variable),
            "{variable} in {environment:?}"
        );
    }
    let unit = debian
        .look("systemctl show -p DropInPaths -p UnitFileState docker")
        .await;
    assert!(
        unit.contains("10-machine.conf") && unit.contains("=enabled"),
        "{unit}"
    );

    // With a file of an image that conflicts with nearly every option.
    let file = r#"{"tlsverify":true,"hosts":["fd://"],"labels":["image=1"],"mtu":1450,"log-opts":{"max-file":"3"}}"#;
    debian
        .look(&format!("echo '{file}' >/etc/docker/daemon.json"))
        .await;
    let again = debian.run(&["provision", "m1"]).await;
    assert!(
        again.out.contains("sets mtu: it overrides --mtu=1400"),
        "{again}"
    );
    let labels = containers::docker(home, "m1", "info --format '{{json .Labels}}'").await;
    assert!(
        labels.contains("image=1") && labels.contains("two=2"),
        "{labels}"
    );
    let kept = debian
        .look("cat /etc/docker/daemon.json.before-docker-machine")
        .await;
    assert_eq!(kept, format!("{file}\n"));
    let dockerd = debian.look("pidof dockerd").await;
    debian.run(&["provision", "m1"]).await;
    assert_eq!(debian.look("pidof dockerd").await, dockerd);

    debian.run(&["rm", "-f", "m1"]).await;
    assert_eq!(debian.lab.left_over(), Vec::<String>::new());
}

/// Prints the parts of a mail with an independent MIME parser: type and content.
const PARTS: &str = "import email, json, sys
mail = email.message_from_bytes(sys.stdin.buffer.read())
print(json.dumps([[p.get_content_type(), p.get_payload(decode=True).decode()] for p in mail.get_payload()]))";

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_ends_the_instance_by_a_timer_and_keeps_the_users_data() {
    let Some(debian) = Debian::start().await else {
        return;
    };
    let users = "#!/bin/sh\necho 'the user'\n";
    let file = debian.home.file("user-data", users);
    let user_data = format!("--amazonec2-userdata={}", file.display());
    debian
        .create("m1", &["--amazonec2-max-lifetime=6h", &user_data])
        .await
        .ok();
    let instance = debian.lab.live_instances().remove(0);
    assert!(
        instance.terminates_on_shutdown,
        "a power-off must terminate the instance"
    );

    let mut python = tokio::process::Command::new("python3");
    python.args(["-c", PARTS]);
    let parsed = debian.home.end(python, &instance.user_data).await.ok();
    let parts: Vec<[String; 2]> = serde_json::from_str(&parsed.out).unwrap();
    let [lease, own] = &parts[..] else {
        panic!("{parts:?}");
    };
    assert_eq!(lease[0], "text/cloud-boothook");
    assert_eq!(*own, ["text/x-shellscript", users]);

    // The step of cloud-init at every boot with such a part.
    let boot = ["ssh", "m1", "sudo", "sh"];
    debian.home.feed(boot, lease[1].as_bytes()).await.ok();
    let timer = "systemctl show docker-machine-lease.timer -p ActiveState -p TimersMonotonic";
    let timer = debian.look(timer).await;
    assert!(timer.contains("ActiveState=active"), "{timer}");
    assert!(timer.contains("OnActiveUSec=6h"), "{timer}");
    let service = "systemctl show docker-machine-lease.service -p ExecStart";
    let service = debian.look(service).await;
    assert!(service.contains("systemctl poweroff"), "{service}");

    debian.run(&["rm", "-y", "m1"]).await;
    assert_eq!(debian.lab.left_over(), Vec::<String>::new());
}
