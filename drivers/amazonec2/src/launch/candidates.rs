//! The order of the launch attempts: instance types, subnets, markets.

use serde::{Deserialize, Serialize};

use crate::config::saved::Saved;

/// One way to launch the machine. Each candidate has its own client token, since idempotency is zonal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub instance_type: String,
    pub subnet: String,
    pub zone: String,
    pub spot: bool,
}

impl Candidate {
    /// Describes the candidate for messages.
    pub(crate) fn describe(&self) -> String {
        let market = if self.spot { "spot " } else { "" };
        format!(
            "{market}{} in {} ({})",
            self.instance_type, self.zone, self.subnet
        )
    }
}

/// A subnet with its zone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub subnet: String,
    pub zone: String,
    pub vpc: String,
}

impl Place {
    /// Saves the machine's subnet and zone.
    pub(crate) fn save(&self, saved: &mut Saved) {
        saved.subnet_id.clone_from(&self.subnet);
        if saved.vpc_id.is_empty() {
            saved.vpc_id.clone_from(&self.vpc);
        }
        let letter = self
            .zone
            .strip_prefix(&saved.region)
            .filter(|_| saved.endpoint.is_empty());
        letter.unwrap_or(&self.zone).clone_into(&mut saved.zone);
    }
}

/// Lists all candidates: all subnets of a type before the next type, and all spot candidates before on-demand.
pub(crate) fn candidates(
    types: &[String],
    places: &[Place],
    spot: bool,
    fallback: bool,
) -> Vec<Candidate> {
    let markets: &[bool] = match (spot, fallback) {
        (true, true) => &[true, false],
        (true, false) => &[true],
        (false, _) => &[false],
    };
    let mut all = Vec::new();
    for spot in markets {
        for instance_type in types {
            all.extend(places.iter().map(|place| Candidate {
                instance_type: instance_type.clone(),
                subnet: place.subnet.clone(),
                zone: place.zone.clone(),
                spot: *spot,
            }));
        }
    }
    all
}

/// Lists the choices of a fleet. A value that the template determines is empty.
pub(crate) fn choices(
    types: &[String],
    places: &[Place],
    spot: bool,
    fallback: bool,
) -> Vec<Candidate> {
    let (any_type, any_place) = ([String::new()], [Place::default()]);
    let types = if types.is_empty() { &any_type } else { types };
    let places = if places.is_empty() {
        &any_place
    } else {
        places
    };
    candidates(types, places, spot, fallback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnets_change_fastest_and_the_market_last() {
        let place = |n: &str| Place {
            subnet: n.into(),
            zone: n.into(),
            vpc: "v".into(),
        };
        let order: Vec<_> = candidates(
            &["t".into(), "u".into()],
            &[place("1"), place("2")],
            true,
            true,
        )
        .iter()
        .map(|c| format!("{}{}{}", c.instance_type, c.subnet, u8::from(c.spot)))
        .collect();
        assert_eq!(
            order,
            ["t11", "t21", "u11", "u21", "t10", "t20", "u10", "u20"]
        );
    }
}
