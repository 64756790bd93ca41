//! A full real disk: a store on a separate file system, with decreasing free space for a create.

use std::path::Path;

use machine_tests::flows::Flow;
use machine_tests::left_out;
use tokio::process::Command;

use crate::store;

/// A mounted file system; unmounted when dropped.
struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let unmounted = std::process::Command::new("umount").arg(self.0).status();
        assert!(unmounted.unwrap().success());
    }
}

async fn mount(flow: &Flow, options: &str, at: &Path) -> bool {
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at);
    flow.home.end(mount, b"").await.code == Some(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_fails_the_create_and_leaves_nothing_behind() {
    let flow = Flow::start().await;
    let base = flow.home.store();
    std::fs::create_dir(&base).unwrap();
    if !mount(&flow, "size=4k,mode=700", &base).await {
        left_out("a full disk", "mounting a file system requires root");
        return;
    }
    let _mounted = Mounted(&base);
    let (mut kilobytes, mut full) = (4, 0);
    loop {
        let created = flow.create("m1", &[]).await;
        store::assert_sound(&flow.home);
        if created.code == Some(0) {
            break;
        }
        full += 1;
        assert!(created.err.contains("No space left on device"), "{created}");
        let doctor = flow.home.run(["doctor"]).await;
        assert!(doctor.out.contains("is full: "), "{doctor}");
        if flow.home.machine("m1").exists() {
            flow.home.run(["rm", "-y", "m1"]).await.ok();
        }
        flow.assert_clean();
        kilobytes += 8;
        assert!(mount(&flow, &format!("remount,size={kilobytes}k"), &base).await);
    }
    assert!(full > 3, "it was full {full} times");
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
}
