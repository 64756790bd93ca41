//! Interactive `docker-machine ssh` at a terminal.

use machine_tests::flows::{Flow, Home};
use machine_tests::sshd::{Agent, Sshd, adopt, new_key};
use machine_tests::terminal::{TIMEOUT, Terminal};
use rustix::process::Signal;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::net::unix::pipe;

const WINDOW: (u16, u16) = (97, 31);

/// Logs in to `m1`, and waits for the first prompt that the test has set.
async fn log_in(home: &Home) -> Terminal {
    let mut terminal = Terminal::start(home, ["ssh", "m1"], WINDOW);
    // The quotes distinguish the echo of the typed line from its output.
    terminal.keys("PS1=; echo rea''dy\n").await;
    terminal.expect("ready\r\n").await;
    terminal
}

/// Checks that apply to every interactive login, independent of the server.
async fn assert_session_works(home: &Home) {
    let mut terminal = log_in(home).await;
    assert!(terminal.is_raw());

    // The remote terminal has the type and size of the local one, and follows its size.
    terminal.keys("echo \"term=$TERM\"; stty size\n").await;
    terminal.expect("term=xterm\r\n").await;
    terminal.expect("31 97\r\n").await;
    terminal.resize(120, 50);
    terminal
        .keys("until stty size | grep '50 120'; do :; done\n")
        .await;
    terminal.expect("50 120\r\n").await;

    // Control-C interrupts the remote command, and the session continues.
    terminal
        .keys("sh -c \"trap 'echo caught''-it; exit' INT; echo wait''ing; while :; do :; done\"\n")
        .await;
    terminal.expect("waiting\r\n").await;
    terminal.keys("\x03").await;
    terminal.expect("caught-it\r\n").await;

    // Non-ASCII bytes pass in both directions.
    terminal.keys("echo 'zażółć'\n").await;
    terminal.expect("zażółć\r\n").await;

    terminal.keys("exit 23\n").await;
    let left = terminal.end().await;
    assert_eq!(left.status.code(), Some(1), "{left:?}");
    assert!(left.shown.contains("exit status 23"), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_works_with_a_machine_of_the_lab() {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    assert_session_works(&flow.home).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_works_with_openssh() {
    let Some(sshd) = Sshd::start("an interactive login") else {
        return;
    };
    let home = Home::new();
    sshd.adopt(&home, "m1");
    assert_session_works(&home).await;
}

/// The Go binary passes these options to ssh(1).
#[tokio::test(flavor = "multi_thread")]
async fn options_of_ssh_are_accepted_before_the_command() {
    let Some(sshd) = Sshd::start("options of ssh") else {
        return;
    };
    let home = Home::new();
    sshd.adopt(&home, "m1");
    let tty = "tty >/dev/null && echo terminal || echo none";
    for (line, said) in [
        ("-t echo x", "x\n"),
        ("-T 'echo x'", "x\n"),
        ("-q -vC4 -- echo -t", "-t\n"),
        ("-t \"$TTY\"", "none\n"),
        ("-ttn \"$TTY\"", "terminal\r\n"),
        ("-n cat", ""),
        ("cat", "input\n"),
        ("-T", "commands\n"),
    ] {
        let input = if line == "-T" {
            "echo commands"
        } else {
            "input"
        };
        let line = format!("TTY='{tty}'; echo {input} | docker-machine ssh m1 {line}");
        let ended = home.shell(&line).await.ok();
        assert_eq!(
            (ended.out.as_str(), ended.err.as_str()),
            (said, ""),
            "{line}"
        );
    }
    // With a command, a local terminal leads to a remote one only with -t.
    for (options, said) in [
        ("-t", "terminal\r\n"),
        ("-q", "none\r\n"),
        ("-nt", "none\r\n"),
    ] {
        let left = Terminal::start(&home, ["ssh", "m1", options, tty], WINDOW);
        let left = left.end().await;
        assert!(left.status.success(), "{left:?}");
        assert_eq!(left.shown, said, "{options}");
    }

    // OpenSSH uses the first value of an option, and the machine's user and port come first.
    let user = home.shell("id -un").await.ok().out;
    let user = user.trim();
    let closed_port = machine_tests::sshd::free_address().port().to_string();
    let stays = [
        "ssh",
        "m1",
        "-l",
        "wrong-user",
        "-p",
        &closed_port,
        "id",
        "-un",
    ];
    let stays = home.run(stays).await.ok();
    assert_eq!(stays.out.trim(), user);
    assert!(
        stays.err.contains(&format!(
            "-l has no effect: the user is {user}; use USER@m1"
        )),
        "{stays}"
    );
    assert!(stays.err.contains("-p has no effect"), "{stays}");
    let same = home.run(["ssh", "m1", "-l", user, "true"]).await.ok();
    assert_eq!(same.err, "");
    home.run(["ssh", "wrong-user@m1", "true"])
        .await
        .failed(1, &["refuses to log in wrong-user"]);
    let config = home.machine("m1").join("config.json");
    let saved = std::fs::read_to_string(&config).unwrap();
    let (right, wrong) = (format!("{user:?}"), "\"wrong-user\"");
    std::fs::write(&config, saved.replace(&right, wrong)).unwrap();
    home.run(["ssh", "m1", "true"]).await.failed(1, &["log in"]);
    home.run(["ssh", &format!("{user}@m1"), "true"]).await.ok();

    // Invalid options.
    home.run(["ssh", "m1", "--help", "true"])
        .await
        .failed(1, &["ssh(1) has no option --", "'--'"]);
    home.run(["ssh", "nobody", "-Z"])
        .await
        .failed(1, &["\"nobody\" does not exist"]);
    home.run(["ssh", "-l", "ubuntu", "m1"])
        .await
        .failed(1, &["options of ssh follow the machine's name"]);
    home.run(["ssh", "-oProxyCommand=x@m1", "true"])
        .await
        .failed(1, &["begins with a dash"]);
}

/// OpenSSH requests a shell and no terminal then. The syntax of fish and tcsh is not that of sh.
#[tokio::test(flavor = "multi_thread")]
async fn every_login_shell_reads_its_commands_from_standard_input() {
    for (shell, line) in [
        ("/usr/bin/fish", "echo (math 6 x 7)"),
        ("/usr/bin/tcsh", "@ n = 6 * 7; echo $n"),
        ("/usr/bin/zsh", "print $((6 * 7))"),
    ] {
        let Some(sshd) = Sshd::start_with_shell("a login shell", shell) else {
            return;
        };
        let home = Home::new();
        sshd.adopt(&home, "m1");
        let line = format!("echo '{line}' | docker-machine ssh m1");
        let ended = home.shell(&line).await.ok();
        // tcsh says first that it has no terminal.
        assert_eq!(ended.out.lines().last(), Some("42"), "{shell}: {ended}");
    }
}

/// For an option that this program does not support, OpenSSH's ssh replaces it.
#[tokio::test(flavor = "multi_thread")]
async fn other_options_run_openssh_with_key_and_pins() {
    let Some(sshd) = Sshd::start("options of OpenSSH") else {
        return;
    };
    let mut home = Home::new();
    sshd.adopt(&home, "m1");
    // A user configuration with other settings is not read.
    std::fs::create_dir(home.path().join(".ssh")).unwrap();
    home.file(".ssh/config", "Host *\n  Port 1\n  User nobody\n");
    // Streams and status are those of ssh(1). The host key is pinned before it starts.
    let whole =
        "printf in | docker-machine ssh m1 -A -l nobody -p 1 -- 'cat; echo err >&2; exit 23'";
    let ended = home.shell(&format!("{whole}; exit")).await;
    assert_eq!(
        (ended.code, ended.out.as_str()),
        (Some(23), "in"),
        "{ended}"
    );
    let lines: Vec<&str> = ended.err.lines().collect();
    let [user, port, "err"] = lines.as_slice() else {
        panic!("{ended}");
    };
    assert!(user.starts_with("WARNING: -l has no effect"), "{ended}");
    assert!(port.starts_with("WARNING: -p has no effect"), "{ended}");
    let pins = home.machine("m1").join(".known_hosts");
    let pinned = std::fs::read_to_string(&pins).unwrap();
    let killed = home
        .run(["ssh", "m1", "-o", "Compression=yes", "kill -9 $$"])
        .await;
    assert_eq!(killed.code, Some(255), "{killed}");
    // -W: standard input and output of a connection from the machine.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let behind = listener.local_addr().unwrap();
    let answers = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"from behind")
                .await
                .unwrap();
        }
    });
    let forwarded = home.run(["ssh", "m1", "-W", &behind.to_string()]).await;
    assert_eq!(forwarded.ok().out, "from behind");
    // -f, -N, -L, -M, -S, -O: a tunnel in the background, and its end.
    let local = machine_tests::sshd::free_address();
    let forward = format!("{local}:{behind}");
    let socket = home.path().join("control");
    let socket = socket.to_str().unwrap();
    home.run(["ssh", "m1", "-fNM", "-S", socket, "-L", &forward])
        .await
        .ok();
    let mut said = String::new();
    let mut tunnel = tokio::net::TcpStream::connect(local).await.unwrap();
    tunnel.read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "from behind");
    home.run(["ssh", "m1", "-S", socket, "-O", "exit"])
        .await
        .ok();
    answers.abort();
    // A signal ends it: the process is ssh(1) itself.
    let mut waiting = home
        .command(["ssh", "m1", "-N", "-L", &format!("{}:{behind}", local)])
        .spawn()
        .unwrap();
    let process = rustix::process::Pid::from_raw(waiting.id().unwrap().try_into().unwrap());
    let name = format!("/proc/{}/comm", waiting.id().unwrap());
    while std::fs::read_to_string(&name).unwrap() != "ssh\n" {
        tokio::task::yield_now().await;
    }
    rustix::process::kill_process(process.unwrap(), Signal::TERM).unwrap();
    let ended = waiting.wait().await.unwrap();
    assert!(!ended.success(), "{ended}");
    // At a terminal, ssh(1) gets the terminal.
    let left = Terminal::start(
        &home,
        ["ssh", "m1", "-tA", "tty >/dev/null && echo terminal"],
        WINDOW,
    );
    let left = left.end().await;
    assert!(left.shown.contains("terminal\r\n"), "{left:?}");

    // A host key that differs from the pinned one.
    let other = home.path().join("other");
    new_key(&other);
    let public = std::fs::read_to_string(other.with_extension("pub")).unwrap();
    let host = pinned.split(' ').next().unwrap();
    std::fs::write(&pins, format!("{host} {public}")).unwrap();
    let refused = home.run(["ssh", "m1", "-A", "true"]).await;
    refused.failed(1, &["has changed", "provision --accept-new-host-key m1"]);
    std::fs::write(&pins, pinned).unwrap();

    home.set("PATH", "/nowhere");
    home.run(["ssh", "m1", "-L", "1:h:2"]).await.failed(
        1,
        &[
            "option -L requires OpenSSH",
            "openssh-client (Debian",
            "openssh-clients (Amazon",
        ],
    );
}

