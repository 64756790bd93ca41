//! One machine: combines the parts of the driver.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use async_trait::async_trait;
use machine_driver::{
    Access, Addresses, Base, Check, Cloud, Driver, DriverError, KeyMaterial, KeyPlan, LeftBehind,
    OwnedBy, Plan, Power, Route, Status, merge,
};
use machine_ops::{Cx, Entry, Intent, Ownership, Phase, Resource, Scope, UndoOrder, Undone};
use machine_types::{DockerUrl, Secret, SshEndpoint, printable};
use serde_json::{Map, Value};

use crate::api::account;
use crate::api::client::{self, Api};
use crate::api::ec2::Ec2;
use crate::api::scope;
use crate::config::create_options::{CreateOptions, RegionSource};
use crate::config::saved::Saved;
use crate::inspect::dry_run::DryRun;
use crate::inspect::{console, doctor, preflight, states};
use crate::instance;
use crate::launch::attempts::Attempts;
use crate::launch::image::architecture;
use crate::launch::preflight_cache::PreflightResult;
use crate::launch::tags::owner_key;
use crate::launch::{create_tags, fleet, key_pair, run_instances};
use crate::lifecycle;
use crate::network::security_groups;
use crate::recovery::{inventory, undo};

/// A machine of the driver `amazonec2`.
pub(crate) struct Machine {
    base: Base,
    /// The object as loaded, including fields of other versions.
    loaded: Map<String, Value>,
    saved: Saved,
    create_options: CreateOptions,
    preflight_result: PreflightResult,
    /// The configuration from the flags, before the checks filled in further values.
    asked: Option<Box<Saved>>,
    /// The attempts of the current create.
    attempts: Option<Attempts>,
    api: OnceLock<Api>,
    /// A client with the environment's credentials, set after AWS refused the saved ones.
    renewed: OnceLock<Api>,
}

impl Machine {
    pub(crate) fn new(
        base: &Base,
        saved: Saved,
        create_options: CreateOptions,
        loaded: Map<String, Value>,
    ) -> Self {
        Self {
            base: base.clone(),
            loaded,
            saved,
            create_options,
            preflight_result: PreflightResult::default(),
            asked: None,
            attempts: None,
            api: OnceLock::new(),
            renewed: OnceLock::new(),
        }
    }

    /// Returns the client; creates it at the first call.
    fn api(&self) -> &Api {
        let make = || Api::new(&self.saved, &self.base.store);
        self.renewed
            .get()
            .unwrap_or_else(|| self.api.get_or_init(make))
    }

    /// Returns what an operation on this machine works with.
    fn ec2<'a>(&'a self, cx: &'a Cx) -> Ec2<'a> {
        Ec2 {
            api: self.api(),
            cx,
            saved: &self.saved,
        }
    }

    /// Switches to the environment's credentials, since AWS refuses the saved ones, which may have expired since the
    /// create. Returns `false` if the environment has none for the same account.
    async fn renew(&self, cx: &Cx, account: Option<&str>) -> bool {
        if self.renewed.get().is_some() {
            return false;
        }
        let fresh = account::of_the_environment(self.ec2(cx), account).await;
        fresh.is_some_and(|fresh| self.renewed.set(fresh).is_ok())
    }

    /// Makes a call; if AWS refuses the saved credentials, repeats it with those of the environment. A call that was
    /// refused for its credentials had no effect.
    async fn renewing<'a, T, F: Future<Output = Result<T, DriverError>>>(
        &'a self,
        cx: &'a Cx,
        account: Option<&str>,
        ask: impl Fn(Ec2<'a>) -> F,
    ) -> Result<T, DriverError> {
        match ask(self.ec2(cx)).await {
            Err(error)
                if account::are_credentials_refused(&error) && self.renew(cx, account).await =>
            {
                ask(self.ec2(cx)).await
            }
            result => result,
        }
    }

    /// Checks the prerequisites of the launch. Accepts results of another create from after the time `after`.
    async fn check(&mut self, cx: &Cx, after: u64) -> Result<(), DriverError> {
        let (api, store) = (self.api().clone(), &self.base.store);
        let (saved, create_options) = (&mut self.saved, &self.create_options);
        let checked = preflight::check(&api, cx, store, saved, create_options, after);
        self.preflight_result = checked.await.map_err(preflight::without_credentials)?;
        Ok(())
    }

