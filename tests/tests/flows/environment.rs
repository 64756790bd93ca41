//! Restricted environments: systemd, cron, containers and hardened hosts provide little of what a login shell has.
//!
//! Tests that need another file system use their own mount namespace. This requires root, or a kernel that allows user
//! namespaces.

use ec2_lab::hosts::{HostOptions, Moment};
use machine_tests::flows::{Ended, Flow, Home};
use tokio::process::Command;

/// Runs a script of `sh` in a mount namespace, if one is available.
async fn in_namespace(home: &Home, script: &str) -> Option<Ended> {
    for unshare in ["unshare --mount", "unshare --mount --map-root-user"] {
        let probe = format!("{unshare} mount -t tmpfs none /mnt");
        if home.shell(&probe).await.code == Some(0) {
            let mut bash = Command::new("bash");
            bash.args([
                "-c",
                &format!("script=$(cat); {unshare} sh -euc \"$script\""),
            ]);
            return Some(home.end(bash, script.as_bytes()).await);
        }
    }
    machine_tests::left_out("other file systems", "neither root nor user namespaces");
    None
}

/// The lifecycle of a machine, as commands for `sh`.
fn lifecycle(flow: &Flow) -> String {
    format!(
        "docker-machine create {} m1; docker-machine config m1; docker-machine ls; docker-machine rm -y m1",
        flow.flags().join(" ")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_works_in_the_environment_of_systemd() {
    let mut flow = Flow::start().await;
    for name in ["PATH", "HOME", "USER", "SHELL", "TERM"] {
        flow.home.unset(name);
    }
    let home = &flow.home;
    let mut argv = vec!["create".to_owned()];
    argv.extend(flow.flags());
    argv.push("m1".to_owned());
    let created = home.run(argv).await.ok();
    let listed = home.run(["ls"]).await.ok();
    assert_eq!(listed.table()[1][3], "Running", "{listed}");
    home.run(["config", "m1"]).await.ok();
    assert_eq!(
        home.run(["ssh", "m1", "echo there"]).await.ok().out,
        "there\n"
    );
    // The journal receives plain text, without terminal escapes.
    for text in [&created.out, &created.err, &listed.out] {
        let is_plain = |c: char| c == '\n' || !c.is_control();
        assert!(text.chars().all(is_plain), "{created}\n{listed}");
    }
    // No variable names the certificates' owner.
    let subject = openssl_subject(home, "certs/ca.pem").await;
    assert!(
        subject.contains("O = unknown") || subject.contains("O=unknown"),
        "{subject}"
    );
    home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
}

async fn openssl_subject(home: &Home, path: &str) -> String {
    let mut openssl = Command::new("/usr/bin/openssl");
    openssl.args(["x509", "-noout", "-subject", "-in"]);
    openssl.arg(home.store().join(path));
    home.end(openssl, b"").await.ok().out
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_ignore_the_locale_and_variables_may_be_invalid_utf8() {
    let mut flow = Flow::start().await;
    let mut said = Vec::new();
    for locale in ["C", "de_DE.UTF-8", "xx_YY"] {
        flow.home.set("LANG", locale);
        flow.home.set("LC_ALL", locale);
        let ended = flow.home.run(["inspect", "missing"]).await;
        said.push(ended.failed(1, &["does not exist"]).err);
    }
    assert_eq!((&said[0], &said[0]), (&said[1], &said[2]));
    // An environment variable that is not valid UTF-8 is ignored.
    use std::os::unix::ffi::OsStrExt as _;
    flow.home
        .set("STRANGE", std::ffi::OsStr::from_bytes(b"\xff\xfe"));
    flow.home.run(["ls"]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_saved_path_of_the_store_is_normalized() {
    let flow = Flow::start().await;
    let home = flow.home.path().display().to_string();
    for (number, path) in ["x/../y", "./y/", "y/.//", "/../y"].into_iter().enumerate() {
        let path = match path.strip_prefix('/') {
            Some(rest) => format!("{home}/x/{rest}"),
            None => path.to_owned(),
        };
        let name = format!("n{number}");
        let create = ["create", "-d", "none", "--url=tcp://127.0.0.1:1", &name];
        let argv = [&["-s", &path][..], &create[..]].concat();
        flow.home.run(argv).await.ok();
        let format = "{{.HostOptions.AuthOptions.StorePath}}";
        let argv = ["-s", &path, "inspect", "-f", format, &name];
        let ended = flow.home.run(argv).await.ok();
        // A relative path stays relative.
        let wanted = match path.starts_with('/') {
            true => format!("{home}/y/machines/{name}"),
            false => format!("y/machines/{name}"),
        };
        assert_eq!(ended.out.trim(), wanted, "{path}");
    }
    assert!(!flow.home.path().join("x").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_works_without_a_home_and_a_password_file() {
    let mut flow = Flow::start().await;
    flow.home.unset("HOME");
    let store = flow.home.store();
    // The flag or the variable must set the store.
    flow.home.unset("MACHINE_STORAGE_PATH");
    let ended = flow.home.run(["status", "m1"]).await;
    ended.failed(1, &["MACHINE_STORAGE_PATH", "$HOME", "--storage-path"]);
    flow.home.set("MACHINE_STORAGE_PATH", &store);
    let none = flow.home.file("none", "").display().to_string();
    // Neither users nor name services, as in an image with a single program.
    let script = format!(
        "for file in /etc/passwd /etc/group /etc/nsswitch.conf; do [ ! -e $file ] || mount --bind {none} $file; done; {}",
        lifecycle(&flow)
    );
    let Some(ended) = in_namespace(&flow.home, &script).await else {
        return;
    };
    let ended = ended.ok();
    assert!(ended.out.contains("Running"), "{ended}");
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_works_with_a_read_only_home() {
    let mut flow = Flow::start().await;
    let store = tempfile::TempDir::with_prefix("store-").unwrap();
    flow.home.set("MACHINE_STORAGE_PATH", store.path());
    let script = format!(
        "mount -t tmpfs -o ro none \"$HOME\"; cd /; {}",
        lifecycle(&flow)
    );
    let Some(ended) = in_namespace(&flow.home, &script).await else {
        return;
    };
    let ended = ended.ok();
    assert!(ended.out.contains("Running"), "{ended}");
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_and_its_machines_may_be_on_different_disks() {
    let flow = Flow::start().await;
    let script = format!(
        "mkdir -p \"$MACHINE_STORAGE_PATH\"; mount -t tmpfs -o mode=700 none \"$MACHINE_STORAGE_PATH\"; \
         mkdir \"$MACHINE_STORAGE_PATH/machines\"; mount -t tmpfs -o mode=700 none \"$MACHINE_STORAGE_PATH/machines\"; {}; \
         docker-machine doctor; ls -A -I .docker-machine-directory \"$MACHINE_STORAGE_PATH/machines\" | sed s/^/left:/",
        lifecycle(&flow)
    );
    let Some(ended) = in_namespace(&flow.home, &script).await else {
        return;
    };
    let ended = ended.ok();
    assert!(ended.out.contains("Running"), "{ended}");
    assert!(!ended.out.contains("left:"), "{ended}");
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn systemctl_stop_during_a_create_leaves_nothing() {
    let flow = Flow::with_hosts(HostOptions {
        listens: Moment::WhenTold,
        ..HostOptions::default()
    })
    .await;
    // The unit's processes are one process group, which receives SIGTERM.
    let pid = flow.home.path().join("pid");
    let line = format!(
        "setsid --wait sh -c 'echo $$ > {}; exec docker-machine create {} m1'",
        pid.display(),
        flow.flags().join(" ")
    );
    let stop = async {
        flow.lab
            .until(|lab| lab.count("RunInstances") == 1 && !lab.live_instances().is_empty())
            .await;
        let group: i32 = std::fs::read_to_string(&pid)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        let group = rustix::process::Pid::from_raw(group).unwrap();
        rustix::process::kill_process_group(group, rustix::process::Signal::TERM).unwrap();
    };
    let (ended, ()) = tokio::join!(flow.home.shell(&line), stop);
    ended.failed(1, &["SIGTERM"]);
    flow.assert_clean();
}
