//! Fault injection: an error at every operation on a file, alone and followed by more errors.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use machine_ops::{Entry, Journal, Phase, SystemAmbient};
use machine_store::{FileHook, FileOp, Store, StoreError};
use serde_json::json;

use crate::identity::done;
use crate::{KEY, create, cx, entries, name, names, record, store};

/// Fails at one operation, or from it on, with a disk error.
struct Failing {
    at: usize,
    and_after: bool,
    errno: i32,
    seen: AtomicUsize,
}

impl FileHook for Failing {
    fn before(&self, _op: FileOp, _path: &Path) -> io::Result<()> {
        let now = self.seen.fetch_add(1, Ordering::SeqCst);
        if now == self.at || (self.and_after && now > self.at) {
            return Err(io::Error::from_raw_os_error(self.errno));
        }
        Ok(())
    }
}

/// `ENOSPC`, `EROFS`, `EIO`, `EACCES` of Linux.
const ERRNOS: [i32; 4] = [28, 30, 5, 13];

/// Runs `act` on a fresh machine with an error at every operation, then `check`; returns the number of operations.
fn at_every_place(
    with_machine: bool,
    act: impl Fn(&Store) -> Result<(), StoreError>,
    check: impl Fn(&Store, bool),
) -> usize {
    for at in 0.. {
        for (index, errno) in ERRNOS.into_iter().enumerate() {
            let base = tempfile::tempdir().unwrap();
            let sound = store(base.path());
            if with_machine {
                create(&sound, "n1");
            }
            let hook = Arc::new(Failing {
                at,
                and_after: index % 2 == 0,
                errno,
                seen: AtomicUsize::new(0),
            });
            let failing =
                Store::new(base.path(), Arc::new(SystemAmbient::new())).with_hook(hook.clone());
            let done = act(&failing);
            if let Err(StoreError::Disk { source, path, .. }) = &done {
                assert_eq!(source.raw_os_error(), Some(errno), "{}", path.display());
            }
            check(&sound, done.is_ok());
            if hook.seen.load(Ordering::SeqCst) <= at {
                done.unwrap();
                return at;
            }
        }
    }
    unreachable!()
}

#[test]
fn a_failed_create_leaves_a_complete_machine_or_none() {
    let places = at_every_place(
        false,
        |store| {
            let lock = store.try_lock_machine(&name("n1"))?.unwrap();
            store.create(&lock, &record("n1"), &[KEY])
        },
        |store, created| {
            let there = names(store) == ["n1"];
            assert!(there || !created);
            if there {
                // A disk that fails from the last fsync on cannot undo the create either.
                assert_eq!(store.try_load(&name("n1")).unwrap(), record("n1"));
            } else {
                create(store, "n1");
            }
            assert_eq!(entries(&store.base().join("machines")), ["n1"]);
        },
    );
    assert!(places > 10, "{places}");
}

#[test]
fn a_failed_save_leaves_the_old_or_the_new_record() {
    at_every_place(
        true,
        |store| {
            let lock = store.try_lock_machine(&name("n1"))?.unwrap();
            let mut record = store.try_load(&name("n1"))?;
            record.driver = json!({"new": true});
            store.save(&lock, &record)
        },
        |store, saved| {
            let driver = store.try_load(&name("n1")).unwrap().driver;
            let is_new = driver == json!({"new": true});
            assert!(is_new || (!saved && driver == record("n1").driver));
            assert_eq!(
                entries(&store.directory(&name("n1"))),
                ["config.json", "id_rsa"]
            );
        },
    );
}

#[test]
fn a_failed_remove_leaves_a_complete_machine_or_none() {
    at_every_place(
        true,
        |store| {
            let lock = store.try_lock_machine(&name("n1"))?.unwrap();
            store.remove(lock)
        },
        |store, removed| {
            assert_eq!(names(store).is_empty(), removed);
            if !removed {
                assert_eq!(store.try_load(&name("n1")).unwrap(), record("n1"));
            }
            let lock = store.try_lock_machine(&name("n1")).unwrap().unwrap();
            store.remove(lock).unwrap();
            assert_eq!(entries(&store.base().join("machines")), [""; 0]);
        },
    );
}

#[test]
fn a_failed_entomb_never_loses_a_machine() {
    at_every_place(
        true,
        |store| {
            let lock = store.try_lock_machine(&name("n1"))?.unwrap();
            store.entomb(lock).map(drop)
        },
        |store, entombed| {
            let tombstones = store.tombstones().unwrap();
            assert_eq!(names(store).len() + tombstones.len(), 1);
            assert_eq!(tombstones.len(), usize::from(entombed));
        },
    );
}

#[test]
fn an_entry_is_complete_or_absent() {
    let entry = |step| Entry {
        step,
        name: "launch".into(),
        at: 1,
        phase: Phase::Undone,
    };
    at_every_place(
        true,
        |store| {
            let lock = store.try_lock_machine(&name("n1"))?.unwrap();
            let journal = store.journal(&lock);
            let appended = journal.append(&entry(1));
            // Whatever the result of the append, the next one must not be damaged by it.
            appended.map_err(|error| StoreError::Disk {
                action: error.action,
                path: error.path.into(),
                source: error.source,
            })
        },
        |store, appended| {
            let lock = store.try_lock_machine(&name("n1")).unwrap().unwrap();
            let journal = store.journal(&lock);
            let entries = journal.entries().unwrap();
            assert!(entries == [entry(1)] || (!appended && entries.is_empty()));
            journal.append(&entry(2)).unwrap();
            assert_eq!(journal.entries().unwrap().last(), Some(&entry(2)));
        },
    );
}

#[test]
fn an_id_is_complete_or_absent() {
    at_every_place(
        false,
        |store| done(store.ensure_id(&cx())).map(drop),
        |store, made| {
            assert!(store.id().unwrap().is_some() || !made);
            done(store.ensure_id(&cx())).unwrap();
            assert_eq!(
                entries(store.base()),
                [".docker-machine-store-id", ".locks", "machines"]
            );
            let machines = entries(&store.base().join("machines"));
            assert_eq!(machines, [".docker-machine-directory"]);
        },
    );
}

#[test]
fn a_confirmed_move_is_recorded_completely_or_not_at_all() {
    at_every_place(
        false,
        |store| {
            // The id of another store: its inode cannot be that of this file.
            let sound = crate::store(store.base());
            done(sound.ensure_id(&cx()))?;
            let file = store.base().join(".docker-machine-store-id");
            let text = std::fs::read_to_string(&file).unwrap();
            let text = text.replace("\"file\":", "\"file\":1000000");
            std::fs::write(&file, text).unwrap();
            let recorded = done(store.confirm_moved(&cx()))?;
            assert!(recorded);
            Ok(())
        },
        |store, recorded| {
            let identity = store.identity().unwrap().unwrap();
            assert!(identity.unconfirmed.is_none() || !recorded);
            assert!(done(store.confirm_moved(&cx())).is_ok());
            assert_eq!(store.identity().unwrap().unwrap().own.len(), 2);
        },
    );
}
