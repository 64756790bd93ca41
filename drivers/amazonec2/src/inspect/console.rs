//! The end of an instance's console, for machines that do not let us in.

use base64::Engine as _;
use machine_ops::Cx;
use machine_types::printable;

use crate::api::client::Api;
use crate::config::saved::Saved;
use crate::instance::instance_id;

/// How much of the console's end is worth quoting.
const CONSOLE_LINES: usize = 20;

/// Returns the end of the console's text. Who may not read it, or has none, gets nothing.
pub(crate) async fn tail(api: &Api, cx: &Cx, saved: &Saved) -> Option<String> {
    let id = instance_id(saved).ok()?;
    let answer = api
        .ask(cx, "GetConsoleOutput", |probe| {
            api.ec2
                .get_console_output()
                .instance_id(id)
                .customize()
                .interceptor(probe)
                .send()
        })
        .await
        .ok()?;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(answer.output?.trim())
        .ok()?;
    let text = String::from_utf8_lossy(&bytes);
    // It goes to somebody's terminal, and anybody on the machine can write to its console.
    let lines: Vec<String> = text
        .lines()
        .map(|line| printable(line.as_bytes()))
        .filter(|line| !line.is_empty())
        .collect();
    let tail = lines.get(lines.len().saturating_sub(CONSOLE_LINES)..)?;
    (!tail.is_empty()).then(|| tail.join("\n"))
}
