//! The driver interface: [`DriverKind`] makes drivers, [`Driver`] is one machine, [`FlagSpec`] and [`Options`] are
//! its command line, [`DriverError`] its errors. A driver that creates machines through a cloud's API also implements
//! [`Cloud`], made by a [`CloudKind`]; a driver without a cloud returns `None` from [`Driver::cloud`].
//!
//! A driver's author needs only this crate, `machine-ops` and `machine-types`. A driver prints nothing (it emits
//! events through [`Cx`](machine_ops::Cx)), never prompts, does no SSH, and accesses neither the store nor the
//! environment; the cloud's own credential chain is the one exception.

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
pub use cloud::{Addresses, Cloud, CloudKind, LeftBehind, OwnedBy, Route, Status};
pub use dispatch::{LABELS_NOT_SUPPORTED, Restart, labels_not_supported};
pub use driver::{Access, Base, Driver, DriverKind, KeyMaterial, KeyPlan, Power};
pub use error::{DriverError, DriverErrorKind};
pub use flags::{FlagKind, FlagSpec};
pub use options::{OptionError, OptionValue, Options};
pub use saved::{SavedBase, merge, read_saved};
