//! Tombstones.

use std::fs;
use std::os::unix::fs::symlink;

use machine_ops::{Entry, Journal, Phase};
use machine_store::{Store, StoreError};
use serde_json::json;

use crate::{create, entries, name, names, record, store};

fn entry(step: u64) -> Entry {
    Entry {
        step,
        name: "launch".into(),
        at: 1,
        phase: Phase::Undone,
    }
}

fn entombed(store: &Store) {
    let lock = store.try_lock_machine(&name("n1")).unwrap().unwrap();
    store.journal(&lock).append(&entry(1)).unwrap();
    let tombstone = store.entomb(lock).unwrap();
    assert_eq!(names(store), [""; 0]);
    assert_eq!(
        store.tombstones().unwrap(),
        std::slice::from_ref(&tombstone)
    );
    assert_eq!(tombstone.name(), &name("n1"));
    assert_eq!(entries(tombstone.directory()), [".journal", "config.json"]);
    assert_eq!(store.tombstone_record(&tombstone).unwrap(), record("n1"));
    let journal = store.tombstone_journal(&tombstone);
    assert_eq!(journal.entries().unwrap(), [entry(1)]);
    journal.append(&entry(2)).unwrap();
    journal.save_driver(&json!({"InstanceId": "i-1"})).unwrap();
    let saved = store.tombstone_record(&tombstone).unwrap();
    assert_eq!(saved.driver, json!({"InstanceId": "i-1"}));

    let lock = store.try_lock_tombstone(&tombstone).unwrap();
    assert!(lock.is_some());
    assert!(store.try_lock_tombstone(&tombstone).unwrap().is_none());
    for _ in 0..2 {
        store.remove_tombstone(&tombstone).unwrap();
        assert_eq!(store.tombstones().unwrap(), []);
    }
    drop(lock);
    assert!(store.try_lock_tombstone(&tombstone).unwrap().is_none());
    assert_eq!(entries(&store.base().join(".tombstones")), [""; 0]);
}

#[test]
fn a_tombstone_keeps_the_record_until_its_removal() {
    let base = tempfile::tempdir().unwrap();
    let store = store(base.path());
    create(&store, "n1");
    entombed(&store);
}

#[test]
fn entombing_a_linked_machine_copies_it() {
    let base = tempfile::tempdir().unwrap();
    let disk = tempfile::tempdir().unwrap();
    let store = store(base.path());
    create(&store, "n1");
    let moved = disk.path().join("n1");
    fs::rename(store.directory(&name("n1")), &moved).unwrap();
    symlink(&moved, store.directory(&name("n1"))).unwrap();
    entombed(&store);
}

#[test]
fn several_tombstones_can_have_the_same_name() {
    let base = tempfile::tempdir().unwrap();
    let store = store(base.path());
    for count in 1..3 {
        create(&store, "a-b.9");
        let lock = store.try_lock_machine(&name("a-b.9")).unwrap().unwrap();
        store.entomb(lock).unwrap();
        assert_eq!(store.tombstones().unwrap().len(), count);
    }
    let lock = store.try_lock_machine(&name("a-b.9")).unwrap().unwrap();
    assert!(matches!(
        store.entomb(lock),
        Err(StoreError::NotFound { .. })
    ));
}

#[test]
fn a_machine_with_a_broken_configuration_can_be_entombed() {
    let base = tempfile::tempdir().unwrap();
    let store = store(base.path());
    create(&store, "n1");
    fs::write(store.directory(&name("n1")).join("config.json"), "").unwrap();
    let lock = store.try_lock_machine(&name("n1")).unwrap().unwrap();
    let tombstone = store.entomb(lock).unwrap();
    assert!(matches!(
        store.tombstone_record(&tombstone),
        Err(StoreError::Empty { .. })
    ));
}
