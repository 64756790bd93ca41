//! The other families, recognized by their commands and the output of these.

use machine_provision::{InstallSource, run_custom_script, upgrade};

use crate::host::{Host, INSTALL, context, plan};

fn bare(os_release: &str) -> Host {
    let host = Host::bare();
    host.without("apt-get");
    host.put("/etc/os-release", os_release);
    host
}

/// The family that the host script finds, by the cheapest run that reports it.
async fn family_of(host: &Host) -> String {
    let script = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(script.path(), ":\n").unwrap();
    let (cx, _) = context();
    let ran = run_custom_script(host, "m1", "m1", script.path(), &cx).await;
    ran.unwrap().os.family
}

fn installer(host: &Host, name: &str) {
    host.program(
        name,
        &format!("case \"$*\" in *install*) {INSTALL} ;; esac"),
    );
}

#[tokio::test]
async fn every_system_finds_its_family() {
    // ID and ID_LIKE as in the distributions' own os-release files.
    for (os_release, family) in [
        ("ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"18.04\"", "debian"),
        ("ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"26.04\"", "debian"),
        ("ID=debian\nVERSION_ID=\"10\"", "debian"),
        ("ID=debian", "debian"),
        ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"", "debian"),
        (
            "ID=\"amzn\"\nID_LIKE=\"centos rhel fedora\"\nVERSION_ID=\"2\"",
            "amazon",
        ),
        (
            "ID=\"amzn\"\nID_LIKE=\"fedora\"\nVERSION_ID=\"2023\"",
            "amazon",
        ),
        (
            "ID=\"rhel\"\nID_LIKE=\"fedora\"\nVERSION_ID=\"9.4\"",
            "redhat",
        ),
        (
            "ID=\"centos\"\nID_LIKE=\"rhel fedora\"\nVERSION_ID=\"9\"",
            "redhat",
        ),
        ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"", "redhat"),
        ("ID=\"almalinux\"\nID_LIKE=\"rhel centos fedora\"", "redhat"),
        ("ID=\"ol\"\nID_LIKE=\"fedora\"", "redhat"),
        ("ID=fedora\nVERSION_ID=42", "redhat"),
        ("ID=\"sles\"\nID_LIKE=\"suse\"", "suse"),
        ("ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"", "suse"),
        (
            "ID=\"opensuse-tumbleweed\"\nID_LIKE=\"opensuse suse\"",
            "suse",
        ),
        ("ID=arch\nBUILD_ID=rolling", "systemd"),
        ("ID=flatcar\nID_LIKE=coreos\nVERSION_ID=4081.2.0", "systemd"),
        ("ID=nixos", "systemd"),
        ("NAME='nobody'", "systemd"),
    ] {
        let host = bare(os_release);
        assert_eq!(family_of(&host).await, family, "{os_release}");
    }
    let host = Host::bare();
    std::fs::remove_file(host.path("/etc/os-release")).unwrap();
    host.put("/usr/lib/os-release", "ID=sles\n");
    assert_eq!(family_of(&host).await, "suse");
}

#[tokio::test]
async fn amazon_linux_uses_its_own_package_for_the_default_url() {
    let host = bare("ID=\"amzn\"\nID_LIKE=\"fedora\"\nVERSION_ID=\"2023\"\n");
    installer(&host, "dnf");
    assert!(host.provisioned(&plan()).await.installed);
    assert_eq!(host.count("dnf -q -y install docker"), 1);
    assert_eq!(host.count("curl"), 0);

    let host = bare("ID=\"amzn\"\nID_LIKE=\"centos rhel fedora\"\nVERSION_ID=\"2\"\n");
    host.program("amazon-linux-extras", "");
    installer(&host, "yum");
    let mut plan = plan();
    plan.engine_version = Some("25.0.3".to_owned());
    host.provisioned(&plan).await;
    let calls = host.calls();
    let at = |call: &str| calls.iter().position(|line| line == call).unwrap();
    assert!(at("amazon-linux-extras enable docker") < at("yum -q -y install docker-25.0.3"));

    // A URL of the user takes precedence.
    let host = bare("ID=\"amzn\"\n");
    host.web("https://mirror.example/i.sh", INSTALL);
    plan.install = InstallSource::parse("https://mirror.example/i.sh");
    host.provisioned(&plan).await;
    assert_eq!(host.count("curl"), 1);
}

#[tokio::test]
async fn a_service_that_its_package_does_not_enable_is_enabled() {
    let host = bare("ID=\"amzn\"\nVERSION_ID=\"2023\"\n");
    installer(&host, "dnf");
    host.put("/state/enabled", "disabled\n");
    host.provisioned(&plan()).await;
    assert_eq!(host.count("systemctl enable docker.service"), 1);
}

