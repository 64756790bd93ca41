//! The SDK's HTTP client: reads a complete response, and checks its end and its size before it is parsed.
//!
//! The SDK allocates a structure for each item, even an empty one: 25 MB of empty instances become 1.8 GB. Items are
//! therefore counted first, by their size in memory, with the tokenizer that the SDK uses.

use aws_sdk_ec2::types::{Instance, InstanceNetworkInterface};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use machine_net::http::Http;
use xmlparser::{ElementEnd, Token, Tokenizer};

/// Largest response. EC2 puts up to 1,000 instances into a page (EC2 API Reference, DescribeInstances, MaxResults). The
/// instance in that page's example response has 4.5 KB, and 50 tags of usual length, the maximum, add as much.
const LARGEST: usize = 12 << 20;

/// Maximum memory for the items of a response. 1,000 instances, each in its own reservation, with one network interface
/// and 60 further items, take 26 MB.
const LARGEST_ITEMS: usize = 28 << 20;

/// Maximum memory of an item of a top-level list and of an item of a nested list. Larger items are listed in [`size`].
const ITEM: usize = 2 << 10;
const INNER_ITEM: usize = 320;

/// Maximum number of open elements. The deepest responses of EC2 have about fifteen.
const DEEPEST: usize = 100;

/// Why a response is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unbounded {
    #[error("it has more than {} MiB", LARGEST >> 20)]
    Bytes,
    #[error("it has more items than EC2 sends")]
    Items,
    #[error("it has more than {DEEPEST} levels of elements")]
    Depth,
    /// The SDK takes a listing that breaks off for a complete one.
    #[error("it breaks off before its end")]
    Cut,
}

/// The SDK's HTTP client, whose responses are complete and bounded.
#[derive(Debug)]
pub(crate) struct BoundedHttp(pub Http);

impl HttpClient for BoundedHttp {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(BoundedConnector(self.0.connector(settings)))
    }
}

/// A connector whose responses are complete and bounded.
#[derive(Debug)]
pub(crate) struct BoundedConnector(pub SharedHttpConnector);

impl HttpConnector for BoundedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answer = self.0.call(request);
        HttpConnectorFuture::new(async move { read(answer.await?).await })
    }
}

/// Reads a complete response.
///
/// # Errors
/// Returns [`Unbounded`], of which only [`Unbounded::Cut`] is retried, or the connection's error.
pub(crate) async fn read(mut answer: HttpResponse) -> Result<HttpResponse, ConnectorError> {
    let body = std::mem::replace(answer.body_mut(), SdkBody::taken());
    let read = Limited::new(body, LARGEST).collect().await;
    let bytes = read.map_err(|error| match error.is::<LengthLimitError>() {
        true => ConnectorError::other(Unbounded::Bytes.into(), None),
        false => ConnectorError::io(error),
    })?;
    let bytes = bytes.to_bytes();
    check(&bytes).map_err(|error| match error {
        // Retried, as a connection that breaks.
        Unbounded::Cut => ConnectorError::io(error.into()),
        _ => ConnectorError::other(error.into(), None),
    })?;
    *answer.body_mut() = SdkBody::from(bytes);
    Ok(answer)
}

/// Counts the items and the open elements of a response.
///
/// # Errors
/// Returns [`Unbounded::Items`], [`Unbounded::Depth`] or [`Unbounded::Cut`]. Accepts input that cannot be parsed: the SDK stops at the same
/// place and rejects it.
pub(crate) fn check(body: &[u8]) -> Result<(), Unbounded> {
    let Ok(text) = std::str::from_utf8(body) else {
        return Ok(());
    };
    let mut open: Vec<&str> = Vec::new();
    let (mut depth, mut taken) = (0_usize, 0_usize);
    for token in Tokenizer::from(text) {
        match token {
            Ok(Token::ElementStart { local, .. }) => {
                if local.as_str() == "item" {
                    depth += 1;
                    taken += size(open.last().copied().unwrap_or_default(), depth);
                }
                open.push(local.as_str());
                if open.len() > DEEPEST {
                    return Err(Unbounded::Depth);
                }
            }
            Ok(Token::ElementEnd {
                end: ElementEnd::Close(..) | ElementEnd::Empty,
                ..
            }) if open.pop() == Some("item") => depth = depth.saturating_sub(1),
            Ok(_) => {}
            Err(_) => return Ok(()),
        }
        if taken > LARGEST_ITEMS {
            return Err(Unbounded::Items);
        }
    }
    match open.first() {
        Some(root) if root.ends_with("Response") => Err(Unbounded::Cut),
        _ => Ok(()),
    }
}

