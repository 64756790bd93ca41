//! Tags: the machine's name, the user's, and our own that say which store owns a resource.

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

/// Puts our own tags behind the user's, as far as there is room for them.
pub(crate) fn within_limit(mut tags: Vec<Tag>, ours: Vec<Tag>) -> Vec<Tag> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(tags: &str) -> Saved {
        let mut saved = Saved {
            tags: tags.into(),
            id: "m".into(),
            ..Saved::default()
        };
        saved.base.machine_name = "e1".into();
        saved
    }

    #[test]
    fn ours_come_last_and_yield_first() {
        let all = |saved: &Saved| within_limit(users_tags(saved), owner_tags(saved, "s"));
        let tags = all(&saved("a,b"));
        let keys: Vec<_> = tags.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(
            keys,
            ["Name", "a", "docker-machine:store", "docker-machine:id"]
        );
        let many: Vec<_> = (0..48).map(|n| format!("k{n},v")).collect();
        let tags = all(&saved(&many.join(",")));
        assert_eq!(tags.len(), 50);
        assert_eq!(tags[49].0, "docker-machine:store");
    }

    #[test]
    fn an_odd_list_loses_its_last_word() {
        assert_eq!(pairs("a,b,c"), (vec![("a".into(), "b".into())], Some(3)));
        assert_eq!(pairs(""), (vec![], None));
    }

    #[test]
    fn a_name_of_the_users_replaces_ours() {
        assert_eq!(
            users_tags(&saved("Name,x")),
            [("Name".to_owned(), "x".to_owned())]
        );
    }
}
