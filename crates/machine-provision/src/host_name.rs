//! Host names that Linux takes.

/// The longest name that sethostname(2) takes on Linux (`__NEW_UTS_LEN`).
const LONGEST: usize = 64;

/// Returns the name that a host gets for a machine's name: the same, or where that is longer than
/// 64 characters its beginning and eight digits that depend on all of it, so that two long names
/// with one beginning stay two.
pub fn host_name(name: &str) -> String {
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    let kept: String = name.chars().take(LONGEST - 9).collect();
    let kept = kept.trim_end_matches(['-', '.']);
    format!("{kept}-{:08x}", fnv1a(name.as_bytes()))
}

/// The FNV-1a hash, 32 bits (RFC 9923): stable over releases, which the standard library's is not.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_stay() {
        let name = "a".repeat(64);
        assert_eq!(host_name(&name), name);
        assert_eq!(host_name("m1"), "m1");
    }

    #[test]
    fn long_names_are_cut_and_stay_apart() {
        let (a, b) = (
            format!("{}a", "x".repeat(64)),
            format!("{}b", "x".repeat(64)),
        );
        assert_eq!(host_name(&a).len(), 64);
        assert_ne!(host_name(&a), host_name(&b));
        assert_eq!(host_name(&a), host_name(&a));
        // The hash is part of the interface: a provisioned host keeps its name.
        assert_eq!(fnv1a(b"foobar"), 0xbf9c_f968);
    }

    #[test]
    fn no_label_of_a_cut_name_ends_badly() {
        let name = format!("{}.{}", "x".repeat(54), "y".repeat(30));
        assert!(host_name(&name).starts_with(&format!("{}-", "x".repeat(54))));
    }
}
