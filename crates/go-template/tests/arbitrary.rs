//! Executes thousands of generated templates, most of them malformed: none panics, all of them end.
//!
//! The fuzz target in `fuzz` does the same without a limit.

use std::panic;

use go_template::{Functions, Limits, Template, Value, tabwriter};

/// Marsaglia's xorshift64*: generates the same templates in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 33) as usize % bound
    }

    fn pick<'w>(&mut self, words: &[&'w str]) -> &'w str {
        words[self.below(words.len())]
    }
}

const WORDS: &[&str] = &[
    "{{",
    "}}",
    "{{-",
    "-}}",
    " ",
    "\n",
    "\t",
    "(",
    ")",
    "|",
    ":=",
    "=",
    ",",
    ".",
    "$",
    "$x",
    "$y",
    "/*",
    "*/",
    "é",
    "\u{0}",
    ".a",
    ".a.b",
    ".s",
    ".n",
    ".e",
    ".nope",
    ".a.b.c",
    "nil",
    "true",
    "false",
    "0",
    "1",
    "-1",
    "2.5",
    "1e3",
    "0x1f",
    "1_0",
    "9223372036854775807",
    "18446744073709551615",
    "1e999",
    "'a'",
    "'",
    "\"x\"",
    "\"",
    "`raw`",
    "`",
    "\"%d %s\"",
    "\"%[2]*.[1]*f\"",
    "\"%-010.3x|%+q|%#v|%U|%c\"",
    "\"%99999d\"",
    "\"\\xff\"",
    "if",
    "else",
    "end",
    "range",
    "with",
    "define",
    "template",
    "block",
    "break",
    "continue",
    "and",
    "or",
    "not",
    "len",
    "index",
    "slice",
    "print",
    "printf",
    "println",
    "html",
    "js",
    "urlquery",
    "call",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "json",
    "prettyjson",
    "nosuch",
    "\"T\"",
];

/// Valid statements, so that execution is reached.
const PIECES: &[&str] = &[
    "{{if .t}}",
    "{{else}}",
    "{{end}}",
    "{{range .a.b}}",
    "{{range $i, $x := .a.b}}",
    "{{with .a}}",
    "{{break}}",
    "{{continue}}",
    "{{define \"T\"}}",
    "{{template \"T\" .}}",
    "{{block \"B\" .}}",
    "{{$x := .s}}",
    "{{$x = print $x $x}}",
    "{{$x}}",
    "{{.}}",
    "{{.a.b}}",
    "{{range 3}}",
    "{{else if .n}}",
    "{{printf \"%v %5d %-8q %x %T %e\" . .n .s .s .a 2.5}}",
    "{{json .}}",
    "text",
    "{{index .a.b 4 \"c\"}}",
    "{{slice .s 1 3}}",
    "{{len .a.b}}",
    "{{eq .n 1 2.5 \"x\"}}",
    "{{html .}}{{js .}}{{urlquery .}}",
];

fn made_up(random: &mut Random) -> String {
    let words = if random.below(2) == 0 { WORDS } else { PIECES };
    (0..=random.below(24)).map(|_| random.pick(words)).collect()
}

/// Generates as many block openings as endings, so that more templates parse.
fn balanced(random: &mut Random) -> String {
    let text: String = (0..=random.below(10))
        .map(|_| random.pick(PIECES))
        .collect();
    let opened = ["{{if ", "{{range", "{{with", "{{define", "{{block"];
    let opened: usize = opened.iter().map(|word| text.matches(word).count()).sum();
    let ended = text.matches("{{end}}").count();
    text + &"{{end}}".repeat(opened.saturating_sub(ended))
}

#[test]
fn nothing_panics() {
    let data: Value = serde_json::json!({
        "a": {"b": [1, 2.5, "x", null, {"c": true}]}, "s": "h\u{e9}llo", "n": -3, "t": true, "e": []
    })
    .into();
    let limits = Limits::default()
        .with_steps(1_000)
        .with_bytes(10_000)
        .with_depth(50);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut executed = 0;
    for turn in 0..12_000 {
        let text = if turn % 3 == 0 {
            balanced(&mut random)
        } else {
            made_up(&mut random)
        };
        let outcome = panic::catch_unwind(|| {
            tabwriter::align(text.as_bytes(), tabwriter::Layout::LS);
            let parsed = Template::parse_with("t", &text, Functions::with_json());
            parsed.map(|template| template.with_limits(limits).execute(&data).is_ok())
        });
        assert!(outcome.is_ok(), "panicked at {text:?}");
        executed += usize::from(matches!(outcome, Ok(Ok(true))));
    }
    assert!(executed > 500, "only {executed} templates ran to their end");
}
