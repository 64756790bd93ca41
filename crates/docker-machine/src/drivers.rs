//! The table of drivers: one line each.

use std::sync::Arc;

use machine_driver::DriverKind;

/// Returns the drivers of this binary, in the order in which help names them.
pub fn table() -> Vec<Arc<dyn DriverKind>> {
    vec![
        Arc::new(driver_amazonec2::AmazonEc2),
        Arc::new(driver_generic::GenericKind),
        Arc::new(driver_none::NoneKind),
    ]
}

/// Returns their names, in that order.
pub fn names() -> Vec<&'static str> {
    table().iter().map(|kind| kind.name()).collect()
}
