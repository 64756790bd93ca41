//! An EC2 endpoint with state, time and faults, and hosts behind it.
//!
//! Owns everything that tests, the demo and the benches need to run the real `docker-machine` binary without an AWS
//! account: [`ec2`] answers the EC2 Query protocol, [`hosts`] puts machines with sshd and Docker behind the addresses
//! that it assigns. It never ships, and connects to nothing outside loopback and the containers that it created.
//!
//! ```
//! use ec2_lab::ec2::Lab;
//!
//! # tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
//! let lab = Lab::builder().start().await.unwrap();
//! assert!(lab.endpoint().starts_with("http://127."));
//! assert!(lab.instances().is_empty());
//! # });
//! ```

pub mod ec2;
pub mod hosts;
