//! Determines a region's partition from its name, without a table of regions that would become out of date.

use machine_types::nearest;

/// A partition of AWS, with its own accounts, images and endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Partition {
    Commercial,
    China,
    UsGov,
    /// The isolated and the sovereign partitions.
    Other,
}

/// The prefixes of region names, from botocore's `partitions.json`. Each is followed by a word and a number.
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

/// Regions to suggest for a mistyped name (botocore's `endpoints.json`). A region that is not listed here works too.
pub(crate) const KNOWN_REGIONS: [&str; 43] = [
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "cn-north-1",
    "cn-northwest-1",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-iso-east-1",
    "us-iso-west-1",
    "us-isob-east-1",
    "eu-isoe-west-1",
    "eusc-de-east-1",
];

/// The words in the names of all current regions: compass directions.
const DIRECTIONS: [&str; 9] = [
    "north",
    "south",
    "east",
    "west",
    "central",
    "northeast",
    "northwest",
    "southeast",
    "southwest",
];

/// The probable meaning of an invalid region name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meant<'a> {
    /// A region.
    Region(&'a str),
    /// A zone of a region.
    ZoneOf(&'a str),
}

/// Returns the probable meaning of a text.
pub(crate) fn meant(text: &str) -> Option<Meant<'_>> {
    let region = text.trim_end_matches(|c: char| c.is_ascii_lowercase());
    if region.len() + 1 == text.len() && looks_like_a_region(region) {
        return Some(Meant::ZoneOf(region));
    }
    nearest(&text.trim().to_ascii_lowercase(), KNOWN_REGIONS).map(Meant::Region)
}

/// Returns whether a region's name has a valid form but is probably mistyped.
pub(crate) fn is_mistyped(region: &str) -> bool {
    let word = region.rsplit('-').nth(1).unwrap_or_default();
    !DIRECTIONS.contains(&word) && nearest(region, KNOWN_REGIONS).is_some()
}

/// Returns the partition of a region; `None` if the name is not a region's.
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

/// Returns whether a text can be the name of a current or future AWS region.
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

    #[test]
    fn a_mistyped_region_and_a_zone_are_recognized() {
        assert!(is_mistyped("us-esat-1"));
        assert_eq!(meant("us-esat-1"), Some(Meant::Region("us-east-1")));
        assert_eq!(meant("us-east1"), Some(Meant::Region("us-east-1")));
        assert_eq!(meant("us-east-1a"), Some(Meant::ZoneOf("us-east-1")));
        assert_eq!(meant("xx-nowhere-9"), None);
        // A new region, and a new kind of region name.
        for region in KNOWN_REGIONS.into_iter().chain(["us-west-9", "eu-orbit-1"]) {
            assert!(
                looks_like_a_region(region) && !is_mistyped(region),
                "{region}"
            );
        }
    }
}
