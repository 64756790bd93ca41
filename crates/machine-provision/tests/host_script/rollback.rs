//! Rollback of a change with which dockerd does not start.

use crate::host::{Host, list, plan, shells};

const FILE: &str = "/etc/docker/daemon.json";

/// dockerd rejects one option, on the command line or in its file.
const PICKY: &str = r#"
case "$*" in "restart docker.service")
    if grep -rq no-such-flag "$R/etc/systemd" "$R/etc/docker" 2>/dev/null; then
        echo failed >"$S/active"
        echo "Job for docker.service failed." >&2
        exit 1
    fi
esac
"#;

fn picky(host: &Host) {
    let systemctl = host.read("/state/do/systemctl");
    host.program("systemctl", &format!("{PICKY}\n{systemctl}"));
    host.program("journalctl", "echo 'unknown flag: --no-such-flag'");
}

#[tokio::test]
async fn a_host_that_worked_goes_on_working() {
    for shell in shells() {
        let mut host = Host::with_docker();
        host.shell = shell;
        picky(&host);
        host.put(FILE, "{\"labels\":[\"image=1\"]}\n");
        let mut plan = plan();
        host.provisioned(&plan).await;
        let files = [
            "/etc/systemd/system/docker.service.d/10-machine.conf",
            FILE,
            "/etc/docker/daemon.json.by-docker-machine",
            "/etc/docker/server.pem",
            "/etc/docker/server-key.pem",
        ];
        let before = files.map(|file| (host.read(file), host.mode(file)));
        plan.engine.labels = list(&["new=1"]);
        plan.engine.arbitrary_flags = list(&["no-such-flag=1"]);
        plan.certificates.as_mut().unwrap().server = "NEW\n".into();
        plan.certificates.as_mut().unwrap().key = "NEWKEY\n".into();
        let (error, heard) = host.refusal(&plan).await;
        assert!(
            error.to_string().contains("docker.service does not start"),
            "{error}"
        );
        assert!(
            error.to_string().ends_with("unknown flag: --no-such-flag"),
            "{error}"
        );
        assert!(error.hint().unwrap().contains("--engine-opt"));
        assert_eq!(
            heard.warnings(),
            ["Docker on m1 runs again, with the settings that it had before"],
            "{shell}"
        );
        assert_eq!(host.read("/state/active"), "active\n");
        assert_eq!(before, files.map(|file| (host.read(file), host.mode(file))));
        assert!(!host.has("/run/docker-machine-restart"));
        // After the fix, all changes are applied.
        plan.engine.arbitrary_flags.clear();
        assert!(host.provisioned(&plan).await.restarted);
        assert_eq!(host.read("/etc/docker/server.pem"), "NEW\n");
        assert!(host.read(FILE).contains("new=1"));
    }
}

#[tokio::test]
async fn new_files_are_removed_by_the_rollback() {
    let host = Host::with_docker();
    picky(&host);
    let mut plan = plan();
    plan.engine.arbitrary_flags = list(&["no-such-flag=1"]);
    host.refusal(&plan).await;
    assert!(!host.has("/etc/systemd/system/docker.service.d/10-machine.conf"));
    assert!(!host.has("/etc/docker/server-key.pem"));
    assert_eq!(host.read("/state/active"), "active\n");
}

#[tokio::test]
async fn an_engine_that_did_not_run_is_not_rolled_back() {
    let host = Host::with_docker();
    picky(&host);
    host.put("/state/active", "failed\n");
    let mut plan = plan();
    plan.engine.arbitrary_flags = list(&["no-such-flag=1"]);
    let (_, heard) = host.refusal(&plan).await;
    assert!(heard.warnings().is_empty());
    assert!(host.drop_in().contains("no-such-flag"));
    assert_eq!(host.count("systemctl restart"), 1);
}

#[tokio::test]
async fn an_interrupted_change_is_rolled_back() {
    // The connection was lost after the files were written: the next run finds them in place.
    let host = Host::with_docker();
    picky(&host);
    host.provisioned(&plan()).await;
    let before = host.drop_in();
    let systemctl = host.read("/state/do/systemctl");
    host.program(
        "systemctl",
        &format!("case \"$*\" in daemon-reload) kill -9 $PPID ;; esac\n{systemctl}"),
    );
    let mut plan = plan();
    plan.engine.arbitrary_flags = list(&["no-such-flag=1"]);
    let (result, _) = host.provision(&plan).await;
    assert!(result.is_err());
    assert!(host.drop_in().contains("no-such-flag"));
    host.program("systemctl", &systemctl);
    host.refusal(&plan).await;
    assert_eq!(host.drop_in(), before);
    assert_eq!(host.read("/state/active"), "active\n");
}
