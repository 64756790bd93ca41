//! Options that the image's own docker.service passes to dockerd.

use machine_provision::Plan;

use crate::host::{Host, list, plan, shells};

const UNIT: &str = "/usr/lib/systemd/system/docker.service";
const DROP_IN: &str = "/etc/systemd/system/docker.service.d/10-machine.conf";

/// Returns the command line of the drop-in, after the plan's flags and `--label provider=`.
fn inherited(host: &Host) -> String {
    let text = host.drop_in();
    let line = text.lines().rfind(|line| line.starts_with("ExecStart=/"));
    let (_, behind) = line.unwrap().split_once("provider=amazonec2").unwrap();
    behind.trim_start().to_owned()
}

fn unit(host: &Host, settings: &str) {
    host.put(UNIT, &format!("[Unit]\nAfter=x\n[Service]\n{settings}\n"));
}

/// Provisions a host twice: the second run changes nothing.
async fn settled(host: &Host, plan: &Plan) -> (String, Vec<String>) {
    let (result, heard) = host.provision(plan).await;
    result.unwrap_or_else(|error| panic!("{error}\n{}", heard.debug()));
    let again = host.provisioned(plan).await;
    assert!(!again.changed, "{}", host.drop_in());
    (inherited(host), heard.warnings())
}

#[tokio::test]
async fn common_units_need_no_second_run() {
    for shell in shells() {
        for (line, expected) in [
            ("-H fd://", ""),
            (
                "-H fd:// --containerd=/run/containerd/containerd.sock",
                "--containerd=/run/containerd/containerd.sock",
            ),
            ("--host=fd:// $DOCKER_OPTS", "$DOCKER_OPTS"),
            (
                "-H fd:// --containerd=/run/containerd/containerd.sock $OPTIONS $DOCKER_ADD_RUNTIMES",
                "--containerd=/run/containerd/containerd.sock $OPTIONS $DOCKER_ADD_RUNTIMES",
            ),
        ] {
            let mut host = Host::with_docker();
            host.shell = shell;
            let settings = format!(
                "EnvironmentFile=-/etc/default/docker\nEnvironmentFile=-/etc/nothing\nExecStart=/usr/bin/dockerd {line}"
            );
            unit(&host, &settings);
            host.put(
                "/etc/default/docker",
                "#DOCKER_OPTS=\"--dns 8.8.8.8\"\nOTHER=1\n",
            );
            let (found, warnings) = settled(&host, &plan()).await;
            assert_eq!((found.as_str(), warnings.len()), (expected, 0), "{shell}");
            assert_eq!(host.count("id -u"), 2, "{shell}: two runs of the script");
        }
    }
}

#[tokio::test]
async fn options_of_the_unit_go_on_counting() {
    for shell in shells() {
        let mut host = Host::with_docker();
        host.shell = shell;
        unit(
            &host,
            "EnvironmentFile=-/etc/default/docker\nExecStart=/usr/bin/dockerd -H fd:// \\\n  --data-root=/mnt/docker --add-runtime 'nvidia=/usr/bin/a b' $DOCKER_OPTS",
        );
        host.put(
            "/etc/default/docker",
            "DOCKER_OPTS=\"--storage-driver=zfs -D\"\n",
        );
        let (found, warnings) = settled(&host, &plan()).await;
        assert_eq!(
            found, "--data-root=/mnt/docker --add-runtime 'nvidia=/usr/bin/a b' $DOCKER_OPTS",
            "{shell}"
        );
        assert!(warnings.is_empty(), "{warnings:?}");
    }
}

/// The unit of Amazon Linux 2 and 2023. `docker-setup-runtimes.sh` writes `runtimes.env` at each start, so the file
/// does not exist yet on a host where Docker has just been installed.
const AMAZON: &str = "EnvironmentFile=-/etc/sysconfig/docker
EnvironmentFile=-/etc/sysconfig/docker-storage
EnvironmentFile=-/run/docker/runtimes.env
ExecStartPre=/bin/mkdir -p /run/docker
ExecStartPre=/usr/libexec/docker/docker-setup-runtimes.sh
ExecStart=/usr/bin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock $OPTIONS $DOCKER_STORAGE_OPTIONS $DOCKER_ADD_RUNTIMES";

