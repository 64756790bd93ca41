//! An EC2 endpoint with state, time and faults, and simulated or real hosts.
//!
//! Owns everything that tests, the demo and the benches need to run the real `docker-machine` binary without an AWS
//! account: [`ec2`] implements the EC2 Query protocol, [`hosts`] runs hosts with sshd and Docker at the addresses
//! that it assigns. It is not part of the release, and it connects only to loopback and to containers that it has
//! created.

pub mod ec2;
pub mod hosts;
