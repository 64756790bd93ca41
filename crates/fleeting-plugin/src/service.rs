//! The gRPC services: fleeting's instance group, and what hashicorp/go-plugin calls beside it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use futures_util::Stream;
use libmachine::{Ambient, MemberAccess};
use tokio::sync::{OnceCell, watch};
use tonic::{Request, Response, Status};

use crate::config::Config;
use crate::group::{Group, State};
use crate::log::Log;
use crate::machines::Machines;
use crate::proto::fleeting::instance_group_server::InstanceGroup;
use crate::proto::fleeting::{
    ConnectInfoRequest, ConnectInfoResponse, ConnectorConfig, DecreaseRequest, DecreaseResponse,
    Empty, IncreaseRequest, IncreaseResponse, InitRequest, InitResponse, State as WireState,
    UpdateResponse,
};
use crate::proto::go_plugin::grpc_controller_server::GrpcController;
use crate::proto::go_plugin::grpc_stdio_server::GrpcStdio;
use crate::proto::go_plugin::{Empty as PluginEmpty, StdioData};
use crate::proto::health::health_check_response::ServingStatus;
use crate::proto::health::health_server::Health;
use crate::proto::health::{HealthCheckRequest, HealthCheckResponse};

/// Opens the machines of a pool, by its configuration.
#[async_trait]
pub trait Opener: Send + Sync + 'static {
    /// Checks the configuration and returns the pool's machines. Makes no network call.
    ///
    /// # Errors
    /// The first error in the configuration.
    async fn open(&self, config: &Config) -> Result<Arc<dyn Machines>, String>;
}

/// All services of the plugin.
pub struct Service {
    /// Opens the pool.
    pub opener: Box<dyn Opener>,
    /// Clock and random numbers.
    pub ambient: Arc<dyn Ambient>,
    /// The plugin's log.
    pub log: Log,
    /// The version to report.
    pub version: String,
    /// Set when the host ends the plugin.
    pub end: watch::Sender<bool>,
    /// The pool and the host's settings, after Init.
    pub opened: OnceCell<(Arc<Group>, ConnectorConfig)>,
}

impl Service {
    fn group(&self) -> Result<&Arc<Group>, Status> {
        let opened = self.opened.get();
        opened.map(|(group, _)| group).ok_or_else(|| {
            Status::failed_precondition("cannot serve the pool: Init was not called")
        })
    }

    /// Cancels the creates of an opened pool, and waits for their rollback.
    pub async fn shut_down(&self) {
        if let Some((group, _)) = self.opened.get() {
            group.shut_down().await;
        }
    }
}

#[tonic::async_trait]
impl InstanceGroup for Service {
    async fn init(&self, request: Request<InitRequest>) -> Result<Response<InitResponse>, Status> {
        let InitRequest { config, settings } = request.into_inner();
        let config = Config::parse(&config).map_err(invalid)?;
        let connector = settings.and_then(|settings| settings.connector_config);
        let answer = InitResponse {
            id: format!("docker-machine/{}/{}", config.driver, config.name),
            max_size: config.max_size,
            version: self.version.clone(),
            build_info: format!("docker-machine {}", self.version),
        };
        if self.opened.get().is_some() {
            return Err(Status::failed_precondition(
                "cannot open a second pool: Init was called before",
            ));
        }
        let opened = self.opened.get_or_try_init(|| async {
            let machines = self.opener.open(&config).await.map_err(invalid)?;
            let (ambient, log) = (self.ambient.clone(), self.log.clone());
            let group = Group::open(config, machines, ambient, log).await;
            let group = group.map_err(Status::failed_precondition)?;
            Ok::<_, Status>((group, connector.unwrap_or_default()))
        });
        opened.await?;
        Ok(Response::new(answer))
    }

    type UpdateStream = Updates;

    async fn update(&self, _: Request<Empty>) -> Result<Response<Updates>, Status> {
        let group = self.group()?.clone();
        let shown = group.update();
        Ok(Response::new(Updates {
            group,
            shown,
            next: 0,
        }))
    }

    async fn increase(
        &self,
        request: Request<IncreaseRequest>,
    ) -> Result<Response<IncreaseResponse>, Status> {
        let succeeded = self.group()?.increase(request.into_inner().n);
        Ok(Response::new(IncreaseResponse { succeeded }))
    }

