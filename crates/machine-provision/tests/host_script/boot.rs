//! A host that is still booting.

use crate::host::{Host, plan};

#[tokio::test]
async fn an_installation_waits_for_cloud_init() {
    let host = Host::bare();
    // Its user data installs Docker: no installation is needed.
    host.program("cloud-init", "cp \"$S/stub\" \"$R/usr/bin/dockerd\"\n");
    host.install("/usr/bin/dockerd", "27.5.1");
    std::fs::remove_file(host.path("/usr/bin/dockerd")).unwrap();
    let (result, heard) = host.provision(&plan()).await;
    assert!(!result.unwrap().installed);
    assert_eq!(heard.said()[1], "Waiting for cloud-init...");
    assert_eq!(host.count("cloud-init status --wait"), 1);
    assert_eq!(host.count("curl"), 0);
}

#[tokio::test]
async fn cloud_init_is_not_awaited_without_need() {
    let ready = Host::with_docker();
    let done = Host::bare();
    done.put("/run/cloud-init/result.json", "{}");
    let disabled = Host::bare();
    disabled.put("/run/cloud-init/disabled", "");
    for host in [ready, done, disabled] {
        host.program("cloud-init", "exit 1");
        let (result, heard) = host.provision(&plan()).await;
        result.unwrap();
        assert_eq!(host.count("cloud-init"), 0);
        assert!(heard.warnings().is_empty());
    }
}

#[tokio::test]
async fn user_data_is_awaited_even_if_docker_is_installed() {
    let host = Host::with_docker();
    host.put("/var/lib/cloud/instance/user-data.txt", "#!/bin/sh\n");
    host.program("cloud-init", "");
    host.provisioned(&plan()).await;
    assert_eq!(host.count("cloud-init status --wait"), 1);
}

#[tokio::test]
async fn a_failed_or_hanging_cloud_init_is_only_a_warning() {
    for (status, warning) in [
        (1, "ended with an error"),
        (124, "still running after ten minutes"),
    ] {
        let host = Host::bare();
        host.program("cloud-init", &format!("exit {status}"));
        let (result, heard) = host.provision(&plan()).await;
        assert!(result.unwrap().installed);
        assert!(
            heard.warnings()[0].contains(warning),
            "{:?}",
            heard.warnings()
        );
    }
    let host = Host::bare();
    host.program("cloud-init", "exit 2");
    assert!(host.provision(&plan()).await.1.warnings().is_empty());
}

/// Takes apt's lock as the kernel shows it.
fn lock(host: &Host) {
    use std::os::unix::fs::MetadataExt;
    host.put("/var/lib/dpkg/lock-frontend", "");
    let inode = std::fs::metadata(host.path("/var/lib/dpkg/lock-frontend"))
        .unwrap()
        .ino();
    host.put(
        "/proc/locks",
        &format!("1: POSIX  ADVISORY  WRITE 4711 fe:01:{inode} 0 EOF\n2: FLOCK  ADVISORY  WRITE 1 00:1a:77 0 EOF\n"),
    );
}

#[tokio::test]
async fn an_installation_waits_for_the_package_managers_lock() {
    let host = Host::bare();
    lock(&host);
    host.program(
        "sleep",
        "[ \"$(grep -c ^sleep \"$S/calls\")\" -lt 3 ] || : >\"$R/proc/locks\"",
    );
    let (result, heard) = host.provision(&plan()).await;
    assert!(result.unwrap().installed);
    assert_eq!(
        heard.said()[1..3],
        ["Waiting for the package manager...", "Installing Docker..."]
    );
    assert_eq!(host.count("sleep"), 3);
}

#[tokio::test]
async fn waiting_for_a_lock_times_out() {
    let host = Host::bare();
    lock(&host);
    let (error, _) = host.refusal(&plan()).await;
    assert!(
        error
            .to_string()
            .contains("still locked by process 4711 after five minutes"),
        "{error}"
    );
    assert_eq!(
        error.hint().unwrap(),
        "the machine says: see what it does: ps -fp 4711"
    );
    assert_eq!(host.count("sleep"), 300);
}

#[tokio::test]
async fn without_an_installation_the_lock_is_not_awaited() {
    let host = Host::with_docker();
    lock(&host);
    host.provisioned(&plan()).await;
    assert_eq!(host.count("sleep"), 0);
}

#[tokio::test]
async fn packages_never_prompt() {
    let host = Host::bare();
    host.put("/state/tail", "");
    let script = host.read("/state/web/https:__get.docker.com");
    host.web(
        "https://get.docker.com",
        &format!("{script}\necho \"$DEBIAN_FRONTEND $NEEDRESTART_MODE $(cat \"$APT_CONFIG\")\" >\"$S/asked\"; cat"),
    );
    host.provisioned(&plan()).await;
    assert_eq!(
        host.read("/state/asked"),
        "noninteractive a DPkg::Lock::Timeout \"300\";\n"
    );
}
