//! Terminals, files and signals on a simulated host, with the tests' client and with OpenSSH's.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "test helpers may panic and print"
)]

mod hosts_client;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use ec2_lab::hosts::{HostOptions, HostSpec, Hosts, SimulatedHosts};
use hosts_client::{Client, connect, key, spec};
use russh::{ChannelMsg, Sig};
use russh_sftp::client::SftpSession;
use russh_sftp::protocol::OpenFlags;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn booted() -> (SimulatedHosts, HostSpec, Client) {
    let hosts = SimulatedHosts::new(HostOptions::default()).unwrap();
    let spec = spec("i-1");
    hosts.boot(spec.clone()).await.unwrap();
    let client = connect(&spec, 2222).await;
    (hosts, spec, client)
}

#[tokio::test]
async fn a_shell_has_a_terminal_of_the_right_size_that_follows_the_window() {
    let (_hosts, _, client) = booted().await;
    let mut channel = client.session.channel_open_session().await.unwrap();
    channel
        .request_pty(true, "xterm-256color", 100, 30, 0, 0, &[])
        .await
        .unwrap();
    channel.request_shell(true).await.unwrap();
    channel.data(&b"stty -echo; PS1=; echo term=$TERM; stty size; test -t 0 -a -t 1 && echo tty; echo first$((1+1))\n"[..]).await.unwrap();
    let seen = until(&mut channel, "first2\r\n").await;
    assert!(
        seen.contains("term=xterm-256color\r\n30 100\r\ntty\r\n"),
        "{seen:?}"
    );
    channel.window_change(132, 50, 0, 0).await.unwrap();
    channel
        .data(&b"stty size; echo second$((1+1))\n"[..])
        .await
        .unwrap();
    let seen = until(&mut channel, "second2\r\n").await;
    assert!(seen.contains("50 132\r\n"), "{seen:?}");
    // Control-C ends the running command, not the shell.
    channel
        .data(&b"sh -c 'echo begin$((1+1)); exec sleep 600'\n"[..])
        .await
        .unwrap();
    until(&mut channel, "begin2\r\n").await;
    channel.data(&b"\x03"[..]).await.unwrap();
    channel.data(&b"exit 9\n"[..]).await.unwrap();
    let mut status = None;
    while let Some(message) = channel.wait().await {
        if let ChannelMsg::ExitStatus { exit_status } = message {
            status = Some(exit_status);
        }
    }
    assert_eq!(status, Some(9));
}

/// Reads until a text appears; returns all output.
async fn until(channel: &mut russh::Channel<russh::client::Msg>, end: &str) -> String {
    let mut seen = String::new();
    while !seen.contains(end) {
        match channel.wait().await {
            Some(ChannelMsg::Data { data }) => seen.push_str(&String::from_utf8_lossy(&data)),
            Some(_) => {}
            None => panic!("the channel closed after {seen:?}"),
        }
    }
    seen
}

#[tokio::test]
async fn a_client_can_signal_its_command() {
    let (_hosts, _, client) = booted().await;
    let mut channel = client.session.channel_open_session().await.unwrap();
    channel
        .exec(
            true,
            "trap 'echo caught; exit 3' USR1; echo ready; while :; do sleep 0.02; done",
        )
        .await
        .unwrap();
    until(&mut channel, "ready\n").await;
    channel.signal(Sig::USR1).await.unwrap();
    until(&mut channel, "caught\n").await;
}

#[tokio::test]
async fn only_locale_variables_reach_the_environment() {
    let (_hosts, _, client) = booted().await;
    let mut channel = client.session.channel_open_session().await.unwrap();
    channel.set_env(true, "LC_ALL", "C.UTF-8").await.unwrap();
    channel.set_env(true, "LD_PRELOAD", "/evil").await.unwrap();
    channel
        .exec(true, "echo $LC_ALL,$LD_PRELOAD,$USER,$MACHINE_ROOT;")
        .await
        .unwrap();
    let root = _hosts.host("i-1").unwrap().root().display().to_string();
    assert_eq!(
        until(&mut channel, "\n").await,
        format!("C.UTF-8,,admin,{root}\n")
    );
}

