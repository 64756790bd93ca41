//! A store that cannot be written: read-only, or full at any point of a create.
//!
//! The store is a tmpfs in a mount namespace of the run, which ends with it. This requires root, or a kernel that
//! allows user namespaces.

use machine_tests::flows::{Ended, Flow, Home};

/// Returns the command that creates a namespace on this computer. Without one, reports the skipped test.
pub(crate) async fn unshare(home: &Home) -> Option<&'static str> {
    for unshare in ["unshare --mount", "unshare --mount --map-root-user"] {
        let probe = format!("{unshare} mount -t tmpfs none \"$HOME\"");
        if home.shell(&probe).await.code == Some(0) {
            return Some(unshare);
        }
    }
    let what = "a read-only or full store";
    machine_tests::left_out(what, "neither root nor user namespaces");
    None
}

/// Creates a machine in a tmpfs, then prints the entries of its `machines` but for the directory's own mark.
async fn create_on(flow: &Flow, unshare: &str, options: &str, between: &str) -> Ended {
    let create = format!("docker-machine create {} m1", flow.flags().join(" "));
    let inside = format!(
        "mount -t tmpfs -o {options} none \"$MACHINE_STORAGE_PATH\"; {between} {create} >/dev/null; rc=$?; \
         ls -A \"$MACHINE_STORAGE_PATH/machines\" 2>/dev/null | grep -v '^.docker-machine-directory$'; exit $rc"
    );
    let line =
        format!("mkdir -p \"$MACHINE_STORAGE_PATH\"; inside=$(cat); {unshare} sh -c \"$inside\"");
    let mut bash = tokio::process::Command::new("bash");
    bash.args(["-c", &line]);
    flow.home.end(bash, inside.as_bytes()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_store_is_an_error_and_leaves_nothing() {
    let flow = Flow::start().await;
    let Some(unshare) = unshare(&flow.home).await else {
        return;
    };
    let ended = create_on(&flow, unshare, "ro", "").await;
    let store = flow.home.store().display().to_string();
    let ended = ended.failed(1, &["Read-only file system", &store]);
    assert_eq!(ended.out, "", "{ended}");
    assert_eq!(flow.changes(), Vec::<String>::new());
    assert!(flow.lab.clean());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fills_up_at_any_point_leaves_nothing() {
    let flow = Flow::start().await;
    let Some(unshare) = unshare(&flow.home).await else {
        return;
    };
    // A file of the store takes one page of a tmpfs, so that each size ends the create at another point.
    let (mut refused, mut made) = (0, 0);
    for pages in [1, 2, 3, 4, 6, 8, 10, 12, 14, 16, 18, 20, 24, 64] {
        let options = format!("size={}k", pages * 4);
        let ended = create_on(&flow, unshare, &options, "").await;
        if ended.code == Some(0) {
            assert_eq!(ended.out, "m1\n", "{ended}");
            made += 1;
            // The store ended with its namespace, so this test cannot remove the machine.
            break;
        }
        let ended = ended.failed(1, &["No space left on device"]);
        assert_eq!(ended.out, "", "{pages} pages: {ended}");
        assert_eq!(
            flow.lab.left_over(),
            Vec::<String>::new(),
            "{pages} pages: {ended}"
        );
        refused += 1;
    }
    assert!(refused > 3, "{refused}");
    assert_eq!(made, 1);
}
