//! The driver interface: [`DriverKind`] makes a driver, [`Driver`] is one machine, [`FlagSpec`] and [`Options`] are its
//! command line, [`DriverError`] its errors.
//!
//! A driver whose machines are created by calls to a cloud is a [`Cloud`] as well, made by a [`CloudKind`]; one without
//! a cloud returns `None` from [`Driver::cloud`].
//!
//! With `machine-ops` and `machine-types`, this is all that the author of a driver sees. `libmachine` calls it. A driver
//! prints nothing (it emits events through [`Cx`](machine_ops::Cx)), prompts for nothing, opens no SSH connection, and
//! reads neither the store nor the environment; the credential chain of its cloud is the one exception.
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use machine_driver::{FlagSpec, OptionValue, Options};
//!
//! let flags = vec![
//!     FlagSpec::string("toy-region", "Region of the machine").env("TOY_REGION"),
//!     FlagSpec::int("toy-ssh-port", 22, "Port of sshd"),
//! ];
//! let given = OptionValue { values: vec!["north".to_owned()], from_env: None };
//! let options = Options::new(flags, BTreeMap::from([("toy-region", given)]))?;
//! assert_eq!((options.string("toy-region").as_str(), options.int("toy-ssh-port")), ("north", 22));
//! # Ok::<(), machine_driver::OptionError>(())
//! ```

mod check;
mod cloud;
mod dispatch;
mod driver;
mod error;
#[cfg(feature = "fake")]
pub mod fake;
mod flags;
mod options;
mod saved;

pub use check::{Check, Verdict};
pub use cloud::{Addresses, Cloud, CloudKind, Facts, LeftBehind, OwnedBy, Route, Status};
pub use dispatch::{LABELS_NOT_SUPPORTED, Restart, labels_not_supported};
pub use driver::{Access, Base, Driver, DriverKind, KeyMaterial, KeyPlan, Plan, Power};
pub use error::{DriverError, DriverErrorKind};
pub use flags::{FlagKind, FlagSpec};
pub use options::{OptionError, OptionValue, Options};
pub use saved::{SavedBase, merge, read_saved};