/// Returns the memory size of an item of this list.
fn size(list: &str, depth: usize) -> usize {
    match list {
        "instancesSet" => size_of::<Instance>(),
        "networkInterfaceSet" => size_of::<InstanceNetworkInterface>(),
        _ if depth == 1 => ITEM,
        _ => INNER_ITEM,
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types;

    use super::*;

    /// The lists of the actions that the driver uses.
    #[test]
    fn items_take_what_they_are_counted_for() {
        for size in [
            size_of::<types::Reservation>(),
            size_of::<types::Image>(),
            size_of::<types::Subnet>(),
            size_of::<types::Vpc>(),
            size_of::<types::SecurityGroup>(),
            size_of::<types::KeyPairInfo>(),
            size_of::<types::Volume>(),
            size_of::<types::SpotInstanceRequest>(),
            size_of::<types::CreateFleetError>(),
            size_of::<types::CreateFleetInstance>(),
            size_of::<types::LaunchTemplateVersion>(),
            size_of::<types::InstanceTypeInfo>(),
            size_of::<types::FleetData>(),
        ] {
            assert!(size <= ITEM, "{size}");
        }
        for size in [
            size_of::<types::Tag>(),
            size_of::<types::InstanceBlockDeviceMapping>(),
            size_of::<types::GroupIdentifier>(),
            size_of::<types::IpPermission>(),
            size_of::<types::InstancePrivateIpAddress>(),
            size_of::<types::BlockDeviceMapping>(),
            size_of::<types::VolumeAttachment>(),
        ] {
            assert!(size <= INNER_ITEM, "{size}");
        }
    }

    fn page(instances: usize, instance: &str) -> String {
        let reservation = format!(
            "<item><ownerId>1</ownerId><instancesSet><item>{instance}</item></instancesSet></item>"
        );
        let reservations = reservation.repeat(instances);
        format!("<r><reservationSet>{reservations}</reservationSet></r>")
    }

    #[test]
    fn a_full_page_passes_and_a_flood_of_items_does_not() {
        let tags = "<item><key>k</key><value>v</value></item>".repeat(50);
        let instance = format!(
            "<tagSet>{tags}</tagSet><networkInterfaceSet><item/></networkInterfaceSet>\
             <groupSet>{}</groupSet>",
            "<item/>".repeat(10)
        );
        assert_eq!(check(page(1000, &instance).as_bytes()), Ok(()));
        for flood in [
            "<instancesSet>*</instancesSet>",
            "<x:instancesSet>*</x:instancesSet>",
            "<a><![CDATA[<b>]]><!-- <c> --><instancesSet>*</instancesSet></a>",
            "<item><networkInterfaceSet>*</networkInterfaceSet></item>",
            "<item><tagSet>*</tagSet></item>",
            "<r>*</r>",
        ] {
            let flood = flood.replace('*', &"<item/>".repeat(200_000));
            assert_eq!(check(flood.as_bytes()), Err(Unbounded::Items));
        }
        assert_eq!(check(b"<a>\xff<item/>"), Ok(()));
        assert_eq!(check(b"<a"), Ok(()));
        assert_eq!(
            check("<a>".repeat(100_000).as_bytes()),
            Err(Unbounded::Depth)
        );
    }

    #[test]
    fn a_response_that_breaks_off_is_not_complete() {
        let whole = "<?xml version=\"1.0\"?>\n<DescribeInstancesResponse xmlns=\"x\"><reservationSet/>\
                     <requestId>r</requestId></DescribeInstancesResponse>";
        assert_eq!(check(whole.as_bytes()), Ok(()));
        let root = whole.find("<reservationSet").unwrap();
        for end in root..whole.len() - "</DescribeInstancesResponse>".len() + 1 {
            let cut = &whole[..end];
            // A tag that is cut itself is refused by the SDK.
            let is_whole_token = !cut.rsplit('<').next().unwrap().is_empty() && cut.ends_with('>');
            if is_whole_token {
                assert_eq!(check(cut.as_bytes()), Err(Unbounded::Cut), "{cut}");
            }
        }
        // Not EC2's: the call reports it.
        assert_eq!(check(b"<html><body>"), Ok(()));
    }
}
