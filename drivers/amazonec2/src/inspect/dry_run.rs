//! `create --dry-run`: sends every call that would create something with EC2's `DryRun`, which checks parameters and
//! permissions and creates nothing.

use aws_sdk_ec2::primitives::Blob;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use machine_driver::{DriverError, DriverErrorKind, Plan};

use crate::api::account;
use crate::api::call_error::CallError;
use crate::api::codes;
use crate::api::ec2::Ec2;
use crate::config::create_options::{CreateOptions, SpotFallback};
use crate::config::saved::Saved;
use crate::instance::speaks_private;
use crate::launch::candidates::{Candidate, candidates, choices};
use crate::launch::concessions::Concessions;
use crate::launch::fleet::FleetRequest;
use crate::launch::key_pair::{self, KeyPairError};
use crate::launch::preflight_cache::PreflightResult;
use crate::launch::run_instances::LaunchRequest;
use crate::launch::tags::{self, Tag};
use crate::lifecycle;
use crate::network::security_groups;

/// The endpoint carried out a call despite `DryRun`.
#[derive(Debug, thiserror::Error)]
#[error("the endpoint {endpoint} does not know DryRun: {action} was carried out ({made})")]
struct Ignored {
    endpoint: String,
    action: &'static str,
    made: String,
}

/// Why a dry-run call failed.
enum Refused {
    Call(CallError),
    Ignored(Ignored),
}

impl From<Refused> for DriverError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Call(error) => error.into(),
            Refused::Ignored(error) => Self::new(DriverErrorKind::Unsupported, error),
        }
    }
}

/// A dry run of one create.
pub(crate) struct DryRun<'a> {
    pub ec2: Ec2<'a>,
    pub create_options: &'a CreateOptions,
    pub preflight_result: &'a PreflightResult,
    pub store_id: &'a str,
}

