//! The login to a machine that may have another address than the saved one, or does not run.

use std::time::Duration;

use machine_driver::Status;
use machine_ops::Cx;
use machine_ssh::Session;
use machine_types::MachineState;

use crate::access::address::{TELLS, copy_at, not_running, take_address_of};
use crate::access::login::{HostKeyPolicy, login_to_work};
use crate::machine::{Machine, Work, is_gone, with_removal};
use crate::{Error, Library};

/// Time that a first login may take before the cloud is queried for the address. A running machine accepts it sooner.
const ASKED_AFTER: Duration = Duration::from_secs(5);

/// Logs in to a locked machine that may still be booting. If the login is slow or fails, queries the cloud once: for
/// another address, to log in there, and whether the machine runs at all.
pub(crate) async fn reach(
    library: &Library,
    work: &mut Work,
    host_key: HostKeyPolicy,
) -> Result<Session, Error> {
    let cx = work.cx.clone();
    let machine = &work.machine;
    let is_nowhere = machine.driver.cloud().is_some() && machine.address().is_none();
    let place = if is_nowhere {
        place(library, machine, &cx).await
    } else {
        let later = async {
            library.ambient.sleep(ASKED_AFTER).await;
            match place(library, machine, &cx).await {
                Place::Unchanged => std::future::pending().await,
                place => place,
            }
        };
        tokio::select! {
            biased;
            session = login_to_work(library, machine, host_key, &cx) => match session {
                Err(error) if !error.is_cancelled() => {
                    match place(library, machine, &cx).await {
                        Place::Unchanged => return Err(error),
                        place => place,
                    }
                }
                session => return session,
            },
            place = later => place,
        }
    };
    match place {
        Place::Unchanged => {}
        Place::Moved(status) => drop(take_address_of(library, work, &status)?),
        Place::Down(error) => return Err(error),
    }
    login_to_work(library, &work.machine, host_key, &cx).await
}

/// Where a cloud says that a machine is.
enum Place {
    /// At its saved address, as far as is known.
    Unchanged,
    /// At another one.
    Moved(Status),
    /// Nowhere: it does not run.
    Down(Error),
}

/// Queries the cloud for a machine's address.
async fn place(library: &Library, machine: &Machine, cx: &Cx) -> Place {
    if machine.driver.cloud().is_none() {
        return Place::Unchanged;
    }
    match tokio::time::timeout(TELLS, machine.driver.state(cx)).await {
        Ok(Ok(status)) => match status.state {
            MachineState::Running | MachineState::Starting => {
                match copy_at(library, machine, &status) {
                    Some(_) => Place::Moved(status),
                    None => Place::Unchanged,
                }
            }
            state => Place::Down(not_running(library, machine, state, TELLS, cx).await),
        },
        Ok(Err(error)) if is_gone(&error) => Place::Down(with_removal(&machine.name, error).into()),
        _ => Place::Unchanged,
    }
}
