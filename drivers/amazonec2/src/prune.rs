//! What carries a store's tag: instances, key pairs, spot requests, volumes.

use std::collections::HashSet;

use aws_sdk_ec2::types::{Filter, Instance, KeyPairInfo, Tag};
use machine_driver::{DriverError, DriverErrorKind, LeftBehind, OwnedBy};
use machine_flow::{Cx, Intent, Ownership, Resource, Scope, UndoOrder, Undone};

use crate::call::CallError;
use crate::client::{Api, scope};
use crate::lookup::{filter, instances, state_name};
use crate::saved::Saved;
use crate::tags::owner_key;
use crate::{account, keypair, launch};

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
    let list = Listing {
        scope: scope(saved),
        filters: std::iter::once(of_owner.clone()).chain(users).collect(),
    };
    let (found, pairs, requests, volumes) = tokio::try_join!(
        instances(api, cx, list.filters.clone()),
        key_pairs(api, cx, of_owner),
        list.spot_requests(api, cx),
        list.volumes(api, cx),
    )?;
    // A key pair bears our own tags only: the user's are those of its instance.
    let id = owner_key(saved, "id");
    let machines: HashSet<&str> = found
        .iter()
        .filter_map(|(instance, _)| value_of(instance.tags(), &id))
        .collect();
    let is_meant = |pair: &&KeyPairInfo| {
        let bears = |(key, value): &(String, String)| {
            value_of(pair.tags(), key).is_some_and(|own| own == value)
        };
        owner.tags.iter().all(bears)
            || value_of(pair.tags(), &id).is_some_and(|id| machines.contains(id))
    };
    let instances = found.iter().filter_map(|found| list.instance(found));
    let pairs = pairs.iter().filter(is_meant);
    Ok(instances
        .chain(pairs.map(|pair| list.key_pair(pair)))
        .chain(requests)
        .chain(volumes)
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

struct Listing {
    scope: Scope,
    /// What everything on the list carries.
    filters: Vec<Filter>,
}

impl Listing {
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
                    undo: if kind == keypair::KIND {
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
            state: facts.state,
            created: facts.created,
        }
    }

    /// What there is to say of an instance, unless it is gone or on its way.
    fn instance(&self, found: &(Instance, Option<String>)) -> Option<LeftBehind> {
        let (instance, account) = found;
        if matches!(state_name(instance), "terminated" | "shutting-down") {
            return None;
        }
        let facts = Facts {
            machine: name_tag(instance.tags()),
            state: state_name(instance).to_owned(),
            created: millis(instance.launch_time()),
            account: account.clone(),
        };
        let token = instance.client_token().unwrap_or_default();
        let id = instance.instance_id().unwrap_or_default();
        Some(self.item(launch::KIND, token, id, facts))
    }

    fn key_pair(&self, pair: &KeyPairInfo) -> LeftBehind {
        // A key pair of ours bears its machine's name.
        let name = pair.key_name().unwrap_or_default();
        let facts = Facts {
            machine: name.to_owned(),
            state: "available".into(),
            created: millis(pair.create_time()),
            account: None,
        };
        let id = pair.key_pair_id().unwrap_or_default();
        self.item(keypair::KIND, name, id, facts)
    }

    async fn spot_requests(&self, api: &Api, cx: &Cx) -> Result<Vec<LeftBehind>, CallError> {
        let answer = api
            .ask(cx, "DescribeSpotInstanceRequests", |probe| {
                let call = api.ec2.describe_spot_instance_requests();
                // An active one has an instance, is seen by it, and ends with it.
                let open = filter("state", ["open".to_owned()]);
                call.set_filters(Some(self.filters.clone()))
                    .filters(open)
                    .customize()
                    .interceptor(probe)
                    .send()
            })
            .await?;
        let requests = answer.spot_instance_requests.unwrap_or_default();
        Ok(requests
            .iter()
            .map(|request| {
                let id = request.spot_instance_request_id().unwrap_or_default();
                let facts = Facts {
                    machine: name_tag(request.tags()),
                    state: request
                        .state()
                        .map(|state| state.as_str().to_owned())
                        .unwrap_or_default(),
                    created: millis(request.create_time()),
                    account: None,
                };
                self.item(SPOT_REQUEST, id, id, facts)
            })
            .collect())
    }

    async fn volumes(&self, api: &Api, cx: &Cx) -> Result<Vec<LeftBehind>, CallError> {
        let answer = api
            .ask(cx, "DescribeVolumes", |probe| {
                let call = api.ec2.describe_volumes();
                // Attached ones go with their instance.
                let loose = filter("status", ["available".to_owned()]);
                call.set_filters(Some(self.filters.clone()))
                    .filters(loose)
                    .customize()
                    .interceptor(probe)
                    .send()
            })
            .await?;
        let volumes = answer.volumes.unwrap_or_default();
        Ok(volumes
            .iter()
            .map(|volume| {
                let id = volume.volume_id().unwrap_or_default();
                let facts = Facts {
                    machine: name_tag(volume.tags()),
                    state: volume
                        .state()
                        .map(|state| state.as_str().to_owned())
                        .unwrap_or_default(),
                    created: millis(volume.create_time()),
                    account: None,
                };
                self.item(VOLUME, id, id, facts)
            })
            .collect())
    }
}

struct Facts {
    machine: String,
    state: String,
    created: u64,
    account: Option<String>,
}

fn name_tag(tags: &[Tag]) -> String {
    value_of(tags, "Name").unwrap_or_default().to_owned()
}

fn value_of<'a>(tags: &'a [Tag], key: &str) -> Option<&'a str> {
    tags.iter().find(|tag| tag.key() == Some(key))?.value()
}

fn millis(time: Option<&aws_sdk_ec2::primitives::DateTime>) -> u64 {
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
    match answer {
        Ok(_) => Ok(Undone::Gone),
        Err(error) if error.is_not_found() => Ok(Undone::Gone),
        Err(error) => Err(error.into()),
    }
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
    match answer {
        Ok(_) => Ok(Undone::Gone),
        Err(error) if error.is_not_found() => Ok(Undone::Gone),
        Err(error) => Err(error.into()),
    }
}
