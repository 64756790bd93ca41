//! `scp` and `mount`, to real OpenSSH servers: over SFTP, by rsync and by sshfs.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use machine_tests::flows::Home;
use machine_tests::sshd::Sshd;
use machine_tests::terminal::Terminal;
use rustix::process::{Pid, Signal, kill_process};
use tokio::task::JoinSet;

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

/// A file that is larger than any disk of a test, of which no block is allocated.
const SPARSE: u64 = 15 << 40;

#[tokio::test(flavor = "multi_thread")]
async fn a_file_larger_than_the_free_space_is_not_begun() {
    let Some((home, servers)) = two_machines("scp of a file without space for it") else {
        return;
    };
    let sparse = |path: &Path| {
        std::fs::File::create(path)
            .unwrap()
            .set_len(SPARSE)
            .unwrap()
    };
    sparse(&servers[0].path("there"));
    sparse(&home.path().join("here"));
    home.file("before", "before");
    let from = remote("m1", &servers[0].path("there"));
    let across = servers[1].path("across");
    for (from, to) in [
        (from.as_str(), "got"),
        (&from, "before"),
        ("here", &remote("m2", &across)),
        (&from, &remote("m2", &across)),
    ] {
        let refused = home.run(["scp", from, to]).await;
        let said = format!("no space for its {SPARSE} bytes: ");
        refused.failed(1, &[&said, " bytes free"]);
    }
    assert!(!home.path().join("got").exists() && !across.exists());
    let kept = std::fs::read_to_string(home.path().join("before")).unwrap();
    assert_eq!(kept, "before");
    // A device takes any number of bytes.
    home.file("some", vec![7; 3 << 20]);
    home.run(["scp", "some", "m1:/dev/null"]).await.ok();
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
        let line = format!("diff -r tree {0}; find {0} -type l", copy.display());
        assert_eq!(home.shell(&line).await.ok().out, "");
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

    // Links are followed in both ways.
    std::os::unix::fs::symlink("run", home.path().join("tree/to a file")).unwrap();
    std::os::unix::fs::symlink("sub dir", home.path().join("tree/to a directory")).unwrap();
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

    let linked = remote("m1", &servers[0].path("linked"));
    home.run(["scp", "-d", "-q", "tree/to a file", &linked])
        .await
        .ok();
    let linked = std::fs::symlink_metadata(servers[0].path("linked")).unwrap();
    assert!(linked.is_file());

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

/// Returns the paths, modes and contents below a directory.
fn tree(root: &Path) -> Vec<String> {
    let mut seen = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let found = path.symlink_metadata().unwrap();
            let content = match found.is_file() {
                true => std::fs::read_to_string(&path).unwrap(),
                false => format!("{:?}", found.file_type()),
            };
            let mode = found.permissions().mode() & 0o777;
            let name = path.strip_prefix(root).unwrap().display();
            seen.push(format!("{name} {mode:o} {content}"));
            if found.is_dir() {
                directories.push(path);
            }
        }
    }
    seen.sort();
    seen
}

/// Files, directories and links to copy, identical for each copy.
const FIXTURE: &str = "
    umask 022
    echo f > f; echo g > g; chmod 640 g; chmod 700 .
    mkdir -p d/sub/deep d/open d/closed existing/d; echo y > d/sub/deep/y; ln -s sub/deep/y d/link
    echo o > d/open/o; chmod 666 d/open/o; chmod 777 d/open d; echo c > d/closed/c; chmod 500 d/closed
    echo before > existing/f; chmod 604 existing/f; chmod 711 existing/d; chmod 700 existing
    echo literal > 'a[1].txt'; echo matching > a1.txt; echo colon > ./x:y; echo colon > ./:z
    mkdir -p broken/z broken/a; ln -s nowhere broken/dangling; mkfifo broken/pipe; echo z > broken/z/z; echo a > broken/a/a
";

/// Returns whether a line of [`tree`] is of a directory whose mode depends on the OpenSSH release: 9.2 changes the
/// mode of existing directories, and creates a directory for several files with the mode of the first.
fn differs_by_release(line: &str) -> bool {
    ["existing ", "existing/d ", "new "].iter().any(|name| {
        let rest = line.split_once(' ').map_or("", |(_, rest)| rest);
        rest.starts_with(name)
    })
}

