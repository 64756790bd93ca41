//! What carries a store's tag: instances, key pairs, spot requests, volumes.

use std::collections::{HashMap, HashSet};

use aws_sdk_ec2::primitives::DateTime;
use aws_sdk_ec2::types::{Filter, Instance, KeyPairInfo, SpotInstanceRequest, Tag, Volume};
use machine_driver::{DriverError, DriverErrorKind, LeftBehind, OwnedBy};
use machine_ops::{Cx, Intent, Ownership, Resource, Scope, UndoOrder, Undone};

use crate::api::account;
use crate::api::call::CallError;
use crate::api::client::{Api, scope};
use crate::api::lookup::{filter, instances, state_name};
use crate::config::saved::Saved;
use crate::launch::tags::owner_key;
use crate::launch::{key_pair, run_instances};

/// The kind of a spot request on record.
pub(crate) const SPOT_REQUEST: &str = "spot-request";
/// The kind of a volume on record.
pub(crate) const VOLUME: &str = "volume";

/// The machines are in one account, and the credentials are of another.
#[derive(Debug, thiserror::Error)]
#[error(
    "the machines are in account {expected}, region {region}, and the credentials are of {own}"
)]
struct OtherAccount {
    expected: String,
    region: String,
    own: String,
}

/// Lists everything with the owner's tags that still costs or may be in the way.
pub(crate) async fn left_behind(
    api: &Api,
    cx: &Cx,
    saved: &Saved,
    owner: OwnedBy<'_>,
) -> Result<Vec<LeftBehind>, DriverError> {
    if let Some(expected) = owner.account {
        let own = account::caller(api, cx).await?;
        if own.as_deref() != Some(expected) {
            let other = OtherAccount {
                expected: expected.to_owned(),
                region: saved.region.clone(),
                own: own.unwrap_or_else(|| "nobody knows which".into()),
            };
            return Err(DriverError::new(DriverErrorKind::Denied, other)
                .with_hint("set up credentials of that account in the environment"));
        }
    }
    let of_owner = of_owner(&owner_key(saved, "store"), owner);
    let users = owner.tags.iter();
    let users = users.map(|(key, value)| filter(format!("tag:{key}"), [value.clone()]));
    let filters: Vec<Filter> = std::iter::once(of_owner.clone()).chain(users).collect();
    let (found, pairs, requests, volumes) = tokio::try_join!(
        instances(api, cx, filters.clone()),
        key_pairs(api, cx, of_owner),
        spot_requests(api, cx, &filters),
        volumes(api, cx, &filters),
    )?;
    let list = Listing::new(scope(saved), owner_key(saved, "id"), &pairs);
    // A key pair may bear our own tags only: then the user's are those of its instance.
    let machines: HashSet<&str> = found
        .iter()
        .filter_map(|(instance, _)| list.id_of(instance.tags()))
        .collect();
    let is_meant = |pair: &&KeyPairInfo| {
        let bears = |(key, value): &(String, String)| {
            value_of(pair.tags(), key).is_some_and(|own| own == value)
        };
        owner.tags.iter().all(bears)
            || list
                .id_of(pair.tags())
                .is_some_and(|id| machines.contains(id))
    };
    let instances = found.iter().filter_map(|found| list.instance(found));
    let pairs = pairs.iter().filter(is_meant);
    Ok(instances
        .chain(pairs.map(|pair| list.key_pair(pair)))
        .chain(requests.iter().map(|request| list.spot_request(request)))
        .chain(volumes.iter().map(|volume| list.volume(volume)))
        .collect())
}

fn of_owner(key: &str, owner: OwnedBy<'_>) -> Filter {
    match owner.store {
        Some(id) => filter(format!("tag:{key}"), [id.to_owned()]),
        None => filter("tag-key", [key.to_owned()]),
    }
}

async fn key_pairs(api: &Api, cx: &Cx, of_owner: Filter) -> Result<Vec<KeyPairInfo>, CallError> {
    let answer = api
        .ask(cx, "DescribeKeyPairs", |probe| {
            let call = api.ec2.describe_key_pairs().filters(of_owner.clone());
            call.customize().interceptor(probe).send()
        })
        .await?;
    Ok(answer.key_pairs.unwrap_or_default())
}

async fn spot_requests(
    api: &Api,
    cx: &Cx,
    filters: &[Filter],
) -> Result<Vec<SpotInstanceRequest>, CallError> {
    let answer = api
        .ask(cx, "DescribeSpotInstanceRequests", |probe| {
            let call = api.ec2.describe_spot_instance_requests();
            // An active one has an instance, is seen by it, and ends with it.
            let open = filter("state", ["open".to_owned()]);
            call.set_filters(Some(filters.to_vec()))
                .filters(open)
                .customize()
                .interceptor(probe)
                .send()
        })
        .await?;
    Ok(answer.spot_instance_requests.unwrap_or_default())
}

async fn volumes(api: &Api, cx: &Cx, filters: &[Filter]) -> Result<Vec<Volume>, CallError> {
    let answer = api
        .ask(cx, "DescribeVolumes", |probe| {
            let call = api.ec2.describe_volumes();
            // Attached ones go with their instance.
            let loose = filter("status", ["available".to_owned()]);
            call.set_filters(Some(filters.to_vec()))
                .filters(loose)
                .customize()
                .interceptor(probe)
                .send()
        })
        .await?;
    Ok(answer.volumes.unwrap_or_default())
}

