//! Labels on machines in the cloud.

use crate::{Error, Library};

/// Sets labels on a machine, in addition to existing ones. Stores nothing locally, and so does not wait for the
/// machine's lock.
///
/// # Errors
/// Returns the driver's error: it has no labels, or the cloud refused.
pub async fn update_labels(
    library: &Library,
    name: &str,
    labels: &[(String, String)],
) -> Result<(), Error> {
    let machine = library.open(name).await?;
    let cx = library.context_about(&machine.name);
    Ok(machine.driver.set_labels(labels, &cx).await?)
}
