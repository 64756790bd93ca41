//! The launch, candidate by candidate: each is settled before the next.

use std::collections::VecDeque;
use std::path::Path;

use aws_sdk_ec2::types::Instance;
use machine_driver::{DriverError, DriverErrorKind};
use machine_ops::{Cx, StepError};

use crate::api::client::Api;
use crate::api::codes;
use crate::config::configure::{SpotFallback, Wishes};
use crate::config::saved::Saved;
use crate::launch::candidates::{Candidate, Place, candidates};
use crate::launch::capacity_cache::Shortages;
use crate::launch::request::LaunchRequest;
use crate::launch::run_instances;
use crate::launch::tags::{Tagging, tell_fewer};

/// What one create has tried and may still try.
#[derive(Debug)]
pub(crate) struct Attempts {
    remaining: VecDeque<Candidate>,
    /// The candidate that was launched, or is being.
    current: Option<Candidate>,
    places: Vec<Place>,
    shortages: Shortages,
    fallback: SpotFallback,
    tagging: Tagging,
    store_id: String,
}

#[derive(Debug, thiserror::Error)]
#[error("there is no instance type or no subnet to launch in")]
struct NothingToTry;

impl Attempts {
    /// Lists the candidates, those last that the store's record says have no capacity.
    pub(crate) fn new(
        api: &Api,
        cx: &Cx,
        saved: &Saved,
        wishes: &Wishes,
        places: &[Place],
        (store, store_id): (&Path, &str),
    ) -> Self {
        let fallback = wishes.spot_fallback;
        let all = candidates(
            &wishes.instance_types,
            places,
            saved.request_spot_instance,
            fallback != SpotFallback::Never,
        );
        let shortages = Shortages::read(store, &api.region, cx.ambient.now());
        Self {
            remaining: shortages.last(all).into(),
            current: None,
            places: places.to_vec(),
            shortages,
            fallback,
            tagging: Tagging::default(),
            store_id: store_id.to_owned(),
        }
    }

    /// Launches the machine in the first candidate that has room for it.
    ///
    /// # Errors
    /// The last candidate's want of capacity, or the first error of any other kind.
    pub(crate) async fn launch(
        &mut self,
        api: &Api,
        cx: &Cx,
        saved: &mut Saved,
        wishes: &Wishes,
    ) -> Result<Instance, DriverError> {
        while let Some(candidate) = self.remaining.pop_front() {
            self.current = Some(candidate.clone());
            match self.launch_one(api, cx, saved, wishes, &candidate).await {
                Ok(instance) => {
                    run_instances::adopt(saved, &candidate, &self.places, &instance);
                    cx.journal
                        .save_driver(&serde_json::to_value(&*saved).unwrap_or_default())?;
                    self.tagging.complete(api, cx, saved, &self.store_id).await;
                    return Ok(instance);
                }
                Err(StepError::Call(error)) => {
                    if !self.moves_on(cx, saved, error.code()) {
                        return Err(error.into());
                    }
                }
                Err(other) => return Err(other.into()),
            }
        }
        Err(DriverError::new(
            DriverErrorKind::Configuration,
            NothingToTry,
        ))
    }

    async fn launch_one(
        &mut self,
        api: &Api,
        cx: &Cx,
        saved: &Saved,
        wishes: &Wishes,
        candidate: &Candidate,
    ) -> Result<Instance, StepError<crate::api::call::CallError>> {
        loop {
            let tags = self.tagging.at_birth(saved, &self.store_id);
            let request =
                LaunchRequest::new(saved, wishes, candidate, run_instances::token(cx), tags);
            let adopted = |instance: &Instance| {
                let mut adopted = saved.clone();
                run_instances::adopt(&mut adopted, candidate, &self.places, instance);
                adopted
            };
            let error = match run_instances::run(api, cx, saved, &request, adopted).await {
                Err(StepError::Call(error)) => error,
                result => return result,
            };
            match self.tagging.less(saved, error.code(), error.message()) {
                Some(less) => {
                    tell_fewer(cx, saved, &error);
                    self.tagging = less;
                }
                None => return Err(StepError::Call(error)),
            }
        }
    }

    /// Notes why the current candidate came to nothing, and tells whether there is another one that
    /// may do better.
    pub(crate) fn moves_on(&mut self, cx: &Cx, saved: &Saved, code: &str) -> bool {
        let Some(candidate) = self.current.take() else {
            return false;
        };
        let price = codes::is_price(code);
        if !codes::is_capacity(code) || (price && self.fallback != SpotFallback::Any) {
            return false;
        }
        if price {
            // It is as low for every spot candidate: only another market can help.
            self.remaining.retain(|next| !next.spot);
        } else {
            self.shortages.note(&candidate, code);
        }
        let Some(next) = self.remaining.front() else {
            return false;
        };
        cx.say(format!(
            "({}) No {}: {code}. Trying {}...",
            saved.base.machine_name,
            candidate.describe(),
            next.describe()
        ));
        true
    }
}
