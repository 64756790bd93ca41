//! Network basics: name resolution, and one HTTP client for downloads and drivers.
//!
//! All names that the program connects to are resolved here (those of clouds, of proxies and of machines), without the C
//! library, whose resolver loads plug-ins at run time, which a static executable cannot. Reads `/etc/hosts` and
//! `/etc/resolv.conf` (resolv.conf(5)) at the first query; does not read `/etc/nsswitch.conf`: names that only another
//! service knows (mDNS, NIS, LDAP) are not found. Reads no environment variable by itself. Called by `machine-ssh`,
//! `machine-tls`, the binary and drivers.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let found = machine_net::addresses("[::1]", 2376).await.unwrap();
//! assert_eq!(found, ["[::1]:2376".parse().unwrap()]);
//! # });
//! ```

pub mod http;
mod resolver;

pub use resolver::{Resolver, addresses};