    /// Reports a region that no flag names, or that another setting contradicts.
    fn tell_region(&self, cx: &Cx) {
        let (name, region) = (&self.saved.base.machine_name, &self.saved.region);
        let shown = |text: &str| printable(text.as_bytes());
        match &self.create_options.region_source {
            RegionSource::Flag => {}
            RegionSource::Cli(named_by) => cx.warn(format!(
                "({name}) using the region {region} of {}; --amazonec2-region and $AWS_DEFAULT_REGION are not given",
                shown(named_by)
            )),
            RegionSource::Variable {
                variable,
                aws_region,
            } => cx.warn(format!(
                "({name}) WARNING: the region is {region}, by ${variable}: $AWS_REGION is {}, and is not used",
                shown(aws_region)
            )),
        }
    }

    /// Repeats the checks, starting with the configuration from the flags.
    async fn check_again(&mut self, cx: &Cx) -> Result<(), DriverError> {
        if let Some(asked) = &self.asked {
            let (saved, asked) = (&mut self.saved, asked.as_ref());
            saved.vpc_id.clone_from(&asked.vpc_id);
            saved.subnet_id.clone_from(&asked.subnet_id);
            saved.zone.clone_from(&asked.zone);
            saved.ami.clone_from(&asked.ami);
            saved.device_name.clone_from(&asked.device_name);
            saved.root_size = asked.root_size;
            saved.base.ssh_user.clone_from(&asked.base.ssh_user);
        }
        self.check(cx, self.preflight_result.asked()).await
    }

    async fn launch_by_findings(&mut self, cx: &Cx) -> Result<(), DriverError> {
        if self.saved.use_fleet {
            return Box::pin(self.launch(cx, None)).await;
        }
        let (ec2, store_id) = (self.ec2(cx), &self.base.store_id);
        let (preflight_result, create_options) = (&self.preflight_result, &self.create_options);
        let groups = security_groups::ensure(ec2, store_id, create_options, preflight_result);
        self.saved.security_group_ids = Some(groups.await?);
        self.keep(cx)?;
        Box::pin(self.launch(cx, None)).await?;
        cx.debug(format!(
            "launched {} with the private address {}",
            self.saved.instance_id, self.saved.private_ip_address
        ));
        Ok(())
    }

    /// Launches the machine; after a failed attempt, with the remaining candidates.
    async fn launch(&mut self, cx: &Cx, left: Option<Attempts>) -> Result<(), DriverError> {
        let (create_options, places) = (&self.create_options, &self.preflight_result.places);
        let store = (self.base.store.as_path(), self.base.store_id.as_str());
        let all = || Attempts::new(self.ec2(cx), create_options, places, store);
        let mut attempts = left.unwrap_or_else(all);
        let (api, saved) = (self.api().clone(), &mut self.saved);
        attempts.launch(&api, cx, saved, create_options).await?;
        self.attempts = Some(attempts);
        self.keep(cx)
    }

    fn keep(&self, cx: &Cx) -> Result<(), DriverError> {
        Ok(cx.journal.save_driver(&self.save())?)
    }
}

