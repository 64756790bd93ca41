//! Recorded behaviour of the Go docker-machine, case by case, checked with the real binary.
//!
//! The cases (`tests/data/reference/*.json`) are recordings: arguments, environment, files, standard input, and the
//! results. `tests/data/own_cases`, in the same format, contains further observed behaviour of the Go program. Each
//! case runs in a separate home with a separate EC2, on loopback. [`compare`] contains the rules of comparison;
//! [`differences`] lists, with the reason, each case in which this program intentionally differs.
//!
//! Runs one case: `REFERENCE_CASE=ls.two cargo test -p machine-tests --test cli reference`.

mod case;
mod compare;
mod differences;
mod home;
mod live;

use std::sync::Arc;

use case::Case;
use tokio::sync::Semaphore;

/// The number of concurrent cases: each waits more than it computes.
const AT_ONCE: usize = 8;

/// Runs all cases of a recording, and reports every difference.
async fn replay(cases: Vec<Case>) {
    let only = std::env::var("REFERENCE_CASE").ok();
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let wanted = cases
        .into_iter()
        .filter(|case| only.as_ref().is_none_or(|id| *id == case.id));
    let running: Vec<_> = wanted
        .map(|case| {
            let places = places.clone();
            tokio::spawn(async move {
                let _place = places.acquire().await.unwrap();
                let replayed = home::replay(&case).await;
                compare::all(&case, &replayed)
            })
        })
        .collect();
    let (total, mut differ) = (running.len(), Vec::new());
    for case in running {
        differ.extend(case.await.unwrap());
    }
    assert!(
        differ.is_empty(),
        "{} of {total} cases differ:\n\n{}",
        differ.len(),
        differ.join("\n\n")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line() {
    replay(case::read("reference/cli.json")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_in_edge_cases() {
    replay(case::read("own_cases/command_line.json")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn machines_of_ec2_equal_the_recording() {
    replay(case::read("reference/ec2.json")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_machine_equals_the_recording() {
    live::replay(&case::read("reference/live.json")).await;
}
