//! The URLs that Go's `net/url` rejects: `--url` accepts all others, however odd.
//!
//! Only validates; other code interprets URLs. The error messages are Go's.

/// The cause of an invalid URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UrlError {
    #[error("invalid control character in URL")]
    ControlCharacter,
    #[error("missing protocol scheme")]
    SchemeMissing,
    #[error("first path segment in URL cannot contain colon")]
    ColonInPath,
    #[error("invalid URL escape {0:?}")]
    Escape(String),
    #[error("net/url: invalid userinfo")]
    UserInfo,
    #[error("missing ']' in host")]
    BracketMissing,
    #[error("invalid port {0:?} after host")]
    Port(String),
    #[error("invalid character {0:?} in host name")]
    HostCharacter(char),
}

/// Checks a URL or a path, which Go accepts as a URL too.
pub(crate) fn check(url: &str) -> Result<(), UrlError> {
    if url.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return Err(UrlError::ControlCharacter);
    }
    let (url, fragment) = url.split_once('#').unwrap_or((url, ""));
    escapes(fragment)?;
    let (scheme, rest) = scheme(url)?;
    let rest = rest.split_once('?').map_or(rest, |(path, _)| path);
    if !rest.starts_with('/') {
        let first = rest.split('/').next().unwrap_or_default();
        return match scheme {
            Some(_) => Ok(()),
            None if first.contains(':') => Err(UrlError::ColonInPath),
            None => escapes(rest),
        };
    }
    let path = match rest.strip_prefix("//") {
        Some(behind) if scheme.is_some() || !behind.starts_with('/') => {
            let end = behind.find('/').unwrap_or(behind.len());
            let (authority, path) = behind.split_at(end);
            check_authority(authority)?;
            path
        }
        _ => rest,
    };
    escapes(path)
}

/// Splits off the scheme: letters, then letters, digits, `+`, `-` and `.`, up to a colon.
fn scheme(url: &str) -> Result<(Option<&str>, &str), UrlError> {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    match url.split_once(':') {
        Some(("", _)) => Err(UrlError::SchemeMissing),
        Some((scheme, rest))
            if scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.chars().all(inner) =>
        {
            Ok((Some(scheme), rest))
        }
        _ => Ok((None, url)),
    }
}

fn check_authority(authority: &str) -> Result<(), UrlError> {
    let (login, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c);
    if !login.chars().all(allowed) {
        return Err(UrlError::UserInfo);
    }
    escapes(login)?;
    let (name, port) = match host.starts_with('[') {
        true => host
            .rfind(']')
            .map(|end| host.split_at(end + 1))
            .ok_or(UrlError::BracketMissing)?,
        false => host.split_at(host.rfind(':').unwrap_or(host.len())),
    };
    let digits = port.strip_prefix(':').unwrap_or(port);
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) || (port == digits && !port.is_empty()) {
        return Err(UrlError::Port(port.to_owned()));
    }
    check_host(name)
}

/// Checks a host name: it may contain escapes of non-ASCII bytes, and few characters besides letters and digits.
fn check_host(name: &str) -> Result<(), UrlError> {
    let is_zone = name.starts_with('[');
    let mut rest = name;
    while let Some(at) = rest.find('%') {
        let escape = rest.get(at..at + 3).unwrap_or(&rest[at..]);
        let byte = escape
            .get(1..)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match byte.filter(|_| escape.len() == 3) {
            Some(byte) if is_zone || byte >= 0x80 => rest = &rest[at + 3..],
            _ => return Err(UrlError::Escape(escape.to_owned())),
        }
    }
    let allowed = |c: char| {
        !c.is_ascii() || c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:[]<>\"%".contains(c)
    };
    match name.chars().find(|c| !allowed(*c)) {
        Some(c) => Err(UrlError::HostCharacter(c)),
        None => Ok(()),
    }
}

/// Checks that two hexadecimal digits follow each percent sign.
fn escapes(text: &str) -> Result<(), UrlError> {
    for (at, _) in text.match_indices('%') {
        let digits = text.as_bytes().get(at + 1..at + 3);
        if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            return Err(UrlError::Escape(text[at..].chars().take(3).collect()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn urls_that_go_accepts_are_accepted() {
        for url in [
            "x",
            "h:1",
            "tcp://h:1",
            "tcp://",
            "tcp://h",
            "tcp://h:",
            "tcp://[::1]:2376",
            "tcp://[fe80::1%25eth0]:1",
            "unix:///var/run/docker.sock",
            "tcp://user:word@h:1/path?a=%zz",
            "npipe:////./pipe/docker",
            "a b",
            "tcp://h/%41#f",
            "tcp://h%c3%a9",
            "//h:1",
            "",
        ] {
            assert_eq!(check(url), Ok(()), "{url:?}");
        }
    }

    #[test]
    fn urls_that_go_rejects_are_rejected() {
        for (url, why) in [
            (
                "127.0.0.1:1",
                "first path segment in URL cannot contain colon",
            ),
            (
                " tcp://h:1",
                "first path segment in URL cannot contain colon",
            ),
            ("://h", "missing protocol scheme"),
            ("tcp://h:bad", r#"invalid port ":bad" after host"#),
            ("tcp://[::1]x", r#"invalid port "x" after host"#),
            ("tcp://[::1", "missing ']' in host"),
            ("%zz", r#"invalid URL escape "%zz""#),
            ("tcp://h/%4", r#"invalid URL escape "%4""#),
            ("tcp://a b:1", "invalid character ' ' in host name"),
            ("tcp://h%20:1", r#"invalid URL escape "%20""#),
            ("tcp://a/b@h^:1/", ""),
            ("tcp://u^@h", "net/url: invalid userinfo"),
            ("tcp://h\n", "invalid control character in URL"),
        ] {
            let found = check(url).err().map(|error| error.to_string());
            assert_eq!(found.unwrap_or_default(), why, "{url:?}");
        }
    }
}
