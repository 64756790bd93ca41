//! What `rm` could not settle, kept on record until somebody can.

use std::time::Duration;

use machine_flow::{Intent, Phase};
use machine_store::{MachineRecord, Tombstone};
use machine_types::{HostOptions, MachineName};
use serde_json::json;

use crate::journal::Remembering;
use crate::list::one_line;
use crate::rollback::{left, undo_machine};
use crate::{Error, Left, Library};

/// How long `create` and `rm` look after old tombstones, in all.
const IN_PASSING: Duration = Duration::from_secs(2);

impl Library {
    /// Tries, for two seconds at most, to settle what earlier removals left. It never fails the
    /// command in whose passing it happens.
    pub(crate) async fn settle_in_passing(&self) {
        let settled = tokio::time::timeout(IN_PASSING, self.settle_tombstones()).await;
        if settled.is_err() {
            self.context().debug("tombstones: the time of 2 s is over");
        }
    }

    /// Tries to settle every tombstone, and returns what is still left.
    pub(crate) async fn settle_tombstones(&self) -> Vec<Left> {
        let cx = self.context();
        let tombstones = match self.store.tombstones() {
            Ok(tombstones) => tombstones,
            Err(error) => {
                cx.debug(one_line(error));
                return Vec::new();
            }
        };
        let mut unsettled = Vec::new();
        for tombstone in &tombstones {
            match self.settle(tombstone).await {
                Ok(left) => unsettled.extend(left),
                Err(error) => unsettled.push(Left {
                    what: format!("whatever was made for {}", tombstone.name()),
                    why: one_line(error),
                }),
            }
        }
        unsettled
    }

    async fn settle(&self, tombstone: &Tombstone) -> Result<Vec<Left>, Error> {
        let Some(_lock) = self.store.try_lock_tombstone(tombstone)? else {
            // Somebody else is at it, or it is settled.
            return Ok(Vec::new());
        };
        let record = self.tombstone_record(tombstone)?;
        let machine = self.open_record(tombstone.name().clone(), record)?;
        let cx = self.context_over(
            tombstone.name(),
            Remembering::over(self.store.tombstone_journal(tombstone)),
        );
        let left = left(undo_machine(&*machine.driver, &cx).await?);
        if left.is_empty() {
            self.store.remove_tombstone(tombstone)?;
            cx.say(format!("Settled what was left of {}", tombstone.name()));
        }
        Ok(left)
    }

    /// Returns the record that a tombstone keeps; where that is broken, one made out of its journal.
    pub(crate) fn tombstone_record(&self, tombstone: &Tombstone) -> Result<MachineRecord, Error> {
        self.store.tombstone_record(tombstone).or_else(|error| {
            let intents = self.tombstone_intents(tombstone);
            let made = self.record_of(tombstone.name(), &intents);
            made.ok_or(Error::from(error))
        })
    }

    /// Makes a record out of a machine's journal, where its configuration is broken: the place of
    /// its resources is all that an undo needs. Credentials then come from the environment.
    pub(crate) fn record_by_journal(&self, name: &MachineName) -> Option<MachineRecord> {
        let entries = self.store.entries(name).ok()?;
        let intents: Vec<Intent> = entries
            .into_iter()
            .filter_map(|entry| match entry.phase {
                Phase::Intent { intent } => Some(intent),
                _ => None,
            })
            .collect();
        self.record_of(name, &intents)
    }

    fn tombstone_intents(&self, tombstone: &Tombstone) -> Vec<Intent> {
        use machine_flow::Journal as _;
        let entries = self.store.tombstone_journal(tombstone).entries();
        let phases = entries.unwrap_or_default().into_iter().map(|e| e.phase);
        phases
            .filter_map(|phase| match phase {
                Phase::Intent { intent } => Some(intent),
                _ => None,
            })
            .collect()
    }

    /// The one driver that makes anything is asked to load the place; others have no journal.
    fn record_of(&self, name: &MachineName, intents: &[Intent]) -> Option<MachineRecord> {
        let scope = &intents.first()?.scope;
        let driver = json!({
            "MachineName": name.as_str(),
            "Region": scope.region,
            "Endpoint": scope.endpoint,
        });
        let options = HostOptions::default();
        Some(MachineRecord::new(name, "amazonec2", driver, options))
    }
}
