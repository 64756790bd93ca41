//! Failures and their error messages.

use std::sync::Arc;

use async_trait::async_trait;
use machine_provision::{FetchScript, InstallSource, ProvisionError, Stage};

use crate::host::{Host, INSTALL, plan};

#[tokio::test]
async fn a_failing_install_script_is_quoted() {
    let host = Host::bare();
    host.web(
        "https://get.docker.com",
        "for n in 1 2 3; do echo \"line $n\"; done\nprintf 'E: Unable to locate \\033[31mpackage\\n' >&2\nexit 100\n",
    );
    let (error, _) = host.refusal(&plan()).await;
    let ProvisionError::Failed { stage, what, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(
        (*stage, what.as_str()),
        (Stage::Install, "https://get.docker.com")
    );
    assert_eq!(
        error.to_string(),
        "installing Docker failed on \"m1\": https://get.docker.com: exit status 100\n  line 1\n  line 2\n  line 3\n  E: Unable to locate \\u{1b}[31mpackage"
    );
    assert_eq!(std::fs::read_dir(host.path("/tmp")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_script_that_installs_nothing_is_an_error() {
    let host = Host::bare();
    host.web("https://get.docker.com", "echo fine\n");
    let (error, _) = host.refusal(&plan()).await;
    assert!(error.to_string().contains("there is no dockerd"), "{error}");
}

#[tokio::test]
async fn a_failed_start_quotes_the_journal() {
    let host = Host::with_docker();
    host.put("/state/broken", "");
    host.program(
        "journalctl",
        "echo 'Starting docker.service'; echo 'unknown flag: --mut'",
    );
    let (error, _) = host.refusal(&plan()).await;
    let text = error.to_string();
    assert!(
        text.starts_with("starting Docker failed on \"m1\": docker.service does not start"),
        "{text}"
    );
    assert!(
        text.ends_with("\n  Starting docker.service\n  unknown flag: --mut"),
        "{text}"
    );
    assert!(error.hint().unwrap().contains("--engine-opt"));
    assert_eq!(host.count("journalctl -u docker.service --since @"), 1);
}

#[tokio::test]
async fn the_cause_is_found_among_many_lines() {
    // systemd's own lines come first, dockerd's last ones are at the end of a long journal.
    let host = Host::with_docker();
    host.put("/state/broken", "");
    let journal = "n=0; while [ $n -lt 60 ]; do echo \"line $n\"; n=$((n + 1)); done\necho 'failed to start daemon: the cause'";
    host.program("journalctl", journal);
    let (error, _) = host.refusal(&plan()).await;
    let text = error.to_string();
    assert!(
        text.contains("\n  Job for docker.service failed.\n"),
        "{text}"
    );
    assert!(
        text.ends_with("\n  failed to start daemon: the cause"),
        "{text}"
    );
    assert!(text.lines().count() < 30, "{text}");
    // The remedy is found also for lines that are not shown.
    host.program(
        "journalctl",
        &format!("echo 'Address already in use'; echo 'bind: address already in use'; {journal}"),
    );
    let (error, _) = host.refusal(&plan()).await;
    assert!(
        error
            .hint()
            .unwrap()
            .contains("listens on the engine's port")
    );
}

#[tokio::test]
async fn a_log_line_about_the_storage_driver_is_not_a_failure() {
    let host = Host::with_docker();
    host.put("/state/broken", "");
    host.program("journalctl", "echo 'level=info msg=\"[graphdriver] using prior storage driver: overlay2\"'; echo 'failed to start daemon: no space'");
    let (error, _) = host.refusal(&plan()).await;
    assert_eq!(error.hint(), None);
}

#[tokio::test]
async fn a_masked_unit_is_reported_as_masked() {
    // The path of the unit's file: systemd 247 reports /dev/null, systemd 252 the link to it.
    for fragment in ["/dev/null", "/etc/systemd/system/docker.service"] {
        let host = Host::with_docker();
        std::fs::remove_file(host.path("/usr/lib/systemd/system/docker.service")).unwrap();
        host.put("/state/load-state", "masked\n");
        let systemctl = host.read("/state/do/systemctl");
        host.program("systemctl", &format!("case \"$*\" in \"show -p FragmentPath docker.service\") echo FragmentPath={fragment}; exit ;; esac\n{systemctl}"));
        let (error, _) = host.refusal(&plan()).await;
        assert!(
            error.to_string().contains("docker.service is masked"),
            "{error}"
        );
        assert!(
            error
                .hint()
                .unwrap()
                .contains("systemctl unmask docker.service")
        );
    }
}

#[tokio::test]
async fn a_full_disk_leaves_the_old_files_and_no_partial_ones() {
    for shell in crate::host::shells() {
        let mut host = Host::with_docker();
        host.shell = shell;
        host.provisioned(&plan()).await;
        let before = host.read("/etc/docker/server-key.pem");
        let mut plan = plan();
        plan.certificates.as_mut().unwrap().key = "NEW".repeat(8 << 10).into();
        host.full = true;
        let (error, _) = host.refusal(&plan).await;
        let text = error.to_string();
        assert!(
            text.starts_with(
                "configuring Docker failed on \"m1\": write /etc/docker/server-key.pem"
            ),
            "{shell}: {text}"
        );
        assert!(error.hint().unwrap().contains("disk"), "{shell}: {text}");
        assert!(!host.has("/etc/docker/server-key.pem.new"), "{shell}");
        assert_eq!(host.read("/etc/docker/server-key.pem"), before);
        assert_eq!(host.count("systemctl restart"), 1, "{shell}");
    }
}

#[tokio::test]
async fn a_full_disk_leaves_the_text_of_a_file_that_is_a_mount_point() {
    for shell in crate::host::shells() {
        let mut host = Host::with_docker();
        host.shell = shell;
        let before = host.read("/etc/hosts");
        for name in ["mv", "cat"] {
            std::fs::remove_file(host.path("tools").join(name)).unwrap();
        }
        host.program("mv", "for to; do :; done\ncase $to in */etc/hosts) echo \"mv: cannot move to '$to': Device or resource busy\" >&2; exit 1 ;; esac\nexec /bin/mv \"$@\"");
        host.program("cat", "case ${1-} in */etc/hosts.new) printf 127; echo 'cat: write error: No space left on device' >&2; exit 1 ;; esac\nexec /bin/cat \"$@\"");
        let (error, _) = host.refusal(&plan()).await;
        let text = error.to_string();
        assert!(text.contains("write /etc/hosts"), "{shell}: {text}");
        assert!(text.contains("No space left on device"), "{shell}: {text}");
        assert_eq!(host.read("/etc/hosts"), before, "{shell}");
    }
}

#[tokio::test]
async fn a_host_without_a_running_docker_keeps_its_name() {
    let not_installed = Host::bare();
    not_installed.web("https://get.docker.com", "exit 1\n");
    let not_started = Host::with_docker();
    not_started.put("/state/broken", "");
    for host in [not_installed, not_started] {
        host.refusal(&plan()).await;
        assert_eq!(host.read("/etc/hostname"), "ip-10-0-0-1\n");
        assert_eq!(host.read("/state/host-name"), "ip-10-0-0-1\n");
        assert_eq!(host.read("/etc/hosts"), "127.0.0.1 localhost\n");
    }
}

#[tokio::test]
async fn no_systemd_is_refused() {
    let host = Host::bare();
    std::fs::remove_dir_all(host.path("/run/systemd")).unwrap();
    host.put("/etc/os-release", "ID=alpine\n");
    let (error, _) = host.refusal(&plan()).await;
    assert!(
        error
            .to_string()
            .contains("this system (alpine) does not run systemd"),
        "{error}"
    );
    assert_eq!(host.read("/etc/hostname"), "ip-10-0-0-1\n");
}

#[tokio::test]
async fn a_dockerd_without_a_unit_is_refused() {
    let host = Host::with_docker();
    std::fs::remove_file(host.path("/usr/lib/systemd/system/docker.service")).unwrap();
    let (error, _) = host.refusal(&plan()).await;
    assert!(error.to_string().contains("no docker.service"), "{error}");
}

struct Page(Option<&'static str>);

#[async_trait]
impl FetchScript for Page {
    async fn fetch(&self, _: &str) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        let body = self.0.ok_or("no route to host")?;
        Ok(body.as_bytes().to_vec())
    }
}

#[tokio::test]
async fn a_host_without_network_access_gets_the_script_from_the_client() {
    let mut plan = plan();
    plan.install = InstallSource::parse("https://mirror.example/install.sh");
    plan.fetch = Some(Arc::new(Page(Some(INSTALL))));
    let unreachable = Host::bare();
    let toolless = Host::bare();
    toolless.without("curl");
    for host in [unreachable, toolless] {
        let (result, heard) = host.provision(&plan).await;
        assert!(result.unwrap().installed);
        assert!(heard.warnings().is_empty());
        assert_eq!(
            heard
                .said()
                .iter()
                .filter(|line| *line == "Installing Docker...")
                .count(),
            1
        );
        assert_eq!(host.count("apt-get"), 0);
    }
}

#[tokio::test]
async fn without_dockers_script_the_distributions_package_is_installed() {
    let mut plan = plan();
    plan.fetch = Some(Arc::new(Page(None)));
    let host = Host::bare();
    std::fs::remove_dir_all(host.path("/state/web")).unwrap();
    host.program("dpkg-query", "exit 1");
    host.program(
        "apt-get",
        &format!("case \"$*\" in *install*) {INSTALL} ;; esac"),
    );
    let (result, heard) = host.provision(&plan).await;
    assert!(result.unwrap().installed);
    assert_eq!(
        host.count("apt-get -q -y --no-install-recommends install docker.io"),
        1
    );
    let warning = &heard.warnings()[0];
    for part in [
        "get.docker.com",
        "Could not resolve host",
        "no route to host",
    ] {
        assert!(warning.contains(part), "{warning}");
    }
}

#[tokio::test]
async fn a_custom_install_source_has_no_fallback() {
    let mut plan = plan();
    plan.install = InstallSource::parse("https://mirror.example/install.sh");
    for fetch in [None, Some(Arc::new(Page(None)) as Arc<dyn FetchScript>)] {
        plan.fetch = fetch;
        let host = Host::bare();
        let (error, _) = host.refusal(&plan).await;
        assert!(matches!(error, ProvisionError::Unfetched { .. }));
        let text = error.to_string();
        assert!(text.contains("https://mirror.example/install.sh"), "{text}");
        assert!(text.contains("Could not resolve host"), "{text}");
        assert!(error.hint().unwrap().contains("--engine-install-url"));
        assert_eq!(host.count("apt-get"), 0);
    }
}

#[tokio::test]
async fn output_of_another_program_is_an_error() {
    let host = Host::bare();
    host.program("id", "echo 1000");
    host.program(
        "sudo",
        "[ \"$2\" != true ] || exit 0\necho 'This account is currently not available.'",
    );
    let (error, _) = host.refusal(&plan()).await;
    assert!(matches!(error, ProvisionError::NoScript { .. }));
    assert!(error.to_string().ends_with("not available."), "{error}");
}

#[tokio::test]
async fn any_login_shell_that_runs_commands_is_supported() {
    for shell in ["bash", "zsh", "ksh", "fish", "tcsh"] {
        let path = std::path::Path::new("/usr/bin").join(shell);
        if !path.exists() {
            let required = std::env::var_os("TESTS_REQUIRE_TOOLS").is_some();
            assert!(!required, "this machine has no {shell}");
            continue;
        }
        let mut host = Host::bare();
        host.login_shell = Some(path);
        let (result, heard) = host.provision(&plan()).await;
        let report = result.unwrap_or_else(|error| panic!("{shell}: {error}\n{}", heard.debug()));
        assert!(report.installed && report.restarted, "{shell}");
    }
}

#[tokio::test]
async fn a_login_shell_without_commands_is_an_error() {
    let mut host = Host::bare();
    host.put(
        "/state/nologin",
        "#!/bin/sh\necho 'This account is currently not available.'\nexit 1\n",
    );
    host.make_executable("/state/nologin");
    host.login_shell = Some(host.path("/state/nologin"));
    let (error, _) = host.refusal(&plan()).await;
    assert_eq!(
        error.to_string(),
        "the login shell of \"m1\" does not run the provisioning script: exit status 1\n  This account is currently not available."
    );
    assert!(error.hint().unwrap().contains("usermod --shell"));
}

#[tokio::test]
async fn endless_output_is_an_error() {
    for (line, what) in [
        (
            "@machine file aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "text of a file",
        ),
        ("@machine say one and the same", "sentences"),
        ("@machine say $n", "sentences"),
        ("@machine warn $n", "sentences"),
        ("@machine stage boot", "sentences"),
        ("@machine fact os_id x", "output"),
        ("noise", "output"),
    ] {
        let host = Host::with_docker();
        host.program(
            "uname",
            &format!("n=0; while echo \"{line}\"; do n=$((n + 1)); done >&2"),
        );
        let (error, heard) = host.refusal(&plan()).await;
        let text = error.to_string();
        assert!(
            text.contains(&format!("the host sends {what} without end")),
            "{line}: {text}"
        );
        assert!(heard.said().len() + heard.warnings().len() <= 101, "{line}");
    }
}
