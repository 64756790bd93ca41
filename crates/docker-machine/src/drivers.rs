//! The table of drivers.

use std::sync::Arc;

use machine_driver::{DriverKind, Options};

use crate::cli::options;
use crate::environment::Environment;

/// Returns the drivers of this binary, in the order of the help.
pub fn table() -> Vec<Arc<dyn DriverKind>> {
    vec![
        Arc::new(driver_amazonec2::AmazonEc2),
        Arc::new(driver_generic::GenericKind),
        Arc::new(driver_none::NoneKind),
    ]
}

/// Returns the names of the drivers, in the order of the help.
pub fn names() -> Vec<&'static str> {
    table().iter().map(|kind| kind.name()).collect()
}

/// Returns the places configured by environment variables, each as a driver and its flags.
pub fn places(environment: &Environment) -> Vec<(&'static str, Options)> {
    let of_environment = |kind: Arc<dyn DriverKind>| {
        let place_flags = kind.cloud()?.place_flags();
        let options = options::of_environment(kind.flags(), environment);
        let names_one = place_flags.iter().any(|flag| options.is_given(flag));
        names_one.then_some((kind.name(), options))
    };
    table().into_iter().filter_map(of_environment).collect()
}
