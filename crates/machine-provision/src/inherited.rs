//! Options that the host's own `docker.service` passes to dockerd, and that stay in effect together with the plan's.
//!
//! The drop-in of this program replaces the unit's command line: its options (`--data-root`, `$DOCKER_OPTS` of
//! `/etc/default/docker`, the GPU runtime of `$DOCKER_ADD_RUNTIMES`) would be lost with it, and with a data root all
//! images and containers. So they are repeated after the plan's flags, word by word as in the unit, so that a
//! variable keeps its meaning. If a word conflicts with a flag of the plan, the plan wins.
//!
//! Rules: systemd.syntax(7), systemd.service(5) "Command lines", systemd.exec(5) `Environment=` and
//! `EnvironmentFile=`.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::ProvisionError;
use crate::flags::{Flag, key};
use crate::sections::Section;
use crate::unit;

/// The inherited options.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Inherited {
    /// The words for `ExecStart=`, after the plan's.
    pub(crate) arguments: String,
    /// Warnings for the user about options that the plan's flags override.
    pub(crate) warnings: Vec<String>,
}

/// Reads the sections that the script sends: `unit PATH` for the unit's file and its drop-ins in their order,
/// `environment PATH` for the files that they name, `storage-driver NAME` for the storage driver of this program's
/// previous drop-in.
///
/// # Errors
/// [`ProvisionError::Option`] for a word that a command line cannot hold.
pub(crate) fn inherit(
    sections: &[Section],
    ours: &[Flag],
    environment: &[String],
) -> Result<Inherited, ProvisionError> {
    let of_kind = |kind: &'static str| {
        sections
            .iter()
            .filter(move |section| section.name.split(' ').next() == Some(kind))
    };
    let mut inherited = Inherited::default();
    let mut settings = Settings::default();
    of_kind("unit").for_each(|section| settings.read(&section.text));
    let mut variables: BTreeMap<String, String> = BTreeMap::new();
    let assigned = settings.environment.iter().flat_map(|line| tokens(line));
    let assigned = assigned.map(|token| percent(&token.text));
    variables.extend(
        assigned
            .chain(environment.iter().cloned())
            .filter_map(|word| {
                let (name, value) = word.split_once('=')?;
                Some((name.to_owned(), value.to_owned()))
            }),
    );
    for file in of_kind("environment") {
        variables.extend(environment_file(&file.text));
    }

    let mut ours = ours.to_vec();
    let driver = of_kind("storage-driver").next();
    if let Some((_, driver)) = driver.and_then(|section| section.name.split_once(' ')) {
        let flag = Flag::two("--storage-driver", "storage-driver", driver);
        inherited.arguments = unit::arguments(&flag.words)?;
        ours.push(flag);
    }
    let Some(line) = settings.exec_start.last() else {
        return Ok(inherited);
    };
    let Some(arguments) = Arguments::of_dockerd(line, &variables) else {
        let program = line.split_whitespace().next().unwrap_or_default();
        inherited.warnings.push(format!(
            "docker.service on the host starts Docker by {program}: what that passes to dockerd is not taken over"
        ));
        return Ok(inherited);
    };
    let kept = arguments.beside(&ours, &mut inherited.warnings)?;
    if !inherited.arguments.is_empty() && !kept.is_empty() {
        inherited.arguments.push(' ');
    }
    inherited.arguments.push_str(&kept);
    Ok(inherited)
}

/// The relevant settings of the unit's files.
#[derive(Default)]
struct Settings {
    exec_start: Vec<String>,
    environment: Vec<String>,
}

impl Settings {
    fn read(&mut self, text: &str) {
        let mut is_service = false;
        for line in logical_lines(text) {
            if line.starts_with('[') {
                is_service = line == "[Service]";
            }
            let Some((name, value)) = line.split_once('=').filter(|_| is_service) else {
                continue;
            };
            let list = match name.trim() {
                "ExecStart" => &mut self.exec_start,
                "Environment" => &mut self.environment,
                _ => continue,
            };
            // An empty value clears the earlier ones.
            match value.trim() {
                "" => list.clear(),
                value => list.push(value.to_owned()),
            }
        }
    }
}

