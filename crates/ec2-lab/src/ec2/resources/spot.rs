//! Spot requests, as RunInstances creates them.

use std::time::SystemTime;

use crate::ec2::protocol::error::ApiError;
use crate::ec2::protocol::filters::{Filters, IdKind, page};
use crate::ec2::protocol::query::Params;
use crate::ec2::protocol::time::iso;
use crate::ec2::protocol::xml::Xml;
use crate::ec2::resources::state::{Cx, Ids, Region, tag_set};
use crate::ec2::resources::{launch, tags};

const REQUEST: IdKind = IdKind {
    prefix: "sir-",
    code: "InvalidSpotInstanceRequestID",
    noun: "spot instance request ID",
};

/// A spot request.
#[derive(Debug, Clone)]
pub struct SpotRequest {
    /// `sir-…`.
    pub id: String,
    /// The key pair that its launch names.
    pub key_name: Option<String>,
    /// Its instance, if it has one.
    pub instance: Option<String>,
    /// The launch parameters while it is open.
    pub(crate) launch: Option<Params>,
    /// `open`, `active`, `closed`, `cancelled`.
    pub state: String,
    /// The status, such as `fulfilled`.
    pub status: String,
    /// The maximum price in dollars an hour.
    pub max_price: Option<String>,
    /// Whether it outlives its instance, which can then be stopped.
    pub persistent: bool,
    /// The defined duration in minutes.
    pub block_duration: Option<u32>,
    /// Its creation time.
    pub created: SystemTime,
}

/// The spot options of a launch.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) max_price: Option<String>,
    pub(crate) persistent: bool,
    pub(crate) block_duration: Option<u32>,
}

impl Options {
    /// Parses `InstanceMarketOptions`; `None` for an on-demand launch.
    pub(crate) fn parse(params: &Params) -> Result<Option<Self>, ApiError> {
        let market = params.below("InstanceMarketOptions");
        match market.get("MarketType") {
            None => return Ok(None),
            Some("spot") => {}
            Some(other) => return Err(ApiError::invalid("marketType", other)),
        }
        let spot = market.below("SpotOptions");
        spot.number::<f64>("MaxPrice")?;
        let block_duration = spot.number("BlockDurationMinutes")?;
        if block_duration.is_some_and(|m: u32| m == 0 || !m.is_multiple_of(60) || m > 360) {
            return Err(ApiError::invalid(
                "blockDurationMinutes",
                block_duration.unwrap_or(0),
            ));
        }
        let persistent = match spot.get("SpotInstanceType") {
            None | Some("one-time") => false,
            Some("persistent") => true,
            Some(other) => return Err(ApiError::invalid("spotInstanceType", other)),
        };
        Ok(Some(Self {
            max_price: spot.text("MaxPrice"),
            persistent,
            block_duration,
        }))
    }

    /// Rejects a price below EC2's, with the message of aws/aws-parallelcluster-node#415.
    pub(crate) fn check_price(&self, price: f64) -> Result<(), ApiError> {
        match self
            .max_price
            .as_deref()
            .map(|cap| (cap, cap.parse::<f64>()))
        {
            Some((cap, Ok(most))) if most < price => Err(ApiError::new(
                "SpotMaxPriceTooLow",
                format!(
                    "Your Spot request price of {cap} is lower than the minimum required Spot request fulfillment price of {price}."
                ),
            )),
            _ => Ok(()),
        }
    }
}

/// Leaves the request of a launch open whose price was too low: "In this case, no instance is launched and your
/// request remains `open`" (EC2 API Reference, "Error codes", SpotMaxPriceTooLow).
pub(crate) fn stay_open(cx: &mut Cx<'_>, params: &Params, error: &ApiError) {
    if error.code != "SpotMaxPriceTooLow" {
        return;
    }
    let Ok(Some(options)) = Options::parse(params) else {
        return;
    };
    let id = new_id(&mut cx.shared.ids);
    let request = SpotRequest {
        id: id.clone(),
        key_name: params.text("KeyName"),
        instance: None,
        launch: Some(params.clone()),
        state: "open".to_owned(),
        status: "price-too-low".to_owned(),
        max_price: options.max_price,
        persistent: options.persistent,
        block_duration: options.block_duration,
        created: cx.now,
    };
    cx.region.spot_requests.insert(id.clone(), request);
    let tags = tags::of_new(params, "spot-instances-request", &launch::TAGGED);
    cx.tag_new(&id, tags.unwrap_or_default());
}

