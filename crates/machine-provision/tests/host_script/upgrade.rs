//! Upgrades to another release of Docker.

use machine_provision::{Report, upgrade};

use crate::host::{Host, context, plan};

async fn upgraded(host: &Host, version: Option<&str>) -> Report {
    let (cx, heard) = context();
    let mut plan = plan();
    plan.engine_version = version.map(str::to_owned);
    let result = upgrade(host, &plan, &cx).await;
    result.unwrap_or_else(|error| panic!("{error}\n{}", heard.debug()))
}

/// Debian with Docker's own packages; installs the release that apt-get is asked for.
fn host() -> Host {
    let host = Host::with_docker();
    host.program("dpkg-query", "echo 'install ok installed'");
    host.program(
        "apt-cache",
        "echo ' docker-ce | 5:29.10.0-1~debian.12~bookworm | https://x bookworm/stable amd64 Packages'\n\
         echo ' docker-ce | 5:29.1.2-1~debian.12~bookworm | https://x bookworm/stable amd64 Packages'\n\
         echo ' docker-ce | 5:24.0.7-1~debian.12~bookworm | https://x bookworm/stable amd64 Packages'",
    );
    host.program(
        "apt-get",
        "case \"$*\" in *install*) cat \"$S/newest\" >\"$S/do/dockerd\" ;; esac",
    );
    host.put("/state/newest", "echo 'Docker version 29.10.0, build 0'\n");
    host
}

#[tokio::test]
async fn the_newest_release_is_installed_and_restarted_once() {
    let host = host();
    host.provisioned(&plan()).await;
    host.forget_calls();
    let report = upgraded(&host, None).await;
    assert!(report.installed && report.restarted && report.changed);
    assert_eq!(report.docker_version, "29.10.0");
    assert_eq!(host.count("systemctl restart"), 1);
    assert_eq!(
        host.count(
            "apt-get -q -y --no-install-recommends install docker-ce docker-ce-cli containerd.io"
        ),
        1
    );
    // A second upgrade restarts nothing.
    host.forget_calls();
    let report = upgraded(&host, None).await;
    assert!(!report.installed && !report.restarted, "{report:?}");
}

#[tokio::test]
async fn a_release_is_found_by_its_number() {
    for (asked, package) in [
        (
            "24.0.7",
            "docker-ce=5:24.0.7-1~debian.12~bookworm docker-ce-cli=5:24.0.7-1~debian.12~bookworm",
        ),
        ("29.1", "docker-ce=5:29.1.2-1~debian.12~bookworm"),
        ("29", "docker-ce=5:29.10.0-1~debian.12~bookworm"),
    ] {
        let host = host();
        upgraded(&host, Some(asked)).await;
        assert!(
            host.calls().iter().any(|call| call.contains(package)),
            "{asked}: {:?}",
            host.calls()
        );
    }
}

#[tokio::test]
async fn an_error_names_an_unavailable_release() {
    let host = host();
    let (cx, _) = context();
    let mut plan = plan();
    plan.engine_version = Some("1.2.3".to_owned());
    let error = upgrade(&host, &plan, &cx).await.unwrap_err();
    assert!(
        error.to_string().contains("no release 1.2.3 of docker-ce"),
        "{error}"
    );
    assert_eq!(
        error.hint().unwrap(),
        "the machine says: see what there is: apt-cache madison docker-ce"
    );
}