/// Command lines of scp, with `m1:` for the machine.
static COPIES: [&str; 52] = [
    // `~` is the login directory.
    "f m1:~",
    "f m1:~/",
    "f m1:~/new",
    "f m1:~//existing",
    "-r d m1:~/existing/",
    "m1:~/f got",
    "m1:~/existing/f m1:~/g existing",
    "-r m1:~/d got",
    "-r m1:~ got",
    "f m1:~nobody-is-called-so/f",
    // A local name is literal, and a colon after a slash belongs to it.
    "a[1].txt m1:",
    "./x:y m1:",
    "m1:f ./x:y",
    ":z m1:",
    // The content of `.`, and not a directory of that name.
    "-r . m1:existing",
    "-r ./ m1:existing",
    "-r d/. m1:existing",
    "-r d/ m1:existing",
    "-r d m1:existing",
    "-r d m1:",
    "-r d m1:new",
    "-r . m1:new",
    "-r m1:d/. existing",
    "-r m1:d existing",
    "-r m1:d/ .",
    "-r m1: existing",
    "-r m1:. .",
    // An entry that cannot be copied does not stop the others.
    "-r broken m1:",
    "-r broken m1:new",
    "-r m1:broken .",
    "-r m1:broken new",
    "-r f m1:existing/d",
    "d m1:new",
    "m1:d new",
    "nothing m1:",
    "m1:nothing .",
    "f m1:no/such/directory",
    "m1:f no/such/directory",
    // Several.
    "f g m1:",
    "f g m1:existing",
    "f g m1:new",
    "f d m1:existing",
    "-r f d m1:new",
    "f g m1:f",
    "m1:f m1:g existing",
    "m1:f m1:nothing m1:g existing",
    "m1:f m1:g new",
    "m1:f m1:g f",
    "m1:d/* existing",
    "-r m1:* new",
    // An existing file gets new content, and keeps its mode.
    "f m1:existing/f",
    "m1:g existing/f",
];

/// Number of concurrent comparisons: each mostly waits for sshd.
const AT_ONCE: usize = 4;

/// Copies the same files to the same targets with OpenSSH's scp and with this program, and compares the results.
#[tokio::test(flavor = "multi_thread")]
async fn copies_end_as_those_of_openssh() {
    let mut compared = JoinSet::new();
    for lines in COPIES.chunks(COPIES.len().div_ceil(AT_ONCE)) {
        compared.spawn(differences(lines));
    }
    let differences: Vec<String> = compared.join_all().await.concat();
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}

async fn differences(lines: &[&str]) -> Vec<String> {
    let mut differences = Vec::new();
    let Some((home, servers)) = two_machines("scp beside OpenSSH's") else {
        return differences;
    };
    for line in lines {
        let mut ends = Vec::new();
        let mut said = String::new();
        let line = line.replace('*', "\\*");
        for scp in [
            format!(
                "{} {}",
                servers[0].openssh_scp(),
                line.replace("m1:", "127.0.0.1:")
            ),
            format!("docker-machine scp {line}"),
        ] {
            let (here, there) = (home.path().join("work"), servers[0].path("home"));
            let work = format!(
                "for d in {} {}; do rm -rf $d; mkdir $d; cd $d; {FIXTURE} cd /; done",
                here.display(),
                there.display()
            );
            home.shell(&work).await.ok();
            let ended = home.shell(&format!("cd work; {scp}")).await;
            said.push_str(&ended.to_string());
            let mut end = vec![format!("success: {}", ended.code == Some(0))];
            end.extend(tree(&here).into_iter().map(|line| format!("here {line}")));
            end.extend(tree(&there).into_iter().map(|line| format!("there {line}")));
            ends.push(end);
        }
        // Existing files and directories keep their modes.
        for side in ["here", "there"] {
            for before in ["existing 700 ", "existing/d 711 "] {
                let before = format!("{side} {before}");
                assert!(
                    ends[1].iter().any(|line| line.starts_with(&before)),
                    "{line}: {said}"
                );
            }
        }
        for end in &mut ends {
            end.retain(|line| !differs_by_release(line));
        }
        let only = |one: usize, other: usize| {
            let lines = ends[one].iter().filter(|line| !ends[other].contains(line));
            lines.cloned().collect::<Vec<_>>()
        };
        if ends[0] != ends[1] {
            differences.push(format!(
                "{line}\nOpenSSH: {:#?}\nhere: {:#?}\n{said}",
                only(0, 1),
                only(1, 0)
            ));
        }
    }
    differences
}