/// Returns lines with continuations joined, without comments and empty lines.
fn logical_lines(text: &str) -> Vec<String> {
    let (mut lines, mut begun) = (Vec::new(), String::new());
    for line in text.lines() {
        if line.trim_start().starts_with(['#', ';']) {
            continue;
        }
        match line.strip_suffix('\\') {
            Some(part) => {
                begun.push_str(part);
                begun.push(' ');
            }
            None => {
                begun.push_str(line);
                lines.push(std::mem::take(&mut begun).trim().to_owned());
            }
        }
    }
    lines.push(begun.trim().to_owned());
    lines.retain(|line| !line.is_empty());
    lines
}

/// Parses the assignments of an environment file.
fn environment_file(text: &str) -> Vec<(String, String)> {
    let lines = logical_lines(text);
    let assignments = lines.iter().filter_map(|line| line.split_once('='));
    assignments
        .map(|(name, value)| {
            let value = value.trim();
            let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
            let quoted = quote.and_then(|quote| value.get(1..)?.strip_suffix(quote));
            (name.trim().to_owned(), quoted.unwrap_or(value).to_owned())
        })
        .collect()
}

/// A word of a line: as written, and without its quotes.
#[derive(Debug, Clone)]
struct Token {
    raw: String,
    text: String,
}

/// Splits a line at its blanks. Text after an unclosed quote belongs to the last word: systemd would reject such a
/// line.
fn tokens(line: &str) -> Vec<Token> {
    let mut all = Vec::new();
    let mut token: Option<Token> = None;
    let mut quote = None;
    let mut characters = line.chars().peekable();
    while let Some(c) = characters.next() {
        if quote.is_none() && c.is_whitespace() {
            all.extend(token.take());
            continue;
        }
        let token = token.get_or_insert_with(|| Token {
            raw: String::new(),
            text: String::new(),
        });
        token.raw.push(c);
        match (c, quote) {
            ('\\', _) => {
                if let Some(escaped) = characters.next() {
                    token.raw.push(escaped);
                    token.text.push(match escaped {
                        'n' => '\n',
                        't' => '\t',
                        's' => ' ',
                        other => other,
                    });
                }
            }
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => quote = Some(c),
            (c, _) => token.text.push(c),
        }
    }
    all.extend(token);
    all
}

fn percent(text: &str) -> String {
    text.replace("%%", "%")
}

/// The arguments of dockerd, and the origin of each.
struct Arguments {
    /// As written in the unit.
    raw: Vec<String>,
    /// As dockerd receives them, each with the index of its origin in `raw`.
    words: Vec<(usize, String)>,
}

impl Arguments {
    /// Parses a command line; `None` if it does not start dockerd itself.
    fn of_dockerd(line: &str, variables: &BTreeMap<String, String>) -> Option<Self> {
        let tokens = tokens(line);
        let is_dockerd = |token: &Token| {
            let text = expand(&token.text, variables);
            let name = text.rsplit('/').next().unwrap_or_default();
            name == "dockerd" || name.starts_with("dockerd-")
        };
        let program = tokens.iter().position(is_dockerd)?;
        let is_renamed = tokens.first()?.raw.starts_with('@');
        let arguments = tokens
            .into_iter()
            .skip(program + 1 + usize::from(is_renamed));
        let mut made = Self {
            raw: Vec::new(),
            words: Vec::new(),
        };
        for token in arguments {
            let place = made.raw.len();
            // `$NAME` alone expands to as many words as its value has.
            let name = token.raw.strip_prefix('$').filter(|name| is_name(name));
            match name {
                Some(name) => {
                    let value = variables.get(name).map_or("", String::as_str);
                    let words = crate::inherited::tokens(value);
                    made.words
                        .extend(words.into_iter().map(|word| (place, word.text)));
                }
                None => made.words.push((place, expand(&token.text, variables))),
            }
            made.raw.push(token.raw);
        }
        Some(made)
    }

