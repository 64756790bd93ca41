//! The launch of one create, in whichever way it is made.

use machine_driver::DriverError;
use machine_ops::Cx;

use crate::api::client::Api;
use crate::config::configure::Wishes;
use crate::config::saved::Saved;
use crate::launch::attempts::Attempts;
use crate::launch::fleet_attempts::FleetAttempts;

/// What a create has tried and may still try.
#[derive(Debug)]
pub(crate) enum Tries {
    /// One RunInstances for each candidate.
    OneByOne(Attempts),
    /// One CreateFleet for all of a market.
    Fleets(FleetAttempts),
}

impl Tries {
    /// Launches the machine where there is room for it.
    ///
    /// # Errors
    /// The last want of capacity, or the first error of any other kind.
    pub(crate) async fn launch(
        &mut self,
        api: &Api,
        cx: &Cx,
        saved: &mut Saved,
        wishes: &Wishes,
    ) -> Result<(), DriverError> {
        match self {
            Self::OneByOne(attempts) => attempts.launch(api, cx, saved, wishes).await.map(drop),
            Self::Fleets(attempts) => attempts.launch(api, cx, saved).await,
        }
    }

    /// Notes why what was launched came to nothing, and tells whether there is something else to try.
    pub(crate) fn moves_on(&mut self, cx: &Cx, saved: &Saved, code: &str) -> bool {
        match self {
            Self::OneByOne(attempts) => attempts.moves_on(cx, saved, code),
            Self::Fleets(attempts) => attempts.moves_on(cx, saved, code),
        }
    }
}