#[tokio::test]
async fn amazon_linux_keeps_its_limits_and_its_gpus() {
    let host = Host::with_docker();
    unit(&host, AMAZON);
    host.put("/etc/sysconfig/docker", "# The max number of open files for the daemon itself, and all\nDAEMON_MAXFILES=1048576\nOPTIONS=\"--default-ulimit nofile=32768:65536\"\n");
    host.put("/etc/sysconfig/docker-storage", "DOCKER_STORAGE_OPTIONS=\n");
    let variables = "--containerd=/run/containerd/containerd.sock $OPTIONS $DOCKER_STORAGE_OPTIONS $DOCKER_ADD_RUNTIMES";
    let (found, warnings) = settled(&host, &plan()).await;
    assert_eq!((found.as_str(), warnings.len()), (variables, 0));
    // Once Docker has started, the GPU's runtime exists.
    host.put(
        "/run/docker/runtimes.env",
        "DOCKER_ADD_RUNTIMES=\"--add-runtime=nvidia=/usr/bin/nvidia-container-runtime\"\n",
    );
    let (found, warnings) = settled(&host, &plan()).await;
    assert_eq!((found.as_str(), warnings.len()), (variables, 0));
    // A limit of the user overrides the image's.
    let mut plan = plan();
    plan.engine.arbitrary_flags = list(&["default-ulimit=nofile=1:2"]);
    host.provisioned(&plan).await;
    let line = host.drop_in();
    assert!(line.contains("--default-ulimit=nofile=1:2 --containerd=/run/containerd/containerd.sock $DOCKER_STORAGE_OPTIONS $DOCKER_ADD_RUNTIMES\n"), "{line}");
}

#[tokio::test]
async fn earlier_and_later_drop_ins_are_both_read() {
    let host = Host::with_docker();
    unit(&host, "ExecStart=/usr/bin/dockerd -H fd:// --mtu=1");
    let early = "/etc/systemd/system/docker.service.d/00-image.conf";
    let late = "/etc/systemd/system/docker.service.d/20-proxy.conf";
    host.put(early, "[Service]\nExecStart=\nExecStart=/usr/bin/dockerd -H fd:// --data-root=/mnt/docker $EXTRA\n");
    host.put(
        late,
        "[Service]\nEnvironment=\"EXTRA=--bip=10.1.0.1/24 --mtu 1450\"\n",
    );
    host.put("/state/drop-ins", &format!("{early} {DROP_IN} {late}"));
    let (found, warnings) = settled(&host, &plan()).await;
    assert_eq!(found, "--data-root=/mnt/docker $EXTRA");
    assert!(warnings.is_empty(), "{warnings:?}");

    // A warning names the conflicting option; the rest of the variable stays in effect.
    let host = Host::with_docker();
    host.put(early, "[Service]\nExecStart=\nExecStart=/usr/bin/dockerd -H fd:// --data-root=/mnt/docker $EXTRA\n");
    host.put(
        late,
        "[Service]\nEnvironment=\"EXTRA=--bip=10.1.0.1/24 --mtu 1450\"\n",
    );
    host.put("/state/drop-ins", &format!("{early} {DROP_IN} {late}"));
    let mut plan = plan();
    plan.engine.arbitrary_flags = list(&["mtu=1400", "data-root=/mine"]);
    host.provisioned(&plan).await;
    let line = host.drop_in();
    assert!(
        line.contains(" --mtu=1400 --data-root=/mine --bip=10.1.0.1/24\n"),
        "{line}"
    );
    let (_, heard) = host.provision(&plan).await;
    assert_eq!(
        heard.warnings(),
        [
            "docker.service on the host passes --data-root=/mnt/docker: --data-root=/mine is used instead",
            "docker.service on the host passes --mtu 1450: --mtu=1400 is used instead",
        ]
    );
}

