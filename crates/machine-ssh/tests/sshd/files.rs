//! File transfers by SFTP.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use machine_ops::Cx;
use machine_ssh::{Copy, EntryKind, Place, Session, Sftp, TransferError, copy};
use tokio::io::AsyncWriteExt;

use crate::need_openssh;
use crate::server::{Server, cx, mode, told, tool};

async fn sftp(session: &Session) -> Sftp {
    session.sftp(&cx()).await.unwrap()
}

async fn transfer(
    from: Place<'_>,
    to: Place<'_>,
    recursive: bool,
    cx: &Cx,
) -> Result<(), TransferError> {
    let mut left_out = Vec::new();
    let copied = transfer_all(&[from], to, recursive, &mut left_out, cx).await;
    assert_eq!(left_out, Vec::<String>::new());
    copied
}

/// Copies, and returns the entries that were left out.
async fn transfer_all(
    from: &[Place<'_>],
    to: Place<'_>,
    recursive: bool,
    left_out: &mut Vec<String>,
    cx: &Cx,
) -> Result<(), TransferError> {
    let options = Copy {
        recursive,
        progress: &mut |_: &str, _, _| {},
        left_out: &mut |error| left_out.push(told(&error)),
    };
    copy(from, to, options, cx).await
}

/// Returns the umask of this process, and of the server that it starts.
fn umask() -> u32 {
    u32::from_str_radix(tool("sh", &["-c", "umask"]).trim(), 8).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn a_hundred_megabytes_are_copied_in_both_directions() {
    need_openssh!();
    let server = Server::started();
    let session = server.session().await;
    let sftp = sftp(&session).await;
    let (here, there, back) = (
        server.path("here"),
        server.path("there"),
        server.path("back"),
    );
    let block: Vec<u8> = (0..1u32 << 18).flat_map(u32::to_le_bytes).collect();
    fs::write(&here, block.repeat(100)).unwrap();
    let cx = cx();
    let mut last = (0, 0);
    let mut calls = 0;
    let progress = &mut |_: &str, done: u64, size: u64| {
        assert!(done >= last.0);
        last = (done, size);
        calls += 1;
    };
    let options = Copy {
        recursive: false,
        progress,
        left_out: &mut |error| panic!("{error}"),
    };
    copy(
        &[Place::Local(&here)],
        Place::Remote(&sftp, text(&there)),
        options,
        &cx,
    )
    .await
    .unwrap();
    assert_eq!(last, (100 << 20, 100 << 20));
    assert!(calls > 10);
    transfer(
        Place::Remote(&sftp, text(&there)),
        Place::Local(&back),
        false,
        &cx,
    )
    .await
    .unwrap();
    let sent = fs::read(&here).unwrap();
    assert!(fs::read(&there).unwrap() == sent);
    assert!(fs::read(&back).unwrap() == sent);
}

#[tokio::test]
async fn trees_get_their_modes_less_the_umask_in_every_direction() {
    need_openssh!();
    let server = Server::started();
    let session = server.session().await;
    let sftp = sftp(&session).await;
    let root = server.path("tree");
    fs::create_dir_all(root.join("sub/empty")).unwrap();
    for (name, mode) in [("run", 0o755), ("secret", 0o600), ("sub/open", 0o666)] {
        fs::write(root.join(name), name).unwrap();
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    symlink("run", root.join("link")).unwrap();
    fs::set_permissions(root.join("sub"), fs::Permissions::from_mode(0o711)).unwrap();
    let cx = cx();
    let (there, across, back) = (
        server.path("there"),
        server.path("across"),
        server.path("back"),
    );
    transfer(
        Place::Local(&root),
        Place::Remote(&sftp, text(&there)),
        true,
        &cx,
    )
    .await
    .unwrap();
    let (from, to) = (
        Place::Remote(&sftp, text(&there)),
        Place::Remote(&sftp, text(&across)),
    );
    transfer(from, to, true, &cx).await.unwrap();
    // Into an existing directory.
    fs::create_dir(&back).unwrap();
    transfer(
        Place::Remote(&sftp, text(&across)),
        Place::Local(&back),
        true,
        &cx,
    )
    .await
    .unwrap();
    for copied in [there, across, back.join("across")] {
        for (name, wanted) in [
            ("run", 0o755),
            ("secret", 0o600),
            ("sub/open", 0o666 & !umask()),
            ("link", 0o755),
        ] {
            assert_eq!(
                mode(&copied.join(name)),
                wanted,
                "{name} in {}",
                copied.display()
            );
        }
        assert_eq!(fs::read_to_string(copied.join("link")).unwrap(), "run");
        assert!(!copied.join("link").is_symlink());
        assert_eq!(mode(&copied.join("sub")), 0o711);
        assert!(copied.join("sub/empty").is_dir());
    }
}

#[tokio::test]
async fn errors_name_the_path() {
    need_openssh!();
    let server = Server::started();
    let session = server.session().await;
    let sftp = sftp(&session).await;
    let cx = cx();
    let target = server.path("target");
    let error = transfer(
        Place::Remote(&sftp, "/nope"),
        Place::Local(&target),
        false,
        &cx,
    )
    .await
    .unwrap_err();
    assert_eq!(error.to_string(), "/nope: No such file or directory");
    let named = session.sftp(&cx).await.unwrap().named("m1");
    for (path, said) in [
        ("/nope", "m1:/nope: No such file or directory"),
        ("/nope*", "m1:/nope*: No such file or directory"),
        ("~", "m1:~: not a regular file"),
        ("", "m1:~: not a regular file"),
    ] {
        let from = Place::Remote(&named, path);
        let error = transfer(from, Place::Local(&target), false, &cx).await;
        let error = error.unwrap_err().to_string();
        assert!(error.starts_with(said), "{error}");
    }
    // The server's own message for the open is "Failure".
    let (key, to) = (server.path("id.pub"), format!("{}/", text(&target)));
    for (to, said) in [
        (
            Place::Remote(&named, &to),
            format!("m1:{to}: no such directory"),
        ),
        (
            Place::Local(Path::new(&to)),
            format!("{to}: no such directory"),
        ),
    ] {
        let error = transfer(Place::Local(&key), to, false, &cx).await;
        assert_eq!(error.unwrap_err().to_string(), said);
    }
    let error = transfer(Place::Local(&target), Place::Remote(&sftp, "x"), false, &cx)
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), text(&target));
    assert!(told(&error).contains("No such file"));
    let directory = server.directory.path();
    let (from, to) = (Place::Local(directory), Place::Remote(&sftp, text(&target)));
    let error = transfer(from, to, false, &cx).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{}: not a regular file", directory.display())
    );
    let endless = server.path("endless");
    fs::create_dir(&endless).unwrap();
    symlink(".", endless.join("up")).unwrap();
    fs::write(endless.join("file"), "").unwrap();
    let mut left_out = Vec::new();
    let from = [Place::Remote(&sftp, text(&endless))];
    let error = transfer_all(&from, Place::Local(&target), true, &mut left_out, &cx)
        .await
        .unwrap_err();
    assert_eq!(told(&error), "1 entry was not copied");
    assert!(left_out[0].contains("up/up"), "{left_out:?}");
    assert!(target.join("up/up/file").exists());
}

