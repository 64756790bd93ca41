//! Locks against threads, processes and crashes.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use machine_store::StoreError;

use crate::{create, cx, entries, name, names, store};

#[tokio::test]
async fn a_held_lock_names_its_holder_and_does_not_stop_readers() {
    let base = tempfile::tempdir().unwrap();
    let store = store(base.path());
    create(&store, "n1");
    let held = store.try_lock_machine(&name("n1")).unwrap().unwrap();
    assert!(store.try_lock_machine(&name("n1")).unwrap().is_none());
    let within = Duration::from_millis(20);
    let error = store
        .lock_machine(&name("n1"), within, &cx())
        .await
        .unwrap_err();
    let me = format!("process {}", std::process::id());
    assert!(error.to_string().contains(&me), "{error}");
    assert!(store.try_load(&name("n1")).is_ok());
    assert_eq!(names(&store), ["n1"]);
    // Machines have separate locks.
    assert!(store.try_lock_machine(&name("n2")).unwrap().is_some());
    drop(held);
    assert!(store.lock_machine(&name("n1"), within, &cx()).await.is_ok());
}

#[tokio::test]
async fn waiting_ends_with_a_cancellation() {
    let base = tempfile::tempdir().unwrap();
    let store = store(base.path());
    let _held = store
        .lock_bootstrap(Duration::from_secs(1), &cx())
        .await
        .unwrap();
    let cx = cx();
    cx.cancel.cancel("SIGTERM");
    let error = store
        .lock_bootstrap(Duration::from_secs(60), &cx)
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Cancelled("SIGTERM")));
}

#[test]
fn a_lock_ends_with_its_holders_process() {
    let base = tempfile::tempdir().unwrap();
    let store = store(base.path());
    drop(store.try_lock_machine(&name("n1")).unwrap().unwrap());
    let file = base.path().join(".locks/.n1");
    let mut holder = Command::new("flock")
        .arg(&file)
        .args(["sh", "-c", "echo held; exec sleep 60"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = std::io::BufReader::new(holder.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut said, &mut String::new()).unwrap();
    assert!(store.try_lock_machine(&name("n1")).unwrap().is_none());
    // flock(1) waits for its child, which holds the lock too: killing it leaves the child.
    let child = child_of(holder.id());
    for process in [holder.id(), child] {
        let killed = Command::new("kill")
            .args(["-9", &process.to_string()])
            .status()
            .unwrap();
        assert!(killed.success());
    }
    holder.wait().unwrap();
    // End of file on the pipe means that the child and its descriptors are gone.
    std::io::Read::read_to_end(&mut said, &mut Vec::new()).unwrap();
    let lock = (0..1_000_000).find_map(|_| store.try_lock_machine(&name("n1")).unwrap());
    assert!(lock.is_some());
}

fn child_of(process: u32) -> u32 {
    let path = format!("/proc/{process}/task/{process}/children");
    let children = std::fs::read_to_string(path).unwrap();
    children.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn a_lock_on_a_removed_file_does_not_count() {
    let base = tempfile::tempdir().unwrap();
    let store = store(base.path());
    let inside = AtomicUsize::new(0);
    let rounds = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while rounds.load(Ordering::SeqCst) < 200 {
                    let Some(lock) = store.try_lock_machine(&name("n1")).unwrap() else {
                        std::thread::yield_now();
                        continue;
                    };
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    std::thread::yield_now();
                    rounds.fetch_add(1, Ordering::SeqCst);
                    inside.fetch_sub(1, Ordering::SeqCst);
                    // Removes the lock's file while it is held.
                    store.remove(lock).unwrap();
                }
            });
        }
    });
    assert_eq!(entries(&base.path().join(".locks")), [""; 0]);
}

#[tokio::test]
async fn a_wait_can_move_between_threads() {
    let base = tempfile::tempdir().unwrap();
    let store = store(base.path());
    create(&store, "n1");
    let waiting = tokio::spawn(async move {
        let (n1, cx) = (name("n1"), cx());
        let within = Duration::from_secs(1);
        let _shared = store.lock_bootstrap(within, &cx).await?;
        let _own = store.lock_machine(&n1, within, &cx).await?;
        store.load(&n1, &cx).await
    });
    assert_eq!(waiting.await.unwrap().unwrap().name, "n1");
}

#[test]
fn a_hard_linked_lock_file_is_locked_but_not_written() {
    let base = tempfile::tempdir().unwrap();
    let store = store(base.path());
    drop(store.try_lock_machine(&name("n1")).unwrap());
    let path = base.path().join(".locks/.n1");
    let victim = base.path().join("victim");
    std::fs::write(&victim, "precious").unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::hard_link(&victim, &path).unwrap();
    let lock = store.try_lock_machine(&name("n1")).unwrap();
    assert!(lock.is_some());
    assert!(store.try_lock_machine(&name("n1")).unwrap().is_none());
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
}
