//! The launch by fleets: one of all candidates in a market, and another one where it came to nothing.

use std::path::Path;

use machine_driver::DriverError;
use machine_ops::{Cx, StepError};

use crate::api::client::Api;
use crate::api::codes;
use crate::config::configure::{SpotFallback, Wishes};
use crate::config::saved::Saved;
use crate::launch::candidates::{Candidate, Place, candidates};
use crate::launch::capacity_cache::Shortages;
use crate::launch::fleet::{self, FleetRequest, Launched};
use crate::launch::fleet_error::{FleetError, Refusal};
use crate::launch::tags::{Tagging, tell_fewer};

/// What one create has tried and may still try.
#[derive(Debug)]
pub(crate) struct FleetAttempts {
    remaining: Vec<Candidate>,
    /// The one that EC2 has chosen.
    current: Option<Candidate>,
    places: Vec<Place>,
    shortages: Shortages,
    fallback: SpotFallback,
    tagging: Tagging,
    store_id: String,
}

impl FleetAttempts {
    /// Lists the candidates, those last that the store's record says have no capacity.
    pub(crate) fn new(
        api: &Api,
        cx: &Cx,
        saved: &Saved,
        wishes: &Wishes,
        places: &[Place],
        (store, store_id): (&Path, &str),
    ) -> Self {
        let all = choices(
            &wishes.instance_types,
            places,
            saved.request_spot_instance,
            wishes.spot_fallback != SpotFallback::Never,
        );
        let shortages = Shortages::read(store, &api.region, cx.ambient.now());
        Self {
            remaining: shortages.last(all),
            current: None,
            places: places.to_vec(),
            shortages,
            fallback: wishes.spot_fallback,
            tagging: Tagging::default(),
            store_id: store_id.to_owned(),
        }
    }

    /// Launches the machine by a fleet of the first candidate's market, and by one of the other market
    /// where that may have room.
    ///
    /// # Errors
    /// What EC2 said of each instance type and subnet.
    pub(crate) async fn launch(
        &mut self,
        api: &Api,
        cx: &Cx,
        saved: &mut Saved,
    ) -> Result<(), DriverError> {
        loop {
            let spot = self.remaining.first().is_some_and(|first| first.spot);
            let tags = self.tagging.at_birth(saved, &self.store_id);
            let request = FleetRequest::new(cx, saved, &self.remaining, spot, tags);
            let error = match fleet::run(api, cx, &request).await {
                Ok(launched) => {
                    self.adopt(saved, launched, spot);
                    break;
                }
                Err(StepError::Call(error)) => error,
                Err(other) => return Err(other.into()),
            };
            let fewer = error
                .refusals()
                .into_iter()
                .find_map(|(code, message)| self.tagging.less(saved, code, message));
            if let Some(less) = fewer {
                tell_fewer(cx, saved, &error);
                self.tagging = less;
            } else if self.changes_market(&error, spot) {
                let other = if spot { "on-demand" } else { "spot" };
                let name = &saved.base.machine_name;
                cx.say(format!("({name}) {error}. Trying {other}..."));
            } else {
                return Err(error.into());
            }
        }
        cx.journal
            .save_driver(&serde_json::to_value(&*saved).unwrap_or_default())?;
        self.tagging.complete(api, cx, saved, &self.store_id).await;
        Ok(())
    }

    /// Notes why a fleet came to nothing, and tells whether the other market is left to be tried.
    fn changes_market(&mut self, error: &FleetError, spot: bool) -> bool {
        self.note(error.of_overrides());
        let price_counts = self.fallback == SpotFallback::Any;
        if !error.all(|code| codes::is_capacity(code) && (price_counts || !codes::is_price(code))) {
            return false;
        }
        self.remaining.retain(|candidate| candidate.spot != spot);
        !self.remaining.is_empty()
    }

    fn note(&mut self, refusals: &[Refusal]) {
        for refusal in refusals {
            let tried = Candidate {
                instance_type: refusal.instance_type.clone(),
                subnet: refusal.subnet.clone(),
                zone: self.zone_of(&refusal.subnet),
                spot: refusal.spot,
            };
            self.note_one(&tried, &refusal.code);
        }
    }

    /// A shortage that nobody can place is none of the record's: but a quota is the region's.
    fn note_one(&mut self, tried: &Candidate, code: &str) {
        let placed = !tried.instance_type.is_empty() && !tried.zone.is_empty();
        if codes::is_capacity(code) && !codes::is_price(code) && (placed || codes::is_quota(code)) {
            self.shortages.note(tried, code);
        }
    }

    fn zone_of(&self, subnet: &str) -> String {
        let place = self.places.iter().find(|place| place.subnet == subnet);
        place.map(|place| place.zone.clone()).unwrap_or_default()
    }

    fn adopt(&mut self, saved: &mut Saved, launched: Launched, spot: bool) {
        self.note(&launched.refusals);
        saved.instance_id = launched.instance;
        saved.request_spot_instance = spot;
        if let Some(instance_type) = launched.instance_type {
            saved.instance_type = instance_type;
        }
        let subnet = launched.subnet.unwrap_or_default();
        let is_it = |candidate: &&Candidate| {
            let fits = |own: &str, chosen: &str| own.is_empty() || own == chosen;
            candidate.spot == spot
                && fits(&candidate.instance_type, &saved.instance_type)
                && fits(&candidate.subnet, &subnet)
        };
        self.current = self.remaining.iter().find(is_it).cloned();
    }

    /// Notes why what EC2 has chosen came to nothing, and tells whether something else is left to be tried.
    pub(crate) fn moves_on(&mut self, cx: &Cx, saved: &Saved, code: &str) -> bool {
        let counts = codes::is_capacity(code)
            && (!codes::is_price(code) || self.fallback == SpotFallback::Any);
        let Some(chosen) = self.current.take().filter(|_| counts) else {
            return false;
        };
        self.note_one(&chosen, code);
        self.remaining.retain(|candidate| *candidate != chosen);
        if self.remaining.is_empty() {
            return false;
        }
        cx.say(format!(
            "({}) No {}: {code}. Trying another fleet...",
            saved.base.machine_name, saved.instance_type
        ));
        true
    }
}

/// Lists what the fleets may choose from; what the template decides is empty.
pub(crate) fn choices(
    types: &[String],
    places: &[Place],
    spot: bool,
    fallback: bool,
) -> Vec<Candidate> {
    let (any_type, any_place) = (String::new(), Place::default());
    let types = match types {
        [] => std::slice::from_ref(&any_type),
        types => types,
    };
    let places = match places {
        [] => std::slice::from_ref(&any_place),
        places => places,
    };
    candidates(types, places, spot, fallback)
}