/// Launches from the open requests those that can be fulfilled now: a one-time request "remains active until all
/// instances launch or you cancel the request" (EC2 API Reference, SpotMarketOptions, ValidUntil).
pub(crate) fn fulfil(cx: &mut Cx<'_>) {
    let requests = cx.region.spot_requests.values();
    let open: Vec<(String, Params)> = requests
        .filter(|request| request.state == "open")
        .filter_map(|request| Some((request.id.clone(), request.launch.clone()?)))
        .collect();
    for (id, params) in open {
        let Ok(reservation) = launch::start(cx, &params) else {
            continue;
        };
        let region = &mut *cx.region;
        let mut made = region.instances.values_mut();
        let Some(instance) = made.find(|i| i.reservation == reservation) else {
            continue;
        };
        // The launch has made a new request; the original one replaces it.
        if let Some(own) = instance.spot_request.replace(id.clone()) {
            region.spot_requests.remove(&own);
            region.tags.remove(&own);
        }
        if let Some(request) = region.spot_requests.get_mut(&id) {
            request.instance = Some(instance.id.clone());
            request.launch = None;
            request.state = "active".to_owned();
            request.status = "fulfilled".to_owned();
        }
    }
}

/// Makes the id of a request: `sir-` and eight digits.
pub(crate) fn new_id(ids: &mut Ids) -> String {
    format!("sir-{:08x}", ids.next() >> 32)
}

/// Updates the request of an ended instance.
pub(crate) fn instance_ended(region: &mut Region, request: &str, status: &str) {
    if let Some(request) = region.spot_requests.get_mut(request)
        && request.state == "active"
    {
        request.state = "closed".to_owned();
        request.status = status.to_owned();
    }
}

pub(crate) fn describe(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let known = [
        "spot-instance-request-id",
        "instance-id",
        "state",
        "status-code",
        "launch.key-name",
    ];
    let filters = Filters::parse(params, &known)?;
    let ids = params.list("SpotInstanceRequestId");
    REQUEST.check(ids.iter().copied(), |id| {
        cx.region.spot_requests.contains_key(id)
    })?;
    let found: Vec<&SpotRequest> = cx
        .region
        .spot_requests
        .values()
        .filter(|s| ids.is_empty() || ids.contains(&s.id.as_str()))
        .filter(|s| {
            filters.pass(&cx.tags(&s.id), |name| {
                if name == "launch.key-name" {
                    return s.key_name.clone().into_iter().collect();
                }
                vec![match name {
                    "spot-instance-request-id" => s.id.clone(),
                    "instance-id" => s.instance.clone().unwrap_or_default(),
                    "state" => s.state.clone(),
                    _ => s.status.clone(),
                }]
            })
        })
        .collect();
    let (found, next) = page(params, found, |s| s.id.as_str())?;
    let mut xml = Xml::new();
    xml.list("spotInstanceRequestSet", found, |xml, s| {
        xml.leaf("spotInstanceRequestId", &s.id);
        xml.leaf_if("spotPrice", s.max_price.as_ref());
        xml.leaf(
            "type",
            if s.persistent {
                "persistent"
            } else {
                "one-time"
            },
        );
        xml.leaf("state", &s.state);
        xml.node("status", |xml| {
            xml.leaf("code", &s.status);
            xml.leaf("updateTime", iso(s.created));
            xml.leaf("message", &s.status);
        });
        xml.leaf_if("instanceId", s.instance.as_ref());
        xml.node("launchSpecification", |xml| {
            xml.leaf_if("keyName", s.key_name.as_ref());
        });
        xml.leaf("createTime", iso(s.created));
        xml.leaf_if("blockDurationMinutes", s.block_duration);
        xml.leaf("productDescription", "Linux/UNIX");
        tag_set(xml, &cx.tags(&s.id));
        xml.leaf("instanceInterruptionBehavior", "terminate");
    });
    xml.leaf_if("nextToken", next);
    Ok(xml)
}

pub(crate) fn cancel(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let ids = params.list("SpotInstanceRequestId");
    if ids.is_empty() {
        return Err(ApiError::missing("SpotInstanceRequestId"));
    }
    REQUEST.check(ids.iter().copied(), |id| {
        cx.region.spot_requests.contains_key(id)
    })?;
    tags::dry_run(params)?;
    let mut xml = Xml::new();
    xml.list("spotInstanceRequestSet", ids, |xml, id| {
        if let Some(request) = cx.region.spot_requests.get_mut(id) {
            if request.state == "active" {
                request.status = "request-canceled-and-instance-running".to_owned();
            } else if request.state == "open" {
                request.status = "canceled-before-fulfillment".to_owned();
            }
            if request.state != "closed" {
                request.state = "cancelled".to_owned();
            }
            xml.leaf("spotInstanceRequestId", id);
            xml.leaf("state", &request.state);
        }
    });
    Ok(xml)
}
