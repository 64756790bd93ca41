//! From a Go command line to a plain one: a pure function, called once, before clap.
//!
//! Owns the syntax that Go's `flag` package and the Go binary's command library accept, and people's
//! fingers know: `-flag` and `--flag`, `=value` or the next word, booleans that may carry a value,
//! flags behind all positionals, `--`. Refuses to know what a flag means. What comes out has one form only,
//! `--flag=value` before `--` before positionals, so that clap has nothing to guess.
//!
//! An unknown flag or command passes through under its name: naming the nearest one is clap's job.

use std::collections::BTreeMap;

use machine_driver::{FlagSpec, OptionValue, Options};

/// A flag of the binary's own or of a driver, and the letter that is short for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// Its name, type and environment variable.
    pub spec: FlagSpec,
    /// `t` for `--timeout, -t`.
    pub short: Option<&'static str>,
    /// The values that are worth offering, if there are such.
    pub values: Vec<&'static str>,
}

impl Flag {
    /// Declares a flag without a short form.
    pub const fn new(spec: FlagSpec) -> Self {
        Self {
            spec,
            short: None,
            values: Vec::new(),
        }
    }

    /// Gives it a short form.
    #[must_use]
    pub const fn short(mut self, short: &'static str) -> Self {
        self.short = Some(short);
        self
    }

    /// Names the values that are worth offering.
    #[must_use]
    pub fn values(mut self, values: impl IntoIterator<Item = &'static str>) -> Self {
        self.values = values.into_iter().collect();
        self
    }

    /// Tells whether this is its name or its short form.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.spec.name == name || self.short == Some(name)
    }
}

/// What a command line may consist of.
#[derive(Debug, Clone, Default)]
pub struct Grammar {
    /// The flags before the command.
    pub global: Vec<Flag>,
    /// The flags of each command.
    pub commands: BTreeMap<&'static str, Vec<Flag>>,
    /// The commands whose words are taken as they are (`ssh NAME ls -l`), but for a first word of help.
    pub raw: Vec<&'static str>,
}

/// A command line in its one form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    /// `--flag=value` of the flags before the command.
    pub global: Vec<String>,
    /// The command, if there is one; whether it exists is not known here.
    pub command: Option<String>,
    /// `--flag=value` of the command's flags; `--flag` alone where nobody knows it.
    pub flags: Vec<String>,
    /// Everything else.
    pub words: Vec<String>,
}

impl Line {
    /// Returns the words for clap, the program's name not among them.
    pub fn for_clap(&self) -> Vec<String> {
        let mut line = self.global.clone();
        if let Some(command) = &self.command {
            line.push(command.clone());
            line.extend(self.flags.iter().cloned());
            line.push("--".to_owned());
            line.extend(self.words.iter().cloned());
        }
        line
    }
}

/// What Go's `flag` package says about a flag it cannot take. The sentences are Go's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// `---x`, `-=x`.
    #[error("bad flag syntax: {0}")]
    Malformed(String),
    /// The line ends where a value should be.
    #[error("flag needs an argument: -{0}")]
    ValueMissing(String),
    /// A number that is none.
    #[error("invalid value {value:?} for flag -{name}: parse error")]
    NotANumber {
        /// The flag.
        flag: Box<FlagSpec>,
        /// The flag's name, as typed.
        name: String,
        /// What was given.
        value: String,
    },
    /// A truth value that is none.
    #[error("invalid boolean value {value:?} for -{name}: parse error")]
    NotABoolean {
        /// The flag's name, as typed.
        name: String,
        /// What was given.
        value: String,
    },
    /// `-t 3 --timeout 4`.
    #[error("Cannot use two forms of the same flag: {0} {1}")]
    TwoForms(String, String),
}

/// Why a line was refused, and which command's it was: that command's help goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// `None`: it was a global flag.
    pub command: Option<String>,
    /// Why.
    pub why: SyntaxError,
}

/// Brings a command line, without the program's name, into its one form.
///
/// # Errors
/// [`Refused`] for the first flag that Go would refuse; unknown ones are clap's to refuse.
pub fn normalize(grammar: &Grammar, args: &[String]) -> Result<Line, Refused> {
    let refused = |command: Option<&String>| {
        let command = command.cloned();
        move |why| Refused { command, why }
    };
    let mut global = Scan::of(&grammar.global);
    let rest = global.run(args).map_err(refused(None))?;
    let mut line = Line {
        global: global.flags,
        ..Line::default()
    };
    let Some((command, args)) = rest.split_first() else {
        return Ok(line);
    };
    line.command = Some(command.clone());
    if grammar.raw.contains(&command.as_str()) {
        let asks_for_help = |word: &String| ["-h", "-help", "--help"].contains(&word.as_str());
        if args.first().is_some_and(asks_for_help) {
            line.flags.push("--help=true".to_owned());
        } else {
            line.words = args.to_vec();
        }
        return Ok(line);
    }
    let none = Vec::new();
    let flags = grammar.commands.get(command.as_str()).unwrap_or(&none);
    let mut scan = Scan::of(flags);
    let args = flags_first(args);
    let words = scan.run(&args).map_err(refused(Some(command)))?;
    line.words = words.to_vec();
    line.flags = scan.flags;
    Ok(line)
}

