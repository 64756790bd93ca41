//! What is typed is what dockerd gets.

use machine_provision::ProvisionError;

use crate::host::{Host, plan, shells, some};
use crate::systemd;

/// Values that a shell, systemd or both would like to do something with.
const NASTY: &[&str] = &[
    "plain",
    "two words",
    " led and trailed ",
    "it's",
    "\"quoted\"",
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
        expected.extend(
            labels
                .iter()
                .flat_map(|label| ["--label".to_owned(), label.clone()]),
        );
        expected.extend(["--label", "provider=amazonec2"].map(str::to_owned));
        for value in NASTY {
            expected.extend(["--registry-mirror".to_owned(), (*value).to_owned()]);
        }
        expected.extend(options.iter().map(|option| format!("--{option}")));
        plan.engine.labels = Some(labels);
        plan.engine.registry_mirror = some(NASTY);
        plan.engine.arbitrary_flags = Some(options);
        plan.engine.env = Some(environment.clone());
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
async fn what_no_unit_can_hold_is_refused_before_the_host_is_touched() {
    let host = Host::with_docker();
    let mut plan = plan();
    plan.engine.env = some(&["9TOKEN=secret"]);
    let (error, _) = host.refusal(&plan).await;
    assert!(matches!(error, ProvisionError::Option { .. }));
    assert!(!error.to_string().contains("secret"));
    assert!(host.calls().is_empty());
}

#[tokio::test]
async fn no_secret_is_in_arguments_environment_or_events() {
    let host = Host::bare();
    // Every child of the script, by what the kernel says of it.
    let spy = "cat /proc/self/environ /proc/$PPID/cmdline /proc/$PPID/environ >>\"$S/seen\" 2>/dev/null\n";
    for name in ["systemctl", "apt-get", "hostname"] {
        let body = host_body(&host, name);
        host.program(name, &format!("{spy}{body}"));
    }
    let mut plan = plan();
    plan.engine.env = some(&["TOKEN=alsosecret"]);
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

fn host_body(host: &Host, name: &str) -> String {
    host.read(&format!("/state/do/{name}"))
}

#[tokio::test]
async fn another_drop_in_that_replaces_the_command_line_is_named() {
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
