//! Output of `env`: a script in the syntax of each shell.
//!
//! Same as the Go binary's, byte for byte, because other scripts evaluate, compare and cut it. Special characters in a
//! value are escaped in the shell's syntax, which the Go binary does not do; a character that cannot be escaped is an
//! error. Performs no I/O.

use crate::environment::Environment;

/// Shell syntaxes. Every other shell is assumed to read POSIX sh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Posix,
    Fish,
    PowerShell,
    Cmd,
    Tcsh,
    Emacs,
}

/// Text before a variable's name, between name and value, and after the value.
struct Form(&'static str, &'static str, &'static str);

impl Language {
    /// Returns the syntax of a shell by its name.
    pub(crate) fn called(name: &str) -> Self {
        match name {
            "fish" => Self::Fish,
            "powershell" => Self::PowerShell,
            "cmd" => Self::Cmd,
            "tcsh" => Self::Tcsh,
            "emacs" => Self::Emacs,
            _ => Self::Posix,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Posix => "sh",
            Self::Fish => "fish",
            Self::PowerShell => "powershell",
            Self::Cmd => "cmd",
            Self::Tcsh => "tcsh",
            Self::Emacs => "emacs",
        }
    }

    fn setting(self) -> Form {
        match self {
            Self::Posix => Form("export ", "=\"", "\"\n"),
            Self::Fish => Form("set -gx ", " \"", "\";\n"),
            Self::PowerShell => Form("$Env:", " = \"", "\"\n"),
            Self::Cmd => Form("SET ", "=", "\n"),
            Self::Tcsh => Form("setenv ", " \"", "\";\n"),
            Self::Emacs => Form("(setenv \"", "\" \"", "\")\n"),
        }
    }

    fn unsetting(self) -> Form {
        match self {
            Self::Posix => Form("unset ", "", "\n"),
            Self::Fish => Form("set -e ", "", ";\n"),
            Self::PowerShell => Form(r"Remove-Item Env:\\", "", "\n"),
            Self::Cmd => Form("SET ", "=", "\n"),
            Self::Tcsh => Form("unsetenv ", "", ";\n"),
            Self::Emacs => Form("(setenv \"", "\" nil", ")\n"),
        }
    }
}

/// The variable that lists the addresses without a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NoProxy {
    /// `no_proxy` if that is set, else `NO_PROXY`.
    pub(crate) variable: &'static str,
    /// Value of the variable.
    pub(crate) value: String,
}

impl NoProxy {
    /// Reads it from the environment.
    pub(crate) fn of(environment: &Environment) -> Self {
        let variable = match environment.get("no_proxy") {
            Some(_) => "no_proxy",
            None => "NO_PROXY",
        };
        let value = environment.get(variable).unwrap_or_default().to_owned();
        Self { variable, value }
    }

    /// Adds an address unless it is present.
    pub(crate) fn with(mut self, address: &str) -> Self {
        if self.value.is_empty() {
            self.value = address.to_owned();
        } else if !self.value.contains(address) {
            self.value = format!("{},{address}", self.value);
        }
        self
    }
}

/// A value that cannot be written in the syntax of this shell.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot set {variable} to {value:?} in {shell}: {character:?} in it would be read otherwise"
)]
pub(crate) struct Unfit {
    variable: String,
    value: String,
    shell: &'static str,
    character: char,
}

