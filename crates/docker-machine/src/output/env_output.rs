//! The script that `env` prints, in the language of each shell.
//!
//! Byte for byte the Go binary's, because it is evaluated, compared and cut up by other scripts. Pure.

use crate::environment::Environment;

/// The languages. Every other shell is taken for one that reads POSIX sh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Posix,
    Fish,
    PowerShell,
    Cmd,
    Tcsh,
    Emacs,
}

/// What stands before a variable's name, between it and its value, and behind the value.
struct Form(&'static str, &'static str, &'static str);

impl Language {
    /// Finds the language of a shell by its name.
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

/// The variable that keeps connections from a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NoProxy {
    /// `no_proxy` where that is set, else `NO_PROXY`.
    pub(crate) variable: &'static str,
    /// Its value.
    pub(crate) value: String,
}

impl NoProxy {
    /// Finds it.
    pub(crate) fn of(environment: &Environment) -> Self {
        let variable = match environment.get("no_proxy") {
            Some(_) => "no_proxy",
            None => "NO_PROXY",
        };
        let value = environment.get(variable).unwrap_or_default().to_owned();
        Self { variable, value }
    }

    /// Adds an address, unless it is there.
    pub(crate) fn with(mut self, address: &str) -> Self {
        if self.value.is_empty() {
            self.value = address.to_owned();
        } else if !self.value.contains(address) {
            self.value = format!("{},{address}", self.value);
        }
        self
    }
}

/// Returns the commands that set variables.
pub(crate) fn set(shell: Language, variables: &[(&str, String)]) -> String {
    let Form(before, between, behind) = shell.setting();
    variables
        .iter()
        .map(|(name, value)| format!("{before}{name}{between}{value}{behind}"))
        .collect()
}

/// Returns the commands that unset the variables again.
///
/// The value of a proxy variable follows its name without a separator: that is how the Go binary's
/// output reads, and it is compared byte for byte.
pub(crate) fn unset(shell: Language, no_proxy: Option<&NoProxy>) -> String {
    let Form(before, between, behind) = shell.unsetting();
    let names = [
        ("DOCKER_TLS_VERIFY", ""),
        ("DOCKER_HOST", ""),
        ("DOCKER_CERT_PATH", ""),
        ("DOCKER_MACHINE_NAME", ""),
    ];
    let no_proxy = no_proxy.map(|no_proxy| (no_proxy.variable, no_proxy.value.as_str()));
    names
        .into_iter()
        .chain(no_proxy)
        .map(|(name, value)| format!("{before}{name}{between}{value}{behind}"))
        .collect()
}

/// Returns the comment that says how to run the command line, as typed, in the shell.
pub(crate) fn usage_hint(shell: Language, args: &[String]) -> String {
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
        let script = |name| set(Language::called(name), &[("A", "b c".to_owned())]);
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
