//! Client tokens. Idempotency of a launch is zonal ("Ensuring idempotency", EC2 API developer guide): the same token
//! in another zone is another request. A token is valid for at least 24 hours after the termination of its instance
//! (the same page, version of 2016-11-15), longer than the lifetime of a lab.

use std::collections::BTreeMap;

use crate::ec2::protocol::error::ApiError;
use crate::ec2::protocol::query::Params;

/// The launches of the tokens.
#[derive(Debug, Default)]
pub(crate) struct Tokens(BTreeMap<(String, String), Remembered>);

#[derive(Debug)]
struct Remembered {
    params: BTreeMap<String, String>,
    answer: String,
}

impl Tokens {
    /// Returns the earlier result of the token (the reservation's or fleet's id), if any.
    ///
    /// # Errors
    /// `IdempotentParameterMismatch` if the earlier call had other parameters.
    pub(crate) fn find(&self, zone: &str, params: &Params) -> Result<Option<String>, ApiError> {
        let Some(token) = params.get("ClientToken") else {
            return Ok(None);
        };
        match self.0.get(&(zone.to_owned(), token.to_owned())) {
            None => Ok(None),
            Some(known) if known.params == essence(params) => Ok(Some(known.answer.clone())),
            Some(_) => Err(ApiError::new(
                "IdempotentParameterMismatch",
                "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
            )),
        }
    }

    pub(crate) fn remember(&mut self, zone: &str, params: &Params, answer: &str) {
        if let Some(token) = params.get("ClientToken") {
            let remembered = Remembered {
                params: essence(params),
                answer: answer.to_owned(),
            };
            self.0
                .insert((zone.to_owned(), token.to_owned()), remembered);
        }
    }
}

fn essence(params: &Params) -> BTreeMap<String, String> {
    let mut map = params.map().clone();
    map.remove("DryRun");
    map
}