impl Language {
    /// Escapes the special characters of a value.
    ///
    /// # Errors
    /// Returns the character that cannot be escaped. Control characters are errors in every shell: most of them are
    /// lost, or end the command, in `eval $(docker-machine env)`, where the shell splits the output into words.
    fn escaped(self, value: &str) -> Result<String, char> {
        let mut escaped = String::with_capacity(value.len());
        let mut characters = value.chars().peekable();
        while let Some(character) = characters.next() {
            let next = characters.peek();
            match (self, character) {
                (_, character) if character.is_control() => return Err(character),
                // POSIX.1-2017, Shell Command Language, 2.2.3.
                (Self::Posix, '"' | '\\' | '$' | '`')
                // fish, Language, Quotes.
                | (Self::Fish, '"' | '\\' | '$')
                // GNU Emacs Lisp Reference Manual, 2.4.8.
                | (Self::Emacs, '"' | '\\')
                // tcsh(1), History substitution: it is expanded before quotes are.
                | (Self::Tcsh, '!') => escaped.extend(['\\', character]),
                // tcsh(1), Lexical structure: these cannot be escaped between double quotes.
                (Self::Tcsh, '"' | '$' | '`') => escaped.push_str(&format!("\"'{character}'\"")),
                (Self::Tcsh, '\\') if next == Some(&'!') => escaped.push_str(r#""'\'""#),
                // PowerShell, about_Quoting_Rules: typographic quotes count as quotes.
                (Self::PowerShell, '"' | '$' | '`' | '\u{201c}'..='\u{201f}') => {
                    escaped.extend(['`', character]);
                }
                // Escaped for `FOR`, they are wrong in a batch file, and vice versa.
                (Self::Cmd, '"' | '%' | '!' | '^' | '&' | '|' | '<' | '>') => return Err(character),
                _ => escaped.push(character),
            }
        }
        Ok(escaped)
    }
}

/// Returns the commands that set variables.
///
/// # Errors
/// Returns the first value that cannot be escaped.
pub(crate) fn set(shell: Language, variables: &[(&str, String)]) -> Result<String, Unfit> {
    let Form(before, between, behind) = shell.setting();
    let command = |(name, value): &(&str, String)| match shell.escaped(value) {
        Ok(value) => Ok(format!("{before}{name}{between}{value}{behind}")),
        Err(character) => Err(Unfit {
            variable: (*name).to_owned(),
            value: value.clone(),
            shell: shell.name(),
            character,
        }),
    };
    variables.iter().map(command).collect()
}

/// Returns whether a text has no special meaning in any shell, without quotes.
fn is_plain(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_alphanumeric() || "-_./=:,@+~ *[]".contains(c))
}

/// Returns the commands that unset the variables again.
///
/// The value of a proxy variable follows its name without a separator, as in the Go binary, whose output is compared
/// byte for byte. A value with special characters is left out.
pub(crate) fn unset(shell: Language, no_proxy: Option<&NoProxy>) -> String {
    let Form(before, between, behind) = shell.unsetting();
    let names = [
        ("DOCKER_TLS_VERIFY", ""),
        ("DOCKER_HOST", ""),
        ("DOCKER_CERT_PATH", ""),
        ("DOCKER_MACHINE_NAME", ""),
    ];
    let no_proxy = no_proxy.map(|no_proxy| match no_proxy.value.as_str() {
        value if is_plain(value) => (no_proxy.variable, value),
        _ => (no_proxy.variable, ""),
    });
    names
        .into_iter()
        .chain(no_proxy)
        .map(|(name, value)| format!("{before}{name}{between}{value}{behind}"))
        .collect()
}