/// Where OpenSSH releases differ or fail, this program does what the newest OpenSSH sources do or intend.
#[tokio::test(flavor = "multi_thread")]
async fn the_content_of_a_parent_and_a_directory_to_be_made() {
    let Some((home, servers)) = two_machines("directories of scp") else {
        return;
    };
    let there = servers[0].path("home");
    for root in [home.path(), &there] {
        let line = format!("cd {}; {FIXTURE}", root.display());
        home.shell(&line).await.ok();
    }
    home.run(["scp", "-r", "d", "m1:~/made/"]).await.ok();
    assert!(there.join("made/sub/deep/y").exists());
    home.run(["scp", "-r", "d/sub/..", "m1:existing"])
        .await
        .ok();
    assert!(there.join("existing/sub/deep/y").exists());
    home.run(["scp", "-r", "m1:d/sub/..", "existing"])
        .await
        .ok();
    assert!(home.path().join("existing/sub/deep/y").exists());
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for root in [home.path(), &there] {
        assert_eq!(mode(&root.join("existing")), 0o700);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_copied_is_named_and_counted() {
    let Some((home, servers)) = two_machines("failures of scp") else {
        return;
    };
    let there = servers[0].path("home");
    home.shell(&format!("mkdir work; cd work; {FIXTURE}"))
        .await
        .ok();
    let ended = home
        .shell("cd work; docker-machine scp -r broken nothing f m1:existing-not")
        .await;
    let ended = ended.failed(
        1,
        &[
            "/broken/dangling: No such file or directory\n",
            "/broken/pipe: not a regular file\n",
            "/nothing: No such file or directory\n",
            "2 entries were not copied\n",
        ],
    );
    assert_eq!(ended.err.lines().count(), 4, "{ended}");
    for name in ["broken/a/a", "broken/z/z", "f"] {
        assert!(there.join("existing-not").join(name).exists(), "{name}");
    }
    // From two machines at once, to a local directory.
    std::fs::write(servers[1].path("home/other"), "other").unwrap();
    std::fs::create_dir(home.path().join("both")).unwrap();
    home.run(["scp", "m1:existing-not/f", "m2:~/other", "both"])
        .await
        .ok();
    assert!(home.path().join("both/f").exists() && home.path().join("both/other").exists());
    // The machine resolves `~user`.
    let me = home.shell("id -un").await.ok().out;
    let of_user = format!("m1:~{}", me.trim());
    let refused = home.run(["scp", &of_user, "got"]).await;
    let home_of_user = home.shell(&format!("echo ~{}", me.trim())).await.ok().out;
    refused.failed(
        1,
        &[&format!("{}: not a regular file", home_of_user.trim())],
    );
    home.run(["scp", "m1:~nobody-is-called-so/x", "got"])
        .await
        .failed(1, &["~nobody-is-called-so/x: the machine has no such user"]);
    home.run(["scp", "f", "@m1:"])
        .await
        .failed(1, &["no user name before \"@m1\""]);
    home.run(["scp", "f"])
        .await
        .failed(1, &["Improper number of arguments"]);
}

/// External programs never parse an operand as an option.
#[tokio::test(flavor = "multi_thread")]
async fn operands_never_become_options() {
    let Some((home, _servers)) = two_machines("operands that look like options") else {
        return;
    };
    home.file("f", "f");
    for line in [
        "scp -- f '-oProxyCommand=touch x@m1:'",
        "scp -d -- f '-oProxyCommand=touch x@m1:'",
        "scp -d -- '-oProxyCommand=touch x@m1:f' .",
        "mount -- '-oProxyCommand=touch x@m1:/' point",
    ] {
        let refused = home.shell(&format!("docker-machine {line}")).await;
        refused.failed(
            1,
            &["invalid user name \"-oProxyCommand=touch x\": it begins with a dash"],
        );
    }
    home.shell("docker-machine scp -- f -m:x")
        .await
        .failed(1, &["invalid machine name \"-m\""]);
    // An invalid address in an edited configuration.
    let config = home.machine("m1").join("config.json");
    let saved = std::fs::read_to_string(&config).unwrap();
    let address = "-oProxyCommand=touch${IFS}x";
    std::fs::write(&config, saved.replace("127.0.0.1", address)).unwrap();
    for line in ["scp -d f m1:", "mount m1:/ point", "ssh m1 -A true"] {
        home.shell(&format!("docker-machine {line}"))
            .await
            .failed(1, &[]);
    }
    assert!(!home.path().join("x").exists());
}

/// rsync, sshfs and ssh(1) find keys and pins at any path.
#[tokio::test(flavor = "multi_thread")]
async fn quotes_and_commas_in_the_path_of_a_store() {
    let Some(server) = Sshd::start("a store with quotes and commas in its path") else {
        return;
    };
    let mut home = Home::new();
    let store = home.path().join("a,b=\"c\" it's #1\\ 100%");
    home.set("MACHINE_STORAGE_PATH", &store);
    server.adopt(&home, "m1");
    home.file("sent", "something");
    let target = remote("m1", &server.path("sent"));
    home.run(["scp", "-d", "sent", &target]).await.ok();
    assert_eq!(
        std::fs::read_to_string(server.path("sent")).unwrap(),
        "something"
    );
    if home.shell("command -v sshfs").await.code != Some(0) {
        machine_tests::left_out("the options of sshfs", "no sshfs");
        return;
    }
    // sshfs passes its options to the first ssh in PATH; this one prints how OpenSSH parses them.
    let ssh = "#!/bin/sh\nfor word; do shift; case $word in -x|-a|-2|-s|sftp) ;; *) set -- \"$@\" \"$word\";; esac; done\n\
               /usr/bin/ssh -G \"$@\" > \"$HOME/seen\"\n";
    let programs = home.path().join("programs");
    std::fs::create_dir(&programs).unwrap();
    std::fs::create_dir(home.path().join("point")).unwrap();
    let stand_in = programs.join("ssh");
    std::fs::write(&stand_in, ssh).unwrap();
    std::fs::set_permissions(stand_in, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = home.environment()[std::ffi::OsStr::new("PATH")].clone();
    home.set(
        "PATH",
        format!("{}:{}", programs.display(), path.to_string_lossy()),
    );
    home.run(["mount", "m1:/", "point"])
        .await
        .failed(1, &["exit status"]);
    let seen = std::fs::read_to_string(home.path().join("seen")).unwrap();
    let key = home.machine("m1").join("id_rsa");
    let wanted = format!("identityfile {}\n", key.display()).replace('%', "%%");
    assert!(seen.contains(&wanted), "{wanted}\n{seen}");
}

/// Another login name and another machine of the same address reach the same files.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_not_copied_onto_itself_by_another_name_of_its_host() {
    let Some(server) = Sshd::start("scp of a file onto itself") else {
        return;
    };
    let home = Home::new();
    server.adopt(&home, "m1");
    server.adopt(&home, "m2");
    let file = server.path("home/f");
    std::fs::write(&file, "content").unwrap();
    let me = home.shell("id -un").await.ok().out;
    let as_me = format!("{}@m1:f", me.trim());
    for (target, shown) in [(as_me.as_str(), "m1:f"), ("m2:f", "m2:f"), ("m2:", "m2:f")] {
        let refused = home.run(["scp", "m1:f", target]).await;
        refused.failed(1, &[&format!("cannot copy m1:f into itself: {shown}")]);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "content");
    }
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

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_rsync() {
    let Some((mut home, _servers)) = two_machines("a signal during rsync") else {
        return;
    };
    let programs = home.path().join("programs");
    std::fs::create_dir(&programs).unwrap();
    let stand_in = programs.join("rsync");
    std::fs::write(
        &stand_in,
        "#!/bin/sh\necho up > \"$HOME/up\"\nexec sleep 600\n",
    )
    .unwrap();
    std::fs::set_permissions(stand_in, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap();
    home.set("PATH", format!("{}:{path}", programs.display()));
    home.shell("mkfifo up").await.ok();
    let mut copy = home.command(["scp", "-d", "f", "m1:"]).spawn().unwrap();
    home.shell("read up < up").await.ok();
    let id = Pid::from_raw(copy.id().unwrap().try_into().unwrap()).unwrap();
    kill_process(id, Signal::TERM).unwrap();
    assert_eq!(copy.wait().await.unwrap().code(), Some(1));
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
        words.ends_with(&["--", "me@127.0.0.1:/data", "/mnt"]),
        "{mounted}"
    );
    let unmounted = home.run(["mount", "-u", "m1:/data"]).await.ok();
    assert_eq!(unmounted.out, "fusermount\n-u\n--\n/data\n");

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
