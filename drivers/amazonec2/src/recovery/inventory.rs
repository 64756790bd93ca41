//! Lists the resources with a store's tag: instances, key pairs, spot requests, volumes.

use std::collections::{BTreeSet, HashMap, HashSet};

use aws_sdk_ec2::primitives::{DateTime, DateTimeFormat as Format};
use aws_sdk_ec2::types::{
    Filter, Instance, KeyPairInfo, SpotInstanceRequest, Tag, Volume, VolumeState,
};
use machine_driver::{DriverError, DriverErrorKind, LeftBehind, OwnedBy};
use machine_ops::{Cx, Intent, Ownership, Resource, Scope, UndoOrder, Undone};

use crate::api::account;
use crate::api::call_error::CallError;
use crate::api::client::scope;
use crate::api::ec2::Ec2;
use crate::api::lookup::{MOST_VALUES, check, filter, instances, value_of};
use crate::api::scope::{account as account_of, of_account, region};
use crate::config::saved::Saved;
use crate::config::tags::owner_key;
use crate::instance::{millis, state_name};
use crate::launch::{key_pair, run_instances, spot_requests};
use crate::recovery::origin::{launched_by_us, manager};

/// Journal kind of a spot request.
pub(crate) const SPOT_REQUEST: &str = "spot-request";
/// Journal kind of a volume.
pub(crate) const VOLUME: &str = "volume";

/// The machines are in one account, and the credentials belong to another.
#[derive(Debug, thiserror::Error)]
#[error(
    "the machines are in account {expected}, region {region}, and the credentials are of {own}"
)]
struct OtherAccount {
    expected: String,
    region: String,
    own: String,
}

