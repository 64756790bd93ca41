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

/// Returns the places configured by the environment, each as a driver and its flags.
pub fn places(environment: &Environment) -> Vec<(&'static str, Options)> {
    let of_environment = |kind: Arc<dyn DriverKind>| {
        let cloud = kind.cloud()?;
        let options = options::of_environment(kind.flags(), environment);
        let mut flags = cloud.place_flags().iter();
        let names_one = flags.any(|flag| options.is_given(flag)) || cloud.is_scope_in_environment();
        names_one.then_some((kind.name(), options))
    };
    table().into_iter().filter_map(of_environment).collect()
}
