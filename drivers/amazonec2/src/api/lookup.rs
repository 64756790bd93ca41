//! Finding instances: by id, client token, tag. By filters only, since one unknown id fails a whole list
//! of ids, where a filter just finds less.

use aws_sdk_ec2::types::{Filter, Instance, InstanceStateName};
use machine_ops::Cx;
use machine_types::MachineState;

use crate::api::call::CallError;
use crate::api::client::Api;

/// The most values of one filter (EC2 API Reference, DescribeInstances).
pub(crate) const MOST_VALUES: usize = 200;

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
    let mut page: Option<String> = None;
    loop {
        let answer = api
            .ask(cx, "DescribeInstances", |probe| {
                let call = api
                    .ec2
                    .describe_instances()
                    .set_filters(Some(filters.clone()));
                call.set_next_token(page.clone())
                    .customize()
                    .interceptor(probe)
                    .send()
            })
            .await?;
        let next = answer.next_token.filter(|token| !token.is_empty());
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
        // A server that hands out the same page again would keep us here.
        if next.is_none() || next == page {
            return Ok(found);
        }
        page = next;
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
