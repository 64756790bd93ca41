//! Tags from the flags: the machine's name, the user's tags, and docker-machine's own tags that name the owning store.

use crate::config::saved::Saved;

/// Maximum number of tags of a resource (EC2 User Guide, "Tag restrictions").
pub(crate) const MOST: usize = 50;

/// Maximum number of characters of a tag's key and value (EC2 User Guide, "Tag restrictions").
pub(crate) const LONGEST_KEY: usize = 128;
pub(crate) const LONGEST_VALUE: usize = 256;

/// Default prefix of docker-machine's own tags.
pub(crate) const DEFAULT_PREFIX: &str = "docker-machine";

/// A key and a value.
pub(crate) type Tag = (String, String);

/// Returns whether the key has the prefix of AWS's own tags, "in any combination of upper or lowercase letters".
pub(crate) fn is_reserved(key: &str) -> bool {
    let prefix = key.get(..4);
    prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:"))
}

/// Returns the key of the tag with the store's or the machine's ID.
pub(crate) fn owner_key(saved: &Saved, what: &str) -> String {
    let prefix = if saved.owner_tag_prefix.is_empty() {
        DEFAULT_PREFIX
    } else {
        &saved.owner_tag_prefix
    };
    format!("{prefix}:{what}")
}

/// Returns docker-machine's own tags; none if the user disabled them.
pub(crate) fn owner_tags(saved: &Saved, store_id: &str) -> Vec<Tag> {
    if saved.no_owner_tags {
        return Vec::new();
    }
    vec![
        (owner_key(saved, "store"), store_id.to_owned()),
        (owner_key(saved, "id"), saved.id.clone()),
    ]
}

/// Finds the tag with the machine's ID among a resource's tags, with any prefix. A tag with a store's ID must have the
/// same prefix.
pub(crate) fn machine_id(tags: &[Tag]) -> Option<Tag> {
    let is_ours = |key: &str| {
        let prefix = key.strip_suffix(":id");
        prefix.is_some_and(|prefix| {
            let store = format!("{prefix}:store");
            tags.iter().any(|(other, _)| *other == store)
        })
    };
    tags.iter().find(|(key, _)| is_ours(key)).cloned()
}

/// Returns `Name` and the user's tags. The last value of a repeated key counts.
pub(crate) fn users_tags(saved: &Saved) -> Vec<Tag> {
    let mut tags: Vec<Tag> = vec![("Name".into(), saved.base.machine_name.clone())];
    for (key, value) in pairs(&saved.tags).0 {
        match tags.iter_mut().find(|(known, _)| *known == key) {
            Some(known) => known.1 = value,
            None => tags.push((key, value)),
        }
    }
    tags
}

/// Returns `Name`, the user's tags and docker-machine's own.
pub(crate) fn all_tags(saved: &Saved, store_id: &str) -> Vec<Tag> {
    within_limit(users_tags(saved), owner_tags(saved, store_id))
}

/// Appends docker-machine's own tags to the user's, up to the maximum number.
fn within_limit(mut tags: Vec<Tag>, ours: Vec<Tag>) -> Vec<Tag> {
    let room = MOST.saturating_sub(tags.len());
    tags.extend(ours.into_iter().take(room));
    tags
}

/// Splits `k1,v1,k2,v2`. The second result is the number of elements if it is odd. Ignores a key without a value, as in
/// the Go fork.
pub(crate) fn pairs(text: &str) -> (Vec<Tag>, Option<usize>) {
    if text.is_empty() {
        return (Vec::new(), None);
    }
    let words: Vec<&str> = text.split(',').collect();
    let pairs = words
        .chunks_exact(2)
        .map(|pair| (pair[0].to_owned(), pair[1].to_owned()));
    (
        pairs.collect(),
        (words.len() % 2 == 1).then_some(words.len()),
    )
}

/// Returns the tags of the machine's key pair: all of them, and only the user's.
pub(crate) fn of_key_pair(saved: &Saved, store_id: &str) -> [Vec<Tag>; 2] {
    [all_tags(saved, store_id), users_tags(saved)]
}

/// Returns the tags of a security group: all of them, and only the user's. Other machines share the group, and it
/// outlives this one: it gets a name and, of docker-machine's own tags, only the store's.
pub(crate) fn of_group(saved: &Saved, store_id: &str, name: &str) -> [Vec<Tag>; 2] {
    let of_machine = ("Name".to_owned(), saved.base.machine_name.clone());
    let named = |tag: Tag| match tag == of_machine {
        true => (tag.0, name.to_owned()),
        false => tag,
    };
    let users: Vec<Tag> = users_tags(saved).into_iter().map(named).collect();
    let store = owner_tags(saved, store_id).into_iter().take(1).collect();
    [within_limit(users.clone(), store), users]
}
