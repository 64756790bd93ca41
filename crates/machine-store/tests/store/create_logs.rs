//! Logs of creates: one for each name, and few of names without a machine.

use crate::{create, name, store};

#[test]
fn a_log_is_replaced_by_the_next_create_and_removed() {
    let base = tempfile::tempdir().unwrap();
    let store = store(base.path());
    let m1 = name("m1");
    assert_eq!(store.read_log(&m1).unwrap(), None);
    let path = store.begin_log(&m1).unwrap();
    std::fs::write(&path, "first").unwrap();
    assert_eq!(store.read_log(&m1).unwrap().as_deref(), Some("first"));
    assert_eq!(store.begin_log(&m1).unwrap(), path);
    assert_eq!(store.read_log(&m1).unwrap().as_deref(), Some(""));
    store.remove_log(&m1);
    store.remove_log(&m1);
    assert_eq!(store.read_log(&m1).unwrap(), None);
}

#[test]
fn logs_of_failed_creates_are_few_and_logs_of_machines_stay() {
    let base = tempfile::tempdir().unwrap();
    let store = store(base.path());
    create(&store, "m1");
    store.begin_log(&name("m1")).unwrap();
    for number in 10..40 {
        store.begin_log(&name(&format!("failed-{number}"))).unwrap();
    }
    store.prune_logs();
    let logs = std::fs::read_dir(base.path().join(".logs")).unwrap();
    assert_eq!(logs.count(), 21);
    for kept in ["m1", "failed-39"] {
        assert!(store.read_log(&name(kept)).unwrap().is_some(), "{kept}");
    }
    assert_eq!(store.read_log(&name("failed-10")).unwrap(), None);
}