    async fn decrease(
        &self,
        request: Request<DecreaseRequest>,
    ) -> Result<Response<DecreaseResponse>, Status> {
        let succeeded = self.group()?.decrease(request.into_inner().instances).await;
        Ok(Response::new(DecreaseResponse { succeeded }))
    }

    async fn connect_info(
        &self,
        request: Request<ConnectInfoRequest>,
    ) -> Result<Response<ConnectInfoResponse>, Status> {
        let access = self.group()?.access(&request.into_inner().instance).await;
        let access = access.map_err(Status::not_found)?;
        let settings = self.opened.get().map(|(_, settings)| settings.clone());
        Ok(Response::new(connect_info(
            access,
            settings.unwrap_or_default(),
        )))
    }

    async fn shutdown(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        self.shut_down().await;
        Ok(Response::new(Empty {}))
    }
}

fn invalid(error: impl ToString) -> Status {
    Status::invalid_argument(error.to_string())
}

/// Returns how to connect: what the user has set in `connector_config`, and the machine's own data for the rest. With
/// static credentials, the user's key or password is used.
fn connect_info(access: MemberAccess, settings: ConnectorConfig) -> ConnectInfoResponse {
    /// The port of sshd that the host takes for granted.
    const SSH: u16 = 22;
    let or = |given: String, own: &str| match given.is_empty() {
        true => own.to_owned(),
        false => given,
    };
    let place = |address: Option<String>| match address {
        Some(address) if access.port == SSH => address,
        Some(address) if address.contains(':') => format!("[{address}]:{}", access.port),
        Some(address) => format!("{address}:{}", access.port),
        None => String::new(),
    };
    let addresses = access.addresses;
    let ipv6 = || addresses.ipv6.first().cloned();
    let external = addresses.public.clone().or_else(ipv6);
    let internal = addresses.private.clone().or_else(|| external.clone());
    let key = match settings.use_static_credentials {
        true => settings.key,
        false => access.key.expose().as_bytes().to_vec(),
    };
    ConnectInfoResponse {
        connector: Some(ConnectorConfig {
            os: or(settings.os, "linux"),
            arch: or(settings.arch, access.architecture.unwrap_or("amd64")),
            protocol: or(settings.protocol, "ssh"),
            username: or(settings.username, &access.user),
            key,
            ..settings
        }),
        external_addr: place(external),
        internal_addr: place(internal),
        expires: 0,
    }
}

/// The stream of an update. Its end is the moment when the host has taken all of it.
pub struct Updates {
    group: Arc<Group>,
    shown: Vec<(String, State)>,
    next: usize,
}

impl Stream for Updates {
    type Item = Result<UpdateResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some((instance, state)) = self.shown.get(self.next).cloned() else {
            if self.next == self.shown.len() {
                self.group.updated(&self.shown);
                self.next += 1;
            }
            return Poll::Ready(None);
        };
        self.next += 1;
        let state = match state {
            State::Creating => WireState::Creating,
            State::Running => WireState::Running,
            State::Deleting => WireState::Deleting,
            State::Deleted => WireState::Deleted,
        };
        Poll::Ready(Some(Ok(UpdateResponse {
            instance,
            state: state.into(),
        })))
    }
}

#[tonic::async_trait]
impl GrpcController for Service {
    async fn shutdown(&self, _: Request<PluginEmpty>) -> Result<Response<PluginEmpty>, Status> {
        self.end.send_replace(true);
        Ok(Response::new(PluginEmpty {}))
    }
}

/// Standard output and error of the plugin: nothing comes, and the stream stays open.
type Silence = futures_util::stream::Pending<Result<StdioData, Status>>;

#[tonic::async_trait]
impl GrpcStdio for Service {
    type StreamStdioStream = Silence;

    async fn stream_stdio(&self, _: Request<PluginEmpty>) -> Result<Response<Silence>, Status> {
        Ok(Response::new(futures_util::stream::pending()))
    }
}

#[tonic::async_trait]
impl Health for Service {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        /// The name that hashicorp/go-plugin asks for; an empty one stands for the whole server.
        const SERVICES: [&str; 2] = ["plugin", ""];
        let service = request.into_inner().service;
        if !SERVICES.contains(&service.as_str()) {
            return Err(Status::not_found(format!("no service {service:?}")));
        }
        Ok(Response::new(HealthCheckResponse {
            status: ServingStatus::Serving.into(),
        }))
    }
}
