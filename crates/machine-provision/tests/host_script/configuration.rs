//! Options arrive at dockerd exactly as typed.

use machine_provision::EngineConfig;
use machine_provision::{InstallSource, ProvisionError, check};

use crate::host::{Host, list, plan, shells};
use crate::systemd;

/// Values with characters that are special to a shell, to systemd or to both.
const NASTY: &[&str] = &[
    "plain",
    "two words",
    " led and trailed ",
    "it's",
    "so \"quoted\"",
    "\"a\" and \"b\"",
    "back\\slash",
    "trailing\\",
    "100%",
    "%n%%h",
    "$HOME ${HOME} $$",
    "`id` $(id)",
    ";",
    "a;b && c | d > e",
    "#not a comment",
    "tab\there",
    "line\nend",
    "\u{1}\u{7f}",
    "Zürich 東京",
    "=",
    "a=b=c",
    "\\n \\x41",
    "!@-+:",
    "*?[a]~",
    "@machine done",
];

#[tokio::test]
async fn every_option_arrives_as_typed() {
    for shell in shells() {
        let mut host = Host::with_docker();
        host.shell = shell;
        let mut plan = plan();
        let mut expected = Vec::new();
        let (mut labels, mut options, mut environment) = (vec![], vec![], vec![]);
        for (number, value) in NASTY.iter().enumerate() {
            labels.push(format!("l{number}={value}"));
            options.push(format!("log-opt=o{number}={value}"));
            environment.push(format!("V{number}={value}"));
        }
        // systemd dropped blanks around the Go binary's values, except in the environment, where they were quoted.
        let trimmed = |text: &str| text.trim().to_owned();
        expected.extend(
            labels
                .iter()
                .flat_map(|label| ["--label".to_owned(), trimmed(label)]),
        );
        expected.extend(["--label", "provider=amazonec2"].map(str::to_owned));
        for value in NASTY {
            expected.extend(["--registry-mirror".to_owned(), trimmed(value)]);
        }
        expected.extend(
            options
                .iter()
                .map(|option| format!("--{}", trimmed(option))),
        );
        plan.engine.labels = labels;
        plan.engine.registry_mirror = list(NASTY);
        plan.engine.arbitrary_flags = options;
        plan.engine.env = environment.clone();
        host.provisioned(&plan).await;
        let (command, variables) = systemd::read(&host.drop_in());
        let at = command.iter().position(|word| word == "--label").unwrap();
        assert_eq!(command[at..], expected, "{shell}");
        assert_eq!(variables, environment, "{shell}");
        host.forget_calls();
        assert!(!host.provisioned(&plan).await.changed, "{shell}");
    }
}

#[tokio::test]
async fn values_invalid_in_a_unit_are_refused_before_the_host_is_changed() {
    let host = Host::with_docker();
    let mut plan = plan();
    plan.engine.env = list(&["TOKEN=secret\0"]);
    let (error, _) = host.refusal(&plan).await;
    assert!(matches!(error, ProvisionError::Option { .. }));
    assert!(!error.to_string().contains("secret"));
    assert!(host.calls().is_empty());
}

#[tokio::test]
async fn no_secret_is_in_arguments_environment_or_events() {
    let host = Host::bare();
    // Records the process information of every child of the script from the kernel.
    let spy = "cat /proc/self/environ /proc/$PPID/cmdline /proc/$PPID/environ >>\"$S/seen\" 2>/dev/null\n";
    for name in ["systemctl", "apt-get", "hostname"] {
        let body = host_body(&host, name);
        host.program(name, &format!("{spy}{body}"));
    }
    let mut plan = plan();
    plan.engine.env = list(&["TOKEN=alsosecret"]);
    let (result, heard) = host.provision(&plan).await;
    result.unwrap();
    let seen = std::fs::read(host.path("/state/seen")).unwrap();
    let seen = String::from_utf8_lossy(&seen);
    assert!(seen.contains("MACHINE_ROOT"), "the spy sees nothing");
    let debug = heard.debug();
    assert!(
        debug.contains("start_docker") && debug.contains("p_hostname='m1'"),
        "{debug}"
    );
    for secret in ["VERYSECRET", "alsosecret"] {
        assert!(!seen.contains(secret) && !debug.contains(secret));
    }
}