    /// Returns the arguments that do not conflict with the plan's flags, and adds a warning for each of the others.
    fn beside(&self, ours: &[Flag], warnings: &mut Vec<String>) -> Result<String, ProvisionError> {
        let words: Vec<&str> = self.words.iter().map(|(_, word)| word.as_str()).collect();
        let mut is_kept = vec![true; words.len()];
        for found in parse(&words) {
            let verdict = verdict(&found, ours);
            let said = words.get(found.words.clone()).unwrap_or_default().join(" ");
            if let Verdict::GivesWay(flag) = &verdict {
                warnings.push(format!(
                    "docker.service on the host passes {said}: {} is used instead",
                    flag.words.join(" ")
                ));
            }
            if !matches!(verdict, Verdict::Stays) {
                found.words.for_each(|place| is_kept[place] = false);
            }
        }
        let mut line = Vec::new();
        for (place, raw) in self.raw.iter().enumerate() {
            let mine = self.words.iter().zip(&is_kept);
            let mine = mine.filter(|((origin, _), _)| *origin == place);
            if mine.clone().all(|(_, kept)| *kept) {
                line.push(raw.clone());
                continue;
            }
            let kept = mine.filter(|(_, kept)| **kept);
            let kept: Vec<String> = kept.map(|((_, word), _)| word.clone()).collect();
            if !kept.is_empty() {
                line.push(unit::arguments(&kept)?);
            }
        }
        Ok(line.join(" "))
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Expands the variables of a word.
fn expand(word: &str, variables: &BTreeMap<String, String>) -> String {
    let word = percent(word);
    let mut parts = word.split("${");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('}') {
            Some((name, rest)) if is_name(name) => {
                text.push_str(variables.get(name).map_or("", String::as_str));
                text.push_str(rest);
            }
            _ => {
                text.push_str("${");
                text.push_str(part);
            }
        }
    }
    text.replace("$$", "$")
}

/// A flag on dockerd's command line.
struct Found {
    key: String,
    value: String,
    words: Range<usize>,
}

/// dockerd's flags without a value (`dockerd --help` of 18.09 to 29); any other takes the next word.
const SWITCHES: &[&str] = &[
    "D",
    "allow-direct-routing",
    "bridge-accept-fwmark",
    "debug",
    "disable-legacy-registry",
    "experimental",
    "help",
    "icc",
    "init",
    "ip-forward",
    "ip-forward-no-drop",
    "ip-masq",
    "ip6tables",
    "iptables",
    "ipv6",
    "live-restore",
    "no-new-privileges",
    "raw-logs",
    "rootless",
    "selinux-enabled",
    "tls",
    "tlsverify",
    "userland-proxy",
    "validate",
];

fn parse(words: &[&str]) -> Vec<Found> {
    let mut all = Vec::new();
    let mut place = 0;
    while let Some(word) = words.get(place) {
        let begin = place;
        place += 1;
        let (name, value) = match (word.strip_prefix("--"), word.strip_prefix('-')) {
            (Some(long), _) => match long.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (long, None),
            },
            // -Hfd://, -H=fd://
            (None, Some(short)) if !short.is_empty() => {
                let end = short.chars().next().map_or(0, char::len_utf8);
                let (name, value) = short.split_at(end);
                let value = value.strip_prefix('=').unwrap_or(value);
                (name, Some(value).filter(|value| !value.is_empty()))
            }
            _ => continue,
        };
        let value = match value {
            Some(value) => value,
            None if SWITCHES.contains(&name) => "true",
            None => {
                place += 1;
                words.get(place - 1).copied().unwrap_or_default()
            }
        };
        all.push(Found {
            key: key(name).to_owned(),
            value: value.to_owned(),
            words: begin..place.min(words.len()),
        });
    }
    all
}

enum Verdict<'a> {
    Stays,
    /// The plan's flag has the same value.
    Repeats,
    GivesWay(&'a Flag),
}

fn verdict<'a>(found: &Found, ours: &'a [Flag]) -> Verdict<'a> {
    // The socket of docker.socket: dockerd takes over its path.
    if found.key == "hosts" && found.value.starts_with("fd://") {
        return Verdict::Repeats;
    }
    match ours
        .iter()
        .find(|flag| flag.collides(&found.key, &found.value))
    {
        None => Verdict::Stays,
        Some(flag) if flag.says(&found.value) => Verdict::Repeats,
        Some(flag) => Verdict::GivesWay(flag),
    }
}