#[tokio::test]
async fn many_channels_share_one_connection() {
    let (hosts, _, client) = booted().await;
    let commands = (0..20).map(|n| {
        let client = &client;
        async move { client.run(&format!("cat; echo {n}"), b"in\n").await.out() }
    });
    let outputs = futures_util::future::join_all(commands).await;
    assert_eq!(
        outputs,
        (0..20).map(|n| format!("in\n{n}\n")).collect::<Vec<_>>()
    );
    assert_eq!(hosts.host("i-1").unwrap().counts().ssh_connections, 1);
}

#[tokio::test]
async fn unread_input_and_output_do_not_block_a_command() {
    let (_hosts, _, client) = booted().await;
    // More input than any window or pipe holds, which no process reads; and more output.
    let output = client
        .run(
            "head -c 8000000 /dev/zero; echo end >&2",
            &vec![1; 6_000_000],
        )
        .await;
    assert_eq!(
        (output.stdout.len(), output.err().as_str(), output.status),
        (8_000_000, "end\n", Some(0))
    );
}

#[tokio::test]
async fn sftp_transfers_files_and_stays_below_the_root() {
    let (hosts, _, client) = booted().await;
    let channel = client.session.channel_open_session().await.unwrap();
    channel.request_subsystem(true, "sftp").await.unwrap();
    let sftp = SftpSession::new(channel.into_stream()).await.unwrap();
    assert_eq!(sftp.canonicalize(".").await.unwrap(), "/home/admin");
    let data: Vec<u8> = (0..3_000_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 11) as u8)
        .collect();
    let mut file = sftp.create("upload").await.unwrap();
    file.write_all(&data).await.unwrap();
    file.shutdown().await.unwrap();
    let root = hosts.host("i-1").unwrap().root().to_owned();
    assert!(std::fs::read(root.join("home/admin/upload")).unwrap() == data);
    let mut back = Vec::new();
    sftp.open("/home/../home/admin/upload")
        .await
        .unwrap()
        .read_to_end(&mut back)
        .await
        .unwrap();
    assert!(back == data);
    sftp.create_dir("/etc/docker/sub").await.unwrap();
    sftp.rename("upload", "/etc/docker/sub/file").await.unwrap();
    let names: Vec<String> = sftp
        .read_dir("/etc/docker/sub")
        .await
        .unwrap()
        .map(|entry| entry.file_name())
        .collect();
    assert_eq!(names, ["file"]);
    assert!(
        sftp.open("/../../../../../etc/passwd").await.is_err(),
        "the root is the root"
    );
    assert!(
        sftp.open_with_flags("/etc/docker/sub/none", OpenFlags::READ)
            .await
            .err()
            .unwrap()
            .to_string()
            .contains("No such file")
    );
    sftp.remove_file("/etc/docker/sub/file").await.unwrap();
    sftp.remove_dir("/etc/docker/sub").await.unwrap();
    assert!(!root.join("etc/docker/sub").exists());
}

