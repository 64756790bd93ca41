//! User data: the user's file, combined with the lease script.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Maximum size that EC2 accepts, before base64 (EC2 User Guide, "Run commands at launch").
pub(crate) const LARGEST: usize = 16 * 1024;

const BOUNDARY: &str = "docker-machine-7c1f0a52e6";

/// Combines the user's data with a script that powers the instance off when its lease ends.
///
/// Cloud-init's format for several parts is MIME. Each part is encoded, so that its content cannot contain a boundary.
/// The script is a boothook: it runs at every boot and keeps the end time that it saved at the first one.
pub(crate) fn with_lease(user: Option<&[u8]>, lifetime: Duration) -> Vec<u8> {
    let mut parts = vec![(
        "text/cloud-boothook".to_owned(),
        lease(lifetime).into_bytes(),
    )];
    if let Some(user) = user.filter(|data| !data.is_empty()) {
        parts.push((content_type(user), user.to_vec()));
    }
    let mut mime =
        format!("Content-Type: multipart/mixed; boundary=\"{BOUNDARY}\"\nMIME-Version: 1.0\n\n");
    for (kind, body) in parts {
        mime.push_str(&format!(
            "--{BOUNDARY}\nContent-Type: {kind}\nMIME-Version: 1.0\nContent-Transfer-Encoding: base64\n\n"
        ));
        let encoded = STANDARD.encode(body);
        // RFC 2045 limits a line to 76 characters.
        for line in encoded.as_bytes().chunks(76) {
            mime.push_str(&String::from_utf8_lossy(line));
            mime.push('\n');
        }
    }
    mime.push_str(&format!("--{BOUNDARY}--\n"));
    mime.into_bytes()
}

fn lease(lifetime: Duration) -> String {
    let seconds = lifetime.as_secs();
    format!(
        "#cloud-boothook\n\
         #!/bin/sh\n\
         end=/var/lib/docker-machine-lease\n\
         [ -s $end ] || echo $(($(date +%s) + {seconds})) > $end\n\
         left=$(($(cat $end) - $(date +%s)))\n\
         [ $left -gt 0 ] || left=1\n\
         systemd-run --unit docker-machine-lease --on-active=$left systemctl poweroff ||\n\
         \t(sleep $left; poweroff) </dev/null >/dev/null 2>&1 &\n"
    )
}

/// Returns the content type that cloud-init would detect: its formats begin with their own markers.
fn content_type(data: &[u8]) -> String {
    let marks: [(&[u8], &str); 9] = [
        (b"\x1f\x8b", "application/gzip"),
        (b"#cloud-config-archive", "text/cloud-config-archive"),
        (b"#cloud-config", "text/cloud-config"),
        (b"#cloud-boothook", "text/cloud-boothook"),
        (b"#include-once", "text/x-include-once-url"),
        (b"#include", "text/x-include-url"),
        (b"#part-handler", "text/part-handler"),
        (b"## template: jinja", "text/jinja2"),
        (b"#!", "text/x-shellscript"),
    ];
    let known = marks.iter().find(|(mark, _)| data.starts_with(mark));
    known.map_or_else(
        // The user's own MIME archive is one part, which cloud-init unpacks in turn.
        || {
            if data.starts_with(b"Content-Type: multipart") || data.starts_with(b"MIME-Version:") {
                "message/rfc822".to_owned()
            } else {
                "text/plain".to_owned()
            }
        },
        |(_, kind)| (*kind).to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_part_comes_through_byte_for_byte() {
        let user = b"#!/bin/sh\necho \xff--docker-machine-7c1f0a52e6--\n";
        let mime = String::from_utf8(with_lease(Some(user), Duration::from_secs(90 * 60))).unwrap();
        assert!(
            mime.starts_with("Content-Type: multipart/mixed; boundary="),
            "{mime}"
        );
        let parts: Vec<_> = mime.split(&format!("--{BOUNDARY}")).collect();
        assert_eq!(parts.len(), 4, "preamble, lease, user's, end: {mime}");
        assert!(parts[2].contains("Content-Type: text/x-shellscript"));
        let body = |part: &str| {
            STANDARD
                .decode(part.split_once("\n\n").unwrap().1.replace('\n', ""))
                .unwrap()
        };
        assert_eq!(body(parts[2]), user);
        let lease = String::from_utf8(body(parts[1])).unwrap();
        assert!(
            lease.starts_with("#cloud-boothook\n") && lease.contains("+ 5400)"),
            "{lease}"
        );
    }
}
