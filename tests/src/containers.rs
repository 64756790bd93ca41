//! Containers on a machine, with the stock docker clients of this one.

use std::path::Path;

use crate::flows::Home;

/// Prints who it is, without any library: a container image needs no more than that.
const PROGRAM: &str = r#"
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv) { puts("hello from a container"); fflush(stdout); while (argc > 1) pause(); return 0; }
"#;

/// The docker clients that are here: Debian's, and another one where there is one.
fn clients() -> Vec<&'static str> {
    let clients = ["/usr/local/bin/docker", "/usr/bin/docker"];
    let here = |client: &&str| Path::new(client).is_file();
    let found: Vec<_> = clients.into_iter().filter(here).collect();
    assert!(!found.is_empty(), "there is no docker client");
    found
}

/// Runs a container on a machine with every docker client that is here, from an image that no
/// registry knows.
///
/// # Panics
/// It does not run.
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

/// Starts a container that goes on running, under this name.
///
/// # Panics
/// It does not start.
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
/// It fails.
pub async fn docker(home: &Home, machine: &str, words: &str) -> String {
    let client = clients()[0];
    let line = format!("eval $(docker-machine env {machine}); {client} {words}");
    home.shell(&line).await.ok().out
}

async fn import(home: &Home, machine: &str) {
    home.file("hello.c", PROGRAM);
    home.shell("cc -static -O1 -o hello hello.c && tar -cf hello.tar hello")
        .await
        .ok();
    docker(home, machine, "import hello.tar hello").await;
}
