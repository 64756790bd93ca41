//! The messages and services of `proto/`, generated: `UPDATE=1 cargo test -p fleeting-plugin --test generated`.

#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]

#[rustfmt::skip]
#[path = "proto.rs"]
pub(crate) mod fleeting;
#[rustfmt::skip]
#[path = "plugin.rs"]
pub(crate) mod go_plugin;
#[rustfmt::skip]
#[path = "grpc.health.v1.rs"]
pub(crate) mod health;