/// Moves what stands before the first flag behind the last word, as the Go binary's command library
/// does: `rm n1 -y` is `rm -y n1`, and `rm n1 -y n2` is `rm -y n2 n1`. A word between two flags
/// ends the flags, and nothing is moved past `--`.
fn flags_first(args: &[String]) -> Vec<String> {
    let terminator = args.iter().position(|arg| arg == "--");
    let (before, after) = args.split_at(terminator.unwrap_or(args.len()));
    match before.iter().position(|arg| arg.starts_with('-')) {
        Some(first) => {
            let (words, flags) = before.split_at(first);
            [flags, words, after].concat()
        }
        None => args.to_vec(),
    }
}

/// Returns the last value of a flag on a line in its one form.
pub fn last_value<'a>(flags: &'a [String], name: &str) -> Option<&'a str> {
    flags.iter().rev().find_map(|flag| {
        let (given, value) = flag.strip_prefix("--")?.split_once('=')?;
        (given == name).then_some(value)
    })
}

struct Scan<'a> {
    known: &'a [Flag],
    /// Under which name each flag was given first.
    forms: BTreeMap<&'static str, String>,
    flags: Vec<String>,
}

impl<'a> Scan<'a> {
    fn of(known: &'a [Flag]) -> Self {
        Self {
            known,
            forms: BTreeMap::new(),
            flags: Vec::new(),
        }
    }

    /// Takes flags until the first word or `--`. Returns the words behind them.
    fn run<'l>(&mut self, args: &'l [String]) -> Result<&'l [String], SyntaxError> {
        let mut rest = args;
        while let Some((arg, after)) = rest.split_first() {
            if arg == "--" {
                return Ok(after);
            }
            // A dash alone is a word: standard input, by custom.
            let Some(flag) = arg.strip_prefix('-').filter(|flag| !flag.is_empty()) else {
                return Ok(rest);
            };
            rest = self.flag(arg, flag.strip_prefix('-').unwrap_or(flag), after)?;
        }
        Ok(rest)
    }

    fn flag<'l>(
        &mut self,
        arg: &str,
        flag: &str,
        after: &'l [String],
    ) -> Result<&'l [String], SyntaxError> {
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (flag, None),
        };
        if name.is_empty() || name.starts_with('-') {
            return Err(SyntaxError::Malformed(arg.to_owned()));
        }
        let Some(known) = self.known.iter().find(|known| known.is_called(name)) else {
            self.flags.push(format!("--{name}"));
            return Ok(after);
        };
        let first = self
            .forms
            .entry(known.spec.name)
            .or_insert_with(|| name.to_owned());
        if first != name {
            let (long, short) = (known.spec.name, known.short.unwrap_or_default());
            return Err(SyntaxError::TwoForms(short.to_owned(), long.to_owned()));
        }
        let (value, after) = match (value, known.spec.kind) {
            (Some(value), _) => (value, after),
            (None, machine_driver::FlagKind::Bool) => ("true".to_owned(), after),
            (None, machine_driver::FlagKind::Switch { bare }) => (bare.to_owned(), after),
            (None, _) => match after.split_first() {
                Some((value, after)) => (value.clone(), after),
                None => return Err(SyntaxError::ValueMissing(name.to_owned())),
            },
        };
        if !fits(&known.spec, &value) {
            let name = name.to_owned();
            return Err(match known.spec.kind {
                machine_driver::FlagKind::Bool => SyntaxError::NotABoolean { name, value },
                _ => SyntaxError::NotANumber {
                    flag: Box::new(known.spec.clone()),
                    name,
                    value,
                },
            });
        }
        self.flags.push(format!("--{}={value}", known.spec.name));
        Ok(after)
    }
}

/// Tells whether a value is of its flag's type.
pub fn fits(spec: &FlagSpec, value: &str) -> bool {
    let given = OptionValue {
        values: vec![value.to_owned()],
        from_env: None,
    };
    Options::new(vec![spec.clone()], BTreeMap::from([(spec.name, given)])).is_ok()
}

#[cfg(test)]
mod tests;
