//! A copied or moved store is distinguished from the original.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::slice::from_ref;

use machine_store::{Medium, Store, StoreCondition, StoreId, StoreIdentity, Surroundings};

use crate::{create, cx, entries, store};

const FILE: &str = ".docker-machine-store-id";

/// Polls a future that waits only for locks to its end.
pub(crate) fn done<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime.unwrap().block_on(future)
}

fn ensure(store: &Store) -> StoreId {
    done(store.ensure_id(&cx())).unwrap()
}

fn identity(store: &Store) -> StoreIdentity {
    store.identity().unwrap().unwrap()
}

fn copy(from: &Path, to: &Path, how: &str) {
    let copied = Command::new("cp").arg(how).arg(from).arg(to).status();
    assert!(copied.unwrap().success());
}

/// Returns the surroundings of a computer with its own disk.
fn computer(name: &str, disk: Option<&str>) -> Surroundings {
    Surroundings {
        host: Some(name.to_owned()),
        system: Some(format!("{name:0>32}")),
        disk: disk.map(str::to_owned),
        ..Surroundings::default()
    }
}

fn on(base: &Path, surroundings: Surroundings) -> Store {
    store(base).with_surroundings(surroundings)
}

#[test]
fn every_process_gets_the_same_id() {
    let base = tempfile::tempdir().unwrap();
    let store = store(&base.path().join("store"));
    let ids: HashSet<_> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..8).map(|_| scope.spawn(|| ensure(&store))).collect();
        all.into_iter().map(|id| id.join().unwrap()).collect()
    });
    assert_eq!(ids.len(), 1);
    let id = ids.into_iter().next().unwrap();
    assert_eq!(id.as_str().len(), 32);
    assert_eq!(entries(store.base()), [FILE, ".locks", "machines"]);
    assert_eq!(
        store.condition().unwrap(),
        StoreCondition::Empty { id: id.clone() }
    );
    create(&store, "n1");
    assert_eq!(
        store.condition().unwrap(),
        StoreCondition::Used { id, machines: 1 }
    );
}

#[test]
fn a_file_of_an_older_version_is_bound_by_the_first_write_and_keeps_its_id() {
    let base = tempfile::tempdir().unwrap();
    let store = store(base.path());
    let old = "0123456789abcdef0123456789ABCDEF";
    fs::write(base.path().join(FILE), format!("{old}\n")).unwrap();
    let found = identity(&store);
    assert!(!found.is_bound && found.unconfirmed.is_none());
    assert_eq!(found.own, [store.id().unwrap().unwrap()]);
    assert_eq!(ensure(&store).as_str(), old);
    let found = identity(&store);
    assert!(found.is_bound && found.unconfirmed.is_none());
    let text = fs::read_to_string(base.path().join(FILE)).unwrap();
    assert!(text.starts_with(&format!("{old}\n{{")), "{text}");
    // A second write changes nothing.
    ensure(&store);
    assert_eq!(fs::read_to_string(base.path().join(FILE)).unwrap(), text);
}

#[test]
fn a_copy_creates_machines_under_a_new_id() {
    for how in ["-a", "-al"] {
        let base = tempfile::tempdir().unwrap();
        let (there, here) = (base.path().join("there"), base.path().join("here"));
        let original = store(&there);
        let id = ensure(&original);
        copy(&there, &here, how);
        let copied = store(&here);
        let found = identity(&copied);
        assert_eq!((found.current, found.own), (None, Vec::new()), "{how}");
        let unconfirmed = found.unconfirmed.unwrap();
        assert_eq!(unconfirmed.ids, from_ref(&id));
        let told = unconfirmed.to_string();
        for place in [&there, &here] {
            assert!(told.contains(&*place.to_string_lossy()), "{told}");
        }

        let fresh: HashSet<_> = std::thread::scope(|scope| {
            let all: Vec<_> = (0..4).map(|_| scope.spawn(|| ensure(&copied))).collect();
            all.into_iter().map(|id| id.join().unwrap()).collect()
        });
        assert_eq!(fresh.len(), 1, "concurrent creates use the same id");
        let fresh = fresh.into_iter().next().unwrap();
        assert_ne!(fresh, id);
        let found = identity(&copied);
        assert_eq!(found.own, [fresh]);
        assert_eq!(found.unconfirmed.unwrap().ids, from_ref(&id));
        // The original is unchanged.
        assert_eq!(identity(&original).own, [id]);
        assert!(identity(&original).unconfirmed.is_none());
    }
}

