//! The last lines of an instance's console, for machines that do not accept a login.

use base64::Engine as _;
use machine_types::printable;

use crate::api::ec2::Ec2;
use crate::instance::instance_id;

/// Number of console lines to quote.
const CONSOLE_LINES: usize = 20;

/// Returns the last lines of the console; `None` if the call is denied or there is no output.
pub(crate) async fn tail(Ec2 { api, cx, saved }: Ec2<'_>) -> Option<String> {
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
    // Untrusted: any user on the machine can write to its console, and the text is shown on a terminal.
    let lines: Vec<String> = text
        .lines()
        .map(|line| printable(line.as_bytes()))
        .filter(|line| !line.is_empty())
        .collect();
    let tail = lines.get(lines.len().saturating_sub(CONSOLE_LINES)..)?;
    (!tail.is_empty()).then(|| tail.join("\n"))
}
