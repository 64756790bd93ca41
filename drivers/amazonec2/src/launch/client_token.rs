//! Client tokens of launches, by which EC2 recognises a replay and this program its own instances.

use machine_ops::Cx;

const PREFIX: &str = "docker-machine-";

/// Returns a new client token: the prefix and 128 random bits in hexadecimal; 47 of the 64 ASCII characters that EC2
/// accepts ("Ensuring idempotency", EC2 API developer guide).
pub(crate) fn new(cx: &Cx) -> String {
    format!(
        "{PREFIX}{:016x}{:016x}",
        cx.ambient.random(),
        cx.ambient.random()
    )
}

/// Returns whether a client token has the form of those that [`new`] makes, or made in older versions without a
/// prefix. Ansible's tokens look like the older ones (`uuid4().hex`), so a UUID of version 4 is not accepted (RFC 9562,
/// 5.4), and one in 64 of the older tokens is not recognised. Consoles, SDKs and Auto Scaling use UUIDs with hyphens.
pub(crate) fn is_ours(text: &str) -> bool {
    let is_random = |text: &str| {
        text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_uuid = |text: &[u8]| text[12] == b'4' && matches!(text[16], b'8' | b'9' | b'a' | b'b');
    match text.strip_prefix(PREFIX) {
        Some(random) => is_random(random),
        None => is_random(text) && !is_uuid(text.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::is_ours;

    #[test]
    fn a_token_of_ours_is_told_from_those_of_others() {
        for ours in [
            "docker-machine-0123456789abcdef0123456789abcdef",
            // From an older version.
            "0123456789abcdef0123456789abcdef",
        ] {
            assert!(is_ours(ours), "{ours}");
        }
        for others in [
            // Python's uuid.uuid4().hex.
            "0d6c3ba28a0f4b0e9c1e2f3a4b5c6d7e",
            "1323657e-2aa4-1d94-2c48-5d7a423e7394",
            "docker-machine-",
            "docker-machine-0123456789abcdef",
            "0123456789ABCDEF0123456789ABCDEF",
            "",
        ] {
            assert!(!is_ours(others), "{others}");
        }
    }
}