#[tokio::test]
async fn the_rest_is_copied_and_what_failed_is_named() {
    need_openssh!();
    let server = Server::started();
    let session = server.session().await;
    let sftp = sftp(&session).await;
    let (tree, there) = (server.path("tree"), server.path("there"));
    fs::create_dir_all(tree.join("sub")).unwrap();
    fs::create_dir_all(there.join("tree/taken")).unwrap();
    for name in ["a", "z", "sub/file", "taken"] {
        fs::write(tree.join(name), name).unwrap();
    }
    symlink("nowhere", tree.join("dangling")).unwrap();
    tool("mkfifo", &[text(&tree.join("pipe"))]);
    let mut left_out = Vec::new();
    let from = [
        Place::Local(&server.path("none")),
        Place::Local(&tree),
        Place::Local(&server.path("id.pub")),
    ];
    let to = Place::Remote(&sftp, text(&there));
    let error = transfer_all(&from, to, true, &mut left_out, &cx())
        .await
        .unwrap_err();
    assert_eq!(told(&error), "3 entries were not copied");
    assert_eq!(left_out.len(), 4, "{left_out:?}");
    for named in [
        "none: No such file",
        "tree/dangling: No such file",
        "tree/pipe: not a regular file",
        "there/tree/taken: ",
    ] {
        assert!(
            left_out.iter().any(|line| line.contains(named)),
            "{named}: {left_out:?}"
        );
    }
    for name in ["tree/a", "tree/z", "tree/sub/file", "id.pub"] {
        assert!(there.join(name).exists(), "{name}");
    }
}

#[tokio::test]
async fn a_shell_that_prints_where_sftp_begins_is_named() {
    need_openssh!();
    let mut server = Server::prepared();
    server.option("Subsystem sftp echo; echo Welcome to m1; exec /usr/lib/openssh/sftp-server");
    server.start_with_own_sftp();
    let session = server.session().await;
    let error = session.sftp(&cx()).await.unwrap_err();
    let text = told(&error);
    assert!(
        text.contains("prints \"Welcome to m1\" before SFTP starts"),
        "{text}"
    );
}

#[tokio::test]
async fn a_shell_that_ends_where_sftp_begins_is_named() {
    need_openssh!();
    let mut server = Server::prepared();
    server.option("Subsystem sftp echo why >&2; exit 3");
    server.start_with_own_sftp();
    let session = server.session().await;
    let text = told(&session.sftp(&cx()).await.unwrap_err());
    let begun = format!("cannot start SFTP on {}: ", session.host());
    assert!(text.starts_with(&begun), "{text}");
}

