//! Finding instances: by id, client token, tag. By filters only, since one unknown id fails a whole list
//! of ids, where a filter just finds less.

use std::collections::HashSet;
use std::time::Duration;

use aws_sdk_ec2::types::{Filter, Instance, InstanceStateName};
use machine_ops::Cx;
use machine_types::MachineState;

use crate::api::call::CallError;
use crate::api::client::{Api, THROTTLED};
use crate::api::http::LARGEST_ANSWER;

/// The most values of one filter (EC2 API Reference, DescribeInstances).
pub(crate) const MOST_VALUES: usize = 200;

/// The most that one listing may come to over all its pages: several times what a crowded account has under the tags
/// of one store. EC2 puts up to 1000 items into a page (EC2 API Reference, DescribeInstances, MaxResults).
const MOST_PAGES: usize = 100;
const MOST_ITEMS: usize = 10_000;
const MOST_BYTES: u64 = LARGEST_ANSWER as u64;
const LONGEST: Duration = THROTTLED;

/// Makes a filter.
pub(crate) fn filter(name: impl Into<String>, values: impl IntoIterator<Item = String>) -> Filter {
    let values = values.into_iter().collect();
    Filter::builder()
        .name(name)
        .set_values(Some(values))
        .build()
}

/// Finds all instances that pass the filters, page by page, with the account that owns each.
pub(crate) async fn instances(
    api: &Api,
    cx: &Cx,
    filters: Vec<Filter>,
) -> Result<Vec<(Instance, Option<String>)>, CallError> {
    let mut found = Vec::new();
    let mut pages = Pages::begin(api, cx, "DescribeInstances");
    loop {
        let answer = api
            .ask(cx, "DescribeInstances", |probe| {
                let call = api
                    .ec2
                    .describe_instances()
                    .set_filters(Some(filters.clone()));
                call.set_next_token(pages.token.clone())
                    .customize()
                    .interceptor(probe)
                    .send()
            })
            .await?;
        for reservation in answer.reservations.unwrap_or_default() {
            // Only its owner sees a reservation.
            api.learn_account(reservation.owner_id());
            let owner = reservation.owner_id;
            let instances = reservation.instances.unwrap_or_default();
            found.extend(
                instances
                    .into_iter()
                    .map(|instance| (instance, owner.clone())),
            );
        }
        if !pages.turn(answer.next_token, found.len())? {
            return Ok(found);
        }
    }
}

/// The pages of one listing, within bounds. A listing that exceeds one is an error, and never a short listing: what
/// is not in a listing counts as gone.
pub(crate) struct Pages<'a> {
    api: &'a Api,
    cx: &'a Cx,
    action: &'static str,
    begun: Duration,
    /// What the client had read before.
    received: u64,
    tokens: HashSet<String>,
    /// The next page's token; `None` for the first page.
    pub token: Option<String>,
}

impl<'a> Pages<'a> {
    pub(crate) fn begin(api: &'a Api, cx: &'a Cx, action: &'static str) -> Self {
        Self {
            api,
            cx,
            action,
            begun: cx.ambient.monotonic(),
            received: api.received(),
            tokens: HashSet::new(),
            token: None,
        }
    }

    /// Turns to the page with this token. False after the last one.
    ///
    /// # Errors
    /// [`CallError::Endless`] where the listing has `items` and exceeds a bound, or comes back to an earlier page.
    pub(crate) fn turn(&mut self, next: Option<String>, items: usize) -> Result<bool, CallError> {
        let bytes = self.api.received().saturating_sub(self.received);
        let took = self.cx.ambient.monotonic().saturating_sub(self.begun);
        self.token = next.filter(|token| !token.is_empty());
        let why = match &self.token {
            _ if items > MOST_ITEMS => format!("more than {MOST_ITEMS} items"),
            None => return Ok(false),
            Some(token) if !self.tokens.insert(token.clone()) => "the same page again".to_owned(),
            _ if self.tokens.len() >= MOST_PAGES => format!("more than {MOST_PAGES} pages"),
            _ if bytes > MOST_BYTES => format!("more than {} MiB", MOST_BYTES >> 20),
            _ if took > LONGEST => format!("more than {} s", LONGEST.as_secs()),
            _ => return Ok(true),
        };
        Err(CallError::Endless {
            action: self.action,
            region: self.api.region.clone(),
            why,
        })
    }
}

/// Finds one instance.
pub(crate) async fn instance(api: &Api, cx: &Cx, id: &str) -> Result<Option<Instance>, CallError> {
    let found = instances(api, cx, vec![filter("instance-id", [id.to_owned()])]).await?;
    Ok(found
        .into_iter()
        .map(|(instance, _)| instance)
        .find(|i| i.instance_id() == Some(id)))
}

/// Returns the state of an instance in EC2's words.
pub(crate) fn state_name(instance: &Instance) -> &str {
    let name = instance.state().and_then(|state| state.name());
    name.map_or("unknown", InstanceStateName::as_str)
}

/// Translates EC2's states.
pub(crate) fn machine_state(instance: &Instance) -> MachineState {
    match state_name(instance) {
        "pending" => MachineState::Starting,
        "running" => MachineState::Running,
        "stopping" | "shutting-down" => MachineState::Stopping,
        "stopped" => MachineState::Stopped,
        _ => MachineState::Error,
    }
}

/// Returns the code of the reason why the instance is in its state, without the side that EC2 blames:
/// `InsufficientInstanceCapacity` of `Server.InsufficientInstanceCapacity`.
pub(crate) fn reason_code(instance: &Instance) -> &str {
    let code = instance.state_reason().and_then(|reason| reason.code());
    let code = code.unwrap_or_default();
    code.strip_prefix("Server.").unwrap_or(code)
}

/// Returns why the instance is in its state, in EC2's words.
pub(crate) fn reason(instance: &Instance) -> String {
    let reason = instance.state_reason();
    let message = reason
        .and_then(|reason| reason.message())
        .unwrap_or_default();
    let message = if message.is_empty() {
        instance.state_transition_reason().unwrap_or_default()
    } else {
        message
    };
    if message.is_empty() {
        "EC2 gives no reason".to_owned()
    } else {
        message.to_owned()
    }
}