/// OpenSSH gets the key that the login before it has seen, in a temporary file.
#[tokio::test(flavor = "multi_thread")]
async fn openssh_verifies_a_first_host_key_with_a_read_only_store() {
    let Some(sshd) = Sshd::start("OpenSSH with a read-only store") else {
        return;
    };
    let mut home = Home::new();
    sshd.adopt(&home, "m1");
    let temporary = home.path().join("temporary");
    std::fs::create_dir(&temporary).unwrap();
    home.set("TMPDIR", &temporary);
    let Some(unshare) = crate::bad_store::unshare(&home).await else {
        return;
    };
    home.file("sent", "sent");
    let target = sshd.path("there");
    for (command, out) in [
        ("ssh m1 -G true".to_owned(), "stricthostkeychecking true\n"),
        (
            "ssh m1 -G true".to_owned(),
            "temporary/docker-machine-known-hosts-",
        ),
        ("ssh m1 -o Compression=yes echo ran".to_owned(), "ran\n"),
        (format!("scp --delta sent m1:{}", target.display()), ""),
    ] {
        let inside = format!(
            "s=$MACHINE_STORAGE_PATH; mount --bind $s $s && mount -o remount,bind,ro $s && docker-machine {command}"
        );
        let ended = home.shell(&format!("{unshare} sh -c '{inside}'")).await;
        let ended = ended.ok();
        assert!(
            ended.err.contains("is not recorded: cannot write"),
            "{ended}"
        );
        assert!(ended.out.contains(out), "{ended}");
        assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
    }
    assert!(target.exists());
    assert!(!home.machine("m1").join(".known_hosts").exists());
}

