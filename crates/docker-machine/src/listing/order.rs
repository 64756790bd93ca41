//! The order of a listing: by a key, and by names as people count, `n2` before `n10`.

use std::cmp::{Ordering, Reverse};

use libmachine::ListItem;

/// The keys of `--sort`.
pub(crate) const KEYS: [&str; 6] = ["name", "state", "driver", "age", "type", "zone"];

/// Sorts machines by a key of [`KEYS`], and by name where it is equal. The oldest come first, those of unknown age last.
pub(crate) fn sort(items: &mut [ListItem], key: &str) {
    items.sort_by(|a, b| natural(&a.name, &b.name));
    match key {
        "state" => items.sort_by_key(|item| item.state.as_str()),
        "driver" => items.sort_by(|a, b| a.driver.cmp(&b.driver)),
        "age" => items.sort_by_key(|item| Reverse(item.age)),
        "type" => items.sort_by(|a, b| a.facts.instance_type.cmp(&b.facts.instance_type)),
        "zone" => items.sort_by(|a, b| a.facts.zone.cmp(&b.facts.zone)),
        _ => {}
    }
}

/// Compares two names.
pub(crate) fn natural(a: &str, b: &str) -> Ordering {
    let (lower_a, lower_b) = (a.to_lowercase(), b.to_lowercase());
    let (mut rest_a, mut rest_b) = (lower_a.as_str(), lower_b.as_str());
    while !rest_a.is_empty() && !rest_b.is_empty() {
        let (chunk_a, chunk_b);
        (chunk_a, rest_a) = chunk(rest_a);
        (chunk_b, rest_b) = chunk(rest_b);
        let order = match (is_number(chunk_a), is_number(chunk_b)) {
            (true, true) => by_value(chunk_a, chunk_b),
            _ => chunk_a.cmp(chunk_b),
        };
        if order.is_ne() {
            return order;
        }
    }
    // Names that differ only in case have a fixed order.
    rest_a.len().cmp(&rest_b.len()).then_with(|| a.cmp(b))
}

/// Compares numbers of any length; of equal ones, the one with fewer leading zeros comes first.
fn by_value(a: &str, b: &str) -> Ordering {
    let (digits_a, digits_b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    let lengths = digits_a.len().cmp(&digits_b.len());
    lengths
        .then(digits_a.cmp(digits_b))
        .then(a.len().cmp(&b.len()))
}

fn is_number(chunk: &str) -> bool {
    chunk.starts_with(|c: char| c.is_ascii_digit())
}

/// Splits off the digits, or the non-digits, at the start of a text.
fn chunk(text: &str) -> (&str, &str) {
    let digits = is_number(text);
    let end = text
        .find(|c: char| c.is_ascii_digit() != digits)
        .unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use libmachine::ListItem;

    use super::{natural, sort};
    use crate::listing::tests::item;

    #[test]
    fn a_key_orders_machines_and_names_order_equal_ones() {
        let aged = |name: &str, hours: Option<u64>| ListItem {
            age: hours.map(|hours| Duration::from_secs(hours * 3600)),
            ..item(name)
        };
        let mut items = [
            aged("n10", Some(1)),
            aged("n2", Some(1)),
            aged("x", Some(9)),
            aged("a", None),
        ];
        let mut names = |key: &str| {
            sort(&mut items, key);
            items.each_ref().map(|item| item.name.clone())
        };
        assert_eq!(names("age"), ["x", "n2", "n10", "a"]);
        assert_eq!(names(""), ["a", "n2", "n10", "x"]);
    }

    #[test]
    fn names_are_ordered_as_people_count() {
        let mut names = [
            "n10",
            "default",
            "n2",
            "N1",
            "n",
            "n2-a",
            "n02",
            "a01-z",
            "a1-b",
            "n99999999999999999999",
        ];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(
            names,
            [
                "a1-b",
                "a01-z",
                "default",
                "n",
                "N1",
                "n2",
                "n2-a",
                "n02",
                "n10",
                "n99999999999999999999"
            ]
        );
    }
}
