//! Natural order of names: `n2` before `n10`, ignoring case.

use std::cmp::Ordering;

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
    use super::natural;

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