#[test]
fn the_user_confirms_a_move_or_copy_before_or_after_a_create() {
    for (is_moved, has_created) in [(true, true), (true, false), (false, true), (false, false)] {
        let base = tempfile::tempdir().unwrap();
        let (there, here) = (base.path().join("there"), base.path().join("here"));
        let former = ensure(&store(&there));
        copy(&there, &here, "-a");
        let store = store(&here);
        let made = has_created.then(|| ensure(&store));
        let confirm = || match is_moved {
            true => done(store.confirm_moved(&cx())).unwrap(),
            false => done(store.confirm_copied(&cx())).unwrap(),
        };
        assert!(confirm());
        let found = identity(&store);
        assert!(found.unconfirmed.is_none());
        assert_eq!(found.own.contains(&former), is_moved);
        let current = found.current.clone().unwrap();
        match made {
            Some(made) => assert_eq!(current, made),
            // A forgotten timer at the former place uses the former id.
            None => assert_ne!(current, former),
        }
        assert!(found.own.contains(&current));
        assert_eq!(ensure(&store), current);
        // Nothing is left to confirm, and nothing changes.
        assert!(!confirm());
        assert_eq!(identity(&store), found);
        // After a further move, all ids are kept.
        let next = base.path().join("next");
        copy(&here, &next, "-a");
        let next = crate::store(&next);
        assert!(done(next.confirm_moved(&cx())).unwrap());
        assert_eq!(identity(&next).own[1..], found.own);
    }
}

#[test]
fn an_unconfirmed_copy_does_not_pass_on_ids() {
    let base = tempfile::tempdir().unwrap();
    let at = |name: &str| base.path().join(name);
    let first = ensure(&store(&at("a")));
    copy(&at("a"), &at("b"), "-a");
    let second = ensure(&store(&at("b")));
    copy(&at("b"), &at("c"), "-a");
    let store = store(&at("c"));
    let third = ensure(&store);
    assert!(done(store.confirm_moved(&cx())).unwrap());
    let own = identity(&store).own;
    assert_eq!(own, [third, second]);
    assert!(!own.contains(&first), "the first store was not confirmed");
}

#[test]
fn a_renamed_linked_or_remounted_store_is_the_same() {
    let base = tempfile::tempdir().unwrap();
    let (old, new) = (base.path().join("old"), base.path().join("new"));
    let id = ensure(&store(&old));
    fs::rename(&old, &new).unwrap();
    std::os::unix::fs::symlink(&new, &old).unwrap();
    for path in [&old, &new] {
        assert_eq!(identity(&store(path)).own, from_ref(&id));
        assert_eq!(ensure(&store(path)), id);
    }
}

#[test]
fn shared_storage_is_one_store_on_every_computer_and_its_copy_is_not() {
    let base = tempfile::tempdir().unwrap();
    let shared = |name: &str| Surroundings {
        medium: Medium::Shared,
        ..computer(name, None)
    };
    let path = base.path().join("store");
    let id = ensure(&on(&path, shared("one")));
    for computer in [shared("two"), shared("three")] {
        let store = on(&path, computer);
        assert_eq!(identity(&store).own, from_ref(&id));
        assert_eq!(ensure(&store), id);
    }
    // The server's own path, and the reverse.
    assert_eq!(
        identity(&on(&path, computer("server", Some("vol-1")))).own,
        [id]
    );
    let local = base.path().join("local");
    let id = ensure(&on(&local, computer("server", Some("vol-1"))));
    assert_eq!(identity(&on(&local, shared("client"))).own, [id]);

    let other = base.path().join("other");
    copy(&path, &other, "-a");
    assert!(identity(&on(&other, shared("one"))).unconfirmed.is_some());
}

