//! Create, read, save and remove; the store's id and its warning marks.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use machine_store::{Access, MachineFile, NewFile, StoreCondition, StoreError};
use serde_json::json;

use crate::identity::done;
use crate::{KEY, create, cx, entries, name, names, record, store};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn reading_creates_no_files() {
    let base = tempfile::tempdir().unwrap();
    let store = store(&base.path().join("not/there"));
    assert_eq!(names(&store), [""; 0]);
    assert!(matches!(
        store.try_load(&name("n1")),
        Err(StoreError::NotFound { .. })
    ));
    assert_eq!(store.id().unwrap(), None);
    assert_eq!(store.condition().unwrap(), StoreCondition::Absent);
    assert_eq!(store.tombstones().unwrap(), []);
    assert_eq!(entries(base.path()), [""; 0]);
}

#[test]
fn a_machine_appears_complete_with_the_go_binarys_modes() {
    let base = tempfile::tempdir().unwrap();
    let store = store(base.path());
    let lock = store.try_lock_machine(&name("n1")).unwrap().unwrap();
    let server = NewFile::of(MachineFile::Server, "certificate");
    store.create(&lock, &record("n1"), &[KEY, server]).unwrap();
    assert_eq!(names(&store), ["n1"]);
    assert_eq!(store.try_load(&name("n1")).unwrap(), record("n1"));
    let directory = store.directory(&name("n1"));
    assert_eq!(entries(&directory), ["config.json", "id_rsa", "server.pem"]);
    assert_eq!(entries(&store.base().join("machines")), ["n1"]);
    for (file, wanted) in [("", 0o700), ("config.json", 0o600), ("id_rsa", 0o600)] {
        assert_eq!(mode(&directory.join(file)), wanted, "{file}");
    }
    // The umask of the test process may remove more bits.
    assert_eq!(mode(&directory.join("server.pem")) & 0o600, 0o600);
    assert_eq!(mode(&store.base().join("machines")), 0o700);
}

#[test]
fn a_second_create_fails_and_changes_nothing() {
    let base = tempfile::tempdir().unwrap();
    let store = store(base.path());
    create(&store, "n1");
    let lock = store.try_lock_machine(&name("n1")).unwrap().unwrap();
    let mut other = record("n1");
    other.driver_name = "other".into();
    let error = store.create(&lock, &other, &[]).unwrap_err();
    assert_eq!(error.to_string(), "Docker machine \"n1\" already exists");
    assert_eq!(store.try_load(&name("n1")).unwrap(), record("n1"));
    assert_eq!(entries(&store.base().join("machines")), ["n1"]);
}

#[test]
fn an_empty_directory_of_the_go_binary_is_not_reused() {
    let base = tempfile::tempdir().unwrap();
    let store = store(base.path());
    fs::create_dir_all(store.directory(&name("n1"))).unwrap();
    let lock = store.try_lock_machine(&name("n1")).unwrap().unwrap();
    let error = store.create(&lock, &record("n1"), &[]).unwrap_err();
    assert!(matches!(error, StoreError::AlreadyExists { .. }));
}

#[test]
fn one_of_many_concurrent_creates_succeeds() {
    let base = tempfile::tempdir().unwrap();
    let store = store(base.path());
    let winners: usize = std::thread::scope(|scope| {
        let creates: Vec<_> = (0..8)
            .map(|_| {
                let store = store.clone();
                scope.spawn(move || {
                    loop {
                        let Some(lock) = store.try_lock_machine(&name("n1")).unwrap() else {
                            std::thread::yield_now();
                            continue;
                        };
                        return usize::from(store.create(&lock, &record("n1"), &[KEY]).is_ok());
                    }
                })
            })
            .collect();
        creates.into_iter().map(|c| c.join().unwrap()).sum()
    });
    assert_eq!(winners, 1);
    assert_eq!(entries(&store.base().join("machines")), ["n1"]);
}

#[test]
fn removing_is_idempotent() {
    let base = tempfile::tempdir().unwrap();
    let store = store(base.path());
    create(&store, "n1");
    create(&store, "n2");
    for _ in 0..2 {
        let lock = store.try_lock_machine(&name("n1")).unwrap().unwrap();
        store.remove(lock).unwrap();
        assert_eq!(entries(&store.base().join("machines")), ["n2"]);
    }
    assert_eq!(entries(&base.path().join(".locks")), [".n2"]);
}

#[test]
fn remains_of_crashes_are_swept_but_not_work_in_progress() {
    let base = tempfile::tempdir().unwrap();
    let store = store(base.path());
    let machines = store.base().join("machines");
    for left in [
        ".creating-n1-0000000000000001",
        ".creating-busy-0000000000000001",
        ".removing-old-0000000000000001",
        ".of-another-program",
    ] {
        fs::create_dir_all(machines.join(left).join("deep")).unwrap();
    }
    create(&store, "n1");
    assert_eq!(
        entries(&machines),
        [
            ".creating-busy-0000000000000001",
            ".of-another-program",
            "n1"
        ]
    );
    assert_eq!(names(&store), ["n1"]);
}

