//! Responses of a hostile endpoint, for the fuzz target `answers` and for a bounded test.

use aws_credential_types::Credentials;
use aws_sdk_ec2::config::retry::RetryConfig;
use aws_sdk_ec2::config::timeout::TimeoutConfig;
use aws_sdk_ec2::config::{BehaviorVersion, Region, StalledStreamProtectionConfig};
use aws_sdk_ec2::{Client, Config};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;

use crate::api::answer;

/// An endpoint that returns the same response to every request.
#[derive(Debug, Clone)]
struct Endpoint {
    status: u16,
    body: Vec<u8>,
}

impl HttpClient for Endpoint {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Endpoint {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let Ok(status) = self.status.try_into() else {
            return HttpConnectorFuture::ready(Err(ConnectorError::other("status".into(), None)));
        };
        let response = HttpResponse::new(status, SdkBody::from(self.body.clone()));
        HttpConnectorFuture::new(answer::read(response))
    }
}

/// Parses any bytes as the response, and as the error, of each action that the driver uses.
pub fn answers(bytes: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else { return };
    for status in [200, 400] {
        let body = bytes.to_vec();
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("a", "b", None, None, "fuzzing"))
            .http_client(Endpoint { status, body })
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        runtime.block_on(ask(&Client::from_conf(config.build())));
    }
}

/// Calls each action once. Ignores the results.
async fn ask(ec2: &Client) {
    macro_rules! each {
        ($($action:ident)*) => {
            $( let _ = Box::pin(ec2.$action().send()).await; )*
        };
    }
    each! {
        associate_iam_instance_profile authorize_security_group_ingress cancel_spot_instance_requests create_fleet
        create_security_group create_tags delete_key_pair delete_tags delete_volume describe_account_attributes
        describe_fleets describe_images describe_instances describe_key_pairs describe_launch_template_versions
        describe_security_groups describe_spot_instance_requests describe_subnets describe_volumes describe_vpcs
        get_console_output import_key_pair reboot_instances run_instances start_instances stop_instances
        terminate_instances
    }
}

#[cfg(test)]
mod tests {
    /// Parts of responses.
    const PARTS: &[&str] = &[
        "<DescribeInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">",
        "</DescribeInstancesResponse>",
        "<RunInstancesResponse>",
        "<CreateFleetResponse>",
        "<reservationSet>",
        "<item>",
        "</item>",
        "<instancesSet>",
        "</instancesSet>",
        "<instanceId>i-0</instanceId>",
        "<instanceState><code>16</code><name>running</name></instanceState>",
        "<launchTime>2026-01-01T00:00:00.000Z</launchTime>",
        "<launchTime>x</launchTime>",
        "<imagesSet>",
        "<blockDeviceMapping><item><ebs><volumeSize>999999999999</volumeSize></ebs></item></blockDeviceMapping>",
        "<subnetSet>",
        "<vpcSet>",
        "<securityGroupInfo>",
        "<ipPermissions><item><fromPort>-1</fromPort></item></ipPermissions>",
        "<volumeSet>",
        "<fleetInstanceSet>",
        "<errorSet>",
        "<spotInstanceRequestSet>",
        "<tagSet><item><key>k</key><value>&#x1b;</value></item></tagSet>",
        "<Response><Errors><Error><Code>X</Code><Message>m</Message></Error></Errors></Response>",
        "<nextToken>t</nextToken>",
        "<return>true</return>",
        "&amp;",
        "&#x110000;",
        "<![CDATA[",
        "<!--",
        "<?xml version=\"1.0\"?>",
        "<!DOCTYPE a [<!ENTITY b \"c\">]>",
        "\"",
        "é",
    ];

    #[test]
    fn any_answer_is_read_or_refused() {
        // Marsaglia's xorshift64*: the same responses in every run.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = |bound: usize| {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
        };
        for _ in 0..100 {
            let mut answer = Vec::new();
            for _ in 0..random(60) {
                match random(12) {
                    0 => answer.push(random(256) as u8),
                    _ => answer.extend(PARTS[random(PARTS.len())].bytes()),
                }
            }
            super::answers(&answer);
        }
    }
}