/// Runs a program of OpenSSH's client; none if it is not installed.
async fn openssh(
    program: &str,
    spec: &HostSpec,
    directory: &Path,
    words: &[&str],
    input: &[u8],
) -> Option<std::process::Output> {
    let identity = directory.join("id");
    if !identity.exists() {
        let text = key(1)
            .to_openssh(russh::keys::ssh_key::LineEnding::LF)
            .unwrap();
        std::fs::write(&identity, text.as_bytes()).unwrap();
        std::fs::set_permissions(&identity, PermissionsExt::from_mode(0o600)).unwrap();
    }
    let known = directory.join("known_hosts");
    let mut command = tokio::process::Command::new(program);
    command
        .args([
            "-F",
            "/dev/null",
            "-o",
            "StrictHostKeyChecking=yes",
            "-o",
            "IdentitiesOnly=yes",
            "-o",
            "LogLevel=ERROR",
        ])
        .arg("-o")
        .arg(format!("UserKnownHostsFile={}", known.display()))
        .arg("-i")
        .arg(&identity)
        .args([if program == "ssh" { "-p" } else { "-P" }, "2222"]);
    let target = format!("{}@{}", spec.user, spec.address);
    command.args(words.iter().map(|word| word.replace("HOST", &target)));
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped: {program} is not installed");
            return None;
        }
        Err(error) => panic!("{program}: {error}"),
    };
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeding = async move {
        // A command that reads nothing closes the pipe.
        let _ = stdin.write_all(&input).await;
    };
    let (output, ()) = tokio::join!(child.wait_with_output(), feeding);
    Some(output.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn openssh_clients_work_with_the_server() {
    let (hosts, spec, _) = booted().await;
    let view = hosts.host("i-1").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let line = format!("[{}]:2222 {}\n", spec.address, view.host_key());
    std::fs::write(directory.path().join("known_hosts"), line).unwrap();
    let data: Vec<u8> = (0..1 << 20)
        .map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 9) as u8)
        .collect();

    let Some(output) = openssh(
        "ssh",
        &spec,
        directory.path(),
        &["HOST", "cat; echo err >&2; exit 7"],
        &data,
    )
    .await
    else {
        return;
    };
    assert!(
        output.stdout == data,
        "{} bytes: {}",
        output.stdout.len(),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(
        (
            String::from_utf8_lossy(&output.stderr).as_ref(),
            output.status.code()
        ),
        ("err\n", Some(7))
    );

    let output = openssh(
        "ssh",
        &spec,
        directory.path(),
        &["-tt", "HOST", "test -t 0 && stty size"],
        b"",
    )
    .await
    .unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );

    let file = directory.path().join("file");
    std::fs::write(&file, &data).unwrap();
    let back = directory.path().join("back");
    if let Some(output) = openssh(
        "scp",
        &spec,
        directory.path(),
        &["-s", "-q", file.to_str().unwrap(), "HOST:there"],
        b"",
    )
    .await
    {
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(std::fs::read(view.root().join("home/admin/there")).unwrap() == data);
        let output = openssh(
            "scp",
            &spec,
            directory.path(),
            &["-s", "-q", "HOST:there", back.to_str().unwrap()],
            b"",
        )
        .await
        .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(std::fs::read(back).unwrap() == data);
    }
}

#[tokio::test]
async fn members_of_group_docker_reach_dockers_socket_from_their_next_login_on() {
    let (_hosts, spec, client) = booted().await;
    let open = async |client: &Client| {
        let opened = client
            .session
            .channel_open_direct_streamlocal("/var/run/docker.sock");
        opened.await.ok()
    };
    assert!(open(&client).await.is_none());
    let joined = client.run("sudo usermod -aG docker admin; id -nG admin", b"");
    assert_eq!(joined.await.out(), "admin docker\n");
    assert!(open(&client).await.is_none());
    let client = connect(&spec, 2222).await;
    let mut socket = open(&client).await.unwrap().into_stream();
    let request = b"GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n";
    socket.write_all(request).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nOK"), "{answer}");
    client.run("sudo systemctl stop docker", b"").await;
    assert!(open(&client).await.is_none());
}

/// RFC 4254, 5.3 and 6.10, as OpenSSH does it: first the reply, no data after the end of a stream, and the status
/// before the close, after which a client reads nothing.
#[tokio::test]
async fn the_reply_the_output_the_status_and_the_close_are_in_order() {
    let (_hosts, _, client) = booted().await;
    let runs = (0..50).map(|_| async {
        let mut channel = client.session.channel_open_session().await.unwrap();
        channel.exec(true, "echo x; echo y >&2").await.unwrap();
        let mut seen = Vec::new();
        while let Some(message) = channel.wait().await {
            seen.push(match message {
                ChannelMsg::Success => "success",
                ChannelMsg::Data { .. } | ChannelMsg::ExtendedData { .. } => "data",
                ChannelMsg::Eof => "eof",
                ChannelMsg::ExitStatus { exit_status: 0 } => "status",
                ChannelMsg::Close => "close",
                other => panic!("{other:?}"),
            });
        }
        seen
    });
    for seen in futures_util::future::join_all(runs).await {
        let at = |what| seen.iter().position(|message| *message == what).unwrap();
        let mut sorted = seen.clone();
        sorted.sort_unstable();
        assert_eq!(
            sorted,
            ["close", "data", "data", "eof", "status", "success"]
        );
        assert_eq!((at("success"), at("close")), (0, 5), "{seen:?}");
        let last = seen.iter().rposition(|message| *message == "data");
        assert!(last < Some(at("eof")), "{seen:?}");
    }
}
