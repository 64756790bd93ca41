//! `ec2-lab serve`, as a developer starts it to try a docker-machine or a GitLab Runner.

use std::process::Stdio;

use machine_tests::flows::{Home, endpoint_flags};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

#[tokio::test]
async fn machines_can_be_created_at_a_served_endpoint_with_hosts() {
    let lab = machine_tests::binary().with_file_name("ec2-lab");
    let temporary = tempfile::tempdir().unwrap();
    let mut lab = Command::new(lab)
        .args(["serve", "--hosts", "--listen", "127.0.0.1:0"])
        .env("TMPDIR", temporary.path())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(lab.stdout.take().unwrap()).lines();
    let first = lines.next_line().await.unwrap().unwrap();
    let endpoint = first.strip_prefix("EC2 at ").unwrap();

    let home = Home::new();
    let mut create = vec!["create".to_owned()];
    create.extend(endpoint_flags(endpoint));
    create.extend(["--amazonec2-ssh-port=2222", "m1"].map(str::to_owned));
    home.run(create).await.ok();
    assert_eq!(home.run(["ssh", "m1", "hostname"]).await.ok().out, "m1\n");
    home.run(["config", "m1"]).await.ok();

    // Ended by a service manager with a host running, it leaves nothing behind.
    assert!(std::fs::read_dir(temporary.path()).unwrap().count() > 0);
    let pid = Pid::from_raw(lab.id().unwrap().cast_signed()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert!(lab.wait().await.unwrap().success());
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
}