/// Lists everything with the owner's tags that still costs money or may block a name.
pub(crate) async fn left_behind(
    ec2: Ec2<'_>,
    owner: OwnedBy<'_>,
) -> Result<Vec<LeftBehind>, DriverError> {
    let Ec2 { api, cx, saved } = ec2;
    if let Some(expected) = account_of(owner.scope) {
        let own = account::caller(api, cx).await?;
        if own.as_deref() != Some(expected) {
            let other = OtherAccount {
                expected: expected.to_owned(),
                region: saved.region.clone(),
                own: own.unwrap_or_else(|| "unknown".into()),
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
        key_pairs(ec2, of_owner),
        spot_requests::list_open(ec2, &filters),
        volumes(ec2, &filters),
    )?;
    let accounts: HashMap<String, String> = found
        .iter()
        .filter_map(|(instance, account)| {
            Some((instance.instance_id()?.to_owned(), account.clone()?))
        })
        .collect();
    let found: Vec<Instance> = found.into_iter().map(|(instance, _)| instance).collect();
    let ours = launched_by_us(ec2, &found).await?;
    let of_images = snapshots_of_images(ec2, &volumes).await?;
    let mut list = Listing::new(saved, &pairs);
    // A key pair may have only docker-machine's own tags: the user's are then read from its instance.
    let machines: HashSet<&str> = found
        .iter()
        .filter_map(|instance| list.id_of(instance.tags()))
        .collect();
    let is_meant = |list: &Listing<'_>, pair: &KeyPairInfo| {
        let bears =
            |(key, value): &(String, String)| value_of(pair.tags(), key) == Some(value.as_str());
        owner.tags.iter().all(bears)
            || list
                .id_of(pair.tags())
                .is_some_and(|id| machines.contains(id))
    };
    let mut all = Vec::new();
    for instance in &found {
        let id = instance.instance_id().unwrap_or_default();
        let is_ours = ours.contains(id);
        all.extend(list.instance(instance, accounts.get(id), is_ours));
    }
    for pair in &pairs {
        if is_meant(&list, pair) {
            let used = found
                .iter()
                .filter(|instance| list.id_of(instance.tags()) == list.id_of(pair.tags()))
                .filter_map(last_use)
                .max();
            all.extend(list.key_pair(pair, used));
        }
    }
    all.extend(
        requests
            .iter()
            .filter_map(|request| list.spot_request(request)),
    );
    for volume in &volumes {
        all.extend(list.volume(volume, &of_images));
    }
    list.tell_foreign(cx);
    Ok(all)
}

fn of_owner(key: &str, owner: OwnedBy<'_>) -> Filter {
    match owner.store {
        Some(id) => filter(format!("tag:{key}"), [id.to_owned()]),
        None => filter("tag-key", [key.to_owned()]),
    }
}

async fn key_pairs(
    Ec2 { api, cx, .. }: Ec2<'_>,
    of_owner: Filter,
) -> Result<Vec<KeyPairInfo>, CallError> {
    let answer = api
        .ask(cx, "DescribeKeyPairs", |probe| {
            let call = api.ec2.describe_key_pairs().filters(of_owner.clone());
            call.customize().interceptor(probe).send()
        })
        .await?;
    let found = answer.key_pairs.unwrap_or_default();
    for pair in &found {
        let (asked, id) = (std::slice::from_ref(&of_owner), pair.key_pair_id());
        check(api, "DescribeKeyPairs", asked, id, pair.tags(), None)?;
    }
    Ok(found)
}

async fn volumes(
    Ec2 { api, cx, .. }: Ec2<'_>,
    filters: &[Filter],
) -> Result<Vec<Volume>, CallError> {
    let answer = api
        .ask(cx, "DescribeVolumes", |probe| {
            let call = api.ec2.describe_volumes();
            // Attached volumes are removed with their instance.
            let loose = filter("status", ["available".to_owned()]);
            call.set_filters(Some(filters.to_vec()))
                .filters(loose)
                .customize()
                .interceptor(probe)
                .send()
        })
        .await?;
    let mut found = answer.volumes.unwrap_or_default();
    for volume in &found {
        let id = volume.volume_id();
        check(api, "DescribeVolumes", filters, id, volume.tags(), None)?;
    }
    found.retain(|volume| volume.state() == Some(&VolumeState::Available));
    Ok(found)
}

fn snapshot_of(volume: &Volume) -> Option<&str> {
    volume.snapshot_id().filter(|id| !id.is_empty())
}

/// Returns those of the volumes' snapshots that are part of an image. A volume of a launch comes from a snapshot of the
/// image; one that was restored with its tags comes from another one ("the snapshot from which the volume was created",
/// EC2 API Reference, Volume; DescribeImages, `block-device-mapping.snapshot-id`). An image that AWS Backup made is no
/// proof. If the image lookup is denied, no volume counts as a launch's.
async fn snapshots_of_images(
    Ec2 { api, cx, .. }: Ec2<'_>,
    volumes: &[Volume],
) -> Result<HashSet<String>, CallError> {
    let sought: BTreeSet<&str> = volumes.iter().filter_map(snapshot_of).collect();
    let sought: Vec<&str> = sought.into_iter().collect();
    let mut of_images = HashSet::new();
    for some in sought.chunks(MOST_VALUES) {
        let values = some.iter().map(|id| (*id).to_owned());
        let by_snapshot = filter("block-device-mapping.snapshot-id", values);
        let answer = api
            .ask(cx, "DescribeImages", |probe| {
                let call = api.ec2.describe_images().filters(by_snapshot.clone());
                call.customize().interceptor(probe).send()
            })
            .await;
        let images = match answer {
            Ok(answer) => answer.images.unwrap_or_default(),
            Err(error) if error.code() == "UnauthorizedOperation" => {
                cx.warn(format!("detached volumes are left alone: {error}"));
                break;
            }
            Err(error) => return Err(error),
        };
        for image in images
            .iter()
            .filter(|image| manager(image.tags()).is_none())
        {
            let devices = image.block_device_mappings().iter();
            let snapshots = devices.filter_map(|device| device.ebs()?.snapshot_id());
            of_images.extend(snapshots.filter(|id| some.contains(id)).map(str::to_owned));
        }
    }
    Ok(of_images)
}

/// Common data of the list's items.
struct Listing<'a> {
    scope: Scope,
    /// The keys of the tags with a machine's ID and a store's.
    id: String,
    store: String,
    /// The names of machines by their IDs.
    names: HashMap<&'a str, &'a str>,
    /// Resources that carry the tags but have another origin.
    foreign: Vec<String>,
}

