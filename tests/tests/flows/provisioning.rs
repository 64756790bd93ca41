//! Provisioning through the binary, on simulated hosts: source of the install script, early errors, changes by later
//! runs.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use ec2_lab::hosts::{DockerAtBoot, HostOptions};
use machine_tests::flows::{Flow, endpoint_flags};
use machine_tests::pages::{Proxy, Served};

/// A host without Docker and without network access.
fn cut_off() -> HostOptions {
    HostOptions {
        docker: DockerAtBoot::Missing,
        web: BTreeMap::new(),
        ..HostOptions::default()
    }
}

/// The script that get.docker.com serves to simulated hosts.
fn script() -> Vec<u8> {
    let web = HostOptions::default().web;
    web["https://get.docker.com"].clone()
}

const OVERRIDE: &str = "etc/systemd/system/docker.service.d/10-machine.conf";

#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_curl_and_wget_gets_the_script_from_the_manager() {
    let without = |programs: &[&str]| HostOptions {
        without: programs.iter().map(|name| (*name).to_owned()).collect(),
        ..cut_off()
    };
    // The page is one redirect away.
    let page = Served::plain(script()).await;
    let flow = Flow::with_hosts(without(&["curl", "wget"])).await;
    let url = format!("--engine-install-url={}", page.redirecting());
    flow.create("m1", &[&url]).await.ok();
    assert_eq!(flow.host().counts().installations, 1);
    assert!(page.requests().len() >= 2, "{:?}", page.requests());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_script_is_fetched_through_proxies_and_over_tls() {
    let page = Served::tls("install.test", script()).await;
    let proxy = Proxy::to(&page).await;
    let mut flow = Flow::with_hosts(cut_off()).await;
    let roots = flow.home.file("roots.pem", page.authority());
    flow.home.set("SSL_CERT_FILE", roots);
    flow.home.set("HTTPS_PROXY", proxy.url("user:pass"));
    let url = "--engine-install-url=https://install.test/docker";
    flow.home.set("MACHINE_DEBUG", "true");
    let created = flow.create("m1", &[url]).await.ok();
    assert!(
        created.err.contains("sending it from this machine"),
        "{created}"
    );
    assert!(!created.err.contains("user:pass"), "{created}");
    let asked = proxy.requests();
    assert!(
        asked[0].starts_with("CONNECT install.test:443 "),
        "{asked:?}"
    );
    assert!(asked[0].contains("Basic dXNlcjpwYXNz"), "{asked:?}");
    assert!(page.requests()[0].starts_with("GET /docker "));
    assert_eq!(flow.host().counts().installations, 1);

    // A man in the middle, whose certificate is untrusted.
    let other = Served::tls("install.test", b"exit 1".to_vec()).await;
    let proxy = Proxy::to(&other).await;
    flow.home.set("HTTPS_PROXY", proxy.url(""));
    let refused = flow.create("m2", &[url]).await;
    refused.failed(1, &["install.test", "certificate"]);
    assert!(other.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_proxy_receives_the_whole_url() {
    let page = Served::plain(script()).await;
    let proxy = Proxy::to(&page).await;
    let mut flow = Flow::with_hosts(cut_off()).await;
    flow.home.set("http_proxy", proxy.url(""));
    flow.home.set("no_proxy", "127.0.0.1");
    flow.create("m1", &["--engine-install-url=http://install.test/docker"])
        .await
        .ok();
    let asked = proxy.requests();
    assert!(
        asked[0].starts_with("GET http://install.test/docker HTTP/1.1"),
        "{asked:?}"
    );
    assert_eq!(flow.host().counts().installations, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_script_is_an_error_and_leaves_nothing() {
    let nowhere = Served::missing().await;
    let flow = Flow::with_hosts(cut_off()).await;
    let url = format!("--engine-install-url={}", nowhere.url());
    let ended = flow.create("m1", &[&url]).await;
    ended.failed(1, &[&nowhere.url(), "404", "hint: check the URL"]);
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_script_is_sent_to_the_host() {
    let flow = Flow::with_hosts(cut_off()).await;
    let file = flow.home.file("install.sh", script());
    let file = file.display().to_string();
    let spellings = ["./install.sh", "install.sh", &format!("file://{file}")];
    for (name, spelling) in ["m1", "m2", "m3"].into_iter().zip(spellings) {
        let flag = format!("--engine-install-url={spelling}");
        flow.create(name, &[&flag]).await.ok();
        // The saved path is absolute, so that later commands may run in any directory.
        let saved = "{{.HostOptions.EngineOptions.InstallURL}}";
        let saved = flow.home.run(["inspect", name, "-f", saved]).await.ok();
        assert!(saved.out.trim_end().ends_with(&file), "{saved}");
        assert!(!saved.out.contains("/./"), "{saved}");
    }
    for host in flow.hosts.hosts() {
        assert_eq!(host.counts().installations, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_options_are_refused_before_anything_is_created() {
    let flow = Flow::start().await;
    let binary = flow.home.file("not-text", [0xff, 0x00]);
    let binary = format!("--engine-install-url={}", binary.display());
    for (flag, said) in [
        ("--engine-label=novalue", "expected KEY=VALUE"),
        ("--engine-registry-mirror=m.test", "expected http"),
        ("--engine-insecure-registry=a b", "expected HOST"),
        ("--engine-storage-driver=overlay3", "expected one of"),
        (
            "--hostname-override=a_b",
            "invalid host name \"a_b\": expected letters, digits, dots and dashes",
        ),
        ("--engine-install-url=/no/such/script", "/no/such/script"),
        ("--custom-install-script=/no/such/script", "/no/such/script"),
        (binary.as_str(), "not-text"),
    ] {
        flow.create("m1", &[flag]).await.failed(1, &[said]);
        assert_eq!(flow.changes(), Vec::<String>::new(), "{flag}");
        flow.assert_clean();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_shell_used_to_eat_is_taken_off_and_said() {
    let flow = Flow::start().await;
    let flags = [
        "--engine-opt='mtu=1400'",
        "--engine-opt=dns=8.8.8.8 --dns=8.8.4.4",
        "--engine-opt=log-opt=\"max-size=10m\"",
        "--engine-label='a=b'",
        "--engine-registry-mirror='http://m.test'",
        "--engine-env=HTTP_PROXY=\"http://u:m4rk3d@p:1\"",
        "--engine-env=FOO",
        "--engine-install-url='https://get.docker.com'",
        "--engine-version=\"27.5.1\"",
        "--hostname-override='web1'",
        "--tls-san='web1.test'",
    ];
    let ended = flow.create("m1", &flags).await.ok();
    let said = format!("{}{}", ended.out, ended.err);
    for option in [
        "--engine-opt mtu: the quotes",
        "--engine-opt log-opt: the quotes",
        "--engine-label a: the quotes",
        "--engine-registry-mirror http://m.test: the quotes",
        "--engine-env HTTP_PROXY: the quotes",
        "--engine-env FOO has no value",
        "--engine-install-url https://get.docker.com: the quotes",
        "--engine-version 27.5.1: the quotes",
        "--hostname-override web1: the quotes",
        "--tls-san web1.test: the quotes",
    ] {
        assert_eq!(said.matches(option).count(), 1, "{option}: {said}");
    }
    assert!(!said.contains("m4rk3d"), "{said}");
    assert!(said.contains("upgrade moves it to 27.5.1\n"), "{said}");
    let name = flow.home.run(["ssh", "m1", "hostname"]).await.ok();
    assert_eq!(name.out, "web1\n");
    let text = std::fs::read_to_string(flow.host().root().join(OVERRIDE)).unwrap();
    let arguments = "--label a=b --label provider=amazonec2 --registry-mirror http://m.test --mtu=1400 --dns=8.8.8.8 --dns=8.8.4.4 --log-opt=max-size=10m";
    assert!(text.contains(arguments), "{text}");
    assert!(
        text.ends_with("\nEnvironment=HTTP_PROXY=http://u:m4rk3d@p:1\n"),
        "{text}"
    );
    // The configuration records the options as typed, as the Go binary does.
    let recorded = [
        "inspect",
        "m1",
        "-f",
        "{{.HostOptions.EngineOptions.Labels}}",
    ];
    assert_eq!(flow.home.run(recorded).await.ok().out, "['a=b']\n");
    let starts = flow.host().counts().docker_starts;
    let again = flow.home.run(["provision", "m1"]).await.ok();
    assert!(
        again.to_string().contains("--engine-env FOO has no value"),
        "{again}"
    );
    assert_eq!(flow.host().counts().docker_starts, starts);

    let two = "--engine-version=27.5.1 --mtu=1";
    for refused in [
        flow.create("m2", &[two]).await,
        flow.home.run(["upgrade", two, "m1"]).await,
    ] {
        refused.failed(
            1,
            &["invalid value \"27.5.1 --mtu=1\" for --engine-version"],
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn classic_swarm_is_said_not_to_be_set_up() {
    let flow = Flow::start().await;
    let flags = ["--swarm", "--swarm-master", "--swarm-discovery=token://x"];
    let none = ["create", "-d", "none", "--url=tcp://127.0.0.1:2376"];
    for created in [
        flow.create("m1", &flags).await,
        flow.home.run([&none[..], &flags, &["n1"]].concat()).await,
    ] {
        let created = created.ok();
        assert!(
            created
                .out
                .contains("WARNING: classic swarm is recorded and NOT set up"),
            "{created}"
        );
    }
    let ended = flow.home.run(["env", "--swarm", "m1"]).await;
    let said = [
        "Error checking TLS connection: Connection to Swarm cannot be checked but the certs are valid. Maybe swarm is not started",
        "records a classic swarm and starts none",
    ];
    ended.failed(1, &said);
    let ended = flow.create("m2", &[]).await.ok();
    assert!(!ended.out.contains("swarm"), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn regenerate_certs_keeps_the_name_of_a_renamed_host() {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    let root = flow.host().root().to_owned();
    let read = |file: &str| std::fs::read_to_string(root.join(file)).unwrap();
    let settings = format!("{}# edited\n", read(OVERRIDE));
    for (file, text) in [
        ("etc/hostname", "web-1\n"),
        ("etc/hosts", "10.0.0.1 web-1.example.com\n"),
        (OVERRIDE, settings.as_str()),
    ] {
        std::fs::write(root.join(file), text).unwrap();
    }
    for flags in [&["-f"][..], &["-f", "--client-certs"]] {
        let before = read("etc/docker/server.pem");
        let argv = [&["regenerate-certs"], flags, &["m1"]].concat();
        flow.home.run(&argv).await.ok();
        assert_ne!(read("etc/docker/server.pem"), before, "{flags:?}");
        flow.home.run(["config", "m1"]).await.ok();
        assert_eq!(read("etc/hostname"), "web-1\n", "{flags:?}");
        assert_eq!(
            read("etc/hosts"),
            "10.0.0.1 web-1.example.com\n",
            "{flags:?}"
        );
        assert_eq!(read(OVERRIDE), settings, "{flags:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_docker_does_not_start_with_are_rolled_back() {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    let root = flow.host().root().to_owned();
    let read = |file: &str| std::fs::read_to_string(root.join(file)).unwrap();
    let before = read(OVERRIDE);
    // A manual edit of the machine's configuration, as with the Go binary.
    let config = flow.home.machine("m1").join("config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    let broken = text.replace(
        "\"ArbitraryFlags\": []",
        "\"ArbitraryFlags\": [\"host=tcp://192.0.2.1:2375\"]",
    );
    assert_ne!(text, broken);
    std::fs::write(&config, broken).unwrap();
    let ended = flow.home.run(["provision", "m1"]).await;
    let ended = ended.failed(
        1,
        &[
            "docker.service does not start",
            "cannot assign requested address",
        ],
    );
    let said = format!("{}{}", ended.out, ended.err);
    assert!(said.contains("Docker on m1 runs again"), "{ended}");
    assert_eq!(read(OVERRIDE), before);
    flow.home.run(["config", "m1"]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn options_of_the_image_stay_in_effect() {
    let flow = Flow::with_hosts(HostOptions {
        docker: DockerAtBoot::DockerIo,
        ..HostOptions::default()
    })
    .await;
    flow.create("m1", &[]).await.ok();
    let root = flow.host().root().to_owned();
    let text = || std::fs::read_to_string(root.join(OVERRIDE)).unwrap();
    assert!(
        text().contains(" --containerd=/run/containerd/containerd.sock $DOCKER_OPTS\n"),
        "{}",
        text()
    );
    // The variable gets a value. It takes effect at the next start, and the conflict is reported.
    std::fs::write(
        root.join("etc/default/docker"),
        "DOCKER_OPTS=\"--data-root=/mnt/docker --label provider=x\"\n",
    )
    .unwrap();
    let ended = flow.home.run(["provision", "m1"]).await.ok();
    assert!(
        ended
            .to_string()
            .contains("passes --label provider=x: --label provider=amazonec2 is used instead"),
        "{ended}"
    );
    assert!(text().contains(" --data-root=/mnt/docker\n"), "{}", text());
}

#[tokio::test(flavor = "multi_thread")]
async fn hostname_override_and_custom_script_apply_after_create() {
    let flow = Flow::with_hosts(cut_off()).await;
    flow.home.file("mine.sh", "echo \"$(hostname)\" >/custom\n");
    flow.create(
        "m1",
        &[
            "--hostname-override=web-1",
            "--custom-install-script=mine.sh",
        ],
    )
    .await
    .ok();
    for again in [&["provision", "m1"][..], &["restart", "m1"]] {
        flow.home.run(again).await.ok();
        let root = flow.host().root().to_owned();
        let read = |file: &str| std::fs::read_to_string(root.join(file)).unwrap();
        assert_eq!(read("etc/hostname"), "web-1\n");
        assert!(!root.join(OVERRIDE).exists(), "{again:?}");
        assert_eq!(flow.host().counts().installations, 0);
    }
    for refused in [&["upgrade", "m1"][..], &["regenerate-certs", "-f", "m1"]] {
        let ended = flow.home.run(refused).await;
        ended.failed(1, &["custom install script"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_of_the_environment_reaches_dockerd() {
    let mut flow = Flow::start().await;
    flow.home
        .set("ENGINE_REGISTRY_MIRROR", "http://a.test:5000,http://b.test");
    flow.create("m1", &[]).await.ok();
    let text = std::fs::read_to_string(flow.host().root().join(OVERRIDE)).unwrap();
    let mirrors = "--registry-mirror http://a.test:5000 --registry-mirror http://b.test";
    assert!(text.contains(mirrors), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_installs_and_saves_the_version() {
    let flow = Flow::with_hosts(HostOptions {
        os_release: "ID=\"amzn\"\nID_LIKE=\"fedora\"\nVERSION_ID=\"2023\"\n".to_owned(),
        docker_version: "24.0.5".to_owned(),
        ..HostOptions::default()
    })
    .await;
    let version = ["version", "m1"];
    flow.create("m1", &["--engine-version=24.0"]).await.ok();
    flow.home
        .run(["upgrade", "--engine-version=25.0.3", "m1"])
        .await
        .ok();
    assert_eq!(flow.home.run(version).await.ok().out, "25.0.3\n");
    let starts = flow.host().counts().docker_starts;
    // Docker has the saved version: provision changes and reports nothing.
    let ended = flow.home.run(["provision", "m1"]).await.ok();
    assert!(!ended.err.contains("upgrade"), "{ended}");
    assert_eq!(flow.host().counts().docker_starts, starts);
    flow.home.run(["upgrade", "m1"]).await.ok();
    let pinned = ["inspect", "m1", "-f", "{{.HostOptions.EngineOptions}}"];
    let pinned = flow.home.run(pinned).await.ok().out;
    assert!(!pinned.contains("25.0.3"), "{pinned}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_address_gets_a_new_certificate() {
    // Public addresses change at every start. These are on loopback, where the hosts are.
    let flow = Flow::with(HostOptions::default(), |lab| lab.public_loopback()).await;
    let mut argv = vec!["create".to_owned()];
    argv.extend(endpoint_flags(&flow.lab.endpoint()));
    argv.retain(|flag| !flag.contains("private"));
    argv.extend(["--amazonec2-ssh-port=2222", "m1"].map(str::to_owned));
    flow.home.run(argv).await.ok();
    let look = async || {
        let ip = flow.home.run(["ip", "m1"]).await.ok().out;
        let pem = flow.home.machine("m1").join("server.pem");
        (ip, std::fs::read_to_string(pem).unwrap())
    };
    let (address, certificate) = look().await;
    assert!(address.starts_with("127."), "{address}");
    flow.home.run(["stop", "m1"]).await.ok();
    flow.home.run(["start", "m1"]).await.ok();
    let (now, renewed) = look().await;
    assert_ne!(now, address);
    assert_ne!(renewed, certificate);
    let config = flow.home.run(["config", "m1"]).await.ok();
    assert!(config.out.contains(now.trim_end()), "{config}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_firewall_is_opened_only_on_request() {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    let root = flow.host().root().to_owned();
    let (opened, ufw) = (root.join("opened"), root.join("usr/local/bin/ufw"));
    let program = format!(
        "#!/bin/sh\n[ \"$1\" = status ] || echo \"$*\" >>{}\n",
        opened.display()
    );
    for (path, text) in [
        (&root.join("etc/ufw/ufw.conf"), "ENABLED=yes\n"),
        (&ufw, &*program),
    ] {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    std::fs::set_permissions(&ufw, std::fs::Permissions::from_mode(0o755)).unwrap();
    flow.home.run(["provision", "m1"]).await.ok();
    assert!(!opened.exists());
    let argv = ["provision", "--open-firewall", "m1"];
    flow.home.run(argv).await.ok();
    assert_eq!(std::fs::read_to_string(opened).unwrap(), "allow 2376/tcp\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_may_have_a_longer_name_than_its_host() {
    let flow = Flow::start().await;
    let name = format!("runner-{}-1700000000-0a1b2c3d", "x".repeat(80));
    flow.create(&name, &[]).await.ok();
    let file = flow.host().root().join("etc/hostname");
    let host_name = std::fs::read_to_string(file).unwrap();
    assert_eq!(host_name.trim_end().len(), 64);
    assert!(name.starts_with(host_name.split_at(50).0), "{host_name}");
    assert_eq!(
        flow.home.run(["ls", "-q"]).await.ok().out,
        format!("{name}\n")
    );
}