/// sshd ends a connection after six refused keys. OpenSSH offers all keys of the agent before those of files.
#[tokio::test(flavor = "multi_thread")]
async fn openssh_offers_the_key_that_the_machine_accepts() {
    let Some(sshd) = Sshd::start("OpenSSH with many keys in the agent") else {
        return;
    };
    let mut home = Home::new();
    sshd.adopt(&home, "m1");
    let machine = home.machine("m1");
    let config = std::fs::read_to_string(machine.join("config.json")).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&config).unwrap();
    config["Driver"]["SSHKeyPath"] = "".into();
    std::fs::write(machine.join("config.json"), config.to_string()).unwrap();
    std::fs::remove_file(machine.join("id_rsa")).unwrap();
    std::fs::create_dir(home.path().join(".ssh")).unwrap();
    std::fs::copy(sshd.path("id"), home.path().join(".ssh/id_ed25519")).unwrap();
    let keys: Vec<_> = (0..7)
        .map(|n| home.path().join(format!("other{n}")))
        .collect();
    keys.iter().for_each(|key| new_key(key));
    let _agent = Agent::start(&mut home, &keys);
    for options in [&["-T"][..], &["-o", "Compression=yes"]] {
        let argv = [&["ssh", "m1"][..], options, &["true"]].concat();
        home.run(argv).await.ok();
    }
    home.file("sent", "sent");
    let target = format!("m1:{}", sshd.path("there").display());
    home.run(["scp", "--delta", "sent", &target]).await.ok();
}

