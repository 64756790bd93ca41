//! The journal's file.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use machine_ops::{Entry, Journal, Phase, Scope};
use machine_store::{MachineFile, Store};
use serde_json::json;

use crate::{create, name, store};

fn entry(step: u64) -> Entry {
    Entry {
        step,
        name: "import key pair".into(),
        at: 1,
        phase: Phase::Made {
            id: Some(format!("key-{step}")),
            scope: Scope::default(),
        },
    }
}

fn with_machine() -> (tempfile::TempDir, Store) {
    let base = tempfile::tempdir().unwrap();
    let store = store(base.path());
    create(&store, "n1");
    (base, store)
}

#[test]
fn entries_are_read_in_order() {
    let (_base, store) = with_machine();
    let lock = store.try_lock_machine(&name("n1")).unwrap().unwrap();
    let journal = store.journal(&lock);
    assert_eq!(journal.entries().unwrap(), []);
    journal.append(&entry(1)).unwrap();
    journal.append(&entry(2)).unwrap();
    assert_eq!(journal.entries().unwrap(), [entry(1), entry(2)]);
    assert_eq!(store.entries(&name("n1")).unwrap(), [entry(1), entry(2)]);
    let path = store.file(&name("n1"), MachineFile::Journal);
    let mode = fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
}

#[test]
fn a_torn_line_is_dropped_and_overwritten() {
    let (_base, store) = with_machine();
    let lock = store.try_lock_machine(&name("n1")).unwrap().unwrap();
    let journal = store.journal(&lock);
    journal.append(&entry(1)).unwrap();
    let path = store.file(&name("n1"), MachineFile::Journal);
    for torn in ["{\"step\":2,\"na", "{}", "\u{0}\u{0}"] {
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(torn.as_bytes()).unwrap();
        assert_eq!(journal.entries().unwrap(), [entry(1)], "{torn:?}");
    }
    journal.append(&entry(3)).unwrap();
    assert_eq!(journal.entries().unwrap(), [entry(1), entry(3)]);
}

#[test]
fn a_damaged_line_is_an_error_with_its_number() {
    let (_base, store) = with_machine();
    let path = store.file(&name("n1"), MachineFile::Journal);
    fs::write(&path, "{}\nx\n").unwrap();
    let error = store.entries(&name("n1")).unwrap_err();
    assert!(error.path.ends_with(".journal:1"), "{error}");
}

#[test]
fn a_journal_without_a_directory_cannot_be_written() {
    let base = tempfile::tempdir().unwrap();
    let store = store(base.path());
    let lock = store.try_lock_machine(&name("n1")).unwrap().unwrap();
    assert!(store.journal(&lock).append(&entry(1)).is_err());
    assert_eq!(store.entries(&name("n1")).unwrap(), []);
    assert!(!store.exists(&name("n1")));
}

#[test]
fn only_the_drivers_part_is_replaced() {
    let (_base, store) = with_machine();
    let lock = store.try_lock_machine(&name("n1")).unwrap().unwrap();
    let before = store.try_load(&name("n1")).unwrap();
    let driver = json!({"InstanceId": "i-1"});
    store.journal(&lock).save_driver(&driver).unwrap();
    let after = store.try_load(&name("n1")).unwrap();
    assert_eq!(after.driver, driver);
    assert_eq!(after.host_options, before.host_options);
}

#[test]
fn appending_does_not_change_a_hard_linked_backup() {
    let (base, store) = with_machine();
    let lock = store.try_lock_machine(&name("n1")).unwrap().unwrap();
    let journal = store.journal(&lock);
    journal.append(&entry(1)).unwrap();
    let path = store.file(&name("n1"), MachineFile::Journal);
    let backup = base.path().join("backup");
    fs::hard_link(&path, &backup).unwrap();
    let before = fs::read(&backup).unwrap();
    journal.append(&entry(2)).unwrap();
    assert_eq!(fs::read(&backup).unwrap(), before);
    assert_eq!(journal.entries().unwrap(), [entry(1), entry(2)]);
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // A link is not a journal.
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&backup, &path).unwrap();
    journal.append(&entry(3)).unwrap_err();
    assert_eq!(fs::read(&backup).unwrap(), before);
}
