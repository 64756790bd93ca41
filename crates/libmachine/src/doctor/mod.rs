//! `doctor`: checks the store, credentials, network and machines, and suggests fixes. Read-only: changes no file of the
//! store, nothing in the cloud and nothing on a machine.

use std::time::Duration;

use futures_util::future::join_all;
use machine_driver::{Check, Cloud, Options, Route};
use machine_store::SwarmOptions;

use crate::doctor::certificates::examine_certificates;
use crate::doctor::store::examine_store;
use crate::lifecycle::create::{CreateRequest, provisioning_warnings};
use crate::machine::Machine;
use crate::{Error, Library};
use machine_types::one_line;

mod certificates;
mod machines;
mod store;

/// Timeout of all queries to one cloud. Throttled calls are not waited out.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What `doctor` checks in addition to the store.
#[derive(Debug, Clone, Default)]
pub struct DoctorRequest {
    /// Names of the machines to check; all if empty.
    pub names: Vec<String>,
    /// A planned create: the driver's name and its flags.
    pub plan: Option<(&'static str, Options)>,
    /// Planned creates, each with the subject of its checks.
    pub creates: Vec<(String, CreateRequest)>,
}

/// Examines the store, its certificates and machines, the access to their clouds, and the prerequisites of a create
/// with the given flags.
///
/// # Errors
/// Returns [`Error::NotFound`] for a name that the store does not have. Every other problem is a line of the result.
pub async fn examine(library: &Library, request: &DoctorRequest) -> Result<Vec<Check>, Error> {
    let mut checks = examine_store(library);
    if store::denied(library).is_none() {
        checks.extend(examine_certificates(library));
    }
    let names = match request.names.as_slice() {
        [] => library.names().unwrap_or_default(),
        names => names.to_vec(),
    };
    let mut machines = Vec::new();
    for name in &names {
        match library.open(name).await {
            Ok(machine) => machines.push(machine),
            Err(Error::NotFound(name)) => return Err(Error::NotFound(name)),
            Err(error) => checks.push(store::unreadable(name, &error)),
        }
    }
    checks.extend(examine_access(library, &machines).await);
    if let Some((driver, options)) = &request.plan {
        checks.extend(examine_plan(library, driver, options).await);
    }
    let planned = request.creates.iter();
    let planned = planned.map(|(_, create)| examine_create(library, create));
    let planned = join_all(planned).await;
    for found in &planned {
        for check in found {
            let mut check = check.clone();
            if checks.contains(&check) {
                continue;
            }
            let all = request.creates.iter().zip(&planned);
            let of = all.filter(|(_, found)| found.contains(&check));
            let of: Vec<&str> = of.map(|((subject, _), _)| subject.as_str()).collect();
            check.subject = format!("{}: {}", of.join(", "), check.subject);
            checks.push(check);
        }
    }
    // What the machines and creates of a cloud have in common, such as its credentials.
    let mut told: Vec<Check> = Vec::new();
    checks.retain(|check| {
        let is_new = !told.contains(check);
        told.push(check.clone());
        is_new
    });
    checks.extend(library.examine_machines(&machines).await);
    Ok(checks)
}

/// Examines the access to the clouds of all machines, each cloud once.
async fn examine_access(library: &Library, machines: &[Machine]) -> Vec<Check> {
    let cx = &library.context().for_reading();
    let mut routes: Vec<(&str, Route, &dyn Cloud)> = Vec::new();
    for machine in machines {
        let Some(cloud) = machine.driver.cloud() else {
            continue;
        };
        let (kind, route) = (machine.driver.name(), cloud.route());
        if !routes
            .iter()
            .any(|known| (known.0, &known.1) == (kind, &route))
        {
            routes.push((kind, route, cloud));
        }
    }
    let asked = routes
        .iter()
        .map(|(kind, _, cloud)| within(kind, cloud.examine_access(cx)));
    join_all(asked).await.concat()
}

/// Examines a whole create: the options of provisioning, and what the driver depends on.
async fn examine_create(library: &Library, request: &CreateRequest) -> Vec<Check> {
    let mut checks = match provisioning_warnings(request).await {
        Ok(warnings) => warnings
            .into_iter()
            .map(|warning| Check::notable("engine", warning, ""))
            .collect(),
        Err(error) => vec![failed("engine", error, "correct the option")],
    };
    checks.extend(examine_plan(library, &request.driver, &request.options).await);
    checks
}

async fn examine_plan(library: &Library, driver: &str, options: &Options) -> Vec<Check> {
    let Ok(kind) = library.kind(driver) else {
        return Vec::new();
    };
    // A temporary name for the check: nothing is created under it.
    let Ok(name) = "doctor".parse() else {
        return Vec::new();
    };
    let base = library.base(&name, &SwarmOptions::default(), String::new());
    match kind.configure(&base, options) {
        Err(error) => vec![Check::failed("flags", &error, "correct the flag")],
        Ok(planned) => {
            within(
                driver,
                planned.examine_plan(&library.context().for_reading()),
            )
            .await
        }
    }
}

async fn within(driver: &str, examination: impl Future<Output = Vec<Check>>) -> Vec<Check> {
    let examined = tokio::time::timeout(TIMEOUT, examination).await;
    examined.unwrap_or_else(|_| {
        vec![Check::wrong(
            driver,
            format!("no answer within {} s", TIMEOUT.as_secs()),
            "check the network's way to the endpoint, and whether calls are throttled",
        )]
    })
}

/// Returns a failed check; `remedy` says how to fix it.
fn failed(subject: impl Into<String>, error: impl std::error::Error, remedy: &str) -> Check {
    Check::wrong(subject, one_line(error), remedy)
}