/// The public half of an encrypted key is in its file only in OpenSSH's own format.
#[tokio::test(flavor = "multi_thread")]
async fn the_agent_signs_with_an_encrypted_key_for_openssh() {
    for format in ["RFC4716", "PEM"] {
        let Some(sshd) = Sshd::start("OpenSSH with an encrypted key") else {
            return;
        };
        let mut home = Home::new();
        let key = home.path().join("key");
        let make = format!("ssh-keygen -q -t rsa -m {format} -N '' -f key");
        home.shell(&make).await.ok();
        std::fs::copy(key.with_extension("pub"), sshd.path("id.pub")).unwrap();
        let others: Vec<_> = (0..7)
            .map(|n| home.path().join(format!("other{n}")))
            .collect();
        others.iter().for_each(|key| new_key(key));
        let keys = [others, vec![key.clone()]].concat();
        let _agent = Agent::start(&mut home, &keys);
        home.shell(&format!("ssh-keygen -q -p -m {format} -N secret -f key"))
            .await
            .ok();
        std::fs::copy(&key, sshd.path("id")).unwrap();
        sshd.adopt(&home, "m1");
        if format == "PEM" {
            let public = home.machine("m1").join("id_rsa.pub");
            std::fs::copy(key.with_extension("pub"), public).unwrap();
        }
        home.file("sent", "sent");
        let target = format!("m1:{}", sshd.path("there").display());
        for argv in [
            &["ssh", "m1", "true"][..],
            &["ssh", "m1", "-o", "Compression=yes", "true"],
            &["scp", "--delta", "sent", &target],
        ] {
            home.run(argv.iter().copied()).await.ok();
        }
    }
}

