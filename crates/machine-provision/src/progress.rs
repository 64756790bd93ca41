//! Parses the script's output: its lines become events, a report, and an error.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use machine_ops::Cx;
use machine_types::{masked, printable};

use crate::failure::way_out;
use crate::{Firewall, Report, Stage};

/// The prefix of the script's own lines.
const MARK: &str = "@machine ";

/// The number of first and last lines of a command that an error quotes: the cause of a failure is at either end.
const FIRST_LINES: usize = 4;
const LAST_LINES: usize = 20;

/// The output limits of one run. The script itself sends files of a few KiB and a dozen messages, but a user's own
/// script may print a lot.
const MOST_FILE_BYTES: usize = 1 << 20;
const MOST_SENTENCES: usize = 100;
const MOST_LINES: usize = 200_000;
const MOST_BYTES: usize = 64 << 20;

/// The maximum length of a kept line, in bytes; a progress bar without line ends is one long line.
const LONGEST: usize = 4096;

/// The script's final question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// An install script.
    InstallScript,
    /// The replacement of the `daemon.json` in [`Progress::file`].
    DaemonJson,
    /// The options of the unit in [`Progress::file`] that stay in effect.
    Unit,
}

/// Parses the script's lines.
pub(crate) struct Progress<'a> {
    cx: &'a Cx,
    /// The current stage.
    pub(crate) stage: Stage,
    /// The command that produces the following lines.
    pub(crate) running: String,
    first: Vec<String>,
    last: VecDeque<String>,
    left_out: usize,
    /// The remedy for a failure that these lines report, including lines that are no longer kept.
    known: Option<&'static str>,
    /// Whether the script has begun: otherwise another program ran instead.
    pub(crate) begun: bool,
    /// The number of lines received.
    lines: usize,
    bytes: usize,
    file_bytes: usize,
    sentences: usize,
    /// The kind of output that exceeded its limit.
    pub(crate) flood: Option<&'static str>,
    /// The script's error, and its remedy.
    pub(crate) failure: Option<String>,
    pub(crate) hint: Option<String>,
    /// Its question, and the lines of the files for it.
    pub(crate) question: Option<Question>,
    pub(crate) file: Vec<String>,
    /// Whether it completed.
    pub(crate) done: bool,
    /// The results of all runs so far.
    pub(crate) report: Report,
    /// Messages that the user has already seen: a repeated run does not repeat them.
    told: Vec<String>,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(cx: &'a Cx) -> Self {
        Self {
            cx,
            stage: Stage::Detect,
            running: String::new(),
            first: Vec::new(),
            last: VecDeque::new(),
            left_out: 0,
            known: None,
            begun: false,
            lines: 0,
            bytes: 0,
            file_bytes: 0,
            sentences: 0,
            flood: None,
            failure: None,
            hint: None,
            question: None,
            file: Vec::new(),
            done: false,
            report: Report::default(),
            told: Vec::new(),
        }
    }

    /// Resets the state of the last run, but keeps its results.
    pub(crate) fn start_over(&mut self) {
        *self = Self {
            report: std::mem::take(&mut self.report),
            told: std::mem::take(&mut self.told),
            ..Self::new(self.cx)
        };
    }

    /// Handles a line. Breaks if the host has sent more than provisioning allows.
    pub(crate) fn line(&mut self, line: &str) -> ControlFlow<()> {
        self.lines += 1;
        self.bytes += line.len();
        if self.lines > MOST_LINES || self.bytes > MOST_BYTES {
            self.flood = Some("output");
        }
        if self.flood.is_none() {
            self.take(line);
        }
        match self.flood {
            None => ControlFlow::Continue(()),
            Some(_) => ControlFlow::Break(()),
        }
    }

    fn take(&mut self, line: &str) {
        let Some(mark) = line.strip_prefix(MARK) else {
            let line = line.trim_end();
            self.cx.debug(clean(line));
            if !line.is_empty() {
                self.keep(line);
            }
            return;
        };
        self.begun = true;
        let (kind, text) = mark.split_once(' ').unwrap_or((mark, ""));
        if kind != "file" {
            self.cx.debug(clean(line));
        }
        match kind {
            "stage" => self.begin(text),
            "run" => {
                self.running = clean(text);
                self.forget_lines();
            }
            "fact" => self.fact(text),
            "ask" => {
                self.question = match text {
                    "install-script" => Some(Question::InstallScript),
                    "daemon-json" => Some(Question::DaemonJson),
                    "unit" => Some(Question::Unit),
                    _ => None,
                }
            }
            "file" => {
                self.file_bytes += text.len() + 1;
                if self.file_bytes > MOST_FILE_BYTES {
                    self.flood = Some("text of a file");
                } else {
                    self.file.push(text.to_owned());
                }
            }
            "say" => self.say(clean(text)),
            "warn" => self.warn(clean(text)),
            "fail" => self.failure = Some(clean(text)),
            "hint" => self.hint = Some(format!("the machine says: {}", clean(text))),
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
        self.forget_lines();
        if sentence.is_empty() {
            if self.may_speak() {
                self.cx.phase(self.stage.to_string());
            }
        } else {
            let sentence = clean(sentence);
            self.say(sentence.clone());
            if self.flood.is_none() {
                self.cx.phase(sentence);
            }
        }
    }

    /// Counts a message, and returns whether the limit allows it.
    fn may_speak(&mut self) -> bool {
        self.sentences += 1;
        if self.sentences > MOST_SENTENCES {
            self.flood = Some("sentences");
        }
        self.flood.is_none()
    }

    fn warn(&mut self, sentence: String) {
        if self.may_speak() {
            self.cx.warn(sentence);
        }
    }

    fn say(&mut self, sentence: String) {
        if self.may_speak() && !self.told.contains(&sentence) {
            self.cx.say(sentence.clone());
            self.told.push(sentence);
        }
    }

    fn fact(&mut self, text: &str) {
        let (name, value) = text.split_once(' ').unwrap_or((text, ""));
        let value = clean(value);
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

    fn forget_lines(&mut self) {
        self.first.clear();
        self.last.clear();
        self.left_out = 0;
        self.known = None;
    }

    fn keep(&mut self, line: &str) {
        self.known = way_out(line).or(self.known);
        if self.first.len() < FIRST_LINES {
            self.first.push(cut(line));
            return;
        }
        if self.last.len() == LAST_LINES {
            self.last.pop_front();
            self.left_out += 1;
        }
        self.last.push_back(cut(line));
    }

    /// Returns the first and last lines of the last command, each after a line end and sanitized.
    pub(crate) fn said(&self) -> String {
        let shown = |line: &String| format!("\n  {}", clean(line));
        let mut text: String = self.first.iter().map(shown).collect();
        if self.left_out > 0 {
            text.push_str(&format!("\n  … {} lines …", self.left_out));
        }
        text.extend(self.last.iter().map(shown));
        text
    }

    /// Returns the remedy for a failure that the last command reported, if known.
    pub(crate) fn way_out(&self) -> Option<&'static str> {
        self.known
    }
}

/// Sanitizes the host's text, and masks secrets: dockerd quotes its own options in error messages.
fn clean(text: &str) -> String {
    printable(masked(text).as_bytes())
}

fn cut(line: &str) -> String {
    let mut end = line.len().min(LONGEST);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    line[..end].to_owned()
}
