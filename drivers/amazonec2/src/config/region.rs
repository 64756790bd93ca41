//! Which partition a region belongs to, told from its name: no table of regions grows stale.

/// A part of AWS with accounts, images and endpoints of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Partition {
    Commercial,
    China,
    UsGov,
    /// The isolated and the sovereign ones.
    Other,
}

/// The prefixes of region names, from botocore's `partitions.json` (each is followed by a word
/// and a number).
const PREFIXES: [(&[&str], Partition); 4] = [
    (
        &["us", "eu", "ap", "sa", "ca", "me", "af", "il", "mx"],
        Partition::Commercial,
    ),
    (&["cn"], Partition::China),
    (&["us-gov"], Partition::UsGov),
    (
        &["us-iso", "us-isob", "eu-isoe", "us-isof", "eusc-de"],
        Partition::Other,
    ),
];

/// Returns the partition of a region, `None` for what is no region's name.
pub(crate) fn partition(region: &str) -> Option<Partition> {
    let (rest, number) = region.rsplit_once('-')?;
    let (prefix, word) = rest.rsplit_once('-')?;
    let plausible = !number.is_empty()
        && number.bytes().all(|b| b.is_ascii_digit())
        && !word.is_empty()
        && word.bytes().all(|b| b.is_ascii_lowercase());
    let known = PREFIXES
        .iter()
        .find(|(prefixes, _)| prefixes.contains(&prefix))?;
    plausible.then_some(known.1)
}

/// Tells whether a text could be the name of a region of AWS, now or later.
pub(crate) fn looks_like_a_region(region: &str) -> bool {
    partition(region).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_told_by_their_pattern() {
        for (region, expected) in [
            ("us-east-1", Some(Partition::Commercial)),
            ("ap-southeast-7", Some(Partition::Commercial)),
            ("cn-northwest-1", Some(Partition::China)),
            ("us-gov-west-1", Some(Partition::UsGov)),
            ("us-isob-east-1", Some(Partition::Other)),
            ("eusc-de-east-1", Some(Partition::Other)),
            ("xx-nowhere-9", None),
            ("us-east", None),
            ("us-east-1a", None),
            ("", None),
            ("us--1", None),
        ] {
            assert_eq!(partition(region), expected, "{region:?}");
        }
    }
}
