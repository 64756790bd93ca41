//! Everything that can be asked before anything is made, at once.

use aws_sdk_ec2::types::SecurityGroup;
use machine_driver::{DriverError, DriverErrorKind};
use machine_ops::Cx;

use crate::api::account;
use crate::api::call::CallError;
use crate::api::client::Api;
use crate::config::configure::Wishes;
use crate::config::saved::Saved;
use crate::launch::candidates::Place;
use crate::launch::image::{self, ImageFacts};
use crate::launch::{fleet, key_pair, tags};
use crate::network::{security_groups, subnets};

/// What the answers were.
#[derive(Debug, Clone, Default)]
pub(crate) struct Findings {
    pub places: Vec<Place>,
    pub groups: Vec<SecurityGroup>,
}

/// There is nobody to ask EC2 as.
#[derive(Debug, thiserror::Error)]
#[error(
    "amazonec2 driver requires AWS credentials configured with the --amazonec2-access-key and --amazonec2-secret-key options, environment variables, ~/.aws/credentials, or an instance role"
)]
struct NoCredentials {
    #[source]
    source: DriverError,
}

/// Says of a check that had no credentials that they belong to the flags: nothing has begun.
pub(crate) fn without_credentials(mut error: DriverError) -> DriverError {
    let cause = error.cause().downcast_ref::<CallError>();
    if !matches!(cause, Some(CallError::NoCredentials { .. })) {
        return error;
    }
    let hint = error.hint.take();
    let mut named = DriverError::new(
        DriverErrorKind::Configuration,
        NoCredentials { source: error },
    );
    named.hint = hint;
    named
}

/// The default VPC stands for a flag that was not given.
fn of_the_flags(mut error: DriverError) -> DriverError {
    if error.kind != DriverErrorKind::Cancelled {
        error.kind = DriverErrorKind::Configuration;
    }
    error
}

/// Asks, and fills in what follows from the answers.
///
/// A new key pair is not asked about: importing it tells whether its name is free, in the one call
/// that no other process can come in between.
pub(crate) async fn check(
    api: &Api,
    cx: &Cx,
    saved: &mut Saved,
    wishes: &Wishes,
) -> Result<Findings, DriverError> {
    if let (_, Some(words)) = tags::pairs(&saved.tags) {
        let name = &saved.base.machine_name;
        cx.say(format!(
            "({name}) Tags are not key value in pairs. {words} elements found"
        ));
    }
    if saved.use_fleet {
        return Box::pin(fleet(api, cx, saved, wishes)).await;
    }
    if !saved.launch_template.is_empty() {
        cx.warn(format!(
            "({}) --amazonec2-launch-template is not used without --amazonec2-use-fleet",
            saved.base.machine_name
        ));
    }
    if saved.vpc_id.is_empty() && wishes.subnets.is_empty() {
        let vpc = subnets::default_vpc(api, cx).await;
        saved.vpc_id = vpc.map_err(of_the_flags)?;
    }
    let asked: &Saved = saved;
    let key_pair = async {
        match asked.existing_key {
            true => Ok(key_pair::check_existing(api, cx, asked).await?),
            false => Ok::<_, DriverError>(()),
        }
    };
    // Groups are looked for by name in a VPC: where only the subnet tells which, it comes first.
    let network = async {
        if asked.vpc_id.is_empty() {
            let places = subnets::places(api, cx, asked, wishes).await?;
            let vpc = places
                .first()
                .map(|place| place.vpc.clone())
                .unwrap_or_default();
            let groups = security_groups::find(api, cx, asked, &vpc).await?;
            Ok::<_, DriverError>((places, groups))
        } else {
            let places = subnets::places(api, cx, asked, wishes);
            tokio::try_join!(places, security_groups::find(api, cx, asked, &asked.vpc_id))
        }
    };
    let image = image::check(api, cx, &asked.ami, &wishes.instance_types);
    let ((), (places, groups), image) = tokio::try_join!(key_pair, network, image)?;
    if let Some(place) = places.first() {
        place.save(saved);
    }
    apply(saved, wishes, image);
    Ok(Findings { places, groups })
}

/// Asks what a fleet depends on: its template decides on groups, key pair, image and volumes, and on
/// the network where no subnets are given.
async fn fleet(
    api: &Api,
    cx: &Cx,
    saved: &mut Saved,
    wishes: &Wishes,
) -> Result<Findings, DriverError> {
    let asked: &Saved = saved;
    let places = async {
        match wishes.subnets.is_empty() {
            true => Ok(Vec::new()),
            false => subnets::places(api, cx, asked, wishes).await,
        }
    };
    let image = fleet::check_template(api, cx, asked, &wishes.instance_types);
    // CreateFleet's answer names no account.
    let account = async {
        account::learn(api, cx).await;
        Ok(())
    };
    let (places, image, ()) = tokio::try_join!(places, image, account)?;
    apply(saved, wishes, image);
    Ok(Findings {
        places,
        groups: Vec::new(),
    })
}

fn apply(saved: &mut Saved, wishes: &Wishes, image: ImageFacts) {
    saved.ami = image.id;
    if let Some(device) = image.root_device
        && !wishes.device_given
    {
        saved.device_name = device;
    }
    if let Some(user) = image.user
        && !wishes.user_given
    {
        user.clone_into(&mut saved.base.ssh_user);
    }
}
