//! Removes the resources of a machine. Creates nothing: looks up resources that may exist.

use std::path::PathBuf;
use std::time::Duration;

use aws_sdk_ec2::types::Instance;
use aws_sdk_ec2::types::KeyPairInfo;
use machine_driver::{DriverError, DriverErrorKind};
use machine_ops::files::{self, Links};
use machine_ops::{
    Cx, Look, Phase, Resource, Scope, Undone, WaitError, WaitPolicy, open_resources,
    wait_until_ready,
};

use crate::api::account;
use crate::api::call_error::CallError;
use crate::api::client::Api;
use crate::api::consistency::{CONSISTENCY_WINDOW, age};
use crate::api::ec2::Ec2;
use crate::api::lookup::{self, value_of};
use crate::config::saved::Saved;
use crate::config::tags::{Tag, owner_key};
use crate::instance::state_name;
use crate::launch::key_pair::Whose;
use crate::launch::lost::{LOOK_UP, Lost};
use crate::launch::spot_requests::By;
use crate::launch::{fleet, key_pair, run_instances, spot_requests};
use crate::lifecycle;
use crate::recovery::inventory;
use crate::recovery::origin::{Origin, of_launch};

/// This version does not know the kind of the resource.
#[derive(Debug, thiserror::Error)]
#[error("this version cannot remove a {kind} ({key})")]
struct UnknownKind {
    kind: String,
    key: String,
}

