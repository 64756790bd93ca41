//! The attempts of one create. RunInstances tries one candidate after another; CreateFleet tries all candidates of a
//! market at once.

use std::path::Path;

use machine_driver::{DriverError, DriverErrorKind};
use machine_ops::{Cx, StepError};

use crate::api::client::Api;
use crate::api::codes;
use crate::api::ec2::Ec2;
use crate::config::create_options::{CreateOptions, SpotFallback};
use crate::config::saved::Saved;
use crate::launch::candidates::{Candidate, Place, candidates, choices};
use crate::launch::capacity_cache::CapacityCache;
use crate::launch::concessions::Concessions;
use crate::launch::create_tags;
use crate::launch::error::{LaunchError, Refusal};
use crate::launch::fleet::FleetRequest;
use crate::launch::launched::Launched;
use crate::launch::outcome::{Request, launch};
use crate::launch::run_instances::LaunchRequest;

/// The attempts so far and the remaining candidates of one create.
#[derive(Debug)]
pub(crate) struct Attempts {
    by_fleet: bool,
    remaining: Vec<Candidate>,
    /// The launched candidate; for a fleet, the one that EC2 chose.
    launched: Option<Candidate>,
    places: Vec<Place>,
    shortages: CapacityCache,
    fallback: SpotFallback,
    concessions: Concessions,
    store_id: String,
}

#[derive(Debug, thiserror::Error)]
#[error("there is no instance type or no subnet to launch in")]
struct NothingToTry;

impl Attempts {
    /// Lists the candidates. Those without capacity according to the store's record come last.
    pub(crate) fn new(
        Ec2 { api, cx, saved }: Ec2<'_>,
        create_options: &CreateOptions,
        places: &[Place],
        (store, store_id): (&Path, &str),
    ) -> Self {
        let list = if saved.use_fleet { choices } else { candidates };
        let all = list(
            &create_options.instance_types,
            places,
            saved.request_spot_instance,
            create_options.spot_fallback != SpotFallback::Never,
        );
        let shortages = CapacityCache::read(store, &api.region, cx.ambient.now());
        Self {
            by_fleet: saved.use_fleet,
            remaining: shortages.last(all),
            launched: None,
            places: places.to_vec(),
            shortages,
            fallback: create_options.spot_fallback,
            concessions: Concessions::default(),
            store_id: store_id.to_owned(),
        }
    }

    /// Launches the machine with the first candidate that has capacity.
    ///
    /// # Errors
    /// Returns the last capacity error, or the first error of any other kind.
    pub(crate) async fn launch(
        &mut self,
        api: &Api,
        cx: &Cx,
        saved: &mut Saved,
        create_options: &CreateOptions,
    ) -> Result<(), DriverError> {
        while let Some(first) = self.remaining.first().cloned() {
            let ec2 = Ec2 { api, cx, saved };
            let tags = self.concessions.tags(saved, &self.store_id);
            let all = &self.remaining;
            let request = match self.by_fleet {
                true => Request::Fleet(FleetRequest::new(ec2, all, first.spot, tags)),
                false => Request::Instance(LaunchRequest {
                    tokens_required: self.concessions.requires_tokens,
                    ..LaunchRequest::new(ec2, create_options, &first, tags)
                }),
            };
            let adopted = |launched: &Launched| self.adopted(saved, &first, launched);
            let error = match launch(ec2, &request, adopted).await {
                Ok(launched) => {
                    *saved = self.adopted(saved, &first, &launched);
                    self.launched = self.chosen(&first, &launched);
                    self.note_refusals(&launched.refusals);
                    cx.journal
                        .save_driver(&serde_json::to_value(&*saved).unwrap_or_default())?;
                    let tagging = &self.concessions.tagging;
                    let ec2 = Ec2 { api, cx, saved };
                    create_tags::complete(ec2, tagging, &self.store_id).await;
                    return Ok(());
                }
                Err(StepError::Call(error)) => error,
                Err(other) => return Err(other.into()),
            };
            let refusals = error.refusals();
            let after = |(code, message)| self.concessions.after(saved, code, message);
            if let Some(next) = refusals.iter().copied().find_map(after) {
                next.tell(ec2, &error);
                self.concessions = next.concessions;
            } else if !self.moves_past(ec2, &first, &error) {
                return Err(error.into());
            }
        }
        Err(DriverError::new(
            DriverErrorKind::Configuration,
            NothingToTry,
        ))
    }

    /// Records why a launched instance failed, and returns whether there is another candidate.
    pub(crate) fn moves_on(&mut self, ec2: Ec2<'_>, code: &str) -> bool {
        let Some(launched) = self.launched.take() else {
            return false;
        };
        self.note(&launched, code);
        self.remaining.retain(|candidate| *candidate != launched);
        let goes_on = self.goes_on(&[(&launched.instance_type, code)]);
        if goes_on {
            let what = match self.by_fleet {
                true => ec2.saved.instance_type.clone(),
                false => launched.describe(),
            };
            self.tell_next(ec2, &format!("No {what}: {code}"));
        }
        goes_on
    }