/// The data of an item.
struct Facts {
    machine: String,
    is_named_by_key_pair: bool,
    owner_id: Option<String>,
    store: Option<String>,
    name: String,
    state: String,
    created: u64,
    used: Option<u64>,
    account: Option<String>,
}

impl<'a> Listing<'a> {
    /// Takes the machine names from their key pairs, which have them even if the user's tags set another `Name`.
    fn new(saved: &Saved, pairs: &'a [KeyPairInfo]) -> Self {
        let id = owner_key(saved, "id");
        let names = pairs
            .iter()
            .filter_map(|pair| Some((value_of(pair.tags(), &id)?, pair.key_name()?)))
            .collect();
        Self {
            scope: scope(saved),
            id,
            store: owner_key(saved, "store"),
            names,
            foreign: Vec::new(),
        }
    }

    fn id_of<'t>(&self, tags: &'t [Tag]) -> Option<&'t str> {
        value_of(tags, &self.id)
    }

    fn facts(&self, tags: &[Tag], state: &str, created: Option<&DateTime>) -> Facts {
        let name = value_of(tags, "Name").unwrap_or_default();
        let by_id = self.id_of(tags).and_then(|id| self.names.get(id).copied());
        let own = |value: Option<&str>| value.map(str::to_owned);
        Facts {
            machine: by_id.unwrap_or(name).to_owned(),
            is_named_by_key_pair: by_id.is_some(),
            owner_id: own(self.id_of(tags)),
            store: own(value_of(tags, &self.store)),
            name: name.to_owned(),
            state: state.to_owned(),
            created: created.and_then(millis).unwrap_or(0),
            used: created.and_then(millis),
            account: None,
        }
    }

    /// Builds an item, unless a tag of AWS's shows that another service manages it.
    fn item(
        &mut self,
        (kind, key, id): (&str, &str, &str),
        tags: &[Tag],
        facts: Facts,
    ) -> Option<LeftBehind> {
        if let Some(manager) = manager(tags) {
            self.foreign.push(format!("{kind} {id} ({manager})"));
            return None;
        }
        let mut scope = self.scope.clone();
        scope.learn(&of_account(facts.account));
        Some(LeftBehind {
            resource: Resource {
                step: None,
                name: format!("left-over {kind}"),
                at: facts.created,
                intent: Intent {
                    driver: crate::NAME.into(),
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
            store: facts.store,
            owner_id: facts.owner_id,
            name: facts.name,
            machine: facts.machine,
            is_named_by_key_pair: facts.is_named_by_key_pair,
            state: facts.state,
            created: facts.created,
            used: facts.used,
        })
    }

    /// Returns an instance's data. Skips it if it is terminated or shutting down, or has another origin.
    fn instance(
        &mut self,
        instance: &Instance,
        account: Option<&String>,
        is_ours: bool,
    ) -> Option<LeftBehind> {
        let state = state_name(instance);
        if matches!(state, "terminated" | "shutting-down") {
            return None;
        }
        let token = instance.client_token().unwrap_or_default();
        let id = instance.instance_id().unwrap_or_default();
        if !is_ours {
            self.foreign.push(format!(
                "{} {id} (launched by something else)",
                run_instances::KIND
            ));
            return None;
        }
        let facts = Facts {
            account: account.cloned(),
            used: last_use(instance),
            ..self.facts(instance.tags(), state, instance.launch_time())
        };
        self.item((run_instances::KIND, token, id), instance.tags(), facts)
    }

    fn key_pair(&mut self, pair: &KeyPairInfo, last_launch: Option<u64>) -> Option<LeftBehind> {
        let name = pair.key_name().unwrap_or_default();
        let facts = self.facts(pair.tags(), "available", pair.create_time());
        let facts = Facts {
            machine: name.to_owned(),
            is_named_by_key_pair: true,
            name: name.to_owned(),
            used: facts.used.max(last_launch),
            ..facts
        };
        let id = pair.key_pair_id().unwrap_or_default();
        self.item((key_pair::KIND, name, id), pair.tags(), facts)
    }

    fn spot_request(&mut self, request: &SpotInstanceRequest) -> Option<LeftBehind> {
        let id = request.spot_instance_request_id().unwrap_or_default();
        let state = request.state().map_or("", |state| state.as_str());
        let facts = self.facts(request.tags(), state, request.create_time());
        let updated = request.status().and_then(|status| status.update_time());
        let facts = Facts {
            used: facts.used.max(updated.and_then(millis)),
            ..facts
        };
        self.of_a_machine((SPOT_REQUEST, id, id), request.tags(), facts)
    }

    /// Returns the data of a detached volume. EC2 does not report since when: DescribeVolumes lists current attachments
    /// with their AttachTime, but no past ones; DescribeReplaceRootVolumeTasks has a CompleteTime, but names no volume.
    /// (CloudTrail has the time, but is not part of EC2.)
    fn volume(&mut self, volume: &Volume, of_images: &HashSet<String>) -> Option<LeftBehind> {
        let id = volume.volume_id().unwrap_or_default();
        let source = volume.source_volume_id().filter(|id| !id.is_empty());
        let snapshot = snapshot_of(volume).filter(|id| !of_images.contains(*id));
        let not_ours = match (source, snapshot) {
            (Some(source), _) => Some(format!("a copy of {source}")),
            (None, Some(snapshot)) => Some(format!("restored from {snapshot}, of no image")),
            (None, None) => None,
        };
        if let Some(why) = not_ours {
            self.foreign.push(format!("{VOLUME} {id} ({why})"));
            return None;
        }
        let state = volume.state().map_or("", |state| state.as_str());
        let facts = Facts {
            used: None,
            ..self.facts(volume.tags(), state, volume.create_time())
        };
        self.of_a_machine((VOLUME, id, id), volume.tags(), facts)
    }

    /// Builds an item that only its tag assigns to a machine. Without a machine's ID it may belong to an existing one.
    fn of_a_machine(
        &mut self,
        names: (&str, &str, &str),
        tags: &[Tag],
        facts: Facts,
    ) -> Option<LeftBehind> {
        if facts.owner_id.is_none() {
            let (kind, _, id) = names;
            self.foreign.push(format!("{kind} {id} (no machine's ID)"));
            return None;
        }
        self.item(names, tags, facts)
    }

    fn tell_foreign(&self, cx: &Cx) {
        let Some(first) = self.foreign.first() else {
            return;
        };
        let more = match self.foreign.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        cx.warn(format!(
            "left alone in {}: {first}{more}, which only carry the tags",
            region(&self.scope)
        ));
        cx.debug(format!("left alone: {}", self.foreign.join(", ")));
    }
}

/// Returns the last sign of use of an instance (Unix time in milliseconds): its last start, stop or attachment. The
/// launch time alone says nothing about an instance that was stopped yesterday.
fn last_use(instance: &Instance) -> Option<u64> {
    let launched = instance.launch_time().and_then(millis);
    let volumes = instance.block_device_mappings().iter();
    let volumes = volumes.filter_map(|device| device.ebs()?.attach_time().and_then(millis));
    let interfaces = instance.network_interfaces().iter();
    let interfaces = interfaces.filter_map(|one| one.attachment()?.attach_time().and_then(millis));
    let signs = volumes.chain(interfaces).chain(changed(instance));
    launched.into_iter().chain(signs).max()
}

/// Parses the time in `User initiated (2016-11-22 15:00:00 GMT)` (EC2 API Reference, Instance, StateTransitionReason).
fn changed(instance: &Instance) -> Option<u64> {
    let (_, time) = instance.state_transition_reason()?.rsplit_once('(')?;
    let (date, time) = time.strip_suffix(" GMT)")?.split_once(' ')?;
    let time = DateTime::from_str(&format!("{date}T{time}Z"), Format::DateTime).ok()?;
    millis(&time)
}

/// Cancels a spot request. Succeeds if it is closed already.
pub(crate) async fn cancel_spot_request(
    Ec2 { api, cx, .. }: Ec2<'_>,
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

/// Deletes a detached volume.
pub(crate) async fn delete_volume(
    Ec2 { api, cx, .. }: Ec2<'_>,
    id: &str,
) -> Result<Undone, DriverError> {
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
