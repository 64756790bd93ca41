//! Host names that Linux accepts.

/// The longest name that sethostname(2) accepts on Linux (`__NEW_UTS_LEN`).
const LONGEST: usize = 64;

/// Returns the host name for a machine's name: the same name, or if it is longer than 64 characters, its beginning
/// and eight digits that depend on the whole name, so that two long names with the same beginning stay distinct.
pub fn host_name(name: &str) -> String {
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    let kept: String = name.chars().take(LONGEST - 9).collect();
    let kept = kept.trim_end_matches(['-', '.']);
    format!("{kept}-{:08x}", fnv1a(name.as_bytes()))
}

/// Returns the FNV-1a hash, 32 bits (RFC 9923): stable over releases, unlike the standard library's.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_unchanged() {
        let name = "a".repeat(64);
        assert_eq!(host_name(&name), name);
        assert_eq!(host_name("m1"), "m1");
    }

    #[test]
    fn long_names_are_cut_and_stay_distinct() {
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
    fn labels_of_a_cut_name_stay_valid() {
        let name = format!("{}.{}", "x".repeat(54), "y".repeat(30));
        assert!(host_name(&name).starts_with(&format!("{}-", "x".repeat(54))));
    }
}