    /// Removes the refused candidates from the list, and returns whether there is another one.
    fn moves_past(&mut self, ec2: Ec2<'_>, first: &Candidate, error: &LaunchError) -> bool {
        let (refused, why) = match self.by_fleet {
            true => {
                self.note_refusals(error.of_overrides());
                self.remaining.retain(|next| next.spot != first.spot);
                (error.by_type(""), error.to_string())
            }
            false => {
                let refused = error.by_type(&first.instance_type);
                let code = refused.first().map(|(_, code)| *code).unwrap_or_default();
                self.note(first, code);
                self.remaining.retain(|next| next != first);
                let why = format!("No {}: {code}", first.describe());
                (refused, why)
            }
        };
        let goes_on = self.goes_on(&refused);
        if goes_on {
            self.tell_next(ec2, &why);
        }
        goes_on
    }

    /// Returns whether another candidate may succeed after these instance types were refused with these codes.
    fn goes_on(&mut self, refused: &[(&str, &str)]) -> bool {
        if refused.is_empty() || !refused.iter().all(|(_, code)| codes::is_capacity(code)) {
            return false;
        }
        // On-demand costs more than the price that was too low; only `any` permits that.
        if self.fallback != SpotFallback::Any {
            let too_low = refused.iter().filter(|(_, code)| codes::is_price(code));
            for (kind, _) in too_low {
                // If EC2 names no type, the refusal applies to all of them.
                let is_it = |next: &Candidate| kind.is_empty() || next.instance_type == *kind;
                self.remaining.retain(|next| next.spot || !is_it(next));
            }
        }
        !self.remaining.is_empty()
    }

    fn tell_next(&self, ec2: Ec2<'_>, why: &str) {
        let next = self.remaining.first().map(|next| match self.by_fleet {
            true if next.spot => "a fleet of spot instances".to_owned(),
            true => "an on-demand fleet".to_owned(),
            false => next.describe(),
        });
        let name = &ec2.saved.base.machine_name;
        ec2.cx.say(format!(
            "({name}) {why}. Trying {}...",
            next.unwrap_or_default()
        ));
    }

    fn note_refusals(&mut self, refusals: &[Refusal]) {
        for refusal in refusals {
            let place = self.place(&refusal.subnet);
            let tried = Candidate {
                instance_type: refusal.instance_type.clone(),
                subnet: refusal.subnet.clone(),
                zone: place.map(|place| place.zone.clone()).unwrap_or_default(),
                spot: refusal.spot,
            };
            self.note(&tried, &refusal.code);
        }
    }

    /// Records a capacity shortage for other creates. A price applies only to this one.
    fn note(&mut self, tried: &Candidate, code: &str) {
        if codes::is_capacity(code) && !codes::is_price(code) {
            self.shortages.note(tried, code);
        }
    }

    fn place(&self, subnet: &str) -> Option<&Place> {
        self.places.iter().find(|place| place.subnet == subnet)
    }

    /// Returns the launched candidate.
    fn chosen(&self, first: &Candidate, launched: &Launched) -> Option<Candidate> {
        if !self.by_fleet {
            return Some(first.clone());
        }
        let fits = |own: &str, chosen: &Option<String>| {
            own.is_empty() || chosen.as_ref().is_some_and(|chosen| own == chosen)
        };
        let is_it = |candidate: &&Candidate| {
            candidate.spot == first.spot
                && fits(&candidate.instance_type, &launched.instance_type)
                && fits(&candidate.subnet, &launched.subnet)
        };
        self.remaining.iter().find(is_it).cloned()
    }

    /// Returns the configuration with the chosen candidate and the data of the response.
    fn adopted(&self, saved: &Saved, first: &Candidate, launched: &Launched) -> Saved {
        let mut saved = saved.clone();
        self.concessions.adopt(&mut saved);
        if let Some(chosen) = self.chosen(first, launched) {
            if let Some(place) = self.place(&chosen.subnet) {
                place.save(&mut saved);
            }
            if !chosen.instance_type.is_empty() {
                saved.instance_type = chosen.instance_type;
            }
        }
        if let Some(instance_type) = &launched.instance_type {
            saved.instance_type.clone_from(instance_type);
        }
        saved.request_spot_instance = first.spot;
        saved.instance_id.clone_from(&launched.instance);
        saved.private_ip_address = launched.private_ip.clone().unwrap_or_default();
        if crate::instance::speaks_private(&saved) {
            saved.base.ip_address.clone_from(&saved.private_ip_address);
        }
        saved
    }
}
