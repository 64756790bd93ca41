//! The machine's key pair in EC2: imports it under the machine's name, replaces a leftover of this store, and keeps a
//! key pair of any other owner.

use aws_sdk_ec2::operation::delete_key_pair::builders::DeleteKeyPairFluentBuilder;
use aws_sdk_ec2::operation::import_key_pair::builders::ImportKeyPairFluentBuilder;
use aws_sdk_ec2::primitives::Blob;
use aws_sdk_ec2::types::{KeyPairInfo, ResourceType};
use machine_driver::{DriverError, DriverErrorKind};
use machine_ops::{
    Cx, Intent, JournalError, Made, Ownership, Phase, Scope, StepFailure, UndoOrder,
};
use serde_json::json;

use crate::api::call::{one_attempt, steady, until_certain};
use crate::api::call_error::CallError;
use crate::api::ec2::Ec2;
use crate::api::lookup::value_of;
use crate::config::saved::Saved;
use crate::launch::tags::{self, Tag, owner_key};

/// Journal kind of a key pair.
pub(crate) const KIND: &str = "key-pair";

/// The key pair cannot be imported or does not exist.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyPairError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(
        "There is already a keypair with the name {0}. Please either remove that keypair or use a different machine name."
    )]
    Taken(String),
    #[error("There is no keypair with the name {0}. Please verify the key name provided.")]
    Missing(String),
}

impl From<KeyPairError> for DriverError {
    fn from(error: KeyPairError) -> Self {
        match error {
            KeyPairError::Call(error) => error.into(),
            KeyPairError::Journal(error) => error.into(),
            other => Self::new(DriverErrorKind::PreCreate, other),
        }
    }
}

/// Imports the public key under the machine's name.
pub(crate) async fn import(ec2: Ec2<'_>, store_id: &str, public: &str) -> Result<(), DriverError> {
    let Ec2 { api, cx, saved } = ec2;
    let name = saved.key_name.clone();
    let intent = Intent {
        driver: crate::NAME.into(),
        kind: KIND.into(),
        key: name.clone(),
        ownership: Ownership::Ours,
        undo: UndoOrder::First,
        scope: api.scope(),
        // If tags are disabled, the public key identifies a lost import.
        detail: json!({"public_key": key_body(public)}),
    };
    cx.step("import key pair", intent, async {
        // Saved before the import: every reader of config.json, such as the Go binary, can then delete the key pair.
        let driver = serde_json::to_value(saved).unwrap_or_default();
        if let Err(error) = cx.journal.save_driver(&driver) {
            return Err(StepFailure::NotMade(error.into()));
        }
        let id = put(ec2, store_id, public).await?;
        Ok(Made {
            value: (),
            id,
            scope: Scope::default(),
        })
    })
    .await?;
    Ok(())
}

/// Imports the key pair. If the result is uncertain, looks the key pair up and imports it again.
async fn put(
    ec2: Ec2<'_>,
    store_id: &str,
    public: &str,
) -> Result<Option<String>, StepFailure<KeyPairError>> {
    let uncertain = match send(ec2, store_id, public).await {
        Ok(id) => return Ok(id),
        Err(error) if error.is_ambiguous() || is_duplicate(&error) => error,
        Err(error) => return Err(StepFailure::NotMade(error.into())),
    };
    // A taken name whose key pair is not listed yet is uncertain too.
    let is_uncertain = |error: &KeyPairError| matches!(error, KeyPairError::Call(error) if error.is_ambiguous() || is_duplicate(error));
    let steady = Ec2 {
        cx: &steady(ec2.cx),
        ..ec2
    };
    let settled = until_certain(ec2.cx, "the key pair to be known", is_uncertain, || {
        replace(steady, store_id, public)
    });
    match settled.await {
        Some(Ok(id)) => Ok(id),
        Some(Err(taken @ KeyPairError::Taken(_))) => Err(StepFailure::NotMade(taken)),
        // If retries are exhausted, the outcome of the first request is unknown.
        Some(Err(error)) => Err(StepFailure::Unknown(error)),
        None => Err(StepFailure::Unknown(uncertain.into())),
    }
}

fn is_duplicate(error: &CallError) -> bool {
    error.code() == "InvalidKeyPair.Duplicate"
}

/// Takes over or replaces the existing key pair of this name if this store owns it.
async fn replace(
    ec2: Ec2<'_>,
    store_id: &str,
    public: &str,
) -> Result<Option<String>, KeyPairError> {
    let saved = ec2.saved;
    let Some(there) = find(ec2, &saved.key_name).await? else {
        // It was deleted between the two calls.
        return Ok(send(ec2, store_id, public).await?);
    };
    if is_this_machines(&there, saved, public) {
        // The response to an earlier attempt was lost.
        return Ok(there.key_pair_id);
    }
    if !is_this_stores(&there, saved, store_id) {
        return Err(KeyPairError::Taken(saved.key_name.clone()));
    }
    ec2.cx.debug(format!(
        "replacing the key pair {} that an earlier machine left behind",
        saved.key_name
    ));
    match &there.key_pair_id {
        Some(id) => delete_by_id(ec2, id).await?,
        None => delete(ec2, &saved.key_name).await?,
    };
    Ok(send(ec2, store_id, public).await?)
}

