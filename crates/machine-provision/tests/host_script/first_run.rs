//! A host that was never provisioned.

use machine_provision::{InstallSource, check, run_custom_script};

use crate::host::{Host, INSTALL, context, list, plan, shells};

#[tokio::test]
async fn a_bare_host_gets_docker_certificates_and_name_in_one_round_trip() {
    for shell in shells() {
        let mut host = Host::bare();
        host.shell = shell;
        let (result, heard) = host.provision(&plan()).await;
        let report = result.unwrap_or_else(|error| panic!("{shell}: {error}\n{}", heard.debug()));
        assert!(
            report.changed && report.installed && report.restarted,
            "{shell}: {report:?}"
        );
        assert_eq!(report.docker_version, "29.1.2");
        assert_eq!(
            (report.os.id.as_str(), report.os.version.as_str()),
            ("debian", "12")
        );
        assert_eq!(report.os.family, "debian");
        assert_eq!(
            heard.said(),
            [
                "Provisioning with debian...",
                "Installing Docker...",
                "Copying certs to the remote machine...",
                "Setting Docker configuration on the remote daemon...",
            ]
        );
        assert_eq!(host.count("systemctl restart"), 1);
        assert_eq!(host.count("systemctl daemon-reload"), 1);
        assert_eq!(host.read("/etc/hostname"), "m1\n");
        assert_eq!(host.read("/state/host-name"), "m1\n");
        assert_eq!(
            host.read("/etc/hosts"),
            "127.0.0.1 localhost\n127.0.1.1 m1\n"
        );
        for (file, mode, inside) in [
            ("/etc/docker/ca.pem", 0o644, "\nCA\n"),
            ("/etc/docker/server.pem", 0o644, "\nSERVER\n"),
            ("/etc/docker/server-key.pem", 0o600, "\nVERYSECRET\n"),
        ] {
            assert!(host.read(file).contains(inside) && host.read(file).ends_with("-----\n"));
            assert_eq!(host.mode(file), mode, "{file}");
        }
        assert!(!host.has("/run/docker-machine-restart"));
        assert_eq!(std::fs::read_dir(host.path("/tmp")).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn the_drop_in_matches_the_go_binarys() {
    let host = Host::with_docker();
    let mut plan = plan();
    plan.engine.arbitrary_flags = list(&["mtu=1400", "log-opt=max-size=10m"]);
    plan.engine.labels = list(&["a=b"]);
    plan.engine.insecure_registry = list(&["r:5000"]);
    plan.engine.registry_mirror = list(&["http://127.0.0.1:5555"]);
    plan.engine.env = list(&["HTTP_PROXY=http://p:1", "X=a b"]);
    plan.engine.storage_driver = "vfs".to_owned();
    host.provisioned(&plan).await;
    assert_eq!(
        host.drop_in(),
        "[Service]\nExecStart=\nExecStart=/usr/bin/dockerd -H tcp://0.0.0.0:2376 -H unix:///var/run/docker.sock \
         --storage-driver vfs --tlsverify --tlscacert /etc/docker/ca.pem --tlscert /etc/docker/server.pem \
         --tlskey /etc/docker/server-key.pem --label a=b --label provider=amazonec2 --insecure-registry r:5000 \
         --registry-mirror http://127.0.0.1:5555 --mtu=1400 --log-opt=max-size=10m\n\
         Environment=HTTP_PROXY=http://p:1\nEnvironment=\"X=a b\"\n"
    );
}

#[tokio::test]
async fn an_existing_docker_is_not_installed_again() {
    let host = Host::with_docker();
    let (result, heard) = host.provision(&plan()).await;
    let report = result.unwrap();
    assert!(!report.installed && report.restarted);
    assert_eq!(host.count("curl"), 0);
    assert_eq!(host.count("apt-get"), 0);
    assert!(!heard.said().contains(&"Installing Docker...".to_owned()));
    assert!(!host.drop_in().contains("--storage-driver"));
}

#[tokio::test]
async fn dockerd_is_found_where_it_is() {
    for path in [
        "/usr/sbin/dockerd",
        "/opt/bin/dockerd",
        "/usr/local/bin/dockerd",
    ] {
        let host = Host::bare();
        host.install(path, "20.10.24+dfsg1");
        let report = host.provisioned(&plan()).await;
        assert!(
            host.drop_in().contains(&format!("ExecStart={path} -H")),
            "{}",
            host.drop_in()
        );
        assert_eq!(report.docker_version, "20.10.24+dfsg1");
    }
}

#[tokio::test]
async fn a_pinned_release_reaches_the_install_script() {
    let host = Host::bare();
    let mut plan = plan();
    plan.engine_version = Some("24.0.7".to_owned());
    assert_eq!(host.provisioned(&plan).await.docker_version, "24.0.7");
    let (result, heard) = Host::with_docker().provision(&plan).await;
    assert!(!result.unwrap().installed);
    assert_eq!(
        heard.warnings(),
        ["\"m1\" has Docker 29.1.2 already, and keeps it: upgrade moves it to 24.0.7"]
    );
}

#[tokio::test]
async fn a_local_install_script_is_sent_only_if_docker_is_missing() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), INSTALL).unwrap();
    let mut plan = plan();
    plan.install = InstallSource::parse(&format!("file://{}", file.path().display()));
    let host = Host::bare();
    assert!(host.provisioned(&plan).await.installed);
    assert_eq!(host.count("curl"), 0);
    plan.install = InstallSource::parse("/nowhere/install.sh");
    assert!(!Host::with_docker().provisioned(&plan).await.installed);
    let (error, _) = Host::bare().refusal(&plan).await;
    assert_eq!(
        error.to_string(),
        "cannot read the install script /nowhere/install.sh"
    );
}

