//! Masks secrets inside other text: in URLs, and in values whose names indicate a secret.

/// The replacement of a secret.
const MASK: &str = "***";

/// Words in a name that mark its value as a secret.
const SECRET: &[&str] = &[
    "token",
    "secret",
    "password",
    "passwd",
    "credential",
    "apikey",
    "api-key",
    "api_key",
    "accesskey",
    "access-key",
    "access_key",
    "private-key",
    "private_key",
    "shared-key",
    "shared_key",
    "signature",
];

/// Returns the text with its secrets masked: user and password of a URL (`https://***@host`), its query (`?***`), and
/// the value of a name that indicates a secret (`splunk-token=***`).
///
/// Use it for logs, `--debug`, errors and warnings, wherever an option, a URL or the output of another program is
/// quoted. Other forms of secrets cannot be recognized: keep a value that is a secret in a [`Secret`](crate::Secret).
pub fn masked(text: &str) -> String {
    behind_names(&in_urls(text))
}

fn ends_url(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>' | '|' | ')' | ']' | '}')
}

fn in_urls(text: &str) -> String {
    let mut parts = text.split("://");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        shown.push_str("://");
        let (url, rest) = part.split_at(part.find(ends_url).unwrap_or(part.len()));
        let authority = url.find(['/', '?', '#']).unwrap_or(url.len());
        let host = url
            .get(..authority)
            .and_then(|authority| authority.rfind('@'));
        let bare = match host {
            Some(at) => {
                shown.push_str(MASK);
                url.get(at..).unwrap_or_default()
            }
            None => url,
        };
        match bare.split_once('?') {
            Some((before, query)) if !query.is_empty() => {
                shown.push_str(before);
                shown.push('?');
                shown.push_str(MASK);
            }
            _ => shown.push_str(bare),
        }
        shown.push_str(rest);
    }
    shown
}

fn behind_names(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['=', ':']) {
        let (before, separated) = rest.split_at(at);
        let (separator, behind) = separated.split_at(1);
        shown.push_str(before);
        shown.push_str(separator);
        rest = behind;
        if !names_a_secret(before) {
            continue;
        }
        // `"name": "value"` of JSON: a blank is accepted only before a quote.
        let value = match behind.trim_start_matches(' ') {
            quoted if separator == ":" && quoted.starts_with(['"', '\'']) => quoted,
            _ => behind,
        };
        // A value that was escaped for display: \"value\".
        let value = match value.strip_prefix('\\') {
            Some(quoted) if quoted.starts_with(['"', '\'']) => quoted,
            _ => value,
        };
        let skipped = behind.len() - value.len();
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        let begin = skipped + usize::from(quote.is_some());
        let value = behind.get(begin..).unwrap_or_default();
        let end = match quote {
            Some(quote) => value.find(quote),
            None => value.find(|c: char| ends_url(c) || matches!(c, '&' | ',' | ';')),
        };
        let end = end.unwrap_or(value.len());
        if end > 0 {
            shown.push_str(behind.get(..begin).unwrap_or_default());
            shown.push_str(MASK);
            rest = value.get(end..).unwrap_or_default();
        }
    }
    shown + rest
}

/// Returns whether a text ends in a name that indicates a secret.
fn names_a_secret(before: &str) -> bool {
    let before = before.trim_end_matches(['"', '\'']);
    let begin = before
        .rfind(|c: char| !c.is_alphanumeric() && !matches!(c, '-' | '_' | '.'))
        .map_or(0, |at| {
            at + before[at..].chars().next().map_or(1, char::len_utf8)
        });
    let name = before.get(begin..).unwrap_or_default().to_ascii_lowercase();
    // Whether instance metadata needs tokens is no secret: `HttpTokens=required`, `--metadata-token=optional`.
    let is_of_metadata = name.ends_with("http-tokens")
        || name.ends_with("httptokens")
        || name.contains("metadata-token");
    !is_of_metadata && SECRET.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_query_of_a_url_are_masked() {
        for (text, shown) in [
            ("https://u:p@x.org/a@b", "https://***@x.org/a@b"),
            ("https://x.org/a@b", "https://x.org/a@b"),
            ("http://u:p@x.org", "http://***@x.org"),
            ("http://u:p@q@x.org/", "http://***@x.org/"),
            (
                "curl 'https://x/y?sig=1&se=2' failed",
                "curl 'https://x/y?***' failed",
            ),
            (
                "--registry-mirror https://u:p@x:5000 -H tcp://0.0.0.0:2376",
                "--registry-mirror https://***@x:5000 -H tcp://0.0.0.0:2376",
            ),
            ("/tmp/a@b", "/tmp/a@b"),
            ("https://x?", "https://x?"),
            ("a://b://u@c", "a://b://***@c"),
            ("", ""),
        ] {
            assert_eq!(masked(text), shown);
        }
    }

    #[test]
    fn values_of_secret_names_are_masked() {
        for (text, shown) in [
            (
                "--log-opt=splunk-token=abc --mtu=1400",
                "--log-opt=splunk-token=*** --mtu=1400",
            ),
            (
                r#""log-opt=splunk-token=\"a b\" c""#,
                r#""log-opt=splunk-token=\"***" c""#,
            ),
            (
                "CLOUD_SECRET_ACCESS_KEY='a b' X=1",
                "CLOUD_SECRET_ACCESS_KEY='***' X=1",
            ),
            (
                r#"{"splunk-token": "a b","x":1}"#,
                r#"{"splunk-token": "***","x":1}"#,
            ),
            ("map[splunk-token:abc tag:x]", "map[splunk-token:*** tag:x]"),
            ("invalid token: }", "invalid token: }"),
            ("token=", "token="),
            ("Zürich-TOKEN=ö, rest", "Zürich-TOKEN=***, rest"),
            ("token=a&b=c", "token=***&b=c"),
            ("a=b:c", "a=b:c"),
            ("HttpTokens=required", "HttpTokens=required"),
            ("--metadata-token=optional", "--metadata-token=optional"),
        ] {
            assert_eq!(masked(text), shown);
        }
    }
}
