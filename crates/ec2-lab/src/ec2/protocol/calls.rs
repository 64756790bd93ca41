//! The log of calls and their results.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::Serialize;

/// One call.
#[derive(Debug, Clone, Serialize)]
pub struct Call {
    /// The sequence number, from 1 in order of arrival.
    pub seq: u64,
    /// `RunInstances`.
    pub action: String,
    /// The received parameters, without `Action` and `Version`.
    pub params: BTreeMap<String, String>,
    /// The access key of the signature.
    pub access_key: String,
    /// The account of the access key; empty where it is unknown.
    pub account: String,
    /// The region of the signature's scope.
    pub region: String,
    /// The HTTP status that was sent; `None` while the call is in progress, and if the connection was dropped.
    pub status: Option<u16>,
    /// The error code that was sent.
    pub error: Option<String>,
    /// Whether the call took effect, whatever its answer: true if it was executed without an error.
    pub acted: bool,
    /// Its arrival time on the lab's clock, in EC2's notation.
    pub time: String,
    /// Whether the call is complete.
    pub finished: bool,
}

impl Call {
    pub(crate) fn new(
        seq: u64,
        action: &str,
        params: &crate::ec2::protocol::query::Params,
        now: SystemTime,
    ) -> Self {
        Self {
            seq,
            action: action.to_owned(),
            params: params.map().clone(),
            access_key: String::new(),
            account: String::new(),
            region: String::new(),
            status: None,
            error: None,
            acted: false,
            time: crate::ec2::protocol::time::iso(now),
            finished: false,
        }
    }
}
