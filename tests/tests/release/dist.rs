//! The release: the executable alone in a root directory, the package on a clean Debian, and reproducible bytes.
//!
//! `DOCKER_MACHINE_STATIC` names an executable that `cargo static` has built; `tests/run` sets it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use machine_tests::flows::{Ended, Home};
use serde_json::Value;
use tokio::process::Command;

/// Returns the static executable, if this user can create root directories for it.
fn executable(what: &str) -> Option<PathBuf> {
    let Some(path) = std::env::var_os("DOCKER_MACHINE_STATIC") else {
        machine_tests::left_out(what, "DOCKER_MACHINE_STATIC names no executable");
        return None;
    };
    Some(PathBuf::from(path).canonicalize().unwrap())
}

fn is_root(what: &str) -> bool {
    let is_root = rustix::process::getuid().is_root();
    if !is_root {
        machine_tests::left_out(what, "not root");
    }
    is_root
}

/// Runs `cargo xtask dist` on an existing executable.
async fn dist(home: &Home, executable: &Path, out: &Path) -> Ended {
    let mut xtask = Command::new(machine_tests::built("xtask"));
    xtask
        .arg("dist")
        .arg("--binary")
        .arg(executable)
        .arg("--out")
        .arg(out);
    home.end(xtask, b"").await.ok()
}

