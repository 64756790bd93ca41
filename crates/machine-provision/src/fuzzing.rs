//! Output of a hostile host, for the fuzz target `output` and for a bounded test.

use std::sync::Arc;

use machine_ops::{Cx, MemoryJournal};

use crate::daemon_json::{Texts, reconcile};
use crate::inherited::inherit;
use crate::progress::Progress;
use crate::sections::{find, sections};

/// Parses any bytes as the output of the script, and as the files that come with its questions. Nothing panics, and
/// nothing that is shown has a control character.
pub fn output(bytes: &[u8]) {
    let cx = Cx::new(Arc::new(MemoryJournal::default()));
    let mut progress = Progress::new(&cx);
    for line in String::from_utf8_lossy(bytes).lines() {
        if progress.line(line).is_break() {
            break;
        }
    }
    let shown = [
        Some(progress.said()),
        progress.failure.clone(),
        progress.hint.clone(),
        Some(progress.running.clone()),
    ];
    for text in shown.iter().flatten() {
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'));
    }
    let sections = sections(&progress.file);
    let texts = Texts {
        current: find(&sections, "current").unwrap_or_default(),
        original: find(&sections, "original"),
        written: find(&sections, "written"),
    };
    // Invalid input is an error.
    let _ = reconcile(&texts, Vec::new());
    let _ = inherit(&sections, &[], &[]);
}

#[cfg(test)]
mod tests {
    /// Parts of the script's output.
    const PARTS: &[&str] = &[
        "@machine ",
        "stage install Installing",
        "run apt-get",
        "fact ",
        "os_id debian",
        "firewall ufw",
        "ask daemon-json",
        "ask unit",
        "file ",
        "@current\n@machine file =",
        "@unit /a\n@machine file =",
        "@environment /b\n@machine file =",
        "{\"tls\":true,\"hosts\":[",
        "ExecStart=/usr/bin/dockerd -H fd:// $OPTS\n@machine file =",
        "Environment=\"A=%h\" B='c",
        "say ",
        "warn ",
        "fail ",
        "hint ",
        "done",
        "\n",
        "\u{1b}[2J",
        "\\",
        "\"",
        "$",
        "é",
        "\r",
        "\0",
        "}",
        "]",
    ];

    #[test]
    fn any_output_is_parsed() {
        // Marsaglia's xorshift64*: the same output in every run.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = |bound: usize| {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
        };
        for _ in 0..20_000 {
            let mut output = Vec::new();
            for _ in 0..random(40) {
                match random(8) {
                    0 => output.push(random(256) as u8),
                    _ => output.extend(PARTS[random(PARTS.len())].bytes()),
                }
            }
            super::output(&output);
        }
    }
}
