//! Containers on a machine, with this machine's stock docker clients.

use std::path::{Path, PathBuf};

use crate::flows::Home;

/// A program without shared libraries that prints a line: sufficient for a container image.
const PROGRAM: &str = r#"
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv) { puts("hello from a container"); fflush(stdout); while (argc > 1) pause(); return 0; }
"#;

/// Returns the docker clients of this machine: Debian's, and another one if installed.
fn clients() -> Vec<&'static str> {
    let clients = ["/usr/local/bin/docker", "/usr/bin/docker"];
    let here = |client: &&str| Path::new(client).is_file();
    let found: Vec<_> = clients.into_iter().filter(here).collect();
    assert!(!found.is_empty(), "there is no docker client");
    found
}

/// Runs a container on a machine with every docker client of this machine, from an image that is in no registry.
///
/// # Panics
/// The container does not run.
pub async fn run(home: &Home, machine: &str) {
    import(home, machine).await;
    for client in clients() {
        let line = format!(
            "eval $(docker-machine env {machine}); {client} version >&2; {client} run --rm --network none hello /hello"
        );
        let ended = home.shell(&line).await.ok();
        assert_eq!(ended.out, "hello from a container\n", "{ended}");
    }
}

/// Starts a container that keeps running, under this name.
///
/// # Panics
/// The container does not start.
pub async fn start(home: &Home, machine: &str, name: &str) {
    import(home, machine).await;
    docker(
        home,
        machine,
        &format!("run --detach --network none --name {name} hello /hello stay"),
    )
    .await;
}

/// Runs a docker command on a machine, and returns what it prints.
///
/// # Panics
/// The command fails.
pub async fn docker(home: &Home, machine: &str, words: &str) -> String {
    let client = clients()[0];
    let line = format!("eval $(docker-machine env {machine}); {client} {words}");
    home.shell(&line).await.ok().out
}

async fn import(home: &Home, machine: &str) {
    let archive = image(home).await;
    docker(
        home,
        machine,
        &format!("import {} hello", archive.display()),
    )
    .await;
}

/// Builds the image's archive, for `docker import`: `/hello` prints a line.
///
/// # Panics
/// The program cannot be compiled.
pub async fn image(home: &Home) -> PathBuf {
    home.file("hello.c", PROGRAM);
    home.shell("cc -static -O1 -o hello hello.c && tar -cf hello.tar hello")
        .await
        .ok();
    home.path().join("hello.tar")
}
