//! What the Go docker-machine did, case by case, over the real binary.
//!
//! The cases (`tests/data/reference/*.json`) are recordings: argv, environment, files, standard input,
//! and what came of them; those of `tests/data/own_cases`, in the same form, hold what else the Go
//! program was seen to do. Each runs in a home of its own against an EC2 of its own, on loopback.
//! [`compare`] holds the rules of what must be equal and how far; [`differences`] names, one by one and
//! with the reason, the cases in which this program does better on purpose.
//!
//! One case alone: `REFERENCE_CASE=ls.two cargo test -p machine-tests --test cli reference`.

mod case;
mod compare;
mod differences;
mod home;
mod live;

use std::sync::Arc;

use case::Case;
use tokio::sync::Semaphore;

/// How many cases run at once: each waits more than it computes.
const AT_ONCE: usize = 8;

/// Runs all cases of a recording and reports every one that differs.
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
async fn the_command_line_at_its_edges() {
    replay(case::read("own_cases/command_line.json")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn machines_of_ec2() {
    replay(case::read("reference/ec2.json")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_lives() {
    live::replay(&case::read("reference/live.json")).await;
}
