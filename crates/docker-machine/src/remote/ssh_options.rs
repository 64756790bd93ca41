//! Options of ssh(1) between a machine's name and the command: the Go binary passes them to OpenSSH, and scripts use
//! `ssh m1 -t …`.

/// Parsed options.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SshOptions {
    /// Whether to allocate a pseudo-terminal, if given.
    pub(crate) terminal: Option<Terminal>,
    /// `-n`: do not read standard input.
    pub(crate) no_input: bool,
    /// `-l`: a login name.
    pub(crate) user: Option<String>,
    /// `-p`: a port.
    pub(crate) port: Option<String>,
    /// The first option that only OpenSSH supports.
    pub(crate) openssh: Option<char>,
    /// Number of words that the options take, without `--`.
    pub(crate) words: usize,
}

/// When to allocate a pseudo-terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Terminal {
    /// `-t`: if standard input is a terminal.
    Wanted,
    /// `-tt`: always.
    Forced,
    /// `-T`: never.
    None,
}

/// Reason why a word is not a valid option.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OptionError {
    #[error("ssh(1) has no option -{0}")]
    Unknown(char),
    #[error("option -{0} needs a value")]
    ValueMissing(char),
}

/// Options of OpenSSH 9 that this program does not support: without a value, and with one (ssh.c, `getopt`).
const OPENSSH: &str = "AfGgKkMNsVXxYy";
const OPENSSH_WITH_VALUE: &str = "BbcDEeFIiJLmOoPQRSWw";

impl SshOptions {
    /// Parses the options at the beginning of the words, up to `--` or the first word that is no option. Returns them
    /// and the words of the command.
    pub(crate) fn take(words: &[String]) -> Result<(Self, &[String]), OptionError> {
        let mut options = Self::default();
        let mut rest = words;
        while let Some((word, mut after)) = rest.split_first() {
            if word == "--" {
                options.words = words.len() - rest.len();
                return Ok((options, after));
            }
            let Some(letters) = word.strip_prefix('-').filter(|rest| !rest.is_empty()) else {
                break;
            };
            let mut letters = letters.chars();
            while let Some(letter) = letters.next() {
                if letter == 'l' || letter == 'p' || OPENSSH_WITH_VALUE.contains(letter) {
                    let value = match letters.as_str() {
                        "" => {
                            let next = after.split_first();
                            let (value, behind) = next.ok_or(OptionError::ValueMissing(letter))?;
                            after = behind;
                            value.clone()
                        }
                        value => value.to_owned(),
                    };
                    // If a value is given several times, the first counts.
                    match letter {
                        'l' => drop(options.user.get_or_insert(value)),
                        'p' => drop(options.port.get_or_insert(value)),
                        _ => drop(options.openssh.get_or_insert(letter)),
                    }
                    break;
                }
                options.switch(letter)?;
            }
            rest = after;
        }
        options.words = words.len() - rest.len();
        Ok((options, rest))
    }

    fn switch(&mut self, letter: char) -> Result<(), OptionError> {
        match letter {
            't' => {
                self.terminal = Some(match self.terminal {
                    Some(Terminal::Wanted | Terminal::Forced) => Terminal::Forced,
                    _ => Terminal::Wanted,
                });
            }
            'T' => self.terminal = Some(Terminal::None),
            'n' => self.no_input = true,
            // Agent forwarding is always off. Compression and verbosity do not change the result, and the address
            // determines its own family.
            'a' | 'q' | 'v' | 'C' | '4' | '6' => {}
            letter if OPENSSH.contains(letter) => drop(self.openssh.get_or_insert(letter)),
            letter => return Err(OptionError::Unknown(letter)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    fn taken(line: &str) -> (SshOptions, String) {
        let words = words(line);
        let (options, command) = SshOptions::take(&words).unwrap();
        (options, command.join(" "))
    }

    #[test]
    fn options_end_where_the_command_begins() {
        for (line, count, command) in [
            ("ls -d /tmp", 0, "ls -d /tmp"),
            ("-- -t x", 0, "-t x"),
            ("-q -v -vv46C x -t", 3, "x -t"),
            ("- x", 0, "- x"),
        ] {
            let expected = SshOptions {
                words: count,
                ..SshOptions::default()
            };
            assert_eq!(taken(line), (expected, command.to_owned()), "{line}");
        }
    }

    #[test]
    fn terminals_users_and_ports() {
        for (line, terminal) in [
            ("-t x", Terminal::Wanted),
            ("-tt x", Terminal::Forced),
            ("-t -qtt x", Terminal::Forced),
            ("-tT x", Terminal::None),
        ] {
            assert_eq!(taken(line).0.terminal, Some(terminal), "{line}");
        }
        let (options, command) = taken("-nl me -p2022 -l you -- x");
        assert_eq!(command, "x");
        assert!(options.no_input);
        assert_eq!(
            (options.user.as_deref(), options.port.as_deref()),
            (Some("me"), Some("2022"))
        );
    }

    #[test]
    fn options_of_openssh_are_told_from_the_command() {
        for (line, letter, command) in [
            ("-L 8080:localhost:80 x -t", 'L', "x -t"),
            ("-L8080:localhost:80 x", 'L', "x"),
            ("-NfL 1:h:2", 'N', ""),
            ("-qo StrictHostKeyChecking=no -- -x", 'o', "-x"),
            ("-A x -l", 'A', "x -l"),
            ("-O exit", 'O', ""),
        ] {
            let (options, rest) = taken(line);
            assert_eq!(
                (options.openssh, rest.as_str()),
                (Some(letter), command),
                "{line}"
            );
        }
        assert_eq!(taken("-tL 1:h:2 -l u -- x").0.words, 4);
    }

    #[test]
    fn what_ssh_does_not_have_is_refused() {
        for (line, why) in [
            ("-Z x", OptionError::Unknown('Z')),
            ("--help x", OptionError::Unknown('-')),
            ("-l", OptionError::ValueMissing('l')),
            ("-NL", OptionError::ValueMissing('L')),
        ] {
            assert_eq!(SshOptions::take(&words(line)), Err(why), "{line}");
        }
    }
}
