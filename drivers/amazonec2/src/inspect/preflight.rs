//! All read-only checks before a create, in parallel.

use std::path::Path;

use machine_driver::{DriverError, DriverErrorKind};
use machine_ops::Cx;

use crate::api::account;
use crate::api::call_error::CallError;
use crate::api::client::Api;
use crate::api::ec2::Ec2;
use crate::api::shared_record::millis;
use crate::config::create_options::CreateOptions;
use crate::config::saved::Saved;
use crate::launch::image;
use crate::launch::image_facts::ImageFacts;
use crate::launch::preflight_cache::{Facts, OTHERS, PreflightCache, PreflightResult, Turn};
use crate::launch::{key_pair, root_volume, tags};
use crate::network::{security_groups, subnets};

/// There are no credentials for EC2.
#[derive(Debug, thiserror::Error)]
#[error(
    "amazonec2 driver requires AWS credentials configured with the --amazonec2-access-key and --amazonec2-secret-key options, environment variables, ~/.aws/credentials, or an instance role"
)]
struct NoCredentials {
    #[source]
    source: DriverError,
}

/// Converts missing credentials in a check to a configuration error: nothing has been created.
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

/// Marks an error about the default VPC as a configuration error, since a flag would replace the default VPC.
fn of_the_flags(mut error: DriverError) -> DriverError {
    if error.kind != DriverErrorKind::Cancelled {
        error.kind = DriverErrorKind::Configuration;
    }
    error
}

/// Runs the checks, unless another create made the same queries a moment ago, and after the time `after` (Unix time in
/// milliseconds). Fills in the values that follow from the responses.
///
/// Does not query a new key pair: importing it shows whether its name is free, in a single call without a race.
pub(crate) async fn check(
    api: &Api,
    cx: &Cx,
    store: &Path,
    saved: &mut Saved,
    create_options: &CreateOptions,
    after: u64,
) -> Result<PreflightResult, DriverError> {
    if let (_, Some(words)) = tags::pairs(&saved.tags) {
        let name = &saved.base.machine_name;
        cx.say(format!(
            "({name}) Tags are not key value in pairs. {words} elements found"
        ));
    }
    if !saved.use_fleet && !saved.launch_template.is_empty() {
        cx.warn(format!(
            "({}) --amazonec2-launch-template is not used without --amazonec2-use-fleet",
            saved.base.machine_name
        ));
    }
    let ec2 = Ec2 { api, cx, saved };
    let cache = PreflightCache::of(ec2, store, create_options).await;
    let turn = match &cache {
        Some(cache) => cache.turn(cx, OTHERS, |facts| facts.asked > after).await,
        None => Turn::Alone,
    };
    let (facts, are_cached) = match turn {
        Turn::Known(facts) => (facts, true),
        Turn::Alone => (ask(ec2, create_options).await?, false),
        Turn::Ours(file) => {
            let facts = ask(ec2, create_options).await?;
            if let Some(cache) = &cache {
                cache.keep(cx, &file, facts.clone());
            }
            (facts, false)
        }
    };
    if saved.use_fleet && are_cached {
        // CreateFleet's response contains no account, and a cached record does not prove it.
        account::learn(api, cx).await;
    }
    saved.vpc_id.clone_from(&facts.vpc);
    if let (false, Some(place)) = (saved.use_fleet, facts.places.first()) {
        place.save(saved);
    }
    apply(saved, create_options, &facts.image);
    fit_root_volume(cx, saved, create_options, &facts.image)?;
    Ok(PreflightResult {
        places: facts.places.clone(),
        groups: facts.groups(),
        facts,
        cache,
        are_cached,
    })
}

async fn ask(ec2: Ec2<'_>, create_options: &CreateOptions) -> Result<Facts, DriverError> {
    let asked = millis(ec2.cx.ambient.now());
    let mut facts = match ec2.saved.use_fleet {
        true => Box::pin(of_fleet(ec2, create_options)).await?,
        false => Box::pin(of_instance(ec2, create_options)).await?,
    };
    facts.asked = asked;
    Ok(facts)
}

async fn of_instance(ec2: Ec2<'_>, create_options: &CreateOptions) -> Result<Facts, DriverError> {
    let mut asked = ec2.saved.clone();
    if asked.vpc_id.is_empty() && create_options.subnets.is_empty() {
        let vpc = subnets::default_vpc(ec2).await;
        asked.vpc_id = vpc.map_err(of_the_flags)?;
    }
    let asked = &asked;
    let ec2 = Ec2 {
        saved: asked,
        ..ec2
    };
    let key_pair = async {
        match asked.existing_key {
            true => Ok(key_pair::check_existing(ec2).await?),
            false => Ok::<_, DriverError>(()),
        }
    };
    // Groups are looked up by name in a VPC. If only the subnet determines the VPC, the subnet comes first.
    let network = async {
        if asked.vpc_id.is_empty() {
            let places = subnets::places(ec2, create_options).await?;
            let vpc = places
                .first()
                .map(|place| place.vpc.clone())
                .unwrap_or_default();
            let groups = security_groups::find(ec2, &vpc).await?;
            Ok::<_, DriverError>((places, groups))
        } else {
            let places = subnets::places(ec2, create_options);
            tokio::try_join!(places, security_groups::find(ec2, &asked.vpc_id))
        }
    };
    let image = image::check(ec2, &asked.ami, &create_options.instance_types);
    let ((), (places, groups), image) = tokio::try_join!(key_pair, network, image)?;
    Ok(Facts::new(&asked.vpc_id, places, image, &groups))
}

/// Queries the prerequisites of a fleet. Its template determines groups, key pair, image and volumes, and the network
/// if no subnets are given.
async fn of_fleet(ec2: Ec2<'_>, create_options: &CreateOptions) -> Result<Facts, DriverError> {
    let places = async {
        match create_options.subnets.is_empty() {
            true => Ok(Vec::new()),
            false => subnets::places(ec2, create_options).await,
        }
    };
    let image = image::of_template(ec2, &create_options.instance_types);
    // CreateFleet's response contains no account.
    let account = async {
        account::learn(ec2.api, ec2.cx).await;
        Ok(())
    };
    let (places, image, ()) = tokio::try_join!(places, image, account)?;
    Ok(Facts::new(&ec2.saved.vpc_id, places, image, &[]))
}

/// Sets the root volume's size to what the image needs if no size was given. The Go program's default may be smaller.
fn fit_root_volume(
    cx: &Cx,
    saved: &mut Saved,
    create_options: &CreateOptions,
    image: &ImageFacts,
) -> Result<(), DriverError> {
    let size = root_volume::size(saved, create_options, image)?;
    if size > saved.root_size && !saved.use_fleet {
        cx.say(format!(
            "({}) The root volume gets {size} GB, not the default of {}: the image {} needs them",
            saved.base.machine_name, saved.root_size, image.id
        ));
    }
    saved.root_size = size;
    Ok(())
}

fn apply(saved: &mut Saved, create_options: &CreateOptions, image: &ImageFacts) {
    saved.ami.clone_from(&image.id);
    if let Some(device) = &image.root_device
        && !create_options.device_given
    {
        saved.device_name.clone_from(device);
    }
    if let Some(user) = &image.user
        && !create_options.user_given
    {
        saved.base.ssh_user.clone_from(user);
    }
}