/// Returns the comment that says how to run the command line, as typed, in the shell. Returns an empty text if the
/// command line contains special characters: not every shell ignores the comment.
pub(crate) fn usage_hint(shell: Language, args: &[String]) -> String {
    let is_harmless = |arg: &String| is_plain(&arg.replace(['\\', '"', '\''], "/"));
    if !args.iter().all(is_harmless) {
        return String::new();
    }
    let mut args = args.to_vec();
    if let Some(program) = args
        .first_mut()
        .filter(|program| program.contains([' ', '\\']))
    {
        *program = format!("\"{program}\"");
    }
    let line = args.join(" ");
    let (comment, command) = match shell {
        Language::Posix => ("#", format!("eval $({line})")),
        Language::Fish => ("#", format!("eval ({line})")),
        Language::PowerShell => ("#", format!("& {line} | Invoke-Expression")),
        Language::Cmd => (
            "REM",
            format!("\t@FOR /f \"tokens=*\" %i IN ('{line}') DO @%i"),
        ),
        Language::Tcsh => (":", format!("eval `{line}`")),
        Language::Emacs => (
            ";;",
            format!("(with-temp-buffer (shell-command \"{line}\" (current-buffer)) (eval-buffer))"),
        ),
    };
    format!("{comment} Run this command to configure your shell: \n{comment} {command}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shell_is_set_in_its_language() {
        let script = |name| set(Language::called(name), &[("A", "b c".to_owned())]).unwrap();
        for (name, text) in [
            ("bash", "export A=\"b c\"\n"),
            ("dash", "export A=\"b c\"\n"),
            ("fish", "set -gx A \"b c\";\n"),
            ("powershell", "$Env:A = \"b c\"\n"),
            ("cmd", "SET A=b c\n"),
            ("tcsh", "setenv A \"b c\";\n"),
            ("emacs", "(setenv \"A\" \"b c\")\n"),
        ] {
            assert_eq!(script(name), text);
        }
    }

    #[test]
    fn what_a_shell_would_obey_is_escaped_in_its_way() {
        let value = r#"a"b$(c)`d`\e!f"#;
        let escaped = |name| Language::called(name).escaped(value);
        for (name, text) in [
            ("sh", r#"a\"b\$(c)\`d\`\\e!f"#),
            ("fish", r#"a\"b\$(c)`d`\\e!f"#),
            ("tcsh", r#"a"'"'"b"'$'"(c)"'`'"d"'`'"\e\!f"#),
            ("powershell", r#"a`"b`$(c)``d``\e!f"#),
            ("emacs", r#"a\"b$(c)`d`\\e!f"#),
        ] {
            assert_eq!(escaped(name).unwrap(), text, "{name}");
        }
        assert_eq!(escaped("cmd"), Err('"'));
        assert_eq!(Language::Tcsh.escaped(r"\!").unwrap(), r#""'\'"\!"#);
        assert_eq!(
            Language::PowerShell.escaped("\u{201d}").unwrap(),
            "`\u{201d}"
        );
        for name in ["sh", "fish", "tcsh", "powershell", "emacs", "cmd"] {
            let shell = Language::called(name);
            for control in ["a\nb", "\r", "\t", "\0", "\u{9b}"] {
                assert!(shell.escaped(control).is_err(), "{name}: {control:?}");
            }
            let usual = "/home/Zoë/it's-1.0_x y (z)";
            assert_eq!(shell.escaped(usual).unwrap(), usual);
        }
        let refused = set(Language::Cmd, &[("A", "1".into()), ("B", "a&b".into())]);
        assert_eq!(
            refused.unwrap_err().to_string(),
            "cannot set B to \"a&b\" in cmd: '&' in it would be read otherwise"
        );
    }

    #[test]
    fn what_is_printed_without_quotes_is_plain_or_left_out() {
        let of = |value: &str| NoProxy {
            variable: "NO_PROXY",
            value: value.to_owned(),
        };
        let last = |value| {
            let script = unset(Language::Posix, Some(&of(value)));
            script.lines().last().unwrap().to_owned()
        };
        assert_eq!(last("a.org,10.0.0.0/8"), "unset NO_PROXYa.org,10.0.0.0/8");
        assert_eq!(last("a;touch x"), "unset NO_PROXY");
        let args = |arg: &str| vec!["dm".to_owned(), "env".into(), arg.into()];
        assert_eq!(usage_hint(Language::Tcsh, &args("`touch x`")), "");
        assert_eq!(usage_hint(Language::Posix, &args("a\nb")), "");
    }

    #[test]
    fn each_shell_is_unset_in_its_language() {
        for (shell, first) in [
            (Language::Posix, "unset DOCKER_TLS_VERIFY\n"),
            (Language::Fish, "set -e DOCKER_TLS_VERIFY;\n"),
            (
                Language::PowerShell,
                "Remove-Item Env:\\\\DOCKER_TLS_VERIFY\n",
            ),
            (Language::Cmd, "SET DOCKER_TLS_VERIFY=\n"),
            (Language::Tcsh, "unsetenv DOCKER_TLS_VERIFY;\n"),
            (Language::Emacs, "(setenv \"DOCKER_TLS_VERIFY\" nil)\n"),
        ] {
            assert!(unset(shell, None).starts_with(first), "{shell:?}");
        }
    }

    #[test]
    fn the_lower_case_proxy_variable_goes_before_the_other() {
        let of = |pairs: &[(&str, &str)]| {
            NoProxy::of(&Environment::new(
                pairs.iter().map(|(n, v)| (n.to_string(), v.to_string())),
            ))
        };
        let both = of(&[("no_proxy", "a"), ("NO_PROXY", "b")]);
        assert_eq!((both.variable, both.value.as_str()), ("no_proxy", "a"));
        let empty = of(&[("no_proxy", "")]).with("10.0.0.1");
        assert_eq!(
            (empty.variable, empty.value.as_str()),
            ("NO_PROXY", "10.0.0.1")
        );
        assert_eq!(
            of(&[("NO_PROXY", "x,10.0.0.1")]).with("10.0.0.1").value,
            "x,10.0.0.1"
        );
        assert_eq!(
            of(&[("NO_PROXY", "x")]).with("10.0.0.1").value,
            "x,10.0.0.1"
        );
    }

    #[test]
    fn the_hint_repeats_the_command_line_as_typed() {
        let args = |program: &str| vec![program.to_owned(), "env".into(), "n".into()];
        assert_eq!(
            usage_hint(Language::Posix, &args("/opt/my tools/dm")),
            "# Run this command to configure your shell: \n# eval $(\"/opt/my tools/dm\" env n)\n"
        );
        assert!(
            usage_hint(Language::Cmd, &args("dm"))
                .ends_with("REM \t@FOR /f \"tokens=*\" %i IN ('dm env n') DO @%i\n")
        );
    }
}