#[tokio::test]
async fn secrets_in_options_are_never_shown() {
    const MARK: &str = "m4rk3d";
    let host = Host::with_docker();
    host.put(
        "/usr/lib/systemd/system/docker.service",
        &format!("[Service]\nExecStart=/usr/bin/dockerd --http-proxy=http://u:{MARK}@p:1 --registry-mirror=https://u:{MARK}@m --log-opt splunk-token={MARK}\n"),
    );
    host.put(
        "/etc/docker/daemon.json",
        &format!("{{\"log-opts\":{{\"x-token\":\"{MARK}0\"}}}}\n"),
    );
    host.put("/state/broken", "");
    host.program(
        "journalctl",
        &format!("echo 'bad: http://u:{MARK}@p:1 map[splunk-token:{MARK}] \"x-token\": \"{MARK}\" SECRET_KEY={MARK}'"),
    );
    let mut plan = plan();
    let url = format!("https://u:{MARK}@h/x?k={MARK}");
    plan.engine.labels = list(&[&format!("api-token={MARK}")]);
    plan.engine.registry_mirror = list(&[&url]);
    plan.engine.insecure_registry = list(&[&url]);
    plan.engine.arbitrary_flags = list(&[
        &format!("log-opt=splunk-token={MARK}"),
        &format!("log-opt=x-token={MARK}"),
        &format!("http-proxy=http://u:{MARK}@p:1"),
    ]);
    plan.engine.env = list(&[
        &format!("A={MARK}"),
        &format!("HTTP_PROXY='http://u:{MARK}@p'"),
        MARK,
    ]);
    plan.install = InstallSource::parse(&url);
    let (error, heard) = host.refusal(&plan).await;
    let shown = format!(
        "{error}\n{}\n{}\n{}",
        heard.debug(),
        heard.said().join("\n"),
        heard.warnings().join("\n")
    );
    assert!(
        shown.contains("splunk-token=***") && shown.contains("https://***@m"),
        "{shown}"
    );
    assert!(!shown.contains(MARK), "{shown}");
    // Nor if the install script cannot be fetched.
    let (error, heard) = Host::bare().refusal(&plan).await;
    let shown = format!("{error}\n{}", heard.debug());
    assert!(shown.contains("https://***@h/x?***"), "{shown}");
    assert!(!shown.contains(MARK), "{shown}");
    for set in [
        (|engine: &mut EngineConfig, url: &str| engine.registry_mirror = list(&[url]))
            as fn(&mut EngineConfig, &str),
        |engine, url| engine.insecure_registry = list(&[&format!("x {url}")]),
        |engine, url| engine.labels = list(&[&url.replace("?k=", "?")]),
    ] {
        let mut engine = EngineConfig::default();
        set(&mut engine, &url);
        if let Err(error) = check(&engine, "m1", &[]).await {
            assert!(!error.to_string().contains(MARK), "{error}");
        }
    }
}

fn host_body(host: &Host, name: &str) -> String {
    host.read(&format!("/state/do/{name}"))
}

#[tokio::test]
async fn an_error_names_a_drop_in_that_replaces_the_command_line() {
    let host = Host::with_docker();
    let other = "/etc/systemd/system/docker.service.d/override.conf";
    let ours = "/etc/systemd/system/docker.service.d/10-machine.conf";
    host.put(other, "[Service]\nExecStart=\nExecStart=/usr/bin/dockerd\n");
    host.put("/state/drop-ins", &format!("{ours} {other}"));
    let (error, _) = host.refusal(&plan()).await;
    assert!(
        error
            .to_string()
            .contains(&format!("{other} replaces the command line")),
        "{error}"
    );
    host.put(other, "[Service]\nLimitNOFILE=1\n");
    host.provisioned(&plan()).await;
}

#[tokio::test]
async fn the_login_user_joins_dockers_group_once() {
    let host = Host::with_docker();
    host.program(
        "id",
        r#"case "$*" in -u) echo ${AS:-1000} ;; -un) echo u ;; -nG*) cat "$S/groups" ;; esac"#,
    );
    host.program("sudo", "[ \"$*\" != '-n true' ] || exit 0\nshift\nAS=0 SUDO_USER=u; export AS SUDO_USER\nexec \"$@\"");
    host.put("/state/groups", "u adm\n");
    host.put("/etc/group", "root:x:0:\ndocker:x:999:\n");
    host.provisioned(&plan()).await;
    assert_eq!(host.count("usermod -aG docker u"), 1);
    host.put("/state/groups", "u adm docker\n");
    host.provisioned(&plan()).await;
    assert_eq!(host.count("usermod"), 1);
}
