//! Many cuts at once, and what came of them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How many cuts are made at once: the machine has few cores, and a cut is mostly waiting.
const AT_ONCE: usize = 6;

/// A cut that is still to be made; it panics where something is lost.
pub(crate) type Cut = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Cuts by name, to be made together.
#[derive(Default)]
pub(crate) struct Sweep {
    cuts: Vec<(String, Cut)>,
    count: usize,
}

impl Sweep {
    pub(crate) fn add(&mut self, name: String, cut: impl Future<Output = ()> + Send + 'static) {
        self.add_many(1, name, cut);
    }

    /// Adds what makes so many cuts one after the other.
    pub(crate) fn add_many(
        &mut self,
        count: usize,
        name: String,
        cuts: impl Future<Output = ()> + Send + 'static,
    ) {
        self.count += count;
        self.cuts.push((name, Box::pin(cuts)));
    }

    /// Makes all cuts. Fails with the names of those that lost something; else tells how many there were.
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
