//! Options that only a create needs and `config.json` does not keep.

/// When a spot launch may fall back to on-demand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum SpotFallback {
    #[default]
    Never,
    /// If there is no spot capacity.
    Capacity,
    /// Also if the price is too low.
    Any,
}

/// What names the region.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum RegionSource {
    /// The flag, its variable or its default, and nothing contradicts.
    #[default]
    Flag,
    /// The setting of the AWS CLI with this name; there is no flag.
    Cli(String),
    /// This variable of the flag, while `AWS_REGION` names another region.
    Variable {
        variable: &'static str,
        aws_region: String,
    },
}

/// The options of one create.
#[derive(Debug, Clone, Default)]
pub(crate) struct CreateOptions {
    /// In the order of the attempts.
    pub instance_types: Vec<String>,
    /// In the order of the attempts; if empty, one of the zone and VPC.
    pub subnets: Vec<String>,
    pub user_data: Option<Vec<u8>>,
    pub cidrs: Vec<String>,
    pub spot_fallback: SpotFallback,
    pub key_type: String,
    pub lease: bool,
    pub device_given: bool,
    pub size_given: bool,
    pub user_given: bool,
    pub zone_given: bool,
    pub region_source: RegionSource,
}
