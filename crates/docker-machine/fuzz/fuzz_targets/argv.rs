//! Arbitrary words: the canonical form loses no word, is idempotent, and its construction does not panic.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use machine_driver::FlagSpec;

// Includes the source file: the crate would bring in the drivers, and with them an AWS client.
#[allow(dead_code)]
#[path = "../../src/cli/argv.rs"]
mod argv;

use argv::{Flag, Grammar, normalize};

fn grammar() -> Grammar {
    Grammar {
        global: vec![
            Flag::new(FlagSpec::bool("debug", "")).short("D"),
            Flag::new(FlagSpec::string("storage-path", "")).short("s"),
        ],
        commands: BTreeMap::from([
            (
                "create",
                vec![
                    Flag::new(FlagSpec::string("driver", "")).short("d"),
                    Flag::new(FlagSpec::list("tls-san", "")),
                    Flag::new(FlagSpec::bool("swarm", "")),
                    Flag::new(FlagSpec::int("port", 22, "")).short("p"),
                    Flag::new(FlagSpec::switch("spot-fallback", "capacity", "")),
                ],
            ),
            ("ssh", Vec::new()),
        ]),
        raw: vec!["ssh"],
    }
}

fuzz_target!(|text: &str| {
    let args: Vec<String> = text.split('\0').map(str::to_owned).collect();
    let grammar = grammar();
    let Ok(line) = normalize(&grammar, &args) else {
        return;
    };
    for word in &line.words {
        assert!(args.contains(word));
    }
    let known = |flag: &String| flag.contains('=');
    if line.global.iter().all(known) && line.flags.iter().all(known) {
        let again = normalize(&grammar, &line.for_clap());
        let raw = line.command.as_deref() == Some("ssh");
        // `--` may be a word of ssh's command. A command that begins with a dash would not be a command in a second
        // pass.
        let command = line.command.as_deref().unwrap_or_default();
        if !raw && !command.starts_with('-') {
            assert_eq!(again, Ok(line));
        }
    }
});
