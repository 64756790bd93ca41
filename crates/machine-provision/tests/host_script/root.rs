//! The ways to become root.

use crate::host::{Host, plan};

const LOGIN: &str =
    r#"case "$*" in -u) echo "${AS:-1000}" ;; -un) echo admin ;; -nG*) echo admin ;; esac"#;

#[tokio::test]
async fn root_needs_no_sudo() {
    let host = Host::bare();
    host.without("sudo");
    host.provisioned(&plan()).await;
}

#[tokio::test]
async fn another_user_uses_sudo_without_a_password() {
    let host = Host::bare();
    host.program("id", LOGIN);
    host.program(
        "sudo",
        "[ \"$1\" = -n ] || exit 9\nshift\nAS=0; export AS\nexec \"$@\"",
    );
    assert!(host.provisioned(&plan()).await.installed);
}

#[tokio::test]
async fn a_missing_or_refusing_sudo_is_an_error_with_a_hint() {
    let host = Host::bare();
    host.program("id", LOGIN);
    host.without("sudo");
    let (error, _) = host.refusal(&plan()).await;
    assert!(
        error
            .to_string()
            .contains("admin is not root, and there is no sudo"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("log in as root"));
    host.program("sudo", "echo 'sudo: a password is required' >&2; exit 1");
    host.make_executable("bin/sudo");
    let (error, _) = host.refusal(&plan()).await;
    let text = error.to_string();
    assert!(text.contains("sudo refuses to work for admin"), "{text}");
    assert!(text.ends_with("\n  sudo: a password is required"), "{text}");
    assert!(error.hint().unwrap().contains("NOPASSWD"));
}

#[tokio::test]
async fn a_sudo_with_requiretty_gets_a_terminal() {
    let host = Host::bare();
    host.program("id", LOGIN);
    // Simulates sudo with `requiretty`: opens the controlling terminal.
    host.program(
        "sudo",
        "if ! (: </dev/tty) 2>/dev/null; then echo 'sudo: sorry, you must have a tty to run sudo' >&2; exit 1; fi\n\
         shift\nAS=0; export AS\nexec \"$@\"",
    );
    let report = host.provisioned(&plan()).await;
    assert!(report.installed && report.restarted);
    assert!(
        host.read("/etc/docker/server-key.pem")
            .contains("VERYSECRET")
    );
    // Its failures are reported as well.
    host.put("/state/broken", "");
    let mut plan = plan();
    plan.engine_port = 1;
    let (error, _) = host.refusal(&plan).await;
    assert!(
        error
            .to_string()
            .contains("docker.service does not start: exit status 1"),
        "{error}"
    );
}
