//! Labels on machines in the cloud.

use crate::{Error, Library};

/// Sets labels on a machine, beside those that it has. Nothing of it is kept here, so it waits for
/// nobody who works on the machine.
///
/// # Errors
/// The driver's: it has no labels, or was refused.
pub async fn update_labels(
    library: &Library,
    name: &str,
    labels: &[(String, String)],
) -> Result<(), Error> {
    let machine = library.open(name).await?;
    let cx = library.context_about(&machine.name);
    Ok(machine.driver.set_labels(labels, &cx).await?)
}