/// A home whose programs find cargo and its registry as this test does.
fn home() -> Home {
    let mut home = Home::new();
    for name in [
        "CARGO_HOME",
        "RUSTUP_HOME",
        "CARGO_TARGET_DIR",
        "RUSTUP_TOOLCHAIN",
        "HOME",
    ] {
        if let Some(value) = std::env::var_os(name) {
            home.set(name, value);
        }
    }
    home
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_complete_and_reproducible() {
    let Some(executable) = executable("a release") else {
        return;
    };
    let home = home();
    let (one, two) = (home.path().join("one"), home.path().join("two"));
    dist(&home, &executable, &one).await;
    dist(&home, &executable, &two).await;
    let names = |directory: &Path| -> BTreeSet<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    };
    assert_eq!(names(&one), names(&two));
    assert_eq!(names(&one).len(), 6, "{:?}", names(&one));
    for name in names(&one) {
        let bytes = |directory: &Path| std::fs::read(directory.join(&name)).unwrap();
        assert!(bytes(&one) == bytes(&two), "{name} differs");
    }
    let check = format!(
        "cd {} && sha256sum --check --strict SHA256SUMS",
        one.display()
    );
    let checked = home.shell(&check).await.ok();
    assert_eq!(checked.out.matches(": OK").count(), 5, "{checked}");

    let sbom = std::fs::read_to_string(one.join("docker-machine-Linux-x86_64.cdx.json")).unwrap();
    let sbom: Value = serde_json::from_str(&sbom).unwrap();
    assert_eq!(
        (&sbom["bomFormat"], &sbom["specVersion"]),
        (&"CycloneDX".into(), &"1.5".into())
    );
    let components: BTreeSet<&str> = sbom["components"]
        .as_array()
        .unwrap()
        .iter()
        .map(|component| component["name"].as_str().unwrap())
        .collect();
    for linked in [
        "aws-sdk-ec2",
        "russh",
        "rustls",
        "tokio",
        "glibc",
        "libmachine",
    ] {
        assert!(components.contains(linked), "{linked}");
    }
    // It does not contain packages that are used only for builds or tests.
    for absent in [
        "ec2-lab",
        "machine-tests",
        "xtask",
        "cc",
        "serde_derive",
        "tempfile",
    ] {
        assert!(!components.contains(absent), "{absent}");
    }
    let notices = std::fs::read_to_string(one.join("THIRD-PARTY-NOTICES.txt")).unwrap();
    let own = [
        "glibc",
        "docker-machine",
        "fleeting-plugin",
        "go-template",
        "libmachine",
    ];
    let is_own = |name: &&&str| {
        own.contains(*name) || name.starts_with("machine-") || name.starts_with("driver-")
    };
    for name in components.iter().filter(|name| !is_own(name)) {
        assert!(
            notices.contains(&format!("  {name} ")),
            "no notice of {name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_package_installs_and_uninstalls_on_a_clean_debian() {
    let what = "the package on a clean Debian";
    let Some(executable) = executable(what).filter(|_| is_root(what)) else {
        return;
    };
    let home = home();
    let out = home.path().join("dist");
    dist(&home, &executable, &out).await;
    let root = home.path().join("debian");
    std::fs::create_dir(&root).unwrap();
    // Uses the lab's image as such a root if it exists; else makes one.
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let archive = cache
        .unwrap_or_default()
        .join("docker-machine-lab/debian-12-v1.tar.gz");
    let unpack = match archive.is_file() {
        true => format!(
            "tar -xzf {} -C {} --exclude ./opt/packages",
            archive.display(),
            root.display()
        ),
        false => format!(
            "debootstrap --variant=minbase bookworm {} >&2",
            root.display()
        ),
    };
    home.shell(&unpack).await.ok();
    let inside = |script: &str| {
        let mut chroot = Command::new("chroot");
        chroot.arg(&root).args(["/bin/sh", "-euc", script]);
        chroot
    };
    let files = "find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /var/lib/dpkg -o -path /var/log -o -path /tmp \\) -prune -o -print | sort";
    let before = home.end(inside(files), b"").await.ok();
    home.shell(&format!(
        "cp {}/*.deb {}/tmp/",
        out.display(),
        root.display()
    ))
    .await
    .ok();
    home.end(inside("dpkg -i /tmp/docker-machine_*.deb"), b"")
        .await
        .ok();
    let used = home
        .end(
            inside(
                "export HOME=/root; unset MACHINE_STORAGE_PATH; docker-machine --version; docker-machine create --driver none --url tcp://127.0.0.1:1 n; \
                 docker-machine ls -q; docker-machine rm -y n; rm -r /root/.docker; \
                 test -s /usr/share/bash-completion/completions/docker-machine; zcat /usr/share/man/man1/docker-machine.1.gz | head -c 9; \
                 test -s /usr/share/doc/docker-machine/THIRD-PARTY-NOTICES.txt; dpkg -L docker-machine",
            ),
            b"",
        )
        .await
        .ok();
    assert!(used.out.contains("docker-machine version 0."), "{used}");
    assert!(
        used.out
            .contains("/usr/lib/systemd/system/docker-machine-prune.timer"),
        "{used}"
    );
    home.end(
        inside("dpkg -P docker-machine; rm /tmp/docker-machine_*.deb"),
        b"",
    )
    .await
    .ok();
    let after = home.end(inside(files), b"").await.ok();
    assert_eq!(after.out, before.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rpm_installs_and_uninstalls_in_a_separate_root() {
    let what = "the RPM in a root of its own";
    let Some(executable) = executable(what).filter(|_| is_root(what)) else {
        return;
    };
    let home = home();
    let out = home.path().join("dist");
    dist(&home, &executable, &out).await;
    let script = format!(
        r#"
        mkdir root
        rpm() {{ command rpm --root "$PWD/root" "$@"; }}
        rpm --initdb
        files() {{ find root -path root/var/lib/rpm -prune -o -type f -print | sort; }}
        files >before
        rpm -i {}/*.rpm
        rpm -V docker-machine
        rpm -q --requires docker-machine | grep -v '^rpmlib(' && exit 1
        rpm -q --scripts docker-machine | grep . && exit 1
        rpm -ql docker-machine
        chroot root /usr/bin/docker-machine --version
        rpm -e docker-machine
        files | diff before -
        "#,
        out.display()
    );
    let ended = home.shell(&script).await.ok();
    for file in [
        "/usr/bin/docker-machine",
        "/usr/share/man/man1/docker-machine.1",
        "/usr/share/bash-completion/completions/docker-machine",
        "/usr/lib/systemd/system/docker-machine-prune.timer",
        "/usr/share/doc/docker-machine/iam-policy.json",
        "/usr/share/doc/docker-machine/THIRD-PARTY-NOTICES.txt",
    ] {
        assert!(
            ended.out.lines().any(|line| line == file),
            "{file}: {ended}"
        );
    }
    assert!(ended.out.contains("docker-machine version 0."), "{ended}");
}

/// Answers every query for an IPv4 address with 127.0.0.9, on the DNS port of loopback.
const NAME_SERVER: &str = r#"
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.53", 53))
open("ready", "w").close()
while True:
    q, who = s.recvfrom(512)
    end = q.index(b"\0", 12) + 5
    is_a = q[end - 4:end - 2] == b"\0\1"
    head = q[:2] + b"\x81\x80\0\1" + (b"\0\1" if is_a else b"\0\0") + b"\0\0\0\0"
    answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + bytes([127, 0, 0, 9])
    s.sendto(head + q[12:end] + (answer if is_a else b""), who)
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_executable_runs_alone_in_a_root_directory() {
    let what = "the executable alone in a root directory";
    let Some(executable) = executable(what).filter(|_| is_root(what)) else {
        return;
    };
    let home = home();
    let root = home.path().join("root");
    std::fs::create_dir_all(root.join("etc")).unwrap();
    std::fs::write(root.join("etc/resolv.conf"), "nameserver 127.0.0.53\n").unwrap();
    std::fs::copy(&executable, root.join("docker-machine")).unwrap();
    home.file("names.py", NAME_SERVER);
    // A separate network that contains only loopback.
    let script = r#"
        ip link set lo up
        python3 names.py & server=$!
        trap 'kill $server' EXIT
        while [ ! -e ready ] && kill -0 $server; do :; done
        run() { env -i /usr/sbin/chroot root /docker-machine --storage-path /store "$@"; }
        run --version
        run create --driver none --url tcp://engine.test:2376 n
        run ls -q
        run config n || true
        run rm -y n
        find root | sort
    "#;
    let mut unshare = Command::new("unshare");
    unshare.args(["--net", "bash", "-euc", script]);
    let ended = home.end(unshare, b"").await.ok();
    assert!(ended.out.contains("docker-machine version 0."), "{ended}");
    // The name was resolved: the connection to its address was refused.
    assert!(ended.err.contains("connection refused"), "{ended}");
    assert!(!ended.err.contains("no such host"), "{ended}");
    // The complete contents: the executable, the test's files, and the store.
    let is_known = |path: &&str| {
        [
            "root",
            "root/etc",
            "root/etc/resolv.conf",
            "root/docker-machine",
        ]
        .contains(path)
            || path.starts_with("root/store")
    };
    let mut found = ended.out.lines().filter(|line| line.starts_with("root"));
    assert!(found.all(|path| is_known(&path)), "{ended}");
}
