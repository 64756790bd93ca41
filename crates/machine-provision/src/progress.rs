//! What the script says while it runs: its lines become events, a report, and an error.

use std::collections::VecDeque;

use machine_ops::Cx;
use machine_types::printable;

use crate::{Firewall, Report, Stage};

/// How the script's own lines begin.
const MARK: &str = "@machine ";

/// How many of the last lines of a command an error quotes.
const LAST_LINES: usize = 20;

/// The longest line that is kept, in bytes; a progress bar without line ends is one.
const LONGEST: usize = 4096;

/// What the script asks for, as its last word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// An install script.
    InstallScript,
    /// What to write in place of the `daemon.json` in [`Progress::file`].
    DaemonJson,
}

/// Reads the script's lines.
pub(crate) struct Progress<'a> {
    cx: &'a Cx,
    /// Where it is.
    pub(crate) stage: Stage,
    /// The command that the lines below come from.
    pub(crate) running: String,
    last: VecDeque<String>,
    /// What it says is wrong, and what to do about it.
    pub(crate) failure: Option<String>,
    pub(crate) hint: Option<String>,
    /// Its question, and the lines of the file that it is about.
    pub(crate) question: Option<Question>,
    pub(crate) file: Vec<String>,
    /// Whether it came to its end.
    pub(crate) done: bool,
    /// The results of all runs so far.
    pub(crate) report: Report,
    /// What the user was told: a script that is run once more does not repeat it.
    told: Vec<String>,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(cx: &'a Cx) -> Self {
        Self {
            cx,
            stage: Stage::Detect,
            running: String::new(),
            last: VecDeque::new(),
            failure: None,
            hint: None,
            question: None,
            file: Vec::new(),
            done: false,
            report: Report::default(),
            told: Vec::new(),
        }
    }

    /// Forgets how the last run went, but not what came of it.
    pub(crate) fn start_over(&mut self) {
        let (report, told) = (
            std::mem::take(&mut self.report),
            std::mem::take(&mut self.told),
        );
        *self = Self {
            report,
            told,
            ..Self::new(self.cx)
        };
    }

    /// Takes a line.
    pub(crate) fn line(&mut self, line: &str) {
        let Some(mark) = line.strip_prefix(MARK) else {
            let line = line.trim_end();
            self.cx.debug(printable(line.as_bytes()));
            if !line.is_empty() {
                if self.last.len() == LAST_LINES {
                    self.last.pop_front();
                }
                self.last.push_back(cut(line));
            }
            return;
        };
        let (kind, text) = mark.split_once(' ').unwrap_or((mark, ""));
        if kind != "file" {
            self.cx.debug(printable(line.as_bytes()));
        }
        match kind {
            "stage" => self.begin(text),
            "run" => {
                self.running = printable(text.as_bytes());
                self.last.clear();
            }
            "fact" => self.fact(text),
            "ask" => {
                self.question = match text {
                    "install-script" => Some(Question::InstallScript),
                    "daemon-json" => Some(Question::DaemonJson),
                    _ => None,
                }
            }
            "file" => self.file.push(text.to_owned()),
            "say" => self.say(printable(text.as_bytes())),
            "warn" => self.cx.warn(printable(text.as_bytes())),
            "fail" => self.failure = Some(printable(text.as_bytes())),
            "hint" => self.hint = Some(printable(text.as_bytes())),
            "done" => self.done = true,
            _ => {}
        }
    }

    fn begin(&mut self, text: &str) {
        let (name, sentence) = text.split_once(' ').unwrap_or((text, ""));
        self.stage = match name {
            "boot" => Stage::Boot,
            "hostname" => Stage::HostName,
            "install" => Stage::Install,
            "configure" => Stage::Configure,
            "start" => Stage::Start,
            _ => Stage::Detect,
        };
        self.running.clear();
        self.last.clear();
        if sentence.is_empty() {
            self.cx.phase(self.stage.to_string());
        } else {
            let sentence = printable(sentence.as_bytes());
            self.cx.phase(sentence.clone());
            self.say(sentence);
        }
    }

    fn say(&mut self, sentence: String) {
        if !self.told.contains(&sentence) {
            self.cx.say(sentence.clone());
            self.told.push(sentence);
        }
    }

    fn fact(&mut self, text: &str) {
        let (name, value) = text.split_once(' ').unwrap_or((text, ""));
        let value = printable(value.as_bytes());
        let report = &mut self.report;
        match name {
            "os_id" => report.os.id = value,
            "os_like" => report.os.id_like = value,
            "os_version" => report.os.version = value,
            "family" => report.os.family = value,
            "changed" => report.changed = true,
            "installed" => report.installed = true,
            "restarted" => report.restarted = true,
            "docker" => report.docker_version = value,
            "firewall" => {
                let (name, opened_by) = value.split_once(' ').unwrap_or((&value, ""));
                report.firewall = Some(Firewall {
                    name: name.to_owned(),
                    opened_by: opened_by.to_owned(),
                });
            }
            _ => {}
        }
    }

    /// Returns the last lines of the last command, each behind a line end and fit to be shown.
    pub(crate) fn said(&self) -> String {
        self.last
            .iter()
            .map(|line| format!("\n  {}", printable(line.as_bytes())))
            .collect()
    }

    /// Returns whether one of the last lines holds a text.
    pub(crate) fn mentions(&self, text: &str) -> bool {
        self.last.iter().any(|line| line.contains(text))
    }
}

fn cut(line: &str) -> String {
    let mut end = line.len().min(LONGEST);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    line[..end].to_owned()
}