#[async_trait]
impl Driver for Machine {
    fn name(&self) -> &'static str {
        crate::NAME
    }

    fn save(&self) -> Value {
        merge(
            &self.loaded,
            serde_json::to_value(&self.saved).unwrap_or_default(),
        )
    }

    fn access(&self) -> Access {
        let saved = &self.saved.base;
        if saved.ip_address.is_empty() {
            return Access::default();
        }
        let address = &saved.ip_address;
        let key = match saved.ssh_key_path.as_str() {
            "" => self.base.directory.join("id_rsa"),
            path => PathBuf::from(path),
        };
        Access {
            address: Some(address.clone()),
            addresses: instance::saved_addresses(&self.saved),
            architecture: architecture(&self.saved.instance_type).map(|name| match name {
                "x86_64" => "amd64",
                other => other,
            }),
            docker_host: Some(DockerUrl::new(address).to_string()),
            ssh: Some(SshEndpoint {
                host: address.clone(),
                port: if saved.ssh_port == 0 {
                    22
                } else {
                    saved.ssh_port
                },
                user: match saved.ssh_user.as_str() {
                    // Saved by a create whose template set none; also the Go binary's default.
                    "" => crate::config::flags::SSH_USER.to_owned(),
                    user => user.to_owned(),
                },
                key: Some(key),
            }),
            restart_command: None,
        }
    }

    async fn preflight(&mut self, cx: &Cx) -> Result<(), DriverError> {
        if self.saved.id.is_empty() {
            self.saved.id = format!("{:016x}{:016x}", cx.ambient.random(), cx.ambient.random());
        }
        if self.saved.block_duration_minutes != 0 {
            // EC2 User Guide, "Spot Instances": "Spot Instances with a defined duration", until December 31, 2022.
            cx.warn(format!(
                "({}) AWS ended spot instances with a defined duration in 2022: leave out --amazonec2-block-duration-minutes",
                self.saved.base.machine_name
            ));
        }
        self.asked = Some(Box::new(self.saved.clone()));
        self.tell_region(cx);
        self.check(cx, 0).await
    }

    async fn examine_plan(&self, cx: &Cx) -> Vec<Check> {
        doctor::plan(self.ec2(cx), &self.create_options).await
    }

    fn key_plan(&self) -> KeyPlan {
        if self.saved.has_own_key() {
            return KeyPlan::Copy {
                private: PathBuf::from(&self.saved.ssh_private_key_path),
                public: !self.saved.existing_key,
                name: "id_rsa".to_owned(),
                keeps_modes: true,
            };
        }
        KeyPlan::Generate {
            algorithm: self.create_options.key_type.clone(),
        }
    }

    async fn rehearse(&self, cx: &Cx) -> Result<Plan, DriverError> {
        let dry_run = DryRun {
            ec2: self.ec2(cx),
            create_options: &self.create_options,
            preflight_result: &self.preflight_result,
            store_id: &self.base.store_id,
        };
        dry_run.run().await
    }

    async fn create(&mut self, key: &KeyMaterial, cx: &Cx) -> Result<(), DriverError> {
        cx.say(format!(
            "({}) Launching instance...",
            self.saved.base.machine_name
        ));
        // First, since it shows whether the name is free: groups stay if a create fails.
        if !self.saved.use_fleet && !self.saved.existing_key {
            self.saved
                .key_name
                .clone_from(&self.saved.base.machine_name);
            key_pair::import(self.ec2(cx), &self.base.store_id, &key.public).await?;
        }
        match self.launch_by_findings(cx).await {
            Err(error) if self.preflight_result.are_outdated(&error) => {
                cx.debug(format!("reading afresh what another create found: {error}"));
                self.check_again(cx).await?;
                self.launch_by_findings(cx).await
            }
            launched => launched,
        }
    }

    async fn state(&self, cx: &Cx) -> Result<Status, DriverError> {
        if self.saved.instance_id.is_empty() {
            return lifecycle::state_without_instance(cx);
        }
        self.renewing(cx, None, lifecycle::state).await
    }

    async fn power(&mut self, action: Power, cx: &Cx) -> Result<(), DriverError> {
        match action {
            Power::Start => {
                self.saved = self.renewing(cx, None, lifecycle::start).await?;
                Ok(())
            }
            Power::Stop | Power::Kill => {
                let stop = |ec2| lifecycle::stop(ec2, action == Power::Kill);
                self.renewing(cx, None, stop).await
            }
            Power::Restart => self.renewing(cx, None, lifecycle::restart).await,
        }
    }

    fn cloud(&self) -> Option<&dyn Cloud> {
        Some(self)
    }

    fn cloud_mut(&mut self) -> Option<&mut dyn Cloud> {
        Some(self)
    }
}

#[async_trait]
impl Cloud for Machine {
    fn route(&self) -> Route {
        let saved = &self.saved;
        Route {
            scope: client::scope(saved),
            credentials: vec![
                Secret::new(saved.access_key.as_str()),
                saved.session_token.clone(),
            ],
        }
    }

    fn scope(&self, entries: &[Entry]) -> Scope {
        let mut scope = client::scope(&self.saved);
        scope.learn(&scope::of_account(account::of_launches(entries)));
        scope
    }

    fn place(&self, scope: &Scope) -> String {
        scope::region(scope).to_owned()
    }

    fn owner_tag(&self) -> Option<String> {
        (!self.saved.no_owner_tags).then(|| owner_key(&self.saved, "store"))
    }

