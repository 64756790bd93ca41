//! Runs many faults concurrently, and collects the failures.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// The number of concurrent runs: the machine has few cores, and a run mostly waits.
const AT_ONCE: usize = 6;

/// A pending run with a fault; panics if a resource is lost.
pub(crate) type Cut = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs by name.
#[derive(Default)]
pub(crate) struct Sweep {
    cuts: Vec<(String, Cut)>,
    count: usize,
}

impl Sweep {
    pub(crate) fn add(&mut self, name: String, cut: impl Future<Output = ()> + Send + 'static) {
        self.add_many(1, name, cut);
    }

    /// Adds a closure that makes several runs one after the other.
    pub(crate) fn add_many(
        &mut self,
        count: usize,
        name: String,
        cuts: impl Future<Output = ()> + Send + 'static,
    ) {
        self.count += count;
        self.cuts.push((name, Box::pin(cuts)));
    }

    /// Makes all runs. Fails with the names of those that lost a resource; otherwise prints their number.
    pub(crate) async fn make(self, title: &str) {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let count = self.count;
        let mut cuts = JoinSet::new();
        for (name, cut) in self.cuts {
            let places = places.clone();
            cuts.spawn(async move {
                let _place = places.acquire_owned().await.unwrap();
                let made = tokio::spawn(cut).await;
                made.err().map(|error| format!("{name}: {error}"))
            });
        }
        let lost: Vec<String> = cuts.join_all().await.into_iter().flatten().collect();
        assert!(count > 0, "{title}: there was nowhere to cut");
        assert!(
            lost.is_empty(),
            "{title}: of {count} cuts these lost something:\n{}",
            lost.join("\n")
        );
        machine_tests::tell(&format!("{title}: {count} cuts, nothing lost"));
    }
}