/// EC2 keeps an instance with termination protection.
#[derive(Debug, thiserror::Error)]
#[error("the instance {0} is protected from termination")]
struct Protected(String, #[source] CallError);

/// Removes one resource, at its place on record.
pub(crate) async fn undo(ec2: Ec2<'_>, resource: &Resource) -> Result<Undone, DriverError> {
    let elsewhere = ec2.api.of_place(&resource.intent.scope, ec2.saved);
    let api = elsewhere.as_ref().unwrap_or(ec2.api);
    let ec2 = Ec2 { api, ..ec2 };
    match resource.intent.kind.as_str() {
        key_pair::KIND => key_pair(ec2, resource).await,
        run_instances::KIND => instance(ec2, resource).await,
        inventory::SPOT_REQUEST => inventory::cancel_spot_request(ec2, &id_or_key(resource)).await,
        inventory::VOLUME => inventory::delete_volume(ec2, &id_or_key(resource)).await,
        kind => {
            let unknown = UnknownKind {
                kind: kind.to_owned(),
                key: resource.intent.key.clone(),
            };
            Err(DriverError::new(DriverErrorKind::Unsupported, unknown))
        }
    }
}

fn id_or_key(resource: &Resource) -> String {
    resource
        .id
        .clone()
        .unwrap_or_else(|| resource.intent.key.clone())
}

/// Deletes the key pair by its ID, if that is on record. A name is no proof: the credentials may belong to another
/// account, or the pair may have been replaced. By its name alone, deletes only a pair that this machine imported.
async fn key_pair(ec2: Ec2<'_>, resource: &Resource) -> Result<Undone, DriverError> {
    let name = &resource.intent.key;
    let what = format!("the key pair {name}");
    let look_up_by_name = || {
        let patiently = is_young(ec2.cx, resource);
        look_up(ec2.cx, "the key pair to be found", patiently, || {
            key_pair::find(ec2, name)
        })
    };
    let mut known = None;
    if !resource.made && resource.step.is_some() {
        let public = resource.intent.detail["public_key"]
            .as_str()
            .unwrap_or_default();
        match look_up_by_name().await? {
            // Kept: another query may not find it yet.
            Some(pair) if key_pair::is_this_machines(&pair, ec2.saved, public) => {
                known = Some(pair);
            }
            Some(_) => return Ok(Undone::Gone),
            None => return account::gone(ec2, resource, &what).await,
        }
    }
    let deleted = match &resource.id {
        Some(id) => match delete_key_pair(ec2, name, id).await {
            // A policy with conditions on tags denies the call for a key pair that does not exist.
            Err(error) if error.is_denied() => match key_pair::find(ec2, name).await {
                Ok(found) if found.as_ref().and_then(|pair| pair.key_pair_id()) != Some(id) => None,
                _ => return Err(error.into()),
            },
            deleted => deleted?,
        },
        None => {
            let found = match known {
                None => look_up_by_name().await?,
                known => known,
            };
            match key_pair_by_name(ec2, resource, found).await? {
                ByName::Deleted(id) => id,
                ByName::NotThere => None,
                ByName::Unproven(undone) => return Ok(undone),
            }
        }
    };
    match deleted {
        Some(_) => Ok(Undone::Gone),
        // EC2 reports success even if the key pair does not exist, here or in the wrong account.
        None => account::gone(ec2, resource, &what).await,
    }
}

/// Deletes a key pair by its ID; returns the ID if the key pair existed.
///
/// EC2 returns the ID of the deleted key pair. An endpoint that returns none may not know IDs, such as moto: if the name
/// still has this ID, the key pair is deleted by its name.
async fn delete_key_pair(ec2: Ec2<'_>, name: &str, id: &str) -> Result<Option<String>, CallError> {
    let deleted = key_pair::delete_by_id(ec2, id).await?;
    if deleted.is_some() {
        return Ok(deleted);
    }
    match key_pair::find(ec2, name).await {
        Ok(Some(pair)) if pair.key_pair_id() == Some(id) => {
            key_pair::delete(ec2, name).await?;
            Ok(pair.key_pair_id)
        }
        _ => Ok(None),
    }
}

/// Result of the deletion of a key pair of which only the name is on record.
enum ByName {
    Deleted(Option<String>),
    /// There is no key pair of that name, or only another owner's.
    NotThere,
    /// The owner is unknown.
    Unproven(Undone),
}

async fn key_pair_by_name(
    ec2: Ec2<'_>,
    resource: &Resource,
    found: Option<KeyPairInfo>,
) -> Result<ByName, DriverError> {
    let Ec2 { cx, saved, .. } = ec2;
    let name = &resource.intent.key;
    let Some(found) = found else {
        return Ok(ByName::NotThere);
    };
    let on_record = resource.intent.detail["public_key"].as_str();
    let public = match on_record {
        Some(public) => public.to_owned(),
        None => public_key(saved),
    };
    match key_pair::whose(&found, saved, &public) {
        Whose::ThisMachines => {}
        Whose::Others => {
            cx.warn(format!(
                "({}) left alone: the key pair {name} is another one than this machine's",
                saved.base.machine_name
            ));
            return Ok(ByName::NotThere);
        }
        Whose::Unknown => {
            let what = format!("the key pair {name}");
            match account::gone(ec2, resource, &what).await? {
                // The credentials belong to the account on record, or none is on record.
                Undone::Gone => {}
                other => return Ok(ByName::Unproven(other)),
            }
        }
    }
    let deleted = match &found.key_pair_id {
        Some(id) => delete_key_pair(ec2, name, id).await?,
        None => key_pair::delete(ec2, name).await?,
    };
    // Found and deleted, even if the response does not contain the ID.
    Ok(ByName::Deleted(deleted.or(found.key_pair_id)))
}

/// Reads the machine's public key from the file next to the private one; returns an empty string if that fails.
fn public_key(saved: &Saved) -> String {
    /// OpenSSH reads lines of 8 KiB.
    const LIMIT: u64 = 8 << 10;
    let path = PathBuf::from(format!("{}.pub", saved.base.ssh_key_path));
    files::read_text(&path, LIMIT, Links::Follow).unwrap_or_default()
}

async fn instance(ec2: Ec2<'_>, resource: &Resource) -> Result<Undone, DriverError> {
    let Ec2 { cx, saved, .. } = ec2;
    let Some(id) = known_id(saved, resource) else {
        return unfinished(ec2, resource).await;
    };
    if fleet::is_fleets(&resource.intent.detail)
        && let Some(found) = lookup::instance(ec2.api, cx, &id).await?
        && state_name(&found) != "terminated"
        && !carries_its_tag(&found, resource)
    {
        // The answer to CreateFleet names the instance by its ID alone.
        let token = &resource.intent.key;
        for (_, origin) in of_launch(ec2, &[&found], token, true).await? {
            match origin {
                Origin::ThisLaunch => {}
                Origin::Others => return unfinished(ec2, resource).await,
                Origin::Unknown(why) => {
                    return Ok(Undone::Unresolved(format!(
                        "the instance {id} carries no tag of this machine's, and {why}: check in EC2 whose it is"
                    )));
                }
            }
        }
    }
    if end(ec2, &id, is_young(cx, resource)).await?.is_some() {
        return Ok(Undone::Gone);
    }
    let undone = account::gone(ec2, resource, &format!("the instance {id}")).await?;
    if matches!(undone, Undone::Gone) {
        cx.say(format!(
            "({}) Remote instance does not exist, proceeding with removing local reference",
            saved.base.machine_name
        ));
    }
    Ok(undone)
}

/// Returns whether an instance carries the tag with the machine's ID of a launch.
fn carries_its_tag(instance: &Instance, resource: &Resource) -> bool {
    let tag = fleet::id_tag(&resource.intent.detail);
    tag.is_some_and(|(key, id)| value_of(instance.tags(), &key) == Some(id.as_str()))
}

/// Terminates an instance. Returns `None` if EC2 does not know it, after retries if `patiently` is set.
async fn end(ec2: Ec2<'_>, id: &str, patiently: bool) -> Result<Option<()>, DriverError> {
    let ended = look_up(ec2.cx, "the instance to be known", patiently, || async {
        known(ec2, id, lifecycle::terminate(ec2, id).await).await
    });
    ended.await.map_err(|error| {
        if error.code() != "OperationNotPermitted" {
            return error.into();
        }
        let protected = Protected(id.to_owned(), error);
        DriverError::new(DriverErrorKind::Denied, protected)
            .with_hint("remove its termination protection first, or terminate it in the console")
    })
}

fn known_id(saved: &Saved, resource: &Resource) -> Option<String> {
    // The journal ends right after the launch, and the configuration has the ID already.
    let of_this_launch = resource.step.is_none() && !saved.instance_id.is_empty();
    resource
        .id
        .clone()
        .or_else(|| of_this_launch.then(|| saved.instance_id.clone()))
}

/// Interprets the result of a termination; returns `None` if the instance does not exist. A policy with conditions on
/// tags denies the call for an instance that does not exist, and for a terminated one that lost its tags.
async fn known(
    Ec2 { api, cx, .. }: Ec2<'_>,
    id: &str,
    ended: Result<(), CallError>,
) -> Result<Option<()>, CallError> {
    let error = match ended {
        Ok(()) => return Ok(Some(())),
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => error,
    };
    if error.code() != "UnauthorizedOperation" {
        return Err(error);
    }
    match lookup::instance(api, cx, id).await {
        Ok(None) => Ok(None),
        Ok(Some(instance)) if state_name(&instance) == "terminated" => Ok(Some(())),
        _ => Err(error),
    }
}

/// Terminates the instances of one place with one call for each 1000 (EC2 API Reference, TerminateInstances: "We
/// recommend dividing up requests of more than 1000 instances"). Returns those that EC2 reports as ending. One unknown
/// ID fails the call for all.
pub(crate) async fn terminate_all(
    Ec2 { api, cx, saved }: Ec2<'_>,
    place: &Scope,
    ids: &[String],
) -> Result<Vec<String>, DriverError> {
    const MOST: usize = 1000;
    let elsewhere = api.of_place(place, saved);
    let api = elsewhere.as_ref().unwrap_or(api);
    let mut ending = Vec::new();
    for some in ids.chunks(MOST) {
        let answer = api
            .call(cx, "TerminateInstances", |probe| {
                let call = api.ec2.terminate_instances();
                call.set_instance_ids(Some(some.to_vec()))
                    .customize()
                    .interceptor(probe)
                    .send()
            })
            .await?;
        let told = answer.terminating_instances.unwrap_or_default();
        let told = told.into_iter().filter(lifecycle::is_ending);
        ending.extend(told.filter_map(|change| change.instance_id));
    }
    ending.retain(|id| ids.contains(id));
    Ok(ending)
}

/// Verifies that a terminated instance is gone, and removes it from the record. Keeps one that EC2 does not know for
/// the machine's undo: within minutes after a launch that is no proof.
pub(crate) async fn settle_ended(api: &Api, cx: &Cx, saved: &mut Saved) -> Result<(), DriverError> {
    let id = saved.instance_id.clone();
    let ended = end(Ec2 { api, cx, saved }, &id, true).await?.is_some();
    saved.instance_id.clear();
    for resource in open_resources(&cx.journal.entries()?) {
        if ended
            && let Some(step) = resource.step
            && resource.id.as_ref() == Some(&id)
        {
            cx.record(step, &resource.name, Phase::Undone)?;
        }
    }
    saved.base.ip_address.clear();
    saved.private_ip_address.clear();
    Ok(())
}

/// Looks for a launch whose response was lost: by the machine's own tag, then by its client token.
async fn unfinished(ec2: Ec2<'_>, resource: &Resource) -> Result<Undone, DriverError> {
    let Ec2 { cx, saved, .. } = ec2;
    let detail = &resource.intent.detail;
    let (is_fleets, tag) = (fleet::is_fleets(detail), fleet::id_tag(detail));
    if is_fleets && tag.is_none() {
        return Ok(Undone::Unresolved(format!(
            "the answer of CreateFleet was lost, and its instance carries no tag of ours: look for one \
             named {} in EC2",
            saved.base.machine_name
        )));
    }
    // The lost response may have been a refusal that leaves the spot request open.
    let key_name = detail["key_name"].as_str().unwrap_or_default();
    let of_request = fleet::id_tag_of_spot_request(detail);
    let by = match &of_request {
        Some(tag) => Some(By::Tag(tag)),
        None => key_pair::imported(cx, key_name).then_some(By::KeyPair(key_name)),
    };
    if let Some(by) = by.filter(|_| detail["spot"] == true && !is_fleets) {
        match spot_requests::cancel_open(ec2, by, false).await {
            Err(error) if !error.is_denied() => return Err(error.into()),
            _ => {}
        }
    }
    let tag = tag.or_else(|| id_tag_of(saved));
    let lost = Lost::new(cx, &resource.intent.key, tag, is_fleets)?;
    let found = look_up(
        cx,
        "a launch to be found",
        is_young(cx, resource),
        || async {
            let found = lost.find(ec2).await?;
            Ok((!found.is_empty()).then_some(found))
        },
    )
    .await?;
    let token = &resource.intent.key;
    let what = format!("a launch with the client token {token}");
    let Some(found) = found else {
        return account::gone(ec2, resource, &what).await;
    };
    // Copies carry the tags as well: AWS Backup copies them when it restores an instance.
    let instances: Vec<&Instance> = found.iter().map(|(instance, _)| instance).collect();
    let mut is_found = false;
    for (instance, origin) in of_launch(ec2, &instances, token, is_fleets).await? {
        let id = instance.instance_id().unwrap_or_default();
        let is_over = state_name(instance) == "terminated";
        match origin {
            Origin::Others => {
                let name = &saved.base.machine_name;
                cx.warn(format!(
                    "({name}) left alone: the instance {id} carries the machine's tags, and something else launched it"
                ));
                continue;
            }
            Origin::Unknown(why) if !is_over => {
                return Ok(Undone::Unresolved(format!(
                    "the instance {id} carries the machine's tags, but {why}: check in EC2 whose it is"
                )));
            }
            _ => is_found = true,
        }
        // An instance that was just found may not be found a moment later.
        if !is_over && end(ec2, id, true).await?.is_none() {
            return Ok(Undone::Unresolved(format!(
                "the instance {id} was found, and then EC2 did not know it"
            )));
        }
    }
    if is_found {
        return Ok(Undone::Gone);
    }
    account::gone(ec2, resource, &what).await
}

fn id_tag_of(saved: &Saved) -> Option<Tag> {
    let has_tags = !saved.no_owner_tags && !saved.id.is_empty();
    has_tags.then(|| (owner_key(saved, "id"), saved.id.clone()))
}

/// Returns whether EC2 may not know the resource yet. After the consistency window, its answer is reliable.
fn is_young(cx: &Cx, resource: &Resource) -> bool {
    age(cx, resource.at) < CONSISTENCY_WINDOW
}

/// Looks the resource up once; if `patiently` is set, until it is found or the timeout is over.
async fn look_up<T: Send, Fut: Future<Output = Result<Option<T>, CallError>> + Send>(
    cx: &Cx,
    what: &str,
    patiently: bool,
    look: impl Fn() -> Fut + Sync,
) -> Result<Option<T>, CallError> {
    if !patiently {
        return look().await;
    }
    let policy =
        WaitPolicy::backing_off(Duration::from_millis(500), Duration::from_secs(3), LOOK_UP);
    let found = wait_until_ready(cx, what, policy, || async {
        Ok(match look().await? {
            Some(found) => Look::Ready(found),
            None => Look::Pending("nothing".into()),
        })
    });
    match found.await {
        Ok(found) => Ok(Some(found)),
        Err(WaitError::TimedOut { .. }) => Ok(None),
        Err(WaitError::Failed(error)) => Err(error),
        Err(WaitError::Cancelled(reason)) => Err(CallError::Cancelled {
            action: "the look-up",
            reason,
        }),
    }
}