/// What the list's items have in common.
struct Listing<'a> {
    scope: Scope,
    /// The key of the tag that holds a machine's id.
    id: String,
    /// The names of machines, by their ids.
    names: HashMap<&'a str, &'a str>,
}

/// What there is to say of an item.
struct Facts {
    machine: String,
    is_named_by_key_pair: bool,
    state: String,
    created: u64,
    account: Option<String>,
}

impl<'a> Listing<'a> {
    /// A key pair of ours bears its machine's name, whatever `Name` the user's tags give to the rest.
    fn new(scope: Scope, id: String, pairs: &'a [KeyPairInfo]) -> Self {
        let names = pairs
            .iter()
            .filter_map(|pair| Some((value_of(pair.tags(), &id)?, pair.key_name()?)))
            .collect();
        Self { scope, id, names }
    }

    fn id_of<'t>(&self, tags: &'t [Tag]) -> Option<&'t str> {
        value_of(tags, &self.id)
    }

    fn facts(&self, tags: &[Tag], state: &str, created: Option<&DateTime>) -> Facts {
        let by_id = self.id_of(tags).and_then(|id| self.names.get(id).copied());
        let machine = by_id.or_else(|| value_of(tags, "Name"));
        Facts {
            machine: machine.unwrap_or_default().to_owned(),
            is_named_by_key_pair: by_id.is_some(),
            state: state.to_owned(),
            created: millis(created),
            account: None,
        }
    }

    fn item(&self, kind: &str, key: &str, id: &str, facts: Facts) -> LeftBehind {
        let mut scope = self.scope.clone();
        scope.account = facts.account;
        LeftBehind {
            resource: Resource {
                step: None,
                name: format!("left-over {kind}"),
                at: facts.created,
                intent: Intent {
                    kind: kind.into(),
                    key: key.into(),
                    ownership: Ownership::Ours,
                    undo: if kind == key_pair::KIND {
                        UndoOrder::First
                    } else {
                        UndoOrder::Reverse
                    },
                    scope,
                    detail: serde_json::Value::Null,
                },
                made: true,
                id: Some(id.to_owned()),
            },
            machine: facts.machine,
            is_named_by_key_pair: facts.is_named_by_key_pair,
            state: facts.state,
            created: facts.created,
        }
    }

    /// What there is to say of an instance, unless it is gone or on its way.
    fn instance(&self, found: &(Instance, Option<String>)) -> Option<LeftBehind> {
        let (instance, account) = found;
        let state = state_name(instance);
        if matches!(state, "terminated" | "shutting-down") {
            return None;
        }
        let facts = Facts {
            account: account.clone(),
            ..self.facts(instance.tags(), state, instance.launch_time())
        };
        let token = instance.client_token().unwrap_or_default();
        let id = instance.instance_id().unwrap_or_default();
        Some(self.item(run_instances::KIND, token, id, facts))
    }

    fn key_pair(&self, pair: &KeyPairInfo) -> LeftBehind {
        let name = pair.key_name().unwrap_or_default();
        let facts = Facts {
            machine: name.to_owned(),
            is_named_by_key_pair: true,
            ..self.facts(pair.tags(), "available", pair.create_time())
        };
        let id = pair.key_pair_id().unwrap_or_default();
        self.item(key_pair::KIND, name, id, facts)
    }

    fn spot_request(&self, request: &SpotInstanceRequest) -> LeftBehind {
        let id = request.spot_instance_request_id().unwrap_or_default();
        let state = request.state().map_or("", |state| state.as_str());
        let facts = self.facts(request.tags(), state, request.create_time());
        self.item(SPOT_REQUEST, id, id, facts)
    }

    fn volume(&self, volume: &Volume) -> LeftBehind {
        let id = volume.volume_id().unwrap_or_default();
        let state = volume.state().map_or("", |state| state.as_str());
        let facts = self.facts(volume.tags(), state, volume.create_time());
        self.item(VOLUME, id, id, facts)
    }
}

fn value_of<'a>(tags: &'a [Tag], key: &str) -> Option<&'a str> {
    tags.iter().find(|tag| tag.key() == Some(key))?.value()
}

fn millis(time: Option<&DateTime>) -> u64 {
    time.and_then(|time| time.to_millis().ok())
        .and_then(|ms| u64::try_from(ms).ok())
        .unwrap_or(0)
}

/// Cancels a spot request. One that is closed already is as good.
pub(crate) async fn cancel_spot_request(
    api: &Api,
    cx: &Cx,
    id: &str,
) -> Result<Undone, DriverError> {
    let answer = api
        .call(cx, "CancelSpotInstanceRequests", |probe| {
            let call = api
                .ec2
                .cancel_spot_instance_requests()
                .spot_instance_request_ids(id);
            call.customize().interceptor(probe).send()
        })
        .await;
    gone(answer)
}

/// Deletes a volume that nothing is attached to.
pub(crate) async fn delete_volume(api: &Api, cx: &Cx, id: &str) -> Result<Undone, DriverError> {
    let answer = api
        .call(cx, "DeleteVolume", |probe| {
            api.ec2
                .delete_volume()
                .volume_id(id)
                .customize()
                .interceptor(probe)
                .send()
        })
        .await;
    gone(answer)
}

fn gone<T>(answer: Result<T, CallError>) -> Result<Undone, DriverError> {
    match answer {
        Ok(_) => Ok(Undone::Gone),
        Err(error) if error.is_not_found() => Ok(Undone::Gone),
        Err(error) => Err(error.into()),
    }
}
