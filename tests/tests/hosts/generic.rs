//! The driver `generic`, through the binary, on real Debian hosts: any host that is reachable by SSH becomes a
//! machine, or the error says what is wrong with it.

use std::net::IpAddr;
use std::path::PathBuf;

use ec2_lab::hosts::{DebianImage, HostSpec, Hosts as _};
use machine_tests::containers;
use machine_tests::flows::{Ended, Home};
use machine_tests::real_hosts::{Page, RealHosts};

const WHAT: &str = "generic on real Debian hosts";

/// Existing hosts, and a home directory with a key for them.
struct Hosts {
    hosts: RealHosts,
    home: Home,
    key: PathBuf,
}

impl Hosts {
    async fn prepare() -> Option<Self> {
        let hosts = RealHosts::prepare(WHAT).await?;
        let home = Home::new();
        home.shell("ssh-keygen -q -t ed25519 -N '' -f key")
            .await
            .ok();
        let key = home.path().join("key");
        Some(Self { hosts, home, key })
    }

    /// Waits until a host has booted.
    async fn await_up(&self, id: &str) {
        let up =
            "timeout 60 sh -c 'until systemctl -q is-active ssh; do sleep 0.1; done' 2>/dev/null
                  systemctl is-system-running --wait >/dev/null || : a degraded one is up, too";
        self.hosts.look(id, up).await;
    }

    /// Boots a host, and waits until it accepts the login.
    async fn boot(&self, last: u8, user: &str, image: DebianImage) -> Host<'_> {
        let address = IpAddr::from([172, 31, 8, last]);
        let id = format!("i-g{last}");
        self.hosts.choose(image);
        let public = std::fs::read_to_string(self.key.with_extension("pub")).unwrap();
        let spec = HostSpec {
            instance_id: id.clone(),
            address,
            user: user.to_owned(),
            public_key: Some(public),
            user_data: Vec::new(),
        };
        self.hosts.boot(spec).await.unwrap();
        self.await_up(&id).await;
        Host {
            all: self,
            id,
            address: address.to_string(),
            user: user.to_owned(),
        }
    }
}

struct Host<'a> {
    all: &'a Hosts,
    id: String,
    address: String,
    user: String,
}