#[test]
fn a_disk_image_is_another_store_and_a_moved_volume_is_the_same() {
    let base = tempfile::tempdir().unwrap();
    let is_same = |made: &Surroundings, used: Surroundings| {
        let path = base.path().join(format!("{:016x}", rand()));
        ensure(&on(&path, made.clone()));
        identity(&on(&path, used)).unconfirmed.is_none()
    };
    let made = computer("one", Some("vol-1"));
    assert!(is_same(&made, computer("one", Some("vol-1"))));
    // The volume attached to the next manager; a pod on the next node.
    assert!(is_same(&made, computer("two", Some("vol-1"))));
    // An image keeps machine-id, path and inodes, and has another volume.
    assert!(!is_same(&made, computer("one", Some("vol-2"))));
    assert!(!is_same(&made, computer("two", Some("vol-2"))));

    // A computer whose disks have no ids.
    let made = computer("one", None);
    assert!(is_same(&made, computer("one", None)));
    assert!(!is_same(&made, computer("two", None)));
    // A container without a machine-id uses the hardware's UUID, as root.
    let hardware = |uuid: &str, system: Option<&str>| Surroundings {
        hardware: Some(uuid.to_owned()),
        system: system.map(str::to_owned),
        ..Surroundings::default()
    };
    let made = hardware("ec2-1", Some("host"));
    assert!(is_same(&made, hardware("ec2-1", None)));
    assert!(is_same(&made, hardware("ec2-1", Some("container"))));
    assert!(!is_same(&made, hardware("ec2-2", Some("host"))));
    // A value that was known and is now unknown requires confirmation; one that was never known does not.
    assert!(!is_same(&made, Surroundings::default()));
    assert!(is_same(&Surroundings::default(), made));

    // Another container of the same image.
    let layer = |path: &str| Surroundings {
        layer: Some(path.to_owned()),
        ..computer("one", None)
    };
    assert!(is_same(&layer("/a/diff"), layer("/a/diff")));
    assert!(!is_same(&layer("/a/diff"), layer("/b/diff")));
}

fn rand() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(0)
}

#[test]
fn without_stable_inodes_computer_and_path_identify_a_store() {
    let base = tempfile::tempdir().unwrap();
    let mounted = |name: &str| Surroundings {
        medium: Medium::Renumbered,
        ..computer(name, None)
    };
    let (path, aside) = (base.path().join("store"), base.path().join("aside"));
    let id = ensure(&on(&path, mounted("one")));
    // Inode numbers are small counters: a copy may have the same ones.
    assert!(identity(&on(&path, mounted("two"))).unconfirmed.is_some());
    // Mounted again: the same files under the same path, with other inode numbers.
    fs::rename(&path, &aside).unwrap();
    copy(&aside, &path, "-a");
    assert_eq!(identity(&on(&path, mounted("one"))).own, [id]);
    assert!(identity(&on(&path, mounted("two"))).unconfirmed.is_some());
    copy(&path, &base.path().join("copy"), "-a");
    let copied = on(&base.path().join("copy"), mounted("one"));
    assert!(identity(&copied).unconfirmed.is_some());
    fs::rename(base.path().join("copy"), base.path().join("moved")).unwrap();
    let moved = on(&base.path().join("moved"), mounted("one"));
    assert!(identity(&moved).unconfirmed.is_some(), "another path");

    // Another server's directory, mounted where the first one was.
    let from = |source: &str| Surroundings {
        source: Some(source.to_owned()),
        ..mounted("one")
    };
    let path = base.path().join("from-server");
    let id = ensure(&on(&path, from("one:/srv")));
    assert_eq!(identity(&on(&path, from("one:/srv"))).own, [id]);
    assert!(identity(&on(&path, from("two:/srv"))).unconfirmed.is_some());
}

