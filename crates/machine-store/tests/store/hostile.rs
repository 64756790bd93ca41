//! Hostile paths: links, FIFOs, directories and oversized files in place of regular files.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;

use machine_store::{Access, MachineFile, StoreError};

use crate::{create, entries, name, names, store};

#[test]
fn only_directories_that_gitlab_runner_counts_are_machines() {
    let base = tempfile::tempdir().unwrap();
    let store = store(base.path());
    create(&store, "n1");
    let machines = store.base().join("machines");
    fs::create_dir(machines.join(".hidden")).unwrap();
    fs::create_dir(machines.join("bad_name\u{1b}")).unwrap();
    fs::write(machines.join("file"), "").unwrap();
    symlink("n1", machines.join("link")).unwrap();
    assert_eq!(names(&store), ["n1"]);
    assert_eq!(store.odd_names().unwrap(), ["bad_name\\u{1b}"]);
}

#[test]
fn whatever_may_be_a_record_of_a_machine_is_one_or_an_error() {
    let base = tempfile::tempdir().unwrap();
    let store = store(base.path());
    let machines = store.base().join("machines");
    for name in ["n1", "away"] {
        create(&store, name);
    }
    let elsewhere = base.path().join("elsewhere");
    fs::rename(machines.join("away"), &elsewhere).unwrap();
    symlink(&elsewhere, machines.join("away")).unwrap();
    fs::create_dir(machines.join(".hidden")).unwrap();
    fs::create_dir(machines.join("bad_name")).unwrap();
    fs::write(machines.join("file"), "").unwrap();
    let on_record = || {
        let names = store.on_record();
        names.map(|names| names.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(on_record().unwrap(), ["away", "n1"]);
    assert_eq!(names(&store), ["n1"], "as the Go binary lists them");

    for place in [
        "bad_name/config.json",
        "bad_name/.journal",
        ".hidden/.journal",
    ] {
        fs::write(machines.join(place), "").unwrap();
        let error = on_record().unwrap_err();
        assert!(matches!(error, StoreError::Unaccounted { .. }), "{error}");
        fs::remove_file(machines.join(place)).unwrap();
    }
    // A disk that is not mounted.
    fs::rename(&elsewhere, base.path().join("unmounted")).unwrap();
    let error = on_record().unwrap_err();
    assert!(error.to_string().contains("machines/away"), "{error}");
}

#[test]
fn a_configuration_that_is_not_a_file_is_refused_without_waiting() {
    let base = tempfile::tempdir().unwrap();
    let store = store(base.path());
    create(&store, "n1");
    let config = store.file(&name("n1"), MachineFile::Config);
    let refused = || {
        let error = store.try_load(&name("n1")).unwrap_err();
        assert!(error.to_string().contains("config.json"), "{error}");
        fs::remove_file(&config)
            .or_else(|_| fs::remove_dir(&config))
            .unwrap();
        error
    };
    fs::remove_file(&config).unwrap();
    let made = Command::new("mkfifo").arg(&config).status().unwrap();
    assert!(made.success());
    assert!(matches!(refused(), StoreError::NotAFile { .. }));
    symlink("/dev/zero", &config).unwrap();
    assert!(matches!(refused(), StoreError::NotAFile { .. }));
    fs::create_dir(&config).unwrap();
    assert!(matches!(refused(), StoreError::NotAFile { .. }));
    let socket = UnixListener::bind(&config).unwrap();
    assert!(matches!(refused(), StoreError::Disk { .. }));
    drop(socket);
    symlink("config.json", &config).unwrap();
    assert!(matches!(refused(), StoreError::Disk { .. }));
}

#[test]
fn a_huge_configuration_is_refused_without_reading_it() {
    let base = tempfile::tempdir().unwrap();
    let store = store(base.path());
    create(&store, "n1");
    let config = store.file(&name("n1"), MachineFile::Config);
    File::create(&config).unwrap().set_len(1 << 40).unwrap();
    let error = store.try_load(&name("n1")).unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { .. }), "{error}");
}

#[test]
fn invalid_text_is_refused() {
    let base = tempfile::tempdir().unwrap();
    let store = store(base.path());
    let path = base.path().join("ca.pem");
    fs::write(&path, [0xff, 0xfe]).unwrap();
    let error = store.read_text(&path).unwrap_err();
    assert!(matches!(error, StoreError::NotText { .. }), "{error}");
}

#[test]
fn writing_replaces_a_link_and_keeps_its_target() {
    let base = tempfile::tempdir().unwrap();
    let store = store(base.path());
    let (victim, link) = (base.path().join("victim"), base.path().join("link"));
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, &link).unwrap();
    store.write(&link, "new", Access::Private).unwrap();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert_eq!(fs::read_to_string(&link).unwrap(), "new");
}

#[test]
fn removing_keeps_the_targets_of_links() {
    let base = tempfile::tempdir().unwrap();
    let store = store(base.path());
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("precious"), "").unwrap();
    create(&store, "n1");
    symlink(elsewhere.path(), store.directory(&name("n1")).join("out")).unwrap();
    let lock = store.try_lock_machine(&name("n1")).unwrap().unwrap();
    store.remove(lock).unwrap();
    assert_eq!(entries(elsewhere.path()), ["precious"]);
}