    fn saved_resources(&self) -> Vec<Resource> {
        let resource = |kind: &str, key: &str, undo, id: Option<String>| Resource {
            step: None,
            name: format!("saved {kind}"),
            at: 0,
            intent: Intent {
                driver: crate::NAME.into(),
                kind: kind.into(),
                key: key.into(),
                ownership: Ownership::Ours,
                undo,
                scope: client::scope(&self.saved),
                detail: Value::Null,
            },
            made: true,
            id,
        };
        let mut all = Vec::new();
        let saved = &self.saved;
        if !saved.existing_key && !saved.key_name.is_empty() {
            all.push(resource(
                key_pair::KIND,
                &saved.key_name,
                UndoOrder::First,
                None,
            ));
        }
        if !saved.instance_id.is_empty() {
            let id = Some(saved.instance_id.clone());
            all.push(resource(run_instances::KIND, "", UndoOrder::Reverse, id));
        }
        all
    }

    async fn undo(&self, resource: &Resource, cx: &Cx) -> Result<Undone, DriverError> {
        let place = &resource.intent.scope;
        let undo = |ec2| undo::undo(ec2, resource);
        self.renewing(cx, scope::account(place), undo).await
    }

    fn id(&self) -> Option<String> {
        let id = &self.saved.instance_id;
        (!id.is_empty()).then(|| id.clone())
    }

    async fn states(&self, ids: &[String], cx: &Cx) -> Vec<Result<Status, DriverError>> {
        let ask = |ec2| states::of_ids(ec2, ids);
        match self.renewing(cx, None, ask).await {
            Ok(states) => states,
            Err(error) => states::failed(error, ids.len()),
        }
    }

    async fn states_of_store(
        &self,
        cx: &Cx,
    ) -> Result<BTreeMap<String, Result<Status, DriverError>>, DriverError> {
        if self.saved.no_owner_tags || self.base.store_id.is_empty() {
            return Ok(BTreeMap::new());
        }
        let ask = |ec2| states::of_store(ec2, &self.base.store_id);
        self.renewing(cx, None, ask).await
    }

    async fn end(&self, ids: &[String], scope: &Scope, cx: &Cx) -> Vec<String> {
        let end = |ec2| undo::terminate_all(ec2, scope, ids);
        let ending = self.renewing(cx, scope::account(scope), end).await;
        ending.unwrap_or_else(|error| {
            cx.debug(machine_types::one_line(error));
            Vec::new()
        })
    }

    fn adopt(&mut self, addresses: &Addresses) -> bool {
        instance::adopt(&mut self.saved, addresses)
    }

    async fn examine_access(&self, cx: &Cx) -> Vec<Check> {
        doctor::access(self.ec2(cx)).await
    }

    async fn relaunch(&mut self, ended: &DriverError, cx: &Cx) -> Result<bool, DriverError> {
        let (code, attempts) = (instance::code_of(ended), self.attempts.take());
        let (Some(code), Some(mut attempts)) = (code, attempts) else {
            return Ok(false);
        };
        if !attempts.moves_on(self.ec2(cx), code) {
            return Ok(false);
        }
        let api = self.api().clone();
        undo::settle_ended(&api, cx, &mut self.saved).await?;
        self.keep(cx)?;
        Box::pin(self.launch(cx, Some(attempts))).await?;
        Ok(true)
    }

    async fn await_address(&mut self, cx: &Cx) -> Result<(), DriverError> {
        if self.saved.base.ip_address.is_empty() {
            self.saved = lifecycle::await_address(self.ec2(cx)).await?;
            self.keep(cx)?;
        }
        Ok(())
    }

    async fn ended(&self, cx: &Cx) -> Option<DriverError> {
        lifecycle::ended(self.ec2(cx)).await
    }

    async fn diagnose(&self, cx: &Cx) -> Option<String> {
        console::tail(self.ec2(cx)).await
    }

    async fn set_labels(&self, labels: &[(String, String)], cx: &Cx) -> Result<(), DriverError> {
        let set = |ec2| create_tags::set_labels(ec2, labels);
        self.renewing(cx, None, set).await
    }

    fn owner_ids(&self, entries: &[Entry]) -> Vec<String> {
        let saved = Some(self.saved.id.clone()).filter(|id| !id.is_empty());
        // If config.json is broken, uses the launches in the journal.
        let launched = entries.iter().filter_map(|entry| match &entry.phase {
            Phase::Intent { intent } => fleet::id_tag(&intent.detail).map(|(_, id)| id),
            _ => None,
        });
        saved.into_iter().chain(launched).collect()
    }

    async fn left_behind(
        &self,
        owner: OwnedBy<'_>,
        cx: &Cx,
    ) -> Result<Vec<LeftBehind>, DriverError> {
        let ask = |ec2| inventory::left_behind(ec2, owner);
        self.renewing(cx, scope::account(owner.scope), ask).await
    }
}
