//! Flows over real Debian hosts, moto, and stores that go back and forth between this program and Go's.

mod aws_check;
mod debian;
mod generic;
mod migration;
mod moto;