async fn send(ec2: Ec2<'_>, store_id: &str, public: &str) -> Result<Option<String>, CallError> {
    let Ec2 { api, cx, saved } = ec2;
    let tags = tags::of_key_pair(saved, store_id);
    let import = |tags: Vec<Tag>| async move {
        let answer = api
            .call(cx, "ImportKeyPair", |probe| {
                import_call(ec2, &Blob::new(public.as_bytes()), &tags)
                    .customize()
                    .interceptor(probe)
                    .config_override(one_attempt())
                    .send()
            })
            .await?;
        Ok(answer.key_pair_id)
    };
    tags::with_fewer(tags, import).await
}

/// Adds the parameters to the call that imports a public key.
pub(crate) fn import_call(
    Ec2 { api, saved, .. }: Ec2<'_>,
    public: &Blob,
    tags: &[Tag],
) -> ImportKeyPairFluentBuilder {
    let tags = tags::specifications(ResourceType::KeyPair, tags);
    api.ec2
        .import_key_pair()
        .key_name(&saved.key_name)
        .public_key_material(public.clone())
        .set_tag_specifications(tags)
}

/// Finds a key pair by its name.
pub(crate) async fn find(
    Ec2 { api, cx, .. }: Ec2<'_>,
    name: &str,
) -> Result<Option<KeyPairInfo>, CallError> {
    let answer = api
        .ask(cx, "DescribeKeyPairs", |probe| {
            let call = api
                .ec2
                .describe_key_pairs()
                .key_names(name)
                .include_public_key(true);
            call.customize().interceptor(probe).send()
        })
        .await;
    match answer {
        Ok(answer) => {
            let mut pairs = answer.key_pairs.unwrap_or_default().into_iter();
            // An endpoint may return others as well, and the result may be replaced.
            Ok(pairs.find(|pair| pair.key_name() == Some(name)))
        }
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns whether the journal records that this machine imported its own key pair of this name.
pub(crate) fn imported(cx: &Cx, name: &str) -> bool {
    let entries = cx.journal.entries().unwrap_or_default();
    !name.is_empty()
        && entries.iter().any(|entry| {
            matches!(&entry.phase, Phase::Intent { intent } if intent.kind == KIND && intent.key == name)
        })
}

/// Checks that the user's existing key pair exists.
pub(crate) async fn check_existing(ec2: Ec2<'_>) -> Result<(), KeyPairError> {
    let name = &ec2.saved.key_name;
    match find(ec2, name).await {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(KeyPairError::Missing(name.clone())),
        Err(error) => Err(error.into()),
    }
}

/// Deletes a key pair by its name; returns its ID if EC2 reports that it existed.
pub(crate) async fn delete(ec2: Ec2<'_>, name: &str) -> Result<Option<String>, CallError> {
    send_delete(ec2, ec2.api.ec2.delete_key_pair().key_name(name)).await
}

/// Deletes the key pair with this ID, and never one that was imported under its name meanwhile.
pub(crate) async fn delete_by_id(ec2: Ec2<'_>, id: &str) -> Result<Option<String>, CallError> {
    send_delete(ec2, ec2.api.ec2.delete_key_pair().key_pair_id(id)).await
}

async fn send_delete(
    Ec2 { api, cx, .. }: Ec2<'_>,
    call: DeleteKeyPairFluentBuilder,
) -> Result<Option<String>, CallError> {
    let answer = api
        .call(cx, "DeleteKeyPair", |probe| {
            call.clone().customize().interceptor(probe).send()
        })
        .await;
    match answer {
        Ok(answer) if answer.r#return == Some(false) => {
            Err(api.no_answer("DeleteKeyPair", "the answer denies the deletion"))
        }
        Ok(answer) => Ok(answer.key_pair_id),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns whether this machine imported the key pair.
pub(crate) fn is_this_machines(pair: &KeyPairInfo, saved: &Saved, public: &str) -> bool {
    value_of(pair.tags(), &owner_key(saved, "id")) == Some(saved.id.as_str())
        || (!saved.has_own_key()
            && !public.is_empty()
            && pair.public_key().map(key_body) == Some(key_body(public)))
}

/// The owner of a key pair that has a machine's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    ThisMachines,
    Others,
    /// Neither a tag nor a public key shows the owner.
    Unknown,
}

/// Determines a key pair's owner by the tag with the machine's ID, else by its public key. A user's key may have been
/// imported for something else, too.
pub(crate) fn whose(pair: &KeyPairInfo, saved: &Saved, public: &str) -> Whose {
    let by_tag = value_of(pair.tags(), &owner_key(saved, "id"));
    let found = pair.public_key().map(key_body).unwrap_or_default();
    match by_tag.filter(|_| !saved.id.is_empty()) {
        Some(id) if id == saved.id => Whose::ThisMachines,
        Some(_) => Whose::Others,
        None if public.is_empty() || found.is_empty() => Whose::Unknown,
        None if found != key_body(public) => Whose::Others,
        None if saved.has_own_key() => Whose::Unknown,
        None => Whose::ThisMachines,
    }
}

/// Returns whether a key pair was imported for a machine of this store.
pub(crate) fn is_this_stores(pair: &KeyPairInfo, saved: &Saved, store_id: &str) -> bool {
    !store_id.is_empty() && value_of(pair.tags(), &owner_key(saved, "store")) == Some(store_id)
}

/// Returns the key data without its type and its comment.
pub(crate) fn key_body(public: &str) -> &str {
    public.split_whitespace().nth(1).unwrap_or(public)
}