impl Host<'_> {
    async fn look(&self, line: &str) -> String {
        self.all.hosts.look(&self.id, line).await
    }

    async fn create(&self, name: &str, more: &[&str]) -> Ended {
        let key = self.all.key.display();
        let mut argv = vec![
            "create".to_owned(),
            "--driver=generic".to_owned(),
            format!("--generic-ip-address={}", self.address),
            format!("--generic-ssh-user={}", self.user),
            format!("--generic-ssh-key={key}"),
        ];
        argv.extend(more.iter().map(|flag| (*flag).to_owned()));
        argv.push(name.to_owned());
        self.all.home.run(argv).await
    }

    /// Creates a machine that must fail; a failed create leaves no machine.
    async fn refused(&self, more: &[&str], said: &[&str]) -> Ended {
        let ended = self.create("m1", more).await.failed(1, said);
        assert_eq!(self.all.home.directories(), Vec::<String>::new(), "{ended}");
        ended
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_with_docker_becomes_a_machine_in_seconds() {
    let Some(hosts) = Hosts::prepare().await else {
        return;
    };
    let home = &hosts.home;
    let host = hosts.boot(1, "admin", DebianImage::WithDocker).await;
    // Many hosts have a sudo that requires a terminal.
    host.look("echo 'Defaults requiretty' >/etc/sudoers.d/tty")
        .await;
    let created = host.create("m1", &[]).await.ok();
    created.tell_time("at a real host that is ready at once, with Docker");
    let listed = home.run(["ls"]).await.ok();
    let url = format!("tcp://{}:2376", host.address);
    assert_eq!(
        listed.table()[1][2..5],
        ["generic", "Running", &url],
        "{listed}"
    );
    containers::run(home, "m1").await;

    // A second run changes nothing. A change by another person is corrected.
    let dockerd = host.look("pidof dockerd").await;
    home.run(["provision", "m1"]).await.ok();
    assert_eq!(host.look("pidof dockerd").await, dockerd);
    host.look("chmod 644 /etc/docker/server-key.pem; echo x >/etc/docker/server.pem")
        .await;
    home.run(["provision", "m1"]).await.ok();
    assert_ne!(host.look("pidof dockerd").await, dockerd);
    assert_eq!(
        host.look("stat -c %a /etc/docker/server-key.pem").await,
        "600\n"
    );

    // There is no newer release: Docker stays, and answers.
    let upgraded = home.run(["upgrade", "m1"]).await.ok();
    assert!(
        upgraded.out.contains("Docker is up and running!"),
        "{upgraded}"
    );
    let ended = home.run(["upgrade", "--engine-version=99.1", "m1"]).await;
    ended.failed(
        1,
        &[
            "no release 99.1 of docker.io",
            "apt-cache madison docker.io",
        ],
    );

    // A reboot of the host changes nothing.
    hosts.hosts.reboot(&host.id).await;
    hosts.await_up(&host.id).await;
    containers::run(home, "m1").await;
    home.run(["rm", "-y", "m1"]).await.ok();
    assert_eq!(home.directories(), Vec::<String>::new());
    // The host does not belong to docker-machine and must not be removed.
    host.look("systemctl is-active docker").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_is_installed_or_the_error_names_the_cause() {
    let Some(mut hosts) = Hosts::prepare().await else {
        return;
    };
    // Nothing can be fetched from this machine: no process listens at the proxy's address.
    hosts.home.set("HTTPS_PROXY", "http://127.0.0.1:9");
    // The docker client would use that proxy, too.
    hosts.home.set("NO_PROXY", "172.31.8.2");
    // A root login, on a host without sudo.
    let host = hosts.boot(2, "root", DebianImage::WithoutDocker).await;
    host.look("rm -f /usr/bin/sudo").await;
    let names = "hostname; cat /etc/hostname /etc/hosts";
    let before = host.look(names).await;

    let broken = "echo 'step one'\necho 'E: Unable to locate package docker-ce' >&2\nexit 100\n";
    let page = Page::serve(hosts.hosts.gateway(), broken).await;
    let broken = format!("--engine-install-url={}", page.url());
    let said = [
        "installing Docker failed",
        &page.url(),
        "exit status 100",
        "step one",
        "E: Unable to locate package docker-ce",
    ];
    host.refused(&[&broken], &said).await;

    // A full disk: existing files stay, and no partial files are left.
    let full = "mkdir -p /etc/docker; mount -t tmpfs -o size=8k lab /etc/docker; dd if=/dev/zero of=/etc/docker/x bs=4k count=2 2>/dev/null";
    host.look(full).await;
    // The default script is unreachable, from the host and from this machine: Debian's package is used.
    let said = [
        "configuring Docker failed",
        "write /etc/docker/ca.pem",
        "hint:",
        "disk",
    ];
    let ended = host.refused(&[], &said).await;
    let instead = "the distribution's package is installed";
    assert!(ended.out.contains(instead), "{ended}");
    assert_eq!(host.look("ls -A /etc/docker").await, "x\n");
    // dockerd, which the package has started, may be using it just now.
    host.look("umount -l /etc/docker").await;

    // A daemon that does not start: its own message, and the remedy.
    let said = [
        "docker.service does not start",
        "unknown flag: --no-such-flag",
        "hint:",
        "--engine-opt",
    ];
    host.refused(&["--engine-opt=no-such-flag=1"], &said).await;
    let occupied = "systemd-run -q --unit=occupied perl -MIO::Socket::INET -e '@s = IO::Socket::INET->new(Listen=>1,LocalPort=>2376) or die; sleep'
                    timeout 30 sh -c 'until ss -ltn | grep -q :2376; do sleep 0.1; done'";
    host.look(occupied).await;
    let said = ["docker.service does not start", "address already in use"];
    host.refused(&[], &said).await;
    host.look("systemctl stop occupied").await;
    assert_eq!(host.look(names).await, before);

    // A name that is not a valid Linux host name.
    let name = format!("runner-{}-0a1b2c3d", "x".repeat(80));
    let created = host.create(&name, &[]).await.ok();
    assert!(
        created.out.contains("Docker is up and running!"),
        "{created}"
    );
    let length = host.look("hostname | tr -d '\\n' | wc -c").await;
    assert_eq!(length, "64\n");
    containers::run(&hosts.home, &name).await;
    hosts.home.run(["rm", "-y", &name]).await.ok();
}
