//! Capacity shortages: launches that EC2 refuses, or terminates after they began.

use serde::Deserialize;

use crate::ec2::protocol::error::ApiError;

/// The market of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Market {
    /// On demand.
    OnDemand,
    /// Spot.
    Spot,
}

/// A lack of capacity or quota. Without further conditions it affects every launch.
#[derive(Debug, Clone, Deserialize)]
pub struct Shortage {
    code: String,
    instance_type: Option<String>,
    zone: Option<String>,
    market: Option<Market>,
    #[serde(default)]
    after_launch: bool,
    /// The number of launches that it still affects; `None` for all.
    times: Option<u32>,
}

impl Shortage {
    /// Makes a shortage with this error code, for example `InsufficientInstanceCapacity`.
    pub fn new(code: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            instance_type: None,
            zone: None,
            market: None,
            after_launch: false,
            times: None,
        }
    }

    /// Restricts it to an instance type.
    #[must_use]
    pub fn of_type(mut self, instance_type: impl Into<String>) -> Self {
        self.instance_type = Some(instance_type.into());
        self
    }

    /// Restricts it to a zone, `us-east-1a`.
    #[must_use]
    pub fn in_zone(mut self, zone: impl Into<String>) -> Self {
        self.zone = Some(zone.into());
        self
    }

    /// Restricts it to a market.
    #[must_use]
    pub fn on(mut self, market: Market) -> Self {
        self.market = Some(market);
        self
    }

    /// Accepts the launch; the instance then goes from `pending` to `terminated` with the state reason
    /// `Server.<code>`.
    #[must_use]
    pub fn after_launch(mut self) -> Self {
        self.after_launch = true;
        self
    }

    /// Restricts it to a number of launches.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }
}

/// The properties of a launch that shortages depend on.
pub(crate) struct Wanted<'a> {
    pub(crate) instance_type: &'a str,
    pub(crate) zone: &'a str,
    pub(crate) subnet: &'a str,
    pub(crate) market: Market,
}

/// The shortages in force.
#[derive(Debug, Default)]
pub(crate) struct Shortages(pub(crate) Vec<Shortage>);

impl Shortages {
    /// Refuses a launch, or returns the code with which its instances will end.
    pub(crate) fn meet(&mut self, wanted: &Wanted<'_>) -> Result<Option<String>, ApiError> {
        let fits = |want: &Option<String>, has: &str| want.as_deref().is_none_or(|w| w == has);
        let Some(shortage) = self.0.iter_mut().find(|s| {
            s.times != Some(0)
                && fits(&s.instance_type, wanted.instance_type)
                && fits(&s.zone, wanted.zone)
                && s.market.is_none_or(|m| m == wanted.market)
        }) else {
            return Ok(None);
        };
        if let Some(times) = &mut shortage.times {
            *times -= 1;
        }
        if shortage.after_launch {
            return Ok(Some(shortage.code.clone()));
        }
        Err(ApiError::new(&shortage.code, text(&shortage.code, wanted)))
    }
}

fn text(code: &str, wanted: &Wanted<'_>) -> String {
    let (kind, zone) = (wanted.instance_type, wanted.zone);
    match code {
        "InsufficientInstanceCapacity" => format!(
            "We currently do not have sufficient {kind} capacity in the Availability Zone you requested ({zone}). Our system will be working on provisioning additional capacity."
        ),
        "Unsupported" => format!(
            "Your requested instance type ({kind}) is not supported in your requested Availability Zone ({zone})."
        ),
        "InstanceLimitExceeded" => {
            "You have requested more instances (1) than your current instance limit of 0 allows for the specified instance type.".to_owned()
        }
        "VcpuLimitExceeded" => "You have requested more vCPU capacity than your current vCPU limit of 0 allows for the instance bucket that the specified instance type belongs to.".to_owned(),
        "MaxSpotInstanceCountExceeded" => "Max spot instance count exceeded".to_owned(),
        "InsufficientFreeAddressesInSubnet" => format!(
            "There are not enough free addresses in subnet '{}' to satisfy the requested number of instances.",
            wanted.subnet
        ),
        other => format!("{other}: {kind} in {zone}"),
    }
}
