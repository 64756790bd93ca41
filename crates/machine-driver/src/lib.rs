//! What a driver is: [`DriverKind`] makes it, [`Driver`] is one machine, [`FlagSpec`] and [`Options`] are
//! its command line, [`DriverError`] its errors. A driver whose machines are made by calls to a cloud is a
//! [`Cloud`] as well, made by a [`CloudKind`]; one without a cloud says so once ([`Driver::cloud`]).
//!
//! With `machine-ops` and `machine-types`, this is all that a driver's author sees. A driver
//! prints nothing (it tells [`Cx`](machine_ops::Cx)), prompts nothing, does no SSH, and touches neither the
//! store nor the environment; the cloud's own credential chain is the one exception.

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
pub use cloud::{Cloud, CloudKind, LeftBehind, OwnedBy, Route};
pub use dispatch::{LABELS_NOT_SUPPORTED, Restart, labels_not_supported};
pub use driver::{Access, Base, Driver, DriverKind, KeyMaterial, KeyPlan, Power};
pub use error::{DriverError, DriverErrorKind};
pub use flags::{FlagKind, FlagSpec};
pub use options::{OptionError, OptionValue, Options};
pub use saved::{SavedBase, merge, read_saved};
