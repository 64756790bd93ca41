//! How EC2 behaves around a cut.

use std::time::Duration;

use ec2_lab::ec2::{Blindness, Effect, Fault, Kind, Lab};

/// More calls than any command makes here.
const MANY: u32 = 60;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    /// As one would wish.
    Fair,
    /// What is fresh is unknown, known, unknown again for a moment, then known.
    Flickering,
    /// A fresh instance is unknown for the whole of EC2's consistency window.
    Blind,
    /// Throttled: every second call is told to come back later.
    Throttled,
    /// Every call is delivered twice.
    Twice,
}

impl Weather {
    pub(crate) const ALL: [Self; 5] = [
        Self::Fair,
        Self::Flickering,
        Self::Blind,
        Self::Throttled,
        Self::Twice,
    ];

    /// Lets it come over a lab.
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