#[test]
fn without_the_directory_of_its_machines_a_store_asks_and_takes_another_id() {
    let base = tempfile::tempdir().unwrap();
    let (disk, mount) = (base.path().join("disk"), base.path().join("mount"));
    let store = store(&base.path().join("store"));
    fs::create_dir_all(store.base()).unwrap();
    fs::create_dir(&disk).unwrap();
    fs::create_dir(&mount).unwrap();
    let link = |to: &Path| {
        let _ = fs::remove_file(store.base().join("machines"));
        std::os::unix::fs::symlink(to, store.base().join("machines")).unwrap();
    };
    link(&disk);
    let id = ensure(&store);
    create(&store, "n1");
    assert!(identity(&store).unconfirmed.is_none());

    link(&mount);
    let asked = identity(&store);
    assert_eq!((asked.current, asked.own), (None, Vec::new()));
    let told = asked.unconfirmed.unwrap().to_string();
    assert!(told.contains("is its disk mounted?"), "{told}");
    // Resources created now are hidden once the disk is mounted, and must not count as orphaned then.
    let meanwhile = ensure(&store);
    assert_ne!(meanwhile, id);
    assert_eq!(identity(&store).own, from_ref(&meanwhile));
    assert_eq!(identity(&store).unconfirmed.unwrap().ids, from_ref(&id));

    link(&disk);
    let asked = identity(&store);
    assert!(asked.own.is_empty());
    assert_eq!(
        asked.unconfirmed.unwrap().ids,
        [meanwhile.clone(), id.clone()]
    );
    assert!(done(store.confirm_moved(&cx())).unwrap());
    let found = identity(&store);
    assert!(found.unconfirmed.is_none(), "{found:?}");
    assert_eq!(found.own[1..], [meanwhile, id]);
}

#[test]
fn a_store_of_an_older_version_gets_its_mark_with_the_next_create() {
    let base = tempfile::tempdir().unwrap();
    let store = store(base.path());
    let id = ensure(&store);
    create(&store, "n1");
    let file = base.path().join(FILE);
    let text = fs::read_to_string(&file).unwrap();
    let (first, line) = text.split_once('\n').unwrap();
    let mut binding: serde_json::Value = serde_json::from_str(line).unwrap();
    binding.as_object_mut().unwrap().remove("machines").unwrap();
    // In place: the inode stays.
    fs::write(&file, format!("{first}\n{binding}\n")).unwrap();
    let found = identity(&store);
    assert!(!found.is_bound && found.unconfirmed.is_none());
    assert_eq!(found.own, from_ref(&id));
    assert_eq!(ensure(&store), id);
    assert!(identity(&store).is_bound);
    fs::remove_dir_all(store.base().join("machines")).unwrap();
    assert!(identity(&store).unconfirmed.is_some());
}

#[test]
fn a_backup_that_is_restored_in_place_is_told_from_the_store() {
    let base = tempfile::tempdir().unwrap();
    let store = store(&base.path().join("store"));
    ensure(&store);
    let file = store.base().join(FILE);
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    fs::File::open(&file).unwrap().set_modified(old).unwrap();
    let backup = base.path().join("backup");
    copy(store.base(), &backup, "-a");
    create(&store, "later");
    // Same as a restore by rsync: replaces files with another size or time, removes additional files.
    let time = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
    assert_ne!(time(&file), time(&backup.join(FILE)));
    copy(&backup.join(FILE), &store.base().join(".new"), "-a");
    fs::rename(store.base().join(".new"), &file).unwrap();
    fs::remove_dir_all(store.base().join("machines").join("later")).unwrap();
    assert!(identity(&store).unconfirmed.is_some());
    assert!(identity(&store).own.is_empty());

    // The same for the machines alone, or by removal and copy.
    let store = crate::store(&base.path().join("second"));
    ensure(&store);
    let (machines, aside) = (store.base().join("machines"), base.path().join("aside"));
    fs::rename(&machines, &aside).unwrap();
    copy(&aside, &machines, "-a");
    assert!(identity(&store).unconfirmed.is_some());
}

#[test]
fn fields_of_later_versions_survive_and_broken_files_are_errors() {
    let base = tempfile::tempdir().unwrap();
    let (there, here) = (base.path().join("there"), base.path().join("here"));
    ensure(&store(&there));
    let file = there.join(FILE);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen('{', r#"{"OfLater":{"kept":1.5},"#, 1)).unwrap();
    copy(&there, &here, "-a");
    let store = store(&here);
    assert!(done(store.confirm_moved(&cx())).unwrap());
    let text = fs::read_to_string(here.join(FILE)).unwrap();
    assert!(text.contains(r#""OfLater":{"kept":1.5}"#), "{text}");

    let whole = text.clone();
    for broken in [text.trim_end().trim_end_matches('}'), "x", ""] {
        fs::write(here.join(FILE), broken).unwrap();
        store.identity().unwrap_err();
        done(store.ensure_id(&cx())).unwrap_err();
        assert_eq!(fs::read_to_string(here.join(FILE)).unwrap(), broken);
    }
    fs::write(here.join(FILE), whole).unwrap();
    store.identity().unwrap();
}
