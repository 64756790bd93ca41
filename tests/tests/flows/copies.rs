//! `scp` and `mount`, to real OpenSSH servers: over SFTP, by rsync and by sshfs.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use machine_tests::flows::Home;
use machine_tests::sshd::Sshd;
use machine_tests::terminal::Terminal;

/// A home with machines `m1` and `m2`, which serve this computer's files.
fn two_machines(what: &str) -> Option<(Home, [Sshd; 2])> {
    let servers = [Sshd::start(what)?, Sshd::start(what)?];
    let home = Home::new();
    servers[0].adopt(&home, "m1");
    servers[1].adopt(&home, "m2");
    Some((home, servers))
}

fn remote(machine: &str, path: &Path) -> String {
    format!("{machine}:{}", path.display())
}

async fn checksum(home: &Home, path: &Path) -> String {
    let line = format!("sha256sum < {}", path.display());
    home.shell(&line).await.ok().out
}

/// 100 MiB of incompressible data without repetition.
fn a_hundred_megabytes(home: &Home) -> PathBuf {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let words = (0..(100 << 20) / 8).flat_map(|_| {
        // xorshift64 (Marsaglia, 2003).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    home.file("large", words.collect::<Vec<u8>>())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_megabytes_are_copied_both_ways_and_between_machines() {
    let Some((home, servers)) = two_machines("scp of 100 MB") else {
        return;
    };
    let large = a_hundred_megabytes(&home);
    let sum = checksum(&home, &large).await;
    let there = servers[0].path("there");
    let across = servers[1].path("across");
    let copies = [
        (large.display().to_string(), remote("m1", &there), &there),
        (remote("m1", &there), remote("m2", &across), &across),
        (
            remote("m2", &across),
            "back".to_owned(),
            &home.path().join("back"),
        ),
    ];
    for (from, to, copy) in copies {
        let ended = home.run(["scp", &from, &to]).await.ok();
        // In a pipe there is no progress bar.
        assert_eq!((ended.out.as_str(), ended.err.as_str()), ("", ""));
        assert_eq!(checksum(&home, copy).await, sum, "{from} {to}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn directories_are_copied_by_sftp_and_by_rsync() {
    let Some((home, servers)) = two_machines("scp of directories") else {
        return;
    };
    std::fs::create_dir_all(home.path().join("tree/sub dir")).unwrap();
    home.file("tree/sub dir/it's $HOME", b"\0\xff\r\n");
    let script = home.file("tree/run", "#!/bin/sh\n");
    std::fs::set_permissions(script, std::fs::Permissions::from_mode(0o751)).unwrap();
    let same = async |copy: &Path| {
        let line = format!("diff -r tree {}", copy.display());
        home.shell(&line).await.ok();
    };

    let refused = home.run(["scp", "tree", "m1:/nowhere"]).await;
    refused.failed(1, &["tree: not a regular file"]);
    let refused = home.run(["scp", "nothing", "m1:/nowhere"]).await;
    let refused = refused.failed(1, &["nothing: No such file or directory"]);
    assert!(!refused.err.contains("os error"), "{refused}");
    let there = servers[0].path("there");
    let copied = home.run(["scp", "-r", "tree", &remote("m1", &there)]).await;
    copied.ok();
    same(&there).await;
    let mode = std::fs::metadata(there.join("run")).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o751);

    let synced = servers[0].path("synced");
    let target = remote("m1", &synced);
    let first = home.run(["scp", "-r", "-d", "tree/", &target]).await.ok();
    assert!(first.out.contains("sub dir"), "rsync tells: {first}");
    same(&synced).await;
    let again = home.run(["scp", "-r", "-d", "-q", "tree/", &target]).await;
    assert_eq!(again.ok().out, "", "-q");
    let back = format!("{}/", remote("m1", &synced));
    home.run(["scp", "-rdq", &back, "back"])
        .await
        .failed(1, &["-rdq"]);
    home.run(["scp", "-r", "-d", "-q", &back, "back"])
        .await
        .ok();
    same(&home.path().join("back")).await;

    // rsync copies to or from a machine, not between two machines.
    let both = home.run(["scp", "-d", &back, "m2:/tmp"]).await;
    both.failed(1, &["cannot both be remote", "exit status 1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_path_may_contain_special_characters() {
    let Some(server) = Sshd::start("rsync out of a store with spaces in its name") else {
        return;
    };
    let mut home = Home::new();
    let store = home.path().join("it's 100% mine");
    home.set("MACHINE_STORAGE_PATH", &store);
    server.adopt(&home, "m1");
    home.file("sent", "something");
    let target = remote("m1", &server.path("sent"));
    home.run(["scp", "-d", "sent", &target]).await.ok();
    let sent = std::fs::read_to_string(server.path("sent")).unwrap();
    assert_eq!(sent, "something");
}

#[tokio::test(flavor = "multi_thread")]
async fn patterns_are_expanded_on_the_machine() {
    let Some((home, servers)) = two_machines("patterns of scp") else {
        return;
    };
    let there = servers[0].path("d");
    for (path, content) in [
        ("a/one.log", "1"),
        ("a/two.log", "2"),
        ("a/.hidden", "hidden"),
        ("b/three.log", "3"),
        ("[x]", "literal"),
        ("x", "not meant"),
    ] {
        let path = there.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let names = |directory: &Path| {
        let listed = std::fs::read_dir(directory).unwrap();
        let mut names: Vec<String> = listed
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let target = |name: &str| {
        let path = home.path().join(name);
        std::fs::create_dir(&path).unwrap();
        path
    };
    let source = |pattern: &str| remote("m1", &there.join(pattern));

    let logs = target("logs");
    home.run(["scp", &source("[ab]/*.l?g"), "logs"]).await.ok();
    assert_eq!(names(&logs), ["one.log", "three.log", "two.log"]);
    // One match behaves like an explicit name, and patterns match hidden files only explicitly.
    home.run(["scp", &source("a/.h*"), "hidden"]).await.ok();
    let hidden = home.path().join("hidden");
    assert_eq!(std::fs::read_to_string(hidden).unwrap(), "hidden");
    // A file with the literal name takes precedence over the pattern.
    home.run(["scp", &source("[x]"), "literal"]).await.ok();
    let literal = home.path().join("literal");
    assert_eq!(std::fs::read_to_string(&literal).unwrap(), "literal");

    let all = target("all");
    home.run(["scp", "-r", &source("*"), "all"]).await.ok();
    assert_eq!(names(&all), ["[x]", "a", "b", "x"]);
    assert_eq!(names(&all.join("a")), [".hidden", "one.log", "two.log"]);
    // A directory without -r is reported, and the files are copied anyway.
    let files = target("files");
    let refused = home.run(["scp", &source("*"), "files"]).await;
    refused.failed(1, &["d/a: not a regular file"]);
    assert_eq!(names(&files), ["[x]", "x"]);

    // Between machines.
    let across = servers[1].path("across");
    std::fs::create_dir(&across).unwrap();
    let to = remote("m2", &across);
    home.run(["scp", &source("a/*"), &to]).await.ok();
    assert_eq!(names(&across), ["one.log", "two.log"]);

    // Several files need a directory as the target. A missing one is created.
    home.run(["scp", &source("a/*"), "made"]).await.ok();
    assert_eq!(names(&home.path().join("made")), ["one.log", "two.log"]);
    let refused = home.run(["scp", &source("a/*"), "literal"]).await;
    refused.failed(1, &["literal: not a directory"]);
    assert_eq!(std::fs::read_to_string(&literal).unwrap(), "literal");
    // A backslash escapes the next character.
    home.run(["scp", &source(r"\[x]"), "escaped"]).await.ok();
    let refused = home.run(["scp", &source(r"a/one\*"), "logs"]).await;
    refused.failed(1, &["No such file or directory"]);
    home.run(["scp", &source(r"\a/o\ne.l*"), "escaped"])
        .await
        .ok();
    let escaped = home.path().join("escaped");
    assert_eq!(std::fs::read_to_string(escaped).unwrap(), "1");
    let refused = home.run(["scp", &source("a/*.txt"), "logs"]).await;
    refused.failed(1, &["a/*.txt: No such file or directory"]);
    let refused = home.run(["scp", &source("nowhere/*"), "logs"]).await;
    refused.failed(1, &["nowhere/*: No such file or directory"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_path_is_refused() {
    let Some((home, servers)) = two_machines("empty paths of scp") else {
        return;
    };
    let there = servers[0].path("there");
    std::fs::write(&there, "there").unwrap();
    let source = remote("m1", &there);
    for pair in [
        [source.as_str(), ""],
        ["", &source],
        [&source, "localhost:"],
    ] {
        let refused = home.run(["scp", pair[0], pair[1]]).await;
        refused.failed(1, &["an empty path", "'.'"]);
    }
    assert!(!home.path().join("there").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_shows_a_progress_bar_unless_quiet() {
    let Some((home, servers)) = two_machines("the progress bar of scp") else {
        return;
    };
    home.file("some", vec![7; 3 << 20]);
    let target = remote("m1", &servers[0].path("there"));
    let loud = Terminal::start(&home, ["scp", "some", &target], (80, 24));
    let loud = loud.end().await;
    assert!(loud.status.success(), "{loud:?}");
    assert!(
        loud.shown.contains("[####################] 100% 3.1 MB"),
        "{loud:?}"
    );
    // The bar is erased at the end.
    assert!(loud.shown.ends_with("\r\x1b[K"), "{loud:?}");
    let quiet = Terminal::start(&home, ["scp", "-q", "some", &target], (80, 24));
    let quiet = quiet.end().await;
    assert!(quiet.status.success(), "{quiet:?}");
    assert_eq!(quiet.shown, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_mounted_and_unmounted() {
    let Some((home, servers)) = two_machines("mount") else {
        return;
    };
    let there = servers[0].path("shared");
    std::fs::create_dir(&there).unwrap();
    std::fs::write(there.join("file"), "of the machine").unwrap();
    std::fs::create_dir(home.path().join("point")).unwrap();
    let probe = "test -w /dev/fuse && command -v sshfs && command -v fusermount";
    if home.shell(probe).await.code != Some(0) {
        machine_tests::left_out("a real mount", "no sshfs, or no /dev/fuse");
        return;
    }
    let source = remote("m1", &there);
    home.run(["mount", &source, "point"]).await.ok();
    let file = home.path().join("point/file");
    let seen = std::fs::read_to_string(&file);
    home.run(["mount", "-u", &source, "point"]).await.ok();
    assert_eq!(seen.unwrap(), "of the machine");
    assert!(!file.exists());
    home.run(["mount", "-u", &source, "point"])
        .await
        .failed(1, &["exit status"]);
}

/// The started programs receive the paths of keys, never their contents.
#[tokio::test(flavor = "multi_thread")]
async fn external_programs_receive_paths_and_no_secrets() {
    let Some((mut home, servers)) = two_machines("the command lines of rsync and sshfs") else {
        return;
    };
    let programs = home.path().join("programs");
    std::fs::create_dir(&programs).unwrap();
    for name in ["rsync", "sshfs", "fusermount"] {
        let stand_in = programs.join(name);
        std::fs::write(&stand_in, "#!/bin/sh\nprintf '%s\\n' \"${0##*/}\" \"$@\"\n").unwrap();
        std::fs::set_permissions(stand_in, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = std::env::var("PATH").unwrap();
    home.set("PATH", format!("{}:{path}", programs.display()));
    let machine = home.machine("m1");
    let key = format!("IdentityFile={}/id_rsa", machine.display());
    let pins = format!("UserKnownHostsFile={}/.known_hosts", machine.display());

    let mounted = home.run(["mount", "me@m1:/data", "/mnt"]).await.ok();
    let words: Vec<&str> = mounted.out.lines().collect();
    assert_eq!(words.first(), Some(&"sshfs"));
    for wanted in [key.as_str(), &pins, "StrictHostKeyChecking=yes"] {
        assert!(words.contains(&wanted), "{wanted}: {mounted}");
    }
    assert!(
        words.ends_with(&["me@127.0.0.1:/data", "/mnt"]),
        "{mounted}"
    );
    let unmounted = home.run(["mount", "-u", "m1:/data"]).await.ok();
    assert_eq!(unmounted.out, "fusermount\n-u\n/data\n");

    let synced = home.run(["scp", "-d", "file", "m1:/data"]).await.ok();
    let words: Vec<&str> = synced.out.lines().collect();
    assert_eq!(words[..2], ["rsync", "-e"]);
    for wanted in [&key, &pins] {
        assert!(words[2].contains(&format!("-o '{wanted}'")), "{synced}");
    }
    let secret = std::fs::read_to_string(servers[0].path("id")).unwrap();
    for line in secret.lines() {
        assert!(!mounted.out.contains(line) && !synced.out.contains(line));
    }

    home.set("PATH", "/nowhere");
    home.run(["mount", "m1:/data"]).await.failed(1, &["sshfs"]);
    home.run(["scp", "-d", "file", "m1:"])
        .await
        .failed(1, &["rsync"]);
}
