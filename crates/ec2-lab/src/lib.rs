//! An EC2 endpoint with state, time and faults, and hosts behind it.
//!
//! Owns everything that tests, the demo and the benches need in order to run the real
//! `docker-machine` binary without an AWS account: [`ec2`] answers the EC2 Query protocol,
//! [`hosts`] puts machines with sshd and Docker behind the addresses that it hands out.
//! It is never part of what ships, and it never connects to anything outside loopback or
//! the containers it made itself.

pub mod ec2;
pub mod hosts;