impl DryRun<'_> {
    /// Returns the plan: one line for each resource that would be created, and the terms.
    ///
    /// # Errors
    /// Returns what EC2 would refuse. A candidate without capacity is an error only if it is the last one.
    pub(crate) async fn run(&self) -> Result<Plan, DriverError> {
        let steps = match self.ec2.saved.use_fleet {
            true => self.fleet().await?,
            false => self.instances().await?,
        };
        Ok(Plan {
            steps,
            facts: self.facts().await,
        })
    }

    /// Returns region, account, address, market and maximum price.
    async fn facts(&self) -> Vec<(&'static str, String)> {
        let Ec2 { api, cx, saved } = self.ec2;
        account::learn(api, cx).await;
        let address = match (saved.ipv6_address_only, speaks_private(saved)) {
            (true, _) => "IPv6",
            (false, true) => "private",
            (false, false) => "public",
        };
        let market = match (
            saved.request_spot_instance,
            self.create_options.spot_fallback,
        ) {
            (false, _) => "on-demand",
            (true, SpotFallback::Never) => "spot",
            (true, SpotFallback::Capacity) => "spot, on-demand without capacity",
            (true, SpotFallback::Any) => "spot, on-demand without capacity or below the spot price",
        };
        let price = match saved.spot_price.as_str() {
            "" => "the on-demand price",
            price => price,
        };
        let mut facts = vec![("region", api.region.clone())];
        facts.extend(api.account().map(|account| ("account", account)));
        facts.push(("address", address.to_owned()));
        facts.push(("market", market.to_owned()));
        if saved.request_spot_instance {
            facts.push(("maximum_price", price.to_owned()));
        }
        facts
    }

    async fn instances(&self) -> Result<Vec<String>, DriverError> {
        let mut plan = vec![self.key_pair().await?];
        let mut ids = Vec::new();
        for name in self.ec2.saved.security_group_names.iter().flatten() {
            let (line, id) = self.group(name).await?;
            plan.push(line);
            ids.extend(id);
        }
        plan.push(self.image());
        plan.extend(self.instance(ids).await?);
        Ok(plan)
    }

    async fn key_pair(&self) -> Result<String, DriverError> {
        let Ec2 { api, cx, saved } = self.ec2;
        let name = &saved.base.machine_name;
        if saved.existing_key {
            return Ok(format!("use the key pair {}", saved.key_name));
        }
        let named = Saved {
            key_name: name.clone(),
            ..saved.clone()
        };
        if let Some(there) = key_pair::find(self.ec2, name).await? {
            if !key_pair::is_this_stores(&there, saved, self.store_id) {
                return Err(KeyPairError::Taken(name.clone()).into());
            }
            return Ok(format!(
                "replace the key pair {name}, which an earlier machine left behind"
            ));
        }
        let ec2 = Ec2 {
            saved: &named,
            ..self.ec2
        };
        let import = |tags: Vec<Tag>| async move {
            api.call(cx, "ImportKeyPair", |probe| {
                key_pair::import_call(ec2, &nobodys_key(), &tags)
                    .dry_run(true)
                    .customize()
                    .interceptor(probe)
                    .send()
            })
            .await
        };
        let tags = tags::of_key_pair(&named, self.store_id);
        let imported = match tags::with_fewer(tags, import).await {
            Ok(made) => Ok(Some(self.delete(name, made.key_pair_id).await)),
            Err(error) => Err(error),
        };
        self.passed("ImportKeyPair", imported)?;
        Ok(format!("import a key pair under the name {name}"))
    }

    /// Checks one security group; returns its ID if it exists.
    async fn group(&self, name: &str) -> Result<(String, Option<String>), DriverError> {
        let Ec2 { api, cx, saved } = self.ec2;
        let known = security_groups::known(&self.preflight_result.groups, name);
        let id = known
            .and_then(|group| group.group_id().map(str::to_owned))
            .or_else(|| security_groups::is_id(name).then(|| name.to_owned()));
        let Some(id) = id else {
            let create = |tags: Vec<Tag>| async move {
                api.call(cx, "CreateSecurityGroup", |probe| {
                    security_groups::create_call(self.ec2, name, &tags)
                        .dry_run(true)
                        .customize()
                        .interceptor(probe)
                        .send()
                })
                .await
            };
            let answer = tags::with_fewer(tags::of_group(saved, self.store_id, name), create).await;
            self.passed("CreateSecurityGroup", answer.map(|made| made.group_id))?;
            let line = format!("make the security group {name} in {}", saved.vpc_id);
            return Ok((line, None));
        };
        let rules = known.map_or(&[][..], |group| group.ip_permissions());
        let closed = security_groups::closed(saved, self.create_options, &id, rules);
        if closed.is_empty() || saved.security_group_read_only {
            return Ok((format!("use the security group {name} as it is"), Some(id)));
        }
        let answer = api
            .call(cx, "AuthorizeSecurityGroupIngress", |probe| {
                api.ec2
                    .authorize_security_group_ingress()
                    .group_id(&id)
                    .set_ip_permissions(Some(closed.clone()))
                    .dry_run(true)
                    .customize()
                    .interceptor(probe)
                    .send()
            })
            .await;
        let ports: Vec<String> = closed
            .iter()
            .filter_map(|rule| Some(format!("{}/{}", rule.from_port()?, rule.ip_protocol()?)))
            .collect();
        let ports = ports.join(", ");
        let answer = answer.map(|_| None);
        let line = match self.passed("AuthorizeSecurityGroupIngress", answer) {
            // The create continues without it, too.
            Err(Refused::Call(error)) if error.is_denied() => {
                format!("use the security group {name}, in which {ports} may not be opened")
            }
            passed => {
                passed?;
                format!("open {ports} in the security group {name}")
            }
        };
        Ok((line, Some(id)))
    }

    fn image(&self) -> String {
        let saved = self.ec2.saved;
        let encrypted = match (saved.volume_encrypted, saved.volume_kms_key_id.as_str()) {
            (false, _) => String::new(),
            (true, "") => ", encrypted".to_owned(),
            (true, key) => format!(", encrypted with the KMS key {key}"),
        };
        format!(
            "use the image {}, with {} GB of {} at {}{encrypted}, and log in as {}",
            saved.ami, saved.root_size, saved.volume_type, saved.device_name, saved.base.ssh_user
        )
    }

    async fn instance(&self, groups: Vec<String>) -> Result<Vec<String>, DriverError> {
        let mut saved = self.ec2.saved.clone();
        if !saved.existing_key {
            // The key pair does not exist yet, and EC2 would report that.
            saved.key_name.clear();
        }
        saved.security_group_ids = Some(groups);
        let ec2 = Ec2 {
            saved: &saved,
            ..self.ec2
        };
        let all = candidates(
            &self.create_options.instance_types,
            &self.preflight_result.places,
            saved.request_spot_instance,
            self.create_options.spot_fallback != SpotFallback::Never,
        );
        let (mut plan, mut concessions, mut last) = (Vec::new(), Concessions::default(), None);
        for candidate in &all {
            match self.candidate(ec2, candidate, &mut concessions).await {
                Ok(()) if plan.is_empty() => plan.push(format!("launch {}", candidate.describe())),
                Ok(()) => plan.push(format!("or, without capacity, {}", candidate.describe())),
                Err(Refused::Call(error)) if codes::is_capacity(error.code()) => last = Some(error),
                Err(refused) => return Err(refused.into()),
            }
        }
        match last {
            Some(error) if plan.is_empty() => return Err(error.into()),
            _ => {}
        }
        plan.push(concessions.tags(&saved, self.store_id).to_string());
        if concessions.requires_tokens {
            plan.push("require session tokens for instance metadata".to_owned());
        }
        Ok(plan)
    }

    async fn candidate(
        &self,
        ec2: Ec2<'_>,
        candidate: &Candidate,
        concessions: &mut Concessions,
    ) -> Result<(), Refused> {
        let Ec2 { api, cx, saved } = ec2;
        loop {
            let tags = concessions.tags(saved, self.store_id);
            let request = LaunchRequest {
                tokens_required: concessions.requires_tokens,
                ..LaunchRequest::new(ec2, self.create_options, candidate, tags)
            };
            let answer = api
                .call(cx, "RunInstances", |probe| {
                    request
                        .fill(api.ec2.run_instances(), saved)
                        .dry_run(true)
                        .customize()
                        .interceptor(probe)
                        .send()
                })
                .await;
            let launched = answer.map(|made| {
                let ids = made.instances().iter().filter_map(|i| i.instance_id());
                ids.map(str::to_owned).collect()
            });
            match self.passed("RunInstances", self.end(launched).await) {
                Ok(()) => return Ok(()),
                Err(refused) => *concessions = self.after(concessions, refused)?,
            }
        }
    }

    async fn fleet(&self) -> Result<Vec<String>, DriverError> {
        let Ec2 { api, cx, saved } = self.ec2;
        let mut concessions = Concessions::default();
        let spot = saved.request_spot_instance;
        let types = &self.create_options.instance_types;
        let all = choices(types, &self.preflight_result.places, spot, false);
        loop {
            let tags = concessions.tags(saved, self.store_id);
            let request = FleetRequest::new(self.ec2, &all, spot, tags);
            let answer = api
                .call(cx, "CreateFleet", |probe| {
                    request
                        .fill(api.ec2.create_fleet())
                        .dry_run(true)
                        .customize()
                        .interceptor(probe)
                        .send()
                })
                .await;
            let launched = answer.map(|made| {
                let ids = made.instances().iter().flat_map(|i| i.instance_ids());
                ids.cloned().collect()
            });
            match self.passed("CreateFleet", self.end(launched).await) {
                Ok(()) => {
                    return Ok(vec![format!(
                        "launch a fleet of one {} instance with the launch template {}",
                        if request.spot { "spot" } else { "on-demand" },
                        saved.launch_template
                    )]);
                }
                Err(refused) => concessions = self.after(&concessions, refused)?,
            }
        }
    }

    /// Deletes a key pair that an endpoint imported despite `DryRun`; returns the outcome for the message.
    async fn delete(&self, name: &str, id: Option<String>) -> String {
        let id = id.unwrap_or_else(|| name.to_owned());
        match key_pair::delete(self.ec2, name).await {
            Ok(_) => format!("{id}, which is deleted again"),
            Err(error) => format!("{id}, which is still there: {error}"),
        }
    }

    /// Terminates an instance that an endpoint launched despite `DryRun`; returns the outcome for the message.
    async fn end(
        &self,
        launched: Result<Vec<String>, CallError>,
    ) -> Result<Option<String>, CallError> {
        let mut told = Vec::new();
        for id in launched? {
            told.push(match lifecycle::terminate(self.ec2, &id).await {
                Ok(()) => format!("{id}, which is terminated again"),
                Err(error) => format!("{id}, which still runs: {error}"),
            });
        }
        Ok((!told.is_empty()).then(|| told.join("; ")))
    }

    fn after(&self, concessions: &Concessions, refused: Refused) -> Result<Concessions, Refused> {
        let next = match &refused {
            Refused::Call(error) => {
                concessions.after(self.ec2.saved, error.code(), error.message())
            }
            Refused::Ignored(_) => None,
        };
        next.map(|next| next.concessions).ok_or(refused)
    }

    /// Returns whether a call would have succeeded.
    fn passed(
        &self,
        action: &'static str,
        answer: Result<Option<String>, CallError>,
    ) -> Result<(), Refused> {
        match answer {
            Err(error) if error.code() == "DryRunOperation" => Ok(()),
            Err(error) => Err(Refused::Call(error)),
            Ok(made) => Err(Refused::Ignored(Ignored {
                endpoint: self.ec2.api.endpoint.clone(),
                action,
                made: made.unwrap_or_else(|| "EC2 does not say what was made".to_owned()),
            })),
        }
    }
}

/// Returns a well-formed public key without a private one. The machine's own key is made together with its directory.
fn nobodys_key() -> Blob {
    let mut key = b"\0\0\0\x0bssh-ed25519\0\0\0\x20".to_vec();
    key.extend([1; 32]);
    Blob::new(format!("ssh-ed25519 {}", STANDARD.encode(key)))
}
