//! A host that was provisioned before: only differences are changed.

use machine_provision::{Plan, replace_certificates};

use crate::host::{Host, context, list, plan};

#[tokio::test]
async fn the_same_plan_changes_and_restarts_nothing() {
    let host = Host::bare();
    let mut plan = plan();
    plan.engine.env = list(&["A=1 2", "B=%x"]);
    plan.engine.labels = list(&["a=$b"]);
    host.provisioned(&plan).await;
    host.forget_calls();
    let report = host.provisioned(&plan).await;
    assert!(
        !report.changed && !report.restarted && !report.installed,
        "{report:?}"
    );
    assert_eq!(
        host.count("systemctl restart") + host.count("systemctl daemon-reload"),
        0
    );
    assert_eq!(host.count("curl") + host.count("hostname"), 0);
}

type Change = fn(&mut Plan);

#[tokio::test]
async fn each_difference_causes_one_restart() {
    let host = Host::bare();
    let mut plan = plan();
    host.provisioned(&plan).await;
    let changes: [(&str, Change); 4] = [
        ("a label", |plan| plan.engine.labels = list(&["new=1"])),
        ("a certificate", |plan| {
            plan.certificates.as_mut().unwrap().server = "NEW\n".into()
        }),
        ("a key", |plan| {
            plan.certificates.as_mut().unwrap().key = "NEWKEY\n".into()
        }),
        ("the port", |plan| plan.engine_port = 2377),
    ];
    for (what, change) in changes {
        change(&mut plan);
        host.forget_calls();
        let report = host.provisioned(&plan).await;
        assert!(report.changed && report.restarted, "{what}");
        assert_eq!(host.count("systemctl restart"), 1, "{what}");
    }
    assert_eq!(host.read("/etc/docker/server-key.pem"), "NEWKEY\n");
    assert_eq!(host.mode("/etc/docker/server-key.pem"), 0o600);
}

#[tokio::test]
async fn a_new_host_name_causes_no_restart() {
    let host = Host::bare();
    let mut plan = plan();
    host.provisioned(&plan).await;
    host.forget_calls();
    plan.hostname = "m2".to_owned();
    let report = host.provisioned(&plan).await;
    assert!(report.changed && !report.restarted);
    assert_eq!(
        host.read("/etc/hosts"),
        "127.0.0.1 localhost\n127.0.1.1 m2\n"
    );
}

#[tokio::test]
async fn a_missed_restart_is_made_up_for() {
    let host = Host::with_docker();
    host.put("/state/broken", "");
    host.refusal(&plan()).await;
    // Another person started it with its previous configuration; the files are all in place by now.
    std::fs::remove_file(host.path("/state/broken")).unwrap();
    host.put("/state/active", "active\n");
    host.forget_calls();
    assert!(host.provisioned(&plan()).await.restarted);
    assert_eq!(host.count("systemctl restart"), 1);
    host.forget_calls();
    assert!(!host.provisioned(&plan()).await.restarted);
}

#[tokio::test]
async fn an_engine_that_is_down_is_started() {
    let host = Host::bare();
    host.provisioned(&plan()).await;
    host.put("/state/active", "failed\n");
    host.put("/state/enabled", "disabled\n");
    host.forget_calls();
    assert!(host.provisioned(&plan()).await.restarted);
    let calls = host.calls();
    let at = |call: &str| calls.iter().position(|line| line == call).unwrap();
    assert!(at("systemctl enable docker.service") < at("systemctl restart docker.service"));
    assert!(at("systemctl reset-failed docker.service") < at("systemctl restart docker.service"));
}

#[tokio::test]
async fn a_unit_that_changed_after_systemd_read_it_causes_a_restart() {
    let host = Host::bare();
    host.provisioned(&plan()).await;
    host.put("/state/stale", "yes\n");
    host.forget_calls();
    assert!(host.provisioned(&plan()).await.restarted);
    let calls = host.calls();
    let at = |call: &str| calls.iter().position(|line| line == call).unwrap();
    assert!(at("systemctl daemon-reload") < at("systemctl restart docker.service"));
}

#[tokio::test]
async fn a_readable_key_is_closed_again() {
    let host = Host::bare();
    host.provisioned(&plan()).await;
    let key = host.path("/etc/docker/server-key.pem");
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    host.provisioned(&plan()).await;
    assert_eq!(host.mode("/etc/docker/server-key.pem"), 0o600);
}

#[tokio::test]
async fn new_certificates_touch_nothing_else() {
    let host = Host::with_docker();
    let mut plan = plan();
    host.provisioned(&plan).await;
    host.put("/etc/hostname", "renamed.example.com\n");
    host.put("/state/host-name", "renamed\n");
    host.put("/etc/hosts", "127.0.0.1 localhost\n");
    let drop_in = format!("{}# a person's own\n", host.drop_in());
    host.put(
        "/etc/systemd/system/docker.service.d/10-machine.conf",
        &drop_in,
    );
    plan.certificates.as_mut().unwrap().server = "NEW\n".into();
    plan.engine.labels = list(&["new=1"]);
    host.forget_calls();
    let report = replace_certificates(&host, &plan, &context().0)
        .await
        .unwrap();
    assert!(report.changed && report.restarted);
    assert_eq!(host.count("systemctl restart"), 1);
    assert_eq!(host.read("/etc/docker/server.pem"), "NEW\n");
    assert_eq!(host.read("/etc/hostname"), "renamed.example.com\n");
    assert_eq!(host.read("/etc/hosts"), "127.0.0.1 localhost\n");
    assert_eq!(host.drop_in(), drop_in);
    assert_eq!(host.count("hostname"), 0);
}

#[tokio::test]
async fn certificates_for_an_unprovisioned_host_are_refused() {
    let host = Host::with_docker();
    let error = replace_certificates(&host, &plan(), &context().0)
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("is not set up to use the certificates"),
        "{error}"
    );
    assert_eq!(
        error.hint().unwrap(),
        "the machine says: docker-machine provision m1"
    );
    assert!(!host.has("/etc/docker/server-key.pem"));
    assert_eq!(host.count("systemctl restart"), 0);
}