/// ssh(1), which the Go binary runs, reports it as 255.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_a_signal_ends_has_status_255() {
    let Some(sshd) = Sshd::start("a command that is killed") else {
        return;
    };
    let home = Home::new();
    sshd.adopt(&home, "m1");
    let killed = home.run(["ssh", "m1", "kill -9 $$"]).await;
    assert_eq!(killed.code, Some(1), "{killed}");
    assert_eq!(
        killed.err.lines().last(),
        Some("exit status 255"),
        "{killed}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_terminal_is_restored_after_every_end_of_a_session() {
    let Some(sshd) = Sshd::start("the end of a login") else {
        return;
    };
    let home = Home::new();
    sshd.adopt(&home, "m1");
    let before = Terminal::start(&home, ["version"], WINDOW).end().await;

    // The shell exits.
    let mut terminal = log_in(&home).await;
    terminal.keys("exit\n").await;
    let left = terminal.end().await;
    assert_eq!(left.status.code(), Some(0), "{left:?}");
    assert_eq!(left.settings, before.settings);

    // A signal.
    for signal in [Signal::TERM, Signal::INT, Signal::QUIT, Signal::HUP] {
        let terminal = log_in(&home).await;
        terminal.signal(signal);
        let left = terminal.end().await;
        assert_eq!(left.status.code(), Some(1), "{signal:?}: {left:?}");
        assert!(left.shown.contains("cancelled by SIG"), "{left:?}");
        assert_eq!(left.settings, before.settings, "{signal:?}");
    }

    // The connection drops: the shell's parent is the server's process for it.
    let mut terminal = log_in(&home).await;
    terminal.keys("kill -9 $PPID\n").await;
    let left = terminal.end().await;
    assert_eq!(left.status.code(), Some(1), "{left:?}");
    assert!(left.shown.contains("lost"), "{left:?}");
    assert_eq!(left.settings, before.settings);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_window_ends_the_session() {
    let Some(sshd) = Sshd::start("a closed window") else {
        return;
    };
    let home = Home::new();
    sshd.adopt(&home, "m1");
    let mut terminal = log_in(&home).await;
    let path = sshd.path("pipe");
    let make = format!("pipe={}; mkfifo $pipe; echo ma''de\n", path.display());
    terminal.keys(&make).await;
    terminal.expect("made\r\n").await;
    let mut pipe = pipe::OpenOptions::new().open_receiver(path).unwrap();
    terminal
        .keys("sh -c 'echo up; exec sleep 600' > $pipe\n")
        .await;
    let mut up = [0; 3];
    let read = tokio::time::timeout(TIMEOUT, pipe.read_exact(&mut up)).await;
    read.expect("nothing runs").unwrap();

    let status = terminal.vanish().await;
    assert_eq!(status.code(), Some(1), "{status}");
    // The remote command has ended, too: its end of the pipe is closed.
    let mut more = Vec::new();
    let read = tokio::time::timeout(TIMEOUT, pipe.read_to_end(&mut more)).await;
    read.expect("the command still runs").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_its_driver_cannot_start_has_another_hint() {
    let home = Home::new();
    let key = home.path().join("key");
    new_key(&key);
    adopt(&home, "gd", machine_tests::sshd::free_address(), &key);
    home.file("sent", "sent");
    for command in [
        &["ssh", "gd", "true"][..],
        &["scp", "sent", "gd:"],
        &["env", "gd"],
    ] {
        let refused = home.run(command).await;
        let refused = refused.failed(1, &["is not running", "check that the host is up"]);
        assert!(!refused.err.contains("docker-machine start"), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn control_c_before_the_login_interrupts_the_command() {
    // A host that accepts connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let home = Home::new();
    let key = home.path().join("key");
    new_key(&key);
    adopt(&home, "m1", silent.local_addr().unwrap(), &key);
    let mut terminal = Terminal::start(&home, ["ssh", "m1"], WINDOW);
    let accepted = tokio::time::timeout(TIMEOUT, silent.accept()).await;
    let _connection = accepted.expect("no connection").unwrap();
    assert!(!terminal.is_raw());
    terminal.keys("\x03").await;
    let left = terminal.end().await;
    assert_eq!(left.status.code(), Some(1), "{left:?}");
    assert!(left.shown.contains("cancelled by SIGINT"), "{left:?}");
}
