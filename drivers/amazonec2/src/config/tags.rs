//! Tags by the flags: the machine's name, the user's, and our own that say which store owns a resource.

use crate::config::saved::Saved;

/// The most tags that a resource may have (EC2 User Guide, "Tag restrictions").
pub(crate) const MOST: usize = 50;

/// The prefix of our own tags, unless the user wants another one.
pub(crate) const DEFAULT_PREFIX: &str = "docker-machine";

/// A key and a value.
pub(crate) type Tag = (String, String);

/// Returns the name of our tag that holds the store's id, or the machine's.
pub(crate) fn owner_key(saved: &Saved, what: &str) -> String {
    let prefix = if saved.owner_tag_prefix.is_empty() {
        DEFAULT_PREFIX
    } else {
        &saved.owner_tag_prefix
    };
    format!("{prefix}:{what}")
}

/// Returns our own tags: none where the user switched them off.
pub(crate) fn owner_tags(saved: &Saved, store_id: &str) -> Vec<Tag> {
    if saved.no_owner_tags {
        return Vec::new();
    }
    vec![
        (owner_key(saved, "store"), store_id.to_owned()),
        (owner_key(saved, "id"), saved.id.clone()),
    ]
}

/// Finds our tag that holds the machine's id among a resource's tags, whatever the prefix is: the one that has
/// a store's beside it.
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

/// Returns `Name` and the user's tags; of a repeated key the last value counts.
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

/// Returns `Name`, the user's tags and our own.
pub(crate) fn all_tags(saved: &Saved, store_id: &str) -> Vec<Tag> {
    within_limit(users_tags(saved), owner_tags(saved, store_id))
}

/// Puts our own tags behind the user's, as far as there is room for them.
fn within_limit(mut tags: Vec<Tag>, ours: Vec<Tag>) -> Vec<Tag> {
    let room = MOST.saturating_sub(tags.len());
    tags.extend(ours.into_iter().take(room));
    tags
}

/// Splits `k1,v1,k2,v2`; the second part is the number of elements where it is odd. A key
/// without a value is left out, as in the Go fork.
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

/// Returns the tags of the machine's key pair: all, and the user's.
pub(crate) fn of_key_pair(saved: &Saved, store_id: &str) -> [Vec<Tag>; 2] {
    [all_tags(saved, store_id), users_tags(saved)]
}

/// Returns the tags of a security group: all, and the user's. The group serves other machines too and outlives
/// this one: it bears a name and, of our own tags, the store's.
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