#[tokio::test]
async fn almalinux_uses_dockers_packages_for_centos() {
    let host = bare("ID=\"almalinux\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.4\"\n");
    host.web(
        "https://download.docker.com/linux/centos/docker-ce.repo",
        "[docker-ce-stable]\n",
    );
    host.put("/etc/yum.repos.d/almalinux.repo", "");
    host.program("rpm", "exit 1");
    installer(&host, "dnf");
    host.provisioned(&plan()).await;
    assert_eq!(
        host.read("/etc/yum.repos.d/docker-ce.repo"),
        "[docker-ce-stable]\n"
    );
    assert_eq!(
        host.count("dnf -q -y install docker-ce docker-ce-cli containerd.io"),
        1
    );
}

#[tokio::test]
async fn dockers_script_is_used_for_systems_that_it_supports() {
    for id in ["centos", "rhel", "rocky", "fedora"] {
        let host = bare(&format!("ID=\"{id}\"\nVERSION_ID=\"9\"\n"));
        host.provisioned(&plan()).await;
        assert_eq!(host.count("curl"), 1, "{id}");
    }
}

#[tokio::test]
async fn an_ostree_image_without_docker_is_an_error() {
    let host = Host::with_docker();
    host.put("/etc/os-release", "ID=fedora\nVARIANT_ID=coreos\n");
    host.put("/run/ostree-booted", "");
    let (cx, _) = context();
    let error = upgrade(&host, &plan(), &cx).await.unwrap_err();
    assert!(error.to_string().contains("ostree"), "{error}");
    assert!(error.hint().unwrap().contains("image with Docker"));
}

#[tokio::test]
async fn a_distributions_docker_is_upgraded_from_the_distribution() {
    let host = Host::with_docker();
    host.put("/etc/os-release", "ID=fedora\nVERSION_ID=42\n");
    host.program(
        "rpm",
        "case \"$*\" in '-q docker-ce') exit 1 ;; -qf*) printf moby-engine ;; esac",
    );
    host.program("dnf", "");
    let (cx, _) = context();
    upgrade(&host, &plan(), &cx).await.unwrap();
    assert_eq!(host.count("dnf -q -y install moby-engine"), 1);
}

#[tokio::test]
async fn yum_and_zypper_are_awaited_by_process_id() {
    for (os_release, file, tool) in [
        ("ID=amzn\n", "/var/run/yum.pid", "dnf"),
        ("ID=sles\nID_LIKE=suse\n", "/run/zypp.pid", "zypper"),
    ] {
        let host = bare(os_release);
        installer(&host, tool);
        host.put(file, "321\n");
        host.put("/proc/321/comm", tool);
        host.program("sleep", "rm -r \"$R/proc/321\"");
        let (result, heard) = host.provision(&plan()).await;
        assert!(result.unwrap().installed);
        assert_eq!(heard.said()[1], "Waiting for the package manager...");
        assert_eq!(host.count("sleep"), 1);
    }
}

#[tokio::test]
async fn suse_uses_its_own_package() {
    let host = bare("ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\nVERSION_ID=\"15.6\"\n");
    installer(&host, "zypper");
    let mut plan = plan();
    plan.engine_version = Some("27.5.1".to_owned());
    host.provisioned(&plan).await;
    assert_eq!(
        host.count("zypper --non-interactive --quiet install docker=27.5.1_ce"),
        1
    );
}

#[tokio::test]
async fn any_system_with_systemd_and_docker_is_supported() {
    for os_release in [
        "ID=arch\n",
        "ID=flatcar\nID_LIKE=coreos\n",
        "ID=fedora\nVARIANT_ID=coreos\n",
    ] {
        let host = Host::with_docker();
        host.put("/etc/os-release", os_release);
        assert!(host.provisioned(&plan()).await.restarted);
    }
    let host = Host::with_docker();
    host.put("/etc/os-release", "ID=flatcar\n");
    let (cx, _) = context();
    let error = upgrade(&host, &plan(), &cx).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("cannot install Docker on flatcar"),
        "{error}"
    );
}

#[tokio::test]
async fn selinux_contexts_are_restored() {
    let host = Host::with_docker();
    host.put("/etc/os-release", "ID=rocky\n");
    host.program("restorecon", "");
    host.provisioned(&plan()).await;
    for file in [
        "docker/ca.pem",
        "docker/server-key.pem",
        "systemd/system/docker.service.d/10-machine.conf",
        "hostname",
    ] {
        let call = format!("restorecon {}", host.path("/etc").join(file).display());
        assert_eq!(host.count(&call), 1, "{call}");
    }
}
