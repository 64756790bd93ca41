//! Converts the settings of the docker+machine executor to those of the docker-autoscaler executor.
//!
//! Sources, all of GitLab Runner 19.4: `executors/docker/machine/idle_limit_strategy.go` and
//! `docs/configuration/advanced-configuration.md`, "The `[runners.autoscaler]` section".

use std::collections::BTreeSet;
use std::iter::once;

use machine_types::masked;

use super::{MachineSettings, Runner, RunnerConfig, periods};

/// A converted `[[runners]]` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutoscalerSection {
    /// The runner, for messages.
    pub runner: String,
    /// The settings that replace `executor` and `[runners.machine]`, as TOML. Contains no secrets.
    pub toml: String,
    /// The settings without a counterpart, and differences. They are comments of the TOML, too.
    pub notes: Vec<String>,
}

/// Finds the mistake in an option of a driver, if there is one.
type FindMistake<'a> = &'a dyn Fn(&MachineSettings, &str) -> Option<String>;

/// Converts the runners of a configuration file that use the docker+machine executor. `mistake` returns what is wrong
/// with an option; it gets no option that may hold a secret.
pub fn autoscaler_sections(
    config: &RunnerConfig,
    mistake: FindMistake<'_>,
) -> Vec<AutoscalerSection> {
    let mut pools = BTreeSet::new();
    let drains = config.machine.shutdown_drain.enabled;
    let runners = config.docker_machine_runners();
    runners
        .map(|(name, runner)| {
            let pool = pool_name(&runner.name);
            let mut names =
                once(pool.clone()).chain((2..).map(|number| format!("{pool}-{number}")));
            let is_free = |name: &String| pools.insert(name.clone());
            let pool = names.find(is_free).unwrap_or(pool);
            section(runner, name, &pool, drains, mistake)
        })
        .collect()
}

/// Returns the name of a runner in the characters of a pool's name: letters, digits and dashes. The pool's name is part
/// of the machines' host names, which have at most 63 characters.
fn pool_name(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let name: String = words.join("-").to_lowercase().chars().take(24).collect();
    match name.trim_end_matches('-') {
        "" => "runner".to_owned(),
        name => name.to_owned(),
    }
}

fn section(
    runner: &Runner,
    runner_name: String,
    pool: &str,
    drains: bool,
    mistake: FindMistake<'_>,
) -> AutoscalerSection {
    let machine = &runner.machine;
    let mut out = Output::default();
    out.table(0, "[[runners]]");
    if !runner.name.is_empty() {
        out.set("name", runner.name.as_str());
    }
    out.set("executor", "docker-autoscaler");
    out.table(2, "[runners.autoscaler]");
    out.set("plugin", "fleeting-plugin-docker-machine");
    out.set("capacity_per_instance", 1);
    if machine.max_builds > 0 {
        out.set("max_use_count", machine.max_builds);
    }
    match runner.limit > 0 {
        true => out.set("max_instances", runner.limit),
        false => out.note("limit is not set: the number of instances is unlimited, too"),
    }
    if drains {
        out.set("delete_instances_on_shutdown", true);
    }
    plugin_config(&mut out, machine, pool, mistake);
    // The autoscaler connects to the internal address unless it is told otherwise, docker+machine to the external one.
    let mut options = machine.machine_options.iter();
    if !options.any(|option| is_private(option)) {
        out.table(4, "[runners.autoscaler.connector_config]");
        out.set("use_external_addr", true);
    }
    policies(&mut out, machine);
    if machine.max_removal_attempts > 0 {
        out.note("MaxRemovalAttempts has no counterpart: removals are repeated until they succeed");
    }
    if !machine.machine_options_with_name.is_empty() {
        out.note("MachineOptionsWithName has no counterpart: all machines have the same options");
    }
    let sections = machine.autoscaling.iter();
    let unknown = sections.flat_map(|section| section.unknown.keys());
    for key in machine.unknown.keys().chain(unknown) {
        out.note(format!(
            "{key:?} is not a known setting of [runners.machine]"
        ));
    }
    for note in &out.notes {
        out.toml.push_str(&format!("  # Note: {note}.\n"));
    }
    AutoscalerSection {
        runner: runner_name,
        toml: out.toml,
        notes: out.notes,
    }
}

fn plugin_config(
    out: &mut Output,
    machine: &MachineSettings,
    pool: &str,
    mistake: FindMistake<'_>,
) {
    out.table(4, "[runners.autoscaler.plugin_config]");
    out.set("name", pool);
    out.set("MachineDriver", machine.machine_driver.as_str());
    out.set("MachineName", machine.machine_name.as_str());
    if machine.machine_name.matches("%s").count() != 1 {
        out.note(format!(
            "MachineName {:?} needs exactly one %s, as in \"gitlab-docker-machine-%s\"",
            machine.machine_name
        ));
    }
    out.line("MachineOptions = [");
    for option in &machine.machine_options {
        match secret(option) {
            None => {
                out.line(format!("  {},", toml::Value::from(option.as_str())));
                if let Some(mistake) = mistake(machine, option) {
                    out.note(mistake);
                }
            }
            Some(name) => {
                out.line(format!("  # Insert {name:?} from [runners.machine]."));
                out.note(format!(
                    "{name:?} may be secret and is not printed: insert it from [runners.machine]"
                ));
            }
        }
    }
    out.line("]");
    // Both limit the machines in creation.
    if machine.max_growth_rate > 0 {
        out.set("max_concurrent_creates", machine.max_growth_rate);
    }
}

