//! `start`, `stop`, `restart`, `kill`.

use std::time::Duration;

use machine_driver::{Restart, Status};
use machine_ops::{Cx, Look, WaitError, WaitPolicy, wait_until};
use machine_ssh::{Command, ExitStatus, Session, SshError};
use machine_types::MachineState;

use crate::access::address::take_address_of;
use crate::access::login::{first_login, login};
use crate::lifecycle::provisioning::Provisioning;
use crate::lifecycle::provisioning::set_up;
use crate::machine::{Work, with_removal};
use crate::{Error, Library};

/// How long a machine that was told to restart may go on answering before it counts as not
/// restarting at all.
const GOING_DOWN: Duration = Duration::from_secs(60);

/// How long a stop may take in all: another command's lock, throttled calls, and the machine's own time.
const STOP: Duration = Duration::from_secs(44);

/// Asks for the state of a machine that is about to be started.
///
/// # Errors
/// The driver's, with the way out, where there is nothing to start any more.
async fn startable(work: &Work) -> Result<Status, Error> {
    let (machine, cx) = (&work.machine, &work.cx);
    let gone = |error| with_removal(&machine.name, error);
    let status = machine.driver.state(cx).await.map_err(gone)?;
    if status.state == MachineState::Error
        && let Some(cloud) = machine.driver.cloud()
        && let Some(ended) = cloud.ended(cx).await
    {
        return Err(gone(ended).into());
    }
    Ok(status)
}

/// Starts a stopped machine, learns its address, and re-issues its certificate where that is
/// a new one. It ends when the engine answers.
///
/// # Errors
/// [`Error::AlreadyRunning`]; the driver's; SSH or the engine that do not come up.
pub async fn start(library: &Library, name: &str) -> Result<(), Error> {
    let mut work = library.open_for_work(name).await?;
    let cx = work.cx.clone();
    cx.say(format!("Starting {name:?}..."));
    let status = startable(&work).await?;
    take_address_of(library, &mut work, &status)?;
    if status.state == MachineState::Running {
        return Err(Error::AlreadyRunning(name.to_owned()));
    }
    work.machine.driver.start(&cx).await?;
    cx.say(format!("Machine {name:?} was started."));
    come_back(library, &mut work, "Started").await
}

/// Shuts a machine down and waits for it, for 45 s at most: the runner kills the command after 60.
///
/// # Errors
/// [`Error::AlreadyStopped`]; the driver's; [`Error::NotStopped`].
pub async fn stop(library: &Library, name: &str) -> Result<(), Error> {
    let stopping = stop_at_leisure(library, name);
    tokio::select! {
        biased;
        stopped = stopping => stopped,
        () = library.ambient.sleep(STOP) => Err(Error::NotStopped {
            name: name.to_owned(),
            within: STOP,
        }),
    }
}

async fn stop_at_leisure(library: &Library, name: &str) -> Result<(), Error> {
    let mut work = library.open_for_work(name).await?;
    let cx = work.cx.clone();
    cx.say(format!("Stopping {name:?}..."));
    if work.machine.driver.state(&cx).await?.state == MachineState::Stopped {
        return Err(Error::AlreadyStopped(name.to_owned()));
    }
    work.machine.driver.stop(&cx).await?;
    library.save(&mut work)?;
    cx.say(format!("Machine {name:?} was stopped."));
    Ok(())
}

/// Pulls a machine's plug.
///
/// # Errors
/// [`Error::AlreadyStopped`]; the driver's.
pub async fn kill(library: &Library, name: &str) -> Result<(), Error> {
    let mut work = library.open_for_work(name).await?;
    let cx = work.cx.clone();
    cx.say(format!("Killing {name:?}..."));
    if work.machine.driver.state(&cx).await?.state == MachineState::Stopped {
        return Err(Error::AlreadyStopped(name.to_owned()));
    }
    work.machine.driver.kill(&cx).await?;
    library.save(&mut work)?;
    cx.say(format!("Machine {name:?} was killed."));
    Ok(())
}

/// Restarts a machine; one that is stopped is started. It ends when the engine answers.
///
/// # Errors
/// The driver's; SSH or the engine that do not come back.
pub async fn restart(library: &Library, name: &str) -> Result<(), Error> {
    let mut work = library.open_for_work(name).await?;
    let cx = work.cx.clone();
    cx.say(format!("Restarting {name:?}..."));
    let status = startable(&work).await?;
    take_address_of(library, &mut work, &status)?;
    if status.state == MachineState::Stopped {
        cx.say(format!("Starting {name:?}..."));
        work.machine.driver.start(&cx).await?;
        cx.say(format!("Machine {name:?} was started."));
        return come_back(library, &mut work, "Restarted").await;
    }
    // A login that was open before tells when the machine goes down: a restart that is still
    // on its way must not be taken for one that is over.
    let session = login(library, &work.machine, &cx).await;
    match work.machine.driver.restart(&cx).await? {
        Restart::Asked => {}
        Restart::Command(command) => {
            let session = match &session {
                Ok(session) => session,
                Err(_) => &login(library, &work.machine, &cx).await?,
            };
            told_to_restart(session, command, &cx).await?;
        }
    }
    if let Ok(session) = session {
        wait_for_hangup(&session, &cx).await?;
    }
    come_back(library, &mut work, "Restarted").await
}

/// Finds a machine that was started again, wherever it is now, and sets up what differs. Ends with the Go
/// binary's sentence about what was done.
async fn come_back(library: &Library, work: &mut Work, done: &str) -> Result<(), Error> {
    let cx = work.cx.clone();
    work.machine.driver.await_address(&cx).await?;
    library.save(work)?;
    let machine = &work.machine;
    if machine.driver.ssh().is_none() {
        return Ok(());
    }
    cx.say("Waiting for SSH to be available...");
    let session = first_login(library, machine, &cx).await?;
    set_up(library, machine, &session, Provisioning::default(), &cx).await?;
    cx.say(format!(
        "{done} machines may have new IP addresses. You may need to re-run the `docker-machine env` command."
    ));
    Ok(())
}

/// Runs the command that restarts a machine. A machine that does it may hang up, or end the command by a
/// signal, before a status is sent.
async fn told_to_restart(session: &Session, command: &str, cx: &Cx) -> Result<(), Error> {
    match session.check(&Command::new("restart", command), cx).await {
        Ok(_) | Err(SshError::Lost { .. } | SshError::NoStatus { .. }) => Ok(()),
        Err(SshError::Failed { status, .. }) if is_by_signal(&status) => Ok(()),
        Err(SshError::Cancelled { reason, .. }) => Err(Error::Cancelled(reason)),
        Err(error) => Err(Error::Session(error)),
    }
}

/// Tells whether a signal ended a command; a shell tells of it by a code above 128.
fn is_by_signal(status: &ExitStatus) -> bool {
    status.code().is_none_or(|code| code > 128)
}

/// Waits until the machine has hung up. One that never does has not gone down; the caller finds
/// it as it is.
async fn wait_for_hangup(session: &Session, cx: &Cx) -> Result<(), Error> {
    let policy = WaitPolicy::every(Duration::from_millis(200), GOING_DOWN);
    let waited = wait_until(cx, "restart", policy, async || {
        Ok::<_, std::convert::Infallible>(if session.is_closed() {
            Look::Ready(())
        } else {
            Look::Pending("still connected".into())
        })
    });
    match waited.await {
        Err(WaitError::Cancelled(reason)) => Err(Error::Cancelled(reason)),
        _ => Ok(()),
    }
}
