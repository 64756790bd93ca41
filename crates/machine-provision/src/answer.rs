//! Answers to the script's requests: an install script, and the new contents of `daemon.json`.

use std::io;
use std::path::Path;

use machine_ops::Cx;
use machine_types::{masked, printable};

use crate::daemon_json::{self, Texts, reconcile};
use crate::flags::{Flag, command_line};
use crate::inherited::inherit;
use crate::parameters::Parameters;
use crate::plan::{is_default_install_url, shown};
use crate::sections::{find, sections};
use crate::{InstallSource, Plan, ProvisionError};

/// Provides the install script. If Docker's own script cannot be fetched here either, the distribution's package is
/// the fallback; a source that the user has set is used, or is an error. `why` is the host's error message.
pub(crate) async fn install_script(
    plan: &Plan,
    parameters: &mut Parameters,
    why: &str,
    cx: &Cx,
) -> Result<(), ProvisionError> {
    let text = match &plan.install {
        InstallSource::File(path) => read_script(path).await?,
        // The host runs the command line itself, or reports why it cannot.
        InstallSource::Shell(_) => return Ok(()),
        InstallSource::Url(url) => match fetch(plan, url, cx).await? {
            Ok(text) => {
                cx.debug("the host cannot fetch the install script: sending it from this machine");
                text
            }
            Err(reason) if is_default_install_url(url) => {
                cx.warn(format!(
                    "the install script {} cannot be fetched by the host{why}\nnor by this machine ({reason}): the distribution's package is installed",
                    shown(url)
                ));
                parameters.set("p_install", "package");
                return Ok(());
            }
            Err(reason) => {
                return Err(ProvisionError::Unfetched {
                    url: shown(url),
                    machine: plan.machine.clone(),
                    said: why.to_owned(),
                    reason,
                });
            }
        },
    };
    parameters.set("p_install", "script");
    parameters.set("p_install_script", &text);
    Ok(())
}

/// Fetches the script on this machine; the inner error is a text for display.
async fn fetch(plan: &Plan, url: &str, cx: &Cx) -> Result<Result<String, String>, ProvisionError> {
    let Some(fetch) = &plan.fetch else {
        return Ok(Err("no fetch is configured on this machine".to_owned()));
    };
    let fetched = cx.cancel.or(fetch.fetch(url)).await;
    let fetched = fetched.map_err(ProvisionError::Cancelled)?;
    let text = fetched.and_then(|bytes| Ok(text_of(bytes)?));
    Ok(text.map_err(|error| printable(masked(&error.to_string()).as_bytes())))
}

/// Reads an install script from a file of this machine.
pub(crate) async fn read_script(path: &Path) -> Result<String, ProvisionError> {
    let text = match tokio::fs::read(path).await {
        Ok(bytes) => text_of(bytes),
        Err(error) => Err(error),
    };
    text.map_err(|source| ProvisionError::InstallScript {
        path: path.to_owned(),
        source,
    })
}

/// Converts to text that a shell variable can hold.
fn text_of(bytes: Vec<u8>) -> io::Result<String> {
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "it is not text")),
    }
}

/// Merges the host's `daemon.json`, whose texts are in `seen`, with the flags of the plan.
pub(crate) fn daemon_json(
    plan: &Plan,
    parameters: &mut Parameters,
    all: &[Flag],
    seen: &[String],
    cx: &Cx,
) -> Result<(), ProvisionError> {
    let sections = sections(seen);
    let texts = Texts {
        current: find(&sections, "current").unwrap_or_default(),
        original: find(&sections, "original"),
        written: find(&sections, "written"),
    };
    let done = reconcile(&texts, all.to_vec()).map_err(|reason| ProvisionError::DaemonJson {
        machine: plan.machine.clone(),
        path: daemon_json::PATH,
        reason: printable(reason.as_bytes()),
    })?;
    for warning in done.warnings {
        cx.warn(printable(warning.as_bytes()));
    }
    parameters.set("p_flags", &command_line(&done.flags)?);
    parameters.set("p_daemon_json_seen", &seen.join("\n"));
    parameters.set("p_daemon_json", &done.text);
    parameters.set("p_daemon_json_original", &done.original);
    Ok(())
}

/// Selects the options of the host's own `docker.service`, whose texts are in `seen`, that stay in effect.
pub(crate) fn unit(
    parameters: &mut Parameters,
    all: &[Flag],
    environment: &[String],
    seen: &[String],
    cx: &Cx,
) -> Result<(), ProvisionError> {
    let inherited = inherit(&sections(seen), all, environment)?;
    for warning in inherited.warnings {
        cx.warn(printable(masked(&warning).as_bytes()));
    }
    parameters.set("p_unit_seen", &seen.join("\n"));
    parameters.set("p_inherited", &inherited.arguments);
    Ok(())
}
