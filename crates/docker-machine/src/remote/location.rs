//! `[user@]machine:path`, as `scp` and `mount` take it.

use std::path::Path;

use libmachine::Location;

/// Reads one end of a copy. What has no colon is a path here, and so is `localhost:path`.
pub(crate) fn parse(text: &str, directory: &Path) -> Location {
    match text.split_once(':') {
        None => Location::Local(directory.join(text)),
        Some((host, path)) => {
            let (user, name) = match host.split_once('@') {
                Some((user, name)) => (Some(user.to_owned()), name),
                None => (None, host),
            };
            match name {
                "localhost" => Location::Local(directory.join(path)),
                name => Location::Machine {
                    name: name.to_owned(),
                    user,
                    path: path.to_owned(),
                },
            }
        }
    }
}

/// Returns the options that make OpenSSH reach a machine as this program does, with its key and its
/// pinned host key.
pub(crate) fn openssh_options(details: &libmachine::SshDetails) -> Vec<String> {
    let mut options = vec![
        "StrictHostKeyChecking=yes".to_owned(),
        format!("UserKnownHostsFile={}", word(&details.known_hosts)),
        "LogLevel=ERROR".to_owned(),
        format!("Port={}", details.port),
    ];
    if let Some(key) = &details.key {
        options.push("IdentitiesOnly=yes".to_owned());
        options.push(format!("IdentityFile={}", word(key)));
    }
    options
}

/// Writes a path as one word of an option: ssh(1) takes what spaces part for several files, unless it stands in
/// double quotes (ssh_config(5)), and reads tokens behind a `%`.
fn word(path: &Path) -> String {
    let path = path.display().to_string().replace('%', "%%");
    match path.contains(char::is_whitespace) {
        true => format!("\"{path}\""),
        false => path,
    }
}

/// Returns `host:path` for rsync and sshfs, an IPv6 address in brackets.
pub(crate) fn remote(details: &libmachine::SshDetails, user: Option<&str>, path: &str) -> String {
    let user = user.unwrap_or(&details.user);
    match details.host.contains(':') {
        true => format!("{user}@[{}]:{path}", details.host),
        false => format!("{user}@{}:{path}", details.host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_scp_reads_them() {
        let here = Path::new("/here");
        let machine = |name: &str, user: Option<&str>, path: &str| Location::Machine {
            name: name.into(),
            user: user.map(str::to_owned),
            path: path.into(),
        };
        assert_eq!(parse("a/b", here), Location::Local("/here/a/b".into()));
        assert_eq!(parse("/a", here), Location::Local("/a".into()));
        assert_eq!(
            parse("localhost:a", here),
            Location::Local("/here/a".into())
        );
        assert_eq!(parse("m:/a:b", here), machine("m", None, "/a:b"));
        assert_eq!(parse("u@m:", here), machine("m", Some("u"), ""));
    }
}