/// When machines are idle, and how many.
struct Idle {
    count: i64,
    scale_factor: f64,
    count_min: i64,
    seconds: i64,
}

/// Both executors use the last policy that matches, and one without periods always does.
fn policies(out: &mut Output, machine: &MachineSettings) {
    policy(
        out,
        &[],
        "",
        &Idle {
            count: machine.idle_count,
            scale_factor: machine.idle_scale_factor,
            count_min: machine.idle_count_min,
            seconds: machine.idle_time,
        },
    );
    if !machine.off_peak_periods.is_empty() {
        out.note("GitLab Runner ignores OffPeakPeriods since 14.0: delete the policy with these periods to keep it so");
        policy_of_periods(
            out,
            "OffPeakPeriods",
            &machine.off_peak_periods,
            &machine.off_peak_timezone,
            &Idle {
                count: machine.off_peak_idle_count,
                scale_factor: 0.0,
                count_min: 0,
                seconds: machine.off_peak_idle_time,
            },
        );
    }
    for section in &machine.autoscaling {
        policy_of_periods(
            out,
            "Periods",
            &section.periods,
            &section.timezone,
            &Idle {
                count: section.idle_count,
                scale_factor: section.idle_scale_factor,
                count_min: section.idle_count_min,
                seconds: section.idle_time,
            },
        );
    }
}

/// Writes a policy that applies in some periods. Leaves it out if there are none, because then it would always apply.
fn policy_of_periods(out: &mut Output, key: &str, given: &[String], timezone: &str, idle: &Idle) {
    let mut converted = Vec::new();
    for given in given {
        let Some(period) = periods::convert(given) else {
            out.note(format!("the period {given:?} of {key} has no counterpart"));
            continue;
        };
        if let Some(difference) = period.difference {
            out.note(format!("the period {given:?} of {key}: {difference}"));
        }
        converted.push(period.cron);
    }
    match converted.is_empty() {
        true => out.note(format!("a policy without {key} never applies: left out")),
        false => policy(out, &converted, timezone, idle),
    }
}

fn policy(out: &mut Output, periods: &[String], timezone: &str, idle: &Idle) {
    out.table(4, "[[runners.autoscaler.policy]]");
    if !periods.is_empty() {
        out.set("periods", periods.to_vec());
    }
    if !["", "Local"].contains(&timezone) {
        out.set("timezone", timezone);
    }
    // With a factor, IdleCount is the maximum and IdleCountMin, at least 1, the minimum. With IdleCount = 0 it has no
    // effect.
    let count = idle.count.max(0);
    let is_scaled = idle.scale_factor > 0.0 && count > 0;
    let least = if is_scaled {
        idle.count_min.clamp(1, count)
    } else {
        count
    };
    out.set("idle_count", least);
    if idle.seconds > 0 {
        out.set("idle_time", duration(idle.seconds));
    }
    if is_scaled {
        out.set("scale_factor", idle.scale_factor);
        out.set("scale_factor_limit", count);
    }
}

#[derive(Default)]
struct Output {
    toml: String,
    notes: Vec<String>,
    /// Indentation of the current table's keys.
    indent: usize,
}

impl Output {
    /// Begins a table.
    fn table(&mut self, indent: usize, header: &str) {
        self.indent = indent;
        self.line(header);
        self.indent += 2;
    }

    fn set(&mut self, key: &str, value: impl Into<toml::Value>) {
        self.line(format!("{key} = {}", value.into()));
    }

    fn line(&mut self, line: impl AsRef<str>) {
        let indent = " ".repeat(self.indent);
        self.toml.push_str(&format!("{indent}{}\n", line.as_ref()));
    }

    fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }
}

/// Formats seconds as Go's `time.ParseDuration` reads them.
fn duration(seconds: i64) -> String {
    match seconds {
        _ if seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        _ if seconds % 60 == 0 => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}

/// Returns whether an option makes docker-machine connect to a machine's private address.
fn is_private(option: &str) -> bool {
    let (name, value) = option.split_once('=').unwrap_or((option, "true"));
    let suffixes = ["-use-private-address", "-private-address-only"];
    suffixes.iter().any(|suffix| name.ends_with(suffix)) && value != "false"
}

/// Returns the name of an option whose value may be a secret, with the variable in it (`engine-env=API_TOKEN`).
fn secret(option: &str) -> Option<&str> {
    let is_end = |c: char| c == '=' || c.is_whitespace();
    let at = option.find(is_end)?;
    let (name, value) = option.split_at(at);
    let value = value.trim_start_matches(is_end);
    let variable = value.split_once('=').map_or("", |(variable, _)| variable);
    // A user name and a password.
    let has_password = value
        .split_once('@')
        .is_some_and(|(before, _)| before.contains(':'));
    let is_masked = |text: &str| masked(text) != text;
    let is_secret = has_password
        || is_masked(option)
        || variable.to_lowercase().ends_with("key")
        || [name, variable]
            .into_iter()
            .any(|name| names_a_secret(name) || is_masked(&format!("{name}=x")));
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let length = match variable {
        "" => name.len(),
        variable if variable.chars().all(is_name) => name.len() + 1 + variable.len(),
        _ => name.len(),
    };
    is_secret.then(|| option.get(..length)).flatten()
}

/// Returns whether a name has a word for secrets that is too short, or too frequent elsewhere, to be masked in logs.
fn names_a_secret(name: &str) -> bool {
    let name = name.to_lowercase().replace(['_', '.'], "-");
    let words = ["auth", "pass", "passphrase", "pat", "pwd"];
    name.split('-').any(|word| words.contains(&word))
}
