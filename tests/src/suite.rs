//! The flows that must pass on any EC2 implementation: run against the lab and against moto.

use ec2_lab::hosts::{HostView, SimulatedHosts};

use crate::flows::{Ended, Home};

/// An EC2, its hosts, and a home directory for the binary.
#[derive(Debug)]
pub struct Suite<'a> {
    /// The home directory of the binary.
    pub home: &'a Home,
    /// The hosts.
    pub hosts: &'a SimulatedHosts,
    /// The flags of a create with the EC2's endpoint.
    pub flags: Vec<String>,
    /// Whether a restart of an instance by EC2 reaches its host.
    pub restarts: bool,
}

impl Suite<'_> {
    /// Creates a machine with these flags besides [`flags`](Self::flags).
    pub async fn create(&self, name: &str, more: &[&str]) -> Ended {
        let mut argv = vec!["create".to_owned()];
        argv.extend(self.flags.iter().cloned());
        argv.extend(more.iter().map(|flag| (*flag).to_owned()));
        argv.push(name.to_owned());
        self.home.run(argv).await
    }

    /// Returns the only host.
    ///
    /// # Panics
    /// There is none, or more than one.
    #[track_caller]
    pub fn host(&self) -> HostView {
        let mut hosts = self.hosts.hosts();
        assert_eq!(hosts.len(), 1);
        hosts.remove(0)
    }

    /// Runs a machine from create to rm.
    ///
    /// # Panics
    /// An assertion fails; the same applies to the functions below.
    pub async fn life(&self) {
        let home = self.home;
        let created = self.create("m1", &[]).await.ok();
        assert!(created.out.contains("Created in "), "{created}");
        assert!(created.out.contains("docker-machine env m1"), "{created}");
        let address = self.host().spec().address.to_string();
        let url = format!("tcp://{address}:2376");

        // It runs, and its Docker release is shown.
        let listed = home.run(["ls"]).await.ok();
        let table = listed.table();
        assert_eq!(
            table[0],
            [
                "NAME", "ACTIVE", "DRIVER", "STATE", "URL", "SWARM", "DOCKER", "ERRORS"
            ]
        );
        assert_eq!(
            table[1],
            ["m1", "-", "amazonec2", "Running", &url, "v29.1.2"],
            "{listed}"
        );
        assert_eq!(home.run(["ls", "-q"]).await.ok().out, "m1\n");

        // Its address, and the commands to reach it.
        assert_eq!(home.run(["url", "m1"]).await.ok().out, format!("{url}\n"));
        assert_eq!(
            home.run(["ip", "m1"]).await.ok().out,
            format!("{address}\n")
        );
        assert_eq!(home.run(["status", "m1"]).await.ok().out, "Running\n");
        let directory = home.machine("m1").display().to_string();
        let environment = home.run(["env", "m1"]).await.ok().out;
        for line in [
            "export DOCKER_TLS_VERIFY=\"1\"".to_owned(),
            format!("export DOCKER_HOST=\"{url}\""),
            format!("export DOCKER_CERT_PATH=\"{directory}\""),
            "export DOCKER_MACHINE_NAME=\"m1\"".to_owned(),
        ] {
            assert!(
                environment.lines().any(|l| l == line),
                "{line}: {environment}"
            );
        }
        let unset = home.run(["env", "-u"]).await.ok().out;
        assert!(unset.contains("unset DOCKER_HOST"), "{unset}");
        let config = home.run(["config", "m1"]).await.ok().out;
        assert!(config.contains("--tlsverify"), "{config}");
        assert!(config.contains(&format!("-H={url}")), "{config}");
        let store_path = "{{.HostOptions.AuthOptions.StorePath}}";
        let inspected = home.run(["inspect", "m1", "-f", store_path]).await.ok();
        assert_eq!(inspected.out, format!("{directory}\n"));

        // Stop keeps the address, start restores the machine.
        home.run(["stop", "m1"]).await.ok();
        assert_eq!(home.run(["status", "m1"]).await.ok().out, "Stopped\n");
        assert_eq!(
            home.run(["ip", "m1"]).await.ok().out,
            format!("{address}\n")
        );
        home.run(["start", "m1"]).await.ok();
        assert_eq!(home.run(["status", "m1"]).await.ok().out, "Running\n");
        home.run(["config", "m1"]).await.ok();
        if self.restarts {
            home.run(["restart", "m1"]).await.ok();
            home.run(["config", "m1"]).await.ok();
        }
        home.run(["kill", "m1"]).await.ok();
        assert_eq!(home.run(["status", "m1"]).await.ok().out, "Stopped\n");
        let listed = home
            .run(["ls", "--format", "{{.Name}} {{.State}}"])
            .await
            .ok();
        assert_eq!(listed.out, "m1 Stopped\n");

        home.run(["rm", "-y", "m1"]).await.ok();
        assert_eq!(home.run(["ls", "-q"]).await.ok().out, "");
    }

    /// Runs commands on a machine: checks streams and exit status.
    ///
    /// # Panics
    /// See above.
    pub async fn streams(&self) {
        let home = self.home;
        self.create("m1", &[]).await.ok();

        let hello = home.run(["ssh", "m1", "echo out; echo err >&2"]).await.ok();
        assert_eq!((hello.out.as_str(), hello.err.as_str()), ("out\n", "err\n"));
        let seven = home.run(["ssh", "m1", "echo before; exit 7"]).await;
        let seven = seven.failed(1, &["exit status 7"]);
        assert_eq!(seven.out, "before\n");
        // Words are joined; words that look like flags belong to the command.
        assert_eq!(
            home.run(["ssh", "m1", "printf", "%s", "-l"]).await.ok().out,
            "-l"
        );

        let binary: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
        let sum = home.feed(["ssh", "m1", "cksum"], &binary).await.ok();
        let mut here = tokio::process::Command::new("cksum");
        here.kill_on_drop(true);
        assert_eq!(sum.out, home.end(here, &binary).await.ok().out);

        // Standard output stays empty, even for an unknown name.
        let unknown = home.run(["ssh", "nobody", "true"]).await;
        assert_eq!(unknown.failed(1, &["nobody"]).out, "");
        home.run(["rm", "-f", "m1"]).await.ok();
    }

    /// Creates machines with different options.
    ///
    /// # Panics
    /// See above.
    pub async fn variety(&self) {
        let home = self.home;
        let key = home.path().join("own-key");
        let mut keygen = tokio::process::Command::new("ssh-keygen");
        keygen
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(&key);
        home.end(keygen, b"").await.ok();
        let own_key = format!("--amazonec2-ssh-keypath={}", key.display());
        for (name, flags) in [
            ("tagged", &["--amazonec2-tags=team,ci,cost,42"][..]),
            (
                "small",
                &[
                    "--amazonec2-root-size=20",
                    "--amazonec2-instance-type=t3.nano",
                ],
            ),
            (
                "open",
                &[
                    "--amazonec2-open-port=8080",
                    "--amazonec2-open-port=53/udp",
                    "--amazonec2-security-group=two",
                ],
            ),
            ("own-key", &[own_key.as_str()]),
            (
                "spot",
                &[
                    "--amazonec2-request-spot-instance",
                    "--amazonec2-spot-price=",
                ],
            ),
        ] {
            self.create(name, flags).await.ok();
            home.run(["config", name]).await.ok();
        }
        let listed = home
            .run(["ls", "--format", "{{.Name}} {{.State}}"])
            .await
            .ok();
        assert_eq!(
            listed.out,
            "open Running\nown-key Running\nsmall Running\nspot Running\ntagged Running\n"
        );
        home.run(["rm", "-y", "tagged", "small", "open", "own-key", "spot"])
            .await
            .ok();
        assert!(key.is_file(), "the user's own key must stay");
    }

    /// Runs creates that must fail and leave nothing behind.
    ///
    /// # Panics
    /// See above.
    pub async fn refusals(&self) {
        for (code, flag, said) in [
            (3, "--amazonec2-ami=ami-00000000", "ami-00000000"),
            (
                1,
                "--amazonec2-subnet-id=subnet-00000000",
                "subnet-00000000",
            ),
            (1, "--amazonec2-security-group=sg-00000000", "sg-00000000"),
        ] {
            let ended = self.create("m1", &[flag]).await;
            ended.failed(code, &[said]);
        }
    }
}