#[tokio::test]
async fn relative_paths_start_at_the_login_directory() {
    need_openssh!();
    let mut server = Server::prepared();
    let directory = server.directory.path().display().to_string();
    server.option(&format!("Subsystem sftp internal-sftp -d {directory}"));
    server.start_with_own_sftp();
    let session = server.session().await;
    let sftp = sftp(&session).await;
    assert_eq!(sftp.entry("").await.unwrap().kind, EntryKind::Directory);
    let mut file = sftp.write("made", 0o640).await.unwrap();
    file.write_all(b"content").await.unwrap();
    file.shutdown().await.unwrap();
    assert_eq!(fs::read(server.path("made")).unwrap(), b"content");
    let cx = cx();
    let source = server.path("made");
    fs::create_dir(server.path("dir")).unwrap();
    transfer(
        Place::Local(&source),
        Place::Remote(&sftp, "dir"),
        false,
        &cx,
    )
    .await
    .unwrap();
    assert!(server.path("dir/made").exists());
    let mut names = sftp.names("dir").await.unwrap();
    names.sort();
    assert_eq!(names, ["made"]);
    assert_eq!(sftp.entry_if_any("none").await.unwrap(), None);
}

#[tokio::test]
async fn nothing_is_copied_into_itself() {
    need_openssh!();
    let server = Server::started();
    let session = server.session().await;
    let sftp = sftp(&session).await;
    let cx = cx();
    let tree = server.path("tree");
    fs::create_dir_all(tree.join("sub")).unwrap();
    fs::write(tree.join("file"), "content").unwrap();
    symlink(&tree, server.path("link")).unwrap();
    for (from, to) in [
        ("tree", "tree/new"),
        ("tree", "tree/sub"),
        ("link", "tree/sub/new"),
        ("tree/.", "tree/sub"),
        ("tree/sub", "tree"),
        ("tree/file", "tree/file"),
        ("tree/file", "link"),
    ] {
        let (from, to) = (server.path(from), server.path(to));
        for (from, to) in [
            (Place::Local(&from), Place::Local(&to)),
            (
                Place::Remote(&sftp, text(&from)),
                Place::Remote(&sftp, text(&to)),
            ),
        ] {
            let error = transfer(from, to, true, &cx).await.unwrap_err();
            assert!(told(&error).contains(" into itself: "), "{}", told(&error));
        }
    }
    assert_eq!(fs::read(tree.join("file")).unwrap(), b"content");
    assert_eq!(fs::read_dir(&tree).unwrap().count(), 2);
    assert_eq!(fs::read_dir(tree.join("sub")).unwrap().count(), 0);
    // A similar name is another place.
    let (from, to) = (server.path("tree"), server.path("tree2"));
    transfer(Place::Local(&from), Place::Local(&to), true, &cx)
        .await
        .unwrap();
    assert!(to.join("file").exists());
}

#[tokio::test]
async fn a_small_file_survives_a_copy_onto_its_hard_link() {
    need_openssh!();
    let server = Server::started();
    let session = server.session().await;
    let sftp = sftp(&session).await;
    let (file, link) = (server.path("file"), server.path("link"));
    fs::write(&file, "content").unwrap();
    fs::hard_link(&file, &link).unwrap();
    let there = |path| Place::Remote(&sftp, text(path));
    for (from, to) in [
        (Place::Local(&file), Place::Local(&link)),
        (there(&file), there(&link)),
        (Place::Local(&file), there(&link)),
        (there(&file), Place::Local(&link)),
    ] {
        transfer(from, to, false, &cx()).await.unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"content");
    }
}

#[tokio::test]
async fn a_file_that_shrinks_during_its_copy_is_an_error() {
    need_openssh!();
    let server = Server::started();
    let session = server.session().await;
    let sftp = sftp(&session).await;
    let (source, target) = (server.path("source"), server.path("target"));
    let size = 1 << 20;
    for left in [0, 700 << 10] {
        for from in [Place::Local(&source), Place::Remote(&sftp, text(&source))] {
            fs::write(&source, vec![7; size]).unwrap();
            let shrink = &mut |path: &str, done, _| {
                if done == 0 {
                    let file = fs::File::options().write(true).open(path);
                    file.unwrap().set_len(left).unwrap();
                }
            };
            let options = Copy {
                recursive: false,
                progress: shrink,
                left_out: &mut |error| panic!("{error}"),
            };
            let error = copy(&[from], Place::Local(&target), options, &cx()).await;
            let said = format!(
                "{}: it ended after {left} of {size} bytes: it was changed during the copy",
                source.display()
            );
            assert_eq!(error.unwrap_err().to_string(), said);
        }
    }
}

#[tokio::test]
async fn a_machine_without_sftp_is_an_error() {
    need_openssh!();
    let mut server = Server::prepared();
    server.start_with_own_sftp();
    let session = server.session().await;
    let error = session.sftp(&cx()).await.unwrap_err();
    let begun = format!("cannot start SFTP on {}: its sshd has no", session.host());
    assert!(told(&error).starts_with(&begun), "{}", told(&error));
    for remedy in ["openssh-sftp-server", "Subsystem sftp"] {
        assert!(told(&error).contains(remedy), "{}", told(&error));
    }
}
