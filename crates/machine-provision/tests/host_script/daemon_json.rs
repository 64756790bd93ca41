//! Tests with a `daemon.json` of the image.

use machine_provision::ProvisionError;

use crate::host::{Host, list, plan, shells};

const FILE: &str = "/etc/docker/daemon.json";
const KEPT: &str = "/etc/docker/daemon.json.before-docker-machine";

#[tokio::test]
async fn a_file_without_conflicts_is_unchanged() {
    let host = Host::with_docker();
    let text = "{\n\t\"live-restore\": true, \"default-address-pools\": [{\"base\":\"10.9.0.0/16\",\"size\":24}]\n}\n\n";
    host.put(FILE, text);
    assert!(host.provisioned(&plan()).await.restarted);
    assert_eq!(host.read(FILE), text);
    assert!(!host.has(KEPT));
    assert!(!host.provisioned(&plan()).await.changed);
}

#[tokio::test]
async fn what_collides_moves_into_the_file_and_the_original_is_kept() {
    for shell in shells() {
        let mut host = Host::with_docker();
        host.shell = shell;
        let text = "{\"hosts\":[\"fd://\"],\"labels\":[\"image=it's\"],\"mtu\":1450,\"log-driver\":\"local\"}\n";
        host.put(FILE, text);
        let mut plan = plan();
        plan.engine.labels = list(&["a=b"]);
        plan.engine.arbitrary_flags = list(&["mtu=1400"]);
        let (result, heard) = host.provision(&plan).await;
        assert!(result.unwrap().restarted);
        assert_eq!(host.count("systemctl restart"), 1, "{shell}");
        assert_eq!(host.read(KEPT), text);
        let file: serde_json::Value = serde_json::from_str(&host.read(FILE)).unwrap();
        let expected = serde_json::json!({
            "hosts": ["fd://", "tcp://0.0.0.0:2376", "unix:///var/run/docker.sock"],
            "labels": ["image=it's", "a=b", "provider=amazonec2"],
            "mtu": 1450,
            "log-driver": "local",
        });
        assert_eq!(file, expected, "{shell}");
        let drop_in = host.drop_in();
        for gone in ["-H", "--label", "--mtu"] {
            assert!(!drop_in.contains(&format!(" {gone}")), "{drop_in}");
        }
        assert!(drop_in.contains("--tlsverify --tlscacert"));
        assert_eq!(heard.warnings().len(), 1);
        assert!(
            heard.warnings()[0].contains("mtu: it overrides --mtu=1400"),
            "{:?}",
            heard.warnings()
        );
        assert!(!host.provisioned(&plan).await.changed, "{shell}");
        assert_eq!(host.read(KEPT), text);
    }
}

#[tokio::test]
async fn successive_machines_on_one_host_leave_no_entries_behind() {
    let host = Host::with_docker();
    let text = "{\"labels\":[\"image=1\"],\"registry-mirrors\":[\"https://image\"]}\n";
    host.put(FILE, text);
    let mut plan = plan();
    for env in ["a", "b", "c"] {
        plan.engine.labels = list(&[&format!("env={env}")]);
        plan.engine.registry_mirror = list(&[&format!("https://{env}")]);
        assert!(host.provisioned(&plan).await.restarted);
        let file: serde_json::Value = serde_json::from_str(&host.read(FILE)).unwrap();
        let expected = serde_json::json!({
            "labels": ["image=1", format!("env={env}"), "provider=amazonec2"],
            "registry-mirrors": ["https://image", format!("https://{env}")],
        });
        assert_eq!(file, expected);
        assert_eq!(host.read(KEPT), text);
        assert!(!host.provisioned(&plan).await.changed);
    }
    // A new file by another person is used, and kept as the original.
    host.put(FILE, "{\"labels\":[\"image=2\"],\"debug\":true}\n");
    host.provisioned(&plan).await;
    let file: serde_json::Value = serde_json::from_str(&host.read(FILE)).unwrap();
    let expected = serde_json::json!({
        "labels": ["image=2", "env=c", "provider=amazonec2"],
        "debug": true,
    });
    assert_eq!(file, expected);
    assert!(host.read(KEPT).contains("image=2"));
    assert!(host.drop_in().contains("--registry-mirror https://c"));
    assert!(!host.provisioned(&plan).await.changed);
}

#[tokio::test]
async fn a_broken_file_is_an_error_and_unchanged() {
    let host = Host::with_docker();
    host.put(FILE, "{\"hosts\": [\n");
    let (error, _) = host.refusal(&plan()).await;
    assert!(matches!(error, ProvisionError::DaemonJson { .. }));
    assert!(
        error
            .to_string()
            .starts_with("/etc/docker/daemon.json of \"m1\": "),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("repair"));
    assert_eq!(host.read(FILE), "{\"hosts\": [\n");
    assert_eq!(host.count("systemctl restart"), 0);
}

#[tokio::test]
async fn an_empty_file_becomes_valid_json() {
    for text in ["", "\n"] {
        let host = Host::with_docker();
        host.put(FILE, text);
        host.provisioned(&plan()).await;
        assert_eq!(host.read(FILE), "{}\n");
        assert!(host.drop_in().contains(" -H tcp:"));
        assert!(!host.provisioned(&plan()).await.changed);
    }
}
