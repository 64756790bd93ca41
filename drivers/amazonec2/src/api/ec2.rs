//! What an operation on a machine works with: the client, the context and the machine's configuration.

use machine_ops::Cx;

use crate::api::client::Api;
use crate::config::saved::Saved;

/// The client, the context of the operation, and the machine's saved configuration, which nearly every operation on
/// EC2 needs together.
///
/// A function takes it whole if it needs all three, or if its callers have all three; its pattern then names the parts
/// that it uses. The calls of [`crate::api`] that know no machine take `&Api` and `&Cx`. A function that only reads the
/// configuration takes `&Saved`, and one that changes it takes `&mut Saved` next to `&Api` and `&Cx`.
///
/// Another client, context or configuration replaces one part: `Ec2 { api: &other, ..ec2 }`.
#[derive(Clone, Copy)]
pub(crate) struct Ec2<'a> {
    pub api: &'a Api,
    pub cx: &'a Cx,
    pub saved: &'a Saved,
}