#[tokio::test]
async fn options_that_the_plan_also_sets_are_overridden() {
    let host = Host::with_docker();
    unit(
        &host,
        "ExecStart=/usr/bin/dockerd -Hfd:// -H unix:///run/docker.sock -H tcp://127.0.0.1:2376 -H unix:///run/other.sock --tls --tlscert=/x --label a=1 --label provider=x --log-opt max-size=1m --dns 8.8.8.8 --insecure-registry r:5000",
    );
    let mut plan = plan();
    plan.engine.insecure_registry = list(&["r:5000"]);
    plan.engine.labels = list(&["a=1"]);
    let (found, warnings) = settled(&host, &plan).await;
    assert_eq!(
        found,
        "--insecure-registry r:5000 -H unix:///run/other.sock --log-opt max-size=1m --dns 8.8.8.8"
    );
    let named: Vec<&str> = warnings
        .iter()
        .filter_map(|line| line.strip_prefix("docker.service on the host passes "))
        .collect();
    assert_eq!(
        named,
        [
            "-H tcp://127.0.0.1:2376: -H tcp://0.0.0.0:2376 is used instead",
            "--tlscert=/x: --tlscert /etc/docker/server.pem is used instead",
            "--label provider=x: --label provider=amazonec2 is used instead",
        ]
    );
}

#[tokio::test]
async fn a_wrapper_around_dockerd_is_reported() {
    let host = Host::with_docker();
    unit(
        &host,
        "ExecStart=/usr/bin/env PATH=/x:${PATH} ${BINDIR}/dockerd --host=fd:// $DOCKER_CGROUPS",
    );
    let (found, warnings) = settled(&host, &plan()).await;
    assert_eq!((found.as_str(), warnings.len()), ("$DOCKER_CGROUPS", 0));
    let host = Host::with_docker();
    unit(
        &host,
        "ExecStart=/bin/sh -c \"exec /usr/bin/dockerd $OPTS\"",
    );
    let (found, warnings) = settled(&host, &plan()).await;
    assert_eq!(found, "");
    assert!(
        warnings[0].contains("starts Docker by /bin/sh"),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn a_host_of_the_go_binary_goes_on_with_what_it_has() {
    let host = Host::with_docker();
    unit(
        &host,
        "ExecStart=/usr/bin/dockerd -H fd:// --data-root=/mnt/docker $DOCKER_OPTS",
    );
    let go = "[Service]\nExecStart=\nExecStart=/usr/bin/dockerd -H tcp://0.0.0.0:2376 -H unix:///var/run/docker.sock --storage-driver overlay2 --tlsverify --tlscacert /etc/docker/ca.pem --tlscert /etc/docker/server.pem --tlskey /etc/docker/server-key.pem --label provider=amazonec2 \nEnvironment=\n";
    host.put(DROP_IN, go);
    host.put("/state/drop-ins", DROP_IN);
    let (found, warnings) = settled(&host, &plan()).await;
    assert_eq!(
        (found.as_str(), warnings.len()),
        ("--storage-driver overlay2", 0)
    );
    // The machine's record takes precedence.
    let mut plan = plan();
    plan.engine.storage_driver = "vfs".to_owned();
    host.provisioned(&plan).await;
    assert!(host.drop_in().contains("--storage-driver vfs"));
    assert!(!host.drop_in().contains("overlay2"));
    // The value of the drop-in in force stays if the record no longer has one.
    plan.engine.storage_driver.clear();
    host.provisioned(&plan).await;
    assert!(host.drop_in().contains("--storage-driver vfs"));
}

#[tokio::test]
async fn a_storage_driver_is_kept_with_the_units_options() {
    let host = Host::with_docker();
    unit(
        &host,
        "ExecStart=/usr/bin/dockerd -H fd:// --storage-driver=zfs --mtu=1400",
    );
    let mut plan = plan();
    plan.engine.storage_driver = "vfs".to_owned();
    host.provisioned(&plan).await;
    plan.engine.storage_driver.clear();
    let (found, warnings) = settled(&host, &plan).await;
    assert_eq!(found, "--storage-driver vfs --mtu=1400");
    assert_eq!(warnings.len(), 1);
    // If daemon.json sets it, it is not a flag.
    let host = Host::with_docker();
    host.put(
        "/etc/docker/daemon.json",
        "{\"storage-driver\": \"overlay2\"}\n",
    );
    host.put(
        DROP_IN,
        "[Service]\nExecStart=\nExecStart=/usr/bin/dockerd --storage-driver overlay2\n",
    );
    plan.engine.storage_driver.clear();
    assert_eq!(settled(&host, &plan).await.0, "");
}
