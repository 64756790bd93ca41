//! Flows with real Debian hosts, with moto, and with stores that this program and the Go program use alternately.

mod aws_check;
mod debian;
mod fleeting;
mod generic;
mod migration;
mod moto;