#[tokio::test]
async fn reading_waits_for_a_configuration_under_replacement() {
    let base = tempfile::tempdir().unwrap();
    let store = store(base.path());
    create(&store, "n1");
    let config = store.file(&name("n1"), MachineFile::Config);
    let aside = config.with_file_name("config.json.tmp1");
    fs::rename(&config, &aside).unwrap();
    assert!(matches!(
        store.try_load(&name("n1")),
        Err(StoreError::ConfigMissing { .. })
    ));
    let (cx, n1) = (cx(), name("n1"));
    let put_back = async { fs::rename(&aside, &config).unwrap() };
    let (loaded, ()) = tokio::join!(store.load(&n1, &cx), put_back);
    assert_eq!(loaded.unwrap(), record("n1"));
}

#[tokio::test]
async fn an_error_names_a_missing_configuration() {
    let base = tempfile::tempdir().unwrap();
    let store = store(base.path());
    fs::create_dir_all(store.directory(&name("zz"))).unwrap();
    let error = store.load(&name("zz"), &cx()).await.unwrap_err();
    let path = store.file(&name("zz"), MachineFile::Config);
    assert_eq!(
        error.to_string(),
        format!("open {}: no such file or directory", path.display())
    );
}

#[test]
fn a_save_replaces_the_configuration() {
    let base = tempfile::tempdir().unwrap();
    let store = store(base.path());
    create(&store, "n1");
    let lock = store.try_lock_machine(&name("n1")).unwrap().unwrap();
    let mut record = store.try_load(&name("n1")).unwrap();
    record.driver = json!({"IPAddress": "127.0.0.2"});
    store.save(&lock, &record).unwrap();
    let driver = store.try_load(&name("n1")).unwrap().driver;
    assert_eq!(driver, json!({"IPAddress": "127.0.0.2"}));
    assert_eq!(mode(&store.file(&name("n1"), MachineFile::Config)), 0o600);
    assert_eq!(
        entries(&store.directory(&name("n1"))),
        ["config.json", "id_rsa"]
    );
}

#[test]
fn links_to_another_disk_keep_working() {
    let base = tempfile::tempdir().unwrap();
    let disk = tempfile::tempdir().unwrap();
    symlink(disk.path(), base.path().join("link")).unwrap();
    let store = store(&base.path().join("link"));
    create(&store, "n1");
    assert_eq!(entries(&disk.path().join("machines")), ["n1"]);
    // A machine's directory that was moved and linked: read and written, but not listed, as in the Go binary.
    let moved = disk.path().join("moved");
    fs::rename(store.directory(&name("n1")), &moved).unwrap();
    symlink(&moved, store.directory(&name("n1"))).unwrap();
    let lock = store.try_lock_machine(&name("n1")).unwrap().unwrap();
    let mut record = store.try_load(&name("n1")).unwrap();
    record.driver_name = "other".into();
    store.save(&lock, &record).unwrap();
    assert_eq!(store.try_load(&name("n1")).unwrap().driver_name, "other");
    assert_eq!(names(&store), [""; 0]);
    store.remove(lock).unwrap();
    assert!(moved.join("config.json").exists());
    assert!(!store.exists(&name("n1")));
}

#[test]
fn a_missing_store_id_differs_from_a_damaged_one() {
    let base = tempfile::tempdir().unwrap();
    let store = store(base.path());
    create(&store, "n1");
    assert_eq!(
        store.condition().unwrap(),
        StoreCondition::WithoutId { machines: 1 }
    );
    fs::write(base.path().join(".docker-machine-store-id"), "x").unwrap();
    assert!(matches!(
        done(store.ensure_id(&cx())),
        Err(StoreError::BadStoreId { .. })
    ));
}

#[test]
fn a_warning_is_due_once_a_day() {
    let base = tempfile::tempdir().unwrap();
    let store = store(base.path());
    assert!(store.is_due("ca-expires"));
    assert!(!store.is_due("ca-expires"));
    assert!(store.is_due("client-expires"));
}

#[test]
fn certificates_are_written_atomically_and_read_back() {
    let base = tempfile::tempdir().unwrap();
    let store = store(&base.path().join("store"));
    let key = store.base().join("certs").join("key.pem");
    store.write(&key, "one", Access::Private).unwrap();
    store.write(&key, "two", Access::Private).unwrap();
    assert_eq!(store.read_text(&key).unwrap(), "two");
    assert_eq!(mode(&key), 0o600);
    assert_eq!(mode(&store.base().join("certs")), 0o700);
    assert_eq!(entries(&store.base().join("certs")), ["key.pem"]);
    // A certificate directory elsewhere belongs to the user: the store does not change its mode.
    let elsewhere = base.path().join("c/ca.pem");
    let error = store.write(&elsewhere, "x", Access::Public).unwrap_err();
    assert!(error.is_missing(), "{error}");
}
