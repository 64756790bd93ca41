//! What carries a store's tag: instances, key pairs, spot requests, volumes.

use aws_sdk_ec2::types::Filter;
use machine_driver::{DriverError, LeftBehind};
use machine_flow::{Cx, Intent, Ownership, Resource, Scope, UndoOrder, Undone};

use crate::call::CallError;
use crate::client::{Api, scope};
use crate::lookup::{filter, instances, state_name};
use crate::saved::Saved;
use crate::tags::owner_key;
use crate::{keypair, launch};

/// The kind of a spot request on record.
pub(crate) const SPOT_REQUEST: &str = "spot-request";
/// The kind of a volume on record.
pub(crate) const VOLUME: &str = "volume";

/// Lists everything with the store's tag that still costs or may be in the way.
pub(crate) async fn left_behind(
    api: &Api,
    cx: &Cx,
    saved: &Saved,
    store_id: &str,
) -> Result<Vec<LeftBehind>, DriverError> {
    let tag = owner_key(saved, "store");
    let of_store = filter(format!("tag:{tag}"), [store_id.to_owned()]);
    let list = Listing {
        scope: scope(saved),
    };
    let (mut all, pairs, requests, volumes) = tokio::try_join!(
        list.instances(api, cx, &of_store),
        list.key_pairs(api, cx, &of_store),
        list.spot_requests(api, cx, &of_store),
        list.volumes(api, cx, &of_store),
    )?;
    all.extend(requests);
    all.extend(volumes);
    all.extend(pairs);
    Ok(all)
}

struct Listing {
    scope: Scope,
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

    async fn instances(
        &self,
        api: &Api,
        cx: &Cx,
        of_store: &Filter,
    ) -> Result<Vec<LeftBehind>, CallError> {
        let found = instances(api, cx, vec![of_store.clone()]).await?;
        let alive = found
            .into_iter()
            .filter(|(i, _)| !matches!(state_name(i), "terminated" | "shutting-down"));
        Ok(alive
            .map(|(instance, account)| {
                let facts = Facts {
                    machine: name_tag(instance.tags()),
                    state: state_name(&instance).to_owned(),
                    created: millis(instance.launch_time()),
                    account,
                };
                let token = instance.client_token().unwrap_or_default();
                self.item(
                    launch::KIND,
                    token,
                    instance.instance_id().unwrap_or_default(),
                    facts,
                )
            })
            .collect())
    }

    async fn key_pairs(
        &self,
        api: &Api,
        cx: &Cx,
        of_store: &Filter,
    ) -> Result<Vec<LeftBehind>, CallError> {
        let answer = api
            .ask(cx, "DescribeKeyPairs", |probe| {
                let call = api.ec2.describe_key_pairs().filters(of_store.clone());
                call.customize().interceptor(probe).send()
            })
            .await?;
        let pairs = answer.key_pairs.unwrap_or_default();
        Ok(pairs
            .iter()
            .map(|pair| {
                // A key pair of ours bears its machine's name.
                let name = pair.key_name().unwrap_or_default();
                let facts = Facts {
                    machine: name.to_owned(),
                    state: "available".into(),
                    created: millis(pair.create_time()),
                    account: None,
                };
                self.item(
                    keypair::KIND,
                    name,
                    pair.key_pair_id().unwrap_or_default(),
                    facts,
                )
            })
            .collect())
    }

    async fn spot_requests(
        &self,
        api: &Api,
        cx: &Cx,
        of_store: &Filter,
    ) -> Result<Vec<LeftBehind>, CallError> {
        let answer = api
            .ask(cx, "DescribeSpotInstanceRequests", |probe| {
                let call = api
                    .ec2
                    .describe_spot_instance_requests()
                    .filters(of_store.clone());
                let open = filter("state", ["open".to_owned(), "active".to_owned()]);
                call.filters(open).customize().interceptor(probe).send()
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

    async fn volumes(
        &self,
        api: &Api,
        cx: &Cx,
        of_store: &Filter,
    ) -> Result<Vec<LeftBehind>, CallError> {
        let answer = api
            .ask(cx, "DescribeVolumes", |probe| {
                // Attached ones go with their instance.
                let loose = filter("status", ["available".to_owned()]);
                let call = api
                    .ec2
                    .describe_volumes()
                    .filters(of_store.clone())
                    .filters(loose);
                call.customize().interceptor(probe).send()
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

fn name_tag(tags: &[aws_sdk_ec2::types::Tag]) -> String {
    let name = tags.iter().find(|tag| tag.key() == Some("Name"));
    name.and_then(|tag| tag.value())
        .unwrap_or_default()
        .to_owned()
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
