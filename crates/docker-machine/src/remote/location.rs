//! `[user@]machine:path`, as `scp` and `mount` accept it.

use std::path::Path;

use libmachine::Location;

use crate::failure::Failure;
use crate::remote::known_hosts::KnownHostsFile;

/// Parses one end of a copy. A text without a machine is a local path, and so is `localhost:path`.
///
/// # Errors
/// Fails for a user or a machine that begins with a dash: the external programs would parse it as an option. Fails for
/// an empty user.
pub(crate) fn parse(text: &str, directory: &Path) -> Result<Location, Failure> {
    let Some((host, path)) = split(text) else {
        return Ok(Location::Local(directory.join(text)));
    };
    let (user, name) = user_and_name(host)?;
    operand("machine name", name)?;
    Ok(match name {
        "localhost" => Location::Local(directory.join(path)),
        name => Location::Machine {
            name: name.to_owned(),
            user: user.map(str::to_owned),
            path: path.to_owned(),
        },
    })
}

/// Splits `host:path` as scp(1) does: a colon at the beginning or after a slash is part of a local path.
pub(crate) fn split(text: &str) -> Option<(&str, &str)> {
    let (host, path) = text.split_once(':')?;
    (!host.is_empty() && !host.contains('/')).then_some((host, path))
}

/// Splits `user@machine`.
///
/// # Errors
/// Fails for a user that is empty or begins with a dash.
pub(crate) fn user_and_name(text: &str) -> Result<(Option<&str>, &str), Failure> {
    let Some((user, name)) = text.split_once('@') else {
        return Ok((None, text));
    };
    if user.is_empty() {
        return Err(Failure::new(format!("no user name before {text:?}")));
    }
    operand("user name", user)?;
    Ok((Some(user), name))
}

/// Rejects a text that another program would parse as an option.
pub(crate) fn operand(what: &str, value: &str) -> Result<(), Failure> {
    match value.starts_with('-') {
        true => Err(Failure::new(format!(
            "invalid {what} {value:?}: it begins with a dash"
        ))),
        false => Ok(()),
    }
}

/// Returns the OpenSSH options that connect to a machine as this program does, with its key and its host keys.
///
/// # Errors
/// Fails for a path that OpenSSH cannot represent.
pub(crate) fn openssh_options(
    details: &libmachine::SshDetails,
    known_hosts: &KnownHostsFile,
) -> Result<Vec<String>, Failure> {
    let mut options = vec![
        "StrictHostKeyChecking=yes".to_owned(),
        format!("UserKnownHostsFile={}", word(known_hosts.path())?),
        "LogLevel=ERROR".to_owned(),
        format!("Port={}", details.port),
    ];
    if let Some(key) = &details.key {
        options.push("IdentitiesOnly=yes".to_owned());
        options.push(format!("IdentityFile={}", word(key)?));
    }
    Ok(options)
}

/// Writes a path as one word of an option (ssh_config(5)). If a character in it has a special meaning, puts it in
/// double quotes, with backslashes before quotes and backslashes. Doubles `%`, which begins a token.
fn word(path: &Path) -> Result<String, Failure> {
    let path = path.display().to_string().replace('%', "%%");
    if path.contains("${") {
        return Err(Failure::new(format!(
            "{path:?}: OpenSSH reads \"${{\" as the beginning of a variable's name; use a storage path without it"
        )));
    }
    let needs_quotes = |c: char| c.is_whitespace() || "\"'\\#".contains(c);
    Ok(match path.contains(needs_quotes) {
        true => format!("\"{}\"", path.replace('\\', "\\\\").replace('"', "\\\"")),
        false => path,
    })
}

/// Returns `user@host:path` for rsync and sshfs, with an IPv6 address in brackets.
///
/// # Errors
/// Fails for a user or an address that begins with a dash.
pub(crate) fn remote(
    details: &libmachine::SshDetails,
    user: Option<&str>,
    path: &str,
) -> Result<String, Failure> {
    let user = user.unwrap_or(&details.user);
    operand("user name", user)?;
    operand("address", &details.host)?;
    Ok(match details.host.contains(':') {
        true => format!("{user}@[{}]:{path}", details.host),
        false => format!("{user}@{}:{path}", details.host),
    })
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
        for (text, location) in [
            ("a/b", Location::Local("/here/a/b".into())),
            ("/a", Location::Local("/a".into())),
            ("localhost:a", Location::Local("/here/a".into())),
            ("m:/a:b", machine("m", None, "/a:b")),
            ("u@m:", machine("m", Some("u"), "")),
            ("m:-x", machine("m", None, "-x")),
            ("-x", Location::Local("/here/-x".into())),
            ("./x:y", Location::Local("/here/./x:y".into())),
            ("/x:y", Location::Local("/x:y".into())),
            (":x", Location::Local("/here/:x".into())),
        ] {
            assert_eq!(parse(text, here), Ok(location), "{text}");
        }
    }

    #[test]
    fn operands_never_become_options() {
        for text in ["-oProxyCommand=x@m:", "-m:x", "u@-m:x"] {
            let refused = parse(text, Path::new("/")).unwrap_err();
            assert!(
                refused.text().contains("it begins with a dash"),
                "{text}: {refused:?}"
            );
        }
    }

    #[test]
    fn paths_are_one_word_of_an_option() {
        for (path, written) in [
            ("/a/b", "/a/b"),
            ("/a b", "\"/a b\""),
            ("/it's 100%", "\"/it's 100%%\""),
            (r#"/a"\b"#, r#""/a\"\\b""#),
            ("/a,b=c", "/a,b=c"),
        ] {
            assert_eq!(word(Path::new(path)), Ok(written.to_owned()), "{path}");
        }
        assert!(word(Path::new("/${HOME}")).is_err());
    }
}