#[tokio::test]
async fn a_url_with_a_pipe_goes_to_bash_on_the_host() {
    // From many guides: the script's last line, which calls its main function, after another line.
    let pinning =
        "https://get.docker.com|head -n-1|cat - <(echo -e \"VERSION=19.03.9\\ninstalled\")";
    let script = format!("installed() {{\n{INSTALL}\n}}\ninstalled\n");
    let curl = "cat \"$S/web/https:__get.docker.com\"";
    let mut plan = plan();
    plan.install = InstallSource::parse(pinning);
    let host = Host::bare();
    host.web("https://get.docker.com", &script);
    host.program("curl", curl);
    std::os::unix::fs::symlink("/bin/bash", host.path("tools/bash")).unwrap();
    let report = host.provisioned(&plan).await;
    assert_eq!(
        (report.installed, report.docker_version.as_str()),
        (true, "19.03.9")
    );
    assert_eq!(
        host.calls()
            .iter()
            .find(|call| call.starts_with("curl"))
            .unwrap(),
        "curl -sSL https://get.docker.com"
    );

    let host = Host::bare();
    let (error, _) = host.refusal(&plan).await;
    assert!(error.to_string().contains("has no bash"), "{error}");
    assert!(error.hint().unwrap().contains("--engine-version"));
}

#[tokio::test]
async fn wget_is_used_without_curl() {
    let host = Host::bare();
    host.without("curl");
    host.program("wget", "while [ $# -gt 1 ]; do [ \"$1\" != -O ] || out=$2; shift; done\ncp \"$S/web/https:__get.docker.com\" \"$out\"");
    assert!(host.provisioned(&plan()).await.installed);
    assert_eq!(host.count("wget"), 1);
}

#[tokio::test]
async fn long_names_are_shortened_for_the_host() {
    let host = Host::with_docker();
    let mut plan = plan();
    plan.hostname = "runner-abc-".repeat(9);
    host.provisioned(&plan).await;
    let name = host.read("/etc/hostname");
    assert!(
        name.trim().len() <= 64 && name.starts_with("runner-abc-"),
        "{name}"
    );
    plan.hostname = "x; reboot".to_owned();
    let (error, _) = host.refusal(&plan).await;
    assert!(error.to_string().contains("invalid host name"), "{error}");
}

#[tokio::test]
async fn a_former_host_name_in_etc_hosts_is_replaced() {
    let host = Host::with_docker();
    host.put(
        "/etc/hosts",
        "127.0.1.1\told.example old\n::1 ip6-localhost\n127.0.1.10 other\n",
    );
    host.provisioned(&plan()).await;
    assert_eq!(
        host.read("/etc/hosts"),
        "127.0.1.1 m1\n::1 ip6-localhost\n127.0.1.10 other\n"
    );
}

#[tokio::test]
async fn a_line_that_names_the_host_stays() {
    for line in [
        "172.31.77.10 web1.example.com web1",
        "127.0.1.1 web1.example.com web1",
        "127.0.1.1\tWEB1.example.com\tWeb1 # by cloud-init",
        "::1 web1",
    ] {
        let host = Host::with_docker();
        let text = format!("127.0.0.1 localhost\n{line}\n127.0.1.1 other\n");
        host.put("/etc/hosts", &text);
        let mut plan = plan();
        plan.hostname = "web1".to_owned();
        host.provisioned(&plan).await;
        assert_eq!(host.read("/etc/hosts"), text);
    }
    for line in [
        "172.31.77.10 web1.example.com",
        "172.31.77.10 xweb1 web1x",
        "172.31.77.10 other # web1 once",
        "# 172.31.77.10 web1",
        "web1",
    ] {
        let host = Host::with_docker();
        host.put("/etc/hosts", &format!("{line}\n"));
        let mut plan = plan();
        plan.hostname = "web1".to_owned();
        host.provisioned(&plan).await;
        assert_eq!(host.read("/etc/hosts"), format!("{line}\n127.0.1.1 web1\n"));
    }
}

