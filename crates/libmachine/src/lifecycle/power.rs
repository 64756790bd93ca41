//! `start`, `stop`, `restart`, `kill`.

use std::time::Duration;

use machine_driver::{Cloud, Restart, Status};
use machine_ops::{Cx, Look, WaitError, WaitPolicy, wait_until};
use machine_ssh::{Command, ExitStatus, Session, SshError};
use machine_types::MachineState;

use crate::access::address::take_address_of;
use crate::access::login::{first_login, login};
use crate::half_made::{HalfMade, half_made};
use crate::lifecycle::provisioning::Provisioning;
use crate::lifecycle::provisioning::set_up;
use crate::machine::{Work, with_removal};
use crate::{Error, Library};

/// Time that a machine may keep answering after a restart command before the restart counts as failed.
const GOING_DOWN: Duration = Duration::from_secs(60);

/// Timeout of a stop, including the wait for the lock, throttled calls, and the machine's shutdown.
const STOP: Duration = Duration::from_secs(44);

/// Queries the state of a machine that is about to be started or stopped.
///
/// # Errors
/// Returns the driver's error, with a hint, if the machine no longer exists.
async fn living(library: &Library, work: &Work) -> Result<Status, Error> {
    let (machine, cx) = (&work.machine, &work.cx);
    let has_instance = |cloud: &dyn Cloud| cloud.id().is_some();
    if !machine.driver.cloud().is_none_or(has_instance) {
        tell_interrupted(library, work);
    }
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

/// Says that the create of a machine was interrupted. This process holds the machine's lock, so no create is running.
fn tell_interrupted(library: &Library, work: &Work) {
    if half_made(library, &work.machine).is_some() {
        work.cx
            .warn(HalfMade::Interrupted.text(work.machine.name.as_str()));
    }
}

/// Starts a stopped machine, updates its address, and re-issues its certificate if the address changed. Returns when
/// the engine answers.
///
/// # Errors
/// Returns [`Error::AlreadyRunning`], the driver's error, or an error if SSH or the engine does not come up.
pub async fn start(library: &Library, name: &str) -> Result<(), Error> {
    let mut work = library.open_for_work(name).await?;
    let cx = work.cx.clone();
    cx.say(format!("Starting {name:?}..."));
    let status = living(library, &work).await?;
    take_address_of(library, &mut work, &status)?;
    if status.state == MachineState::Running {
        tell_interrupted(library, &work);
        return Err(Error::AlreadyRunning(name.to_owned()));
    }
    work.machine.driver.start(&cx).await?;
    cx.say(format!("Machine {name:?} was started."));
    come_back(library, &mut work, "Started").await
}

/// Shuts a machine down and waits for at most 44 s: GitLab Runner kills the command after 60 s.
///
/// # Errors
/// Returns [`Error::AlreadyStopped`], the driver's error, or [`Error::NotStopped`].
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
    if living(library, &work).await?.state == MachineState::Stopped {
        return Err(Error::AlreadyStopped(name.to_owned()));
    }
    work.machine.driver.stop(&cx).await?;
    library.save(&mut work)?;
    cx.say(format!("Machine {name:?} was stopped."));
    Ok(())
}

/// Forces an immediate power-off.
///
/// # Errors
/// Returns [`Error::AlreadyStopped`] or the driver's error.
pub async fn kill(library: &Library, name: &str) -> Result<(), Error> {
    let mut work = library.open_for_work(name).await?;
    let cx = work.cx.clone();
    cx.say(format!("Killing {name:?}..."));
    if living(library, &work).await?.state == MachineState::Stopped {
        return Err(Error::AlreadyStopped(name.to_owned()));
    }
    work.machine.driver.kill(&cx).await?;
    library.save(&mut work)?;
    cx.say(format!("Machine {name:?} was killed."));
    Ok(())
}

/// Restarts a machine; starts it if it is stopped. Returns when the engine answers.
///
/// # Errors
/// Returns the driver's error, or an error if SSH or the engine does not come back.
pub async fn restart(library: &Library, name: &str) -> Result<(), Error> {
    let mut work = library.open_for_work(name).await?;
    let cx = work.cx.clone();
    cx.say(format!("Restarting {name:?}..."));
    let status = living(library, &work).await?;
    take_address_of(library, &mut work, &status)?;
    if status.state == MachineState::Stopped {
        cx.say(format!("Starting {name:?}..."));
        work.machine.driver.start(&cx).await?;
        cx.say(format!("Machine {name:?} was started."));
        return come_back(library, &mut work, "Restarted").await;
    }
    // A login from before the restart shows when the machine goes down. Without it, a restart that has not begun would
    // look like one that is complete.
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

/// Connects to a started machine at its current address and sets up what differs. Ends with the Go binary's sentence
/// about the operation.
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

/// Runs the command that restarts a machine. The machine may close the connection, or end the command by a signal,
/// before it sends a status.
async fn told_to_restart(session: &Session, command: &str, cx: &Cx) -> Result<(), Error> {
    match session.check(&Command::new("restart", command), cx).await {
        Ok(_) | Err(SshError::Lost { .. } | SshError::NoStatus { .. }) => Ok(()),
        Err(SshError::Failed { status, .. }) if is_by_signal(&status) => Ok(()),
        Err(SshError::Cancelled { reason, .. }) => Err(Error::Cancelled(reason)),
        Err(error) => Err(Error::Session(error)),
    }
}

/// Returns whether a signal ended a command. A shell reports a signal as a code above 128.
fn is_by_signal(status: &ExitStatus) -> bool {
    status.code().is_none_or(|code| code > 128)
}

/// Waits until the machine closes the connection. If it never does, the machine has not gone down, and the caller
/// continues with it as it is.
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
