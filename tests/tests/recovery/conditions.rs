//! The behaviour of EC2 around a fault.

use std::time::Duration;

use ec2_lab::ec2::{Blindness, Effect, Fault, Kind, Lab};

/// More than the calls of any command here.
const MANY: u32 = 60;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conditions {
    /// Ideal.
    Fair,
    /// A fresh resource is invisible, visible, invisible again for a moment, then visible.
    Flickering,
    /// A fresh instance is invisible for the whole of EC2's consistency window.
    Blind,
    /// Throttled: every second call gets a throttling error.
    Throttled,
    /// Every call is delivered twice.
    Twice,
}

impl Conditions {
    pub(crate) const ALL: [Self; 5] = [
        Self::Fair,
        Self::Flickering,
        Self::Blind,
        Self::Throttled,
        Self::Twice,
    ];

    /// Applies the condition to a lab.
    pub(crate) fn over(self, lab: &Lab) {
        match self {
            Self::Fair => {}
            Self::Flickering => {
                for kind in [Kind::Instance, Kind::KeyPair, Kind::Tags] {
                    lab.blind(kind, Blindness::flicker(Duration::from_millis(700)));
                }
            }
            Self::Blind => {
                for kind in [Kind::Instance, Kind::Tags] {
                    lab.blind(kind, Blindness::whole_window());
                }
            }
            Self::Throttled => {
                for call in (0..MANY).step_by(2) {
                    let slow_down = Fault::error("*", "RequestLimitExceeded");
                    lab.inject(slow_down.after(call));
                }
            }
            Self::Twice => {
                lab.inject(Fault::on("*", Effect::Twice).always());
            }
        }
    }
}