#[tokio::test]
async fn files_that_are_mount_points_are_written_in_place() {
    for shell in shells() {
        let mut host = Host::with_docker();
        host.shell = shell;
        let identity = |file: &str| {
            use std::os::unix::fs::MetadataExt;
            std::fs::metadata(host.path(file)).unwrap().ino()
        };
        let before = (identity("/etc/hostname"), identity("/etc/hosts"));
        std::fs::remove_file(host.path("/tools/mv")).unwrap();
        host.program("mv", "for to; do :; done\ncase $to in */etc/hostname | */etc/hosts) echo \"mv: cannot move to '$to': Device or resource busy\" >&2; exit 1 ;; esac\nexec /bin/mv \"$@\"");
        host.provisioned(&plan()).await;
        assert_eq!(host.read("/etc/hostname"), "m1\n");
        assert_eq!(
            host.read("/etc/hosts"),
            "127.0.0.1 localhost\n127.0.1.1 m1\n"
        );
        assert_eq!(before, (identity("/etc/hostname"), identity("/etc/hosts")));
        for file in ["/etc/hostname.new", "/etc/hosts.new"] {
            assert!(!host.has(file), "{file}");
        }
    }
}

#[tokio::test]
async fn a_failed_replacement_leaves_no_temporary_file() {
    let host = Host::with_docker();
    std::fs::remove_file(host.path("/tools/mv")).unwrap();
    host.program(
        "mv",
        "case $* in */etc/hostname) echo 'mv: cannot move: Operation not permitted' >&2; exit 1 ;; esac\nexec /bin/mv \"$@\"",
    );
    let file = host.path("/etc/hostname");
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let (error, _) = host.refusal(&plan()).await;
    assert!(error.to_string().contains("write /etc/hostname"), "{error}");
    assert!(
        error.to_string().ends_with("Operation not permitted"),
        "{error}"
    );
    assert_eq!(error.hint(), None);
    assert!(!host.has("/etc/hostname.new"));
}

#[tokio::test]
async fn a_custom_script_replaces_provisioning() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "echo custom >\"$MACHINE_ROOT/state/custom\"\n").unwrap();
    let host = Host::bare();
    let (cx, _) = context();
    let ran = run_custom_script(&host, "m1", "m1", file.path(), &cx).await;
    let report = ran.unwrap();
    assert!(report.changed && !report.installed && report.docker_version.is_empty());
    assert_eq!(host.read("/state/custom"), "custom\n");
    assert_eq!(host.read("/etc/hostname"), "m1\n");
    assert!(!host.has("/etc/docker") && host.count("systemctl") == 0);
}

#[tokio::test]
async fn an_engine_with_an_ipv6_address_listens_there() {
    let host = Host::with_docker();
    let mut plan = plan();
    (plan.ipv6, plan.engine_port) = (true, 2377);
    host.provisioned(&plan).await;
    assert!(
        host.drop_in().contains("-H tcp://[::]:2377 -H unix"),
        "{}",
        host.drop_in()
    );
}

#[tokio::test]
async fn invalid_options_are_errors_before_the_host_exists() {
    let good = plan().engine;
    let path = std::path::Path::new;
    assert!(check(&good, "m1", &[]).await.unwrap().is_empty());
    let mut bad = good.clone();
    bad.env = list(&["9TOKEN=secret"]);
    let warnings = check(&bad, "m1", &[]).await.unwrap().join("\n");
    assert!(
        warnings.contains("9TOKEN") && !warnings.contains("secret"),
        "{warnings}"
    );
    bad.install_url = "https://get.docker.com|head -n-1".to_owned();
    let warnings = check(&bad, "m1", &[]).await.unwrap().join("\n");
    assert!(
        warnings.contains("--engine-version pins a release"),
        "{warnings}"
    );
    bad.labels = list(&["novalue"]);
    let error = check(&bad, "m1", &[]).await.unwrap_err().to_string();
    assert_eq!(
        error,
        "invalid --engine-label \"novalue\": expected KEY=VALUE"
    );
    let error = check(&good, "m_1", &[]).await.unwrap_err().to_string();
    assert!(error.contains("m_1"), "{error}");
    for (script, named) in [("/no/such/script", "/no/such/script"), ("/", "/")] {
        let error = check(&good, "m1", &[path(script)]).await.unwrap_err();
        assert!(error.to_string().contains(named), "{error}");
    }
}
