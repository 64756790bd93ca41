//! Firewalls of the host.

use machine_provision::Firewall;

use crate::host::{Host, plan};

#[tokio::test]
async fn a_blocking_firewalld_is_reported_or_opened() {
    let host = Host::with_docker();
    host.put("/state/firewalld", "");
    host.program(
        "firewall-cmd",
        "case \"$*\" in *query-port*) exit 1 ;; esac",
    );
    let report = host.provisioned(&plan()).await;
    assert_eq!(
        report.firewall,
        Some(Firewall {
            name: "firewalld".to_owned(),
            opened_by:
                "firewall-cmd --permanent --add-port=2376/tcp && firewall-cmd --add-port=2376/tcp"
                    .to_owned(),
        })
    );
    assert_eq!(host.count("firewall-cmd --permanent"), 0);
    let mut plan = plan();
    plan.open_firewall = true;
    let report = host.provisioned(&plan).await;
    assert!(report.firewall.is_none() && report.changed && !report.restarted);
    assert_eq!(
        host.count("firewall-cmd --permanent --add-port=2376/tcp"),
        1
    );
    host.program("firewall-cmd", "");
    assert!(!host.provisioned(&plan).await.changed);
}

#[tokio::test]
async fn a_blocking_ufw_is_reported_or_opened() {
    let host = Host::with_docker();
    host.put("/etc/ufw/ufw.conf", "ENABLED=yes\nLOGLEVEL=low\n");
    let status = "Status: active\n\nTo                         Action      From\n--                         ------      ----\n22/tcp                     ALLOW       Anywhere\n";
    host.put("/state/ufw", status);
    host.program("ufw", "case $1 in status) cat \"$S/ufw\" ;; esac");
    let report = host.provisioned(&plan()).await;
    assert_eq!(report.firewall.unwrap().opened_by, "ufw allow 2376/tcp");
    let mut plan = plan();
    plan.open_firewall = true;
    assert!(host.provisioned(&plan).await.firewall.is_none());
    assert_eq!(host.count("ufw allow 2376/tcp"), 1);
    host.put(
        "/state/ufw",
        &format!("{status}2376/tcp                   ALLOW       Anywhere\n"),
    );
    assert!(host.provisioned(&plan).await.firewall.is_none());
    assert_eq!(host.count("ufw allow"), 1);
}

#[tokio::test]
async fn an_inactive_firewall_is_ignored() {
    let host = Host::with_docker();
    host.put("/etc/ufw/ufw.conf", "ENABLED=no\n");
    host.program("ufw", "exit 1");
    assert!(host.provisioned(&plan()).await.firewall.is_none());
    assert_eq!(host.count("ufw"), 0);
}
