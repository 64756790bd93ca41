//! Serves gRPC over the plugin's socket, and ends when the host does.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tonic::body::Body;
use tonic::codegen::Service as _;

use crate::handshake::Socket;
use crate::log::Level;
use crate::proto::fleeting::instance_group_server::InstanceGroupServer;
use crate::proto::go_plugin::grpc_controller_server::GrpcControllerServer;
use crate::proto::go_plugin::grpc_stdio_server::GrpcStdioServer;
use crate::proto::health::health_server::HealthServer;
use crate::service::Service;

/// How long the plugin stays without a connection: the host has ended.
const HOST_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves until the host ends the plugin, or until no host is connected for ten seconds. Creates are then cancelled; the
/// call returns after their rollback, or at once if the host ended the plugin: it kills it two seconds later.
pub async fn serve(socket: Socket, service: Arc<Service>) {
    let mut end = service.end.subscribe();
    let connections = watch::Sender::new(0u32);
    let accept = async {
        loop {
            match socket.listener.accept().await {
                Ok((stream, _)) => {
                    connections.send_modify(|number| *number += 1);
                    let (service, connections) = (service.clone(), connections.clone());
                    tokio::spawn(async move {
                        serve_connection(stream, service).await;
                        connections.send_modify(|number| *number -= 1);
                    });
                }
                // Out of descriptors, for example. The next connection may work.
                Err(error) => {
                    let message = format!("cannot accept a connection: {error}");
                    service.log.line(Level::Warn, &message, &[]);
                    service.ambient.sleep(Duration::from_secs(1)).await;
                }
            }
        }
    };
    let host_is_gone = async {
        let mut connections = connections.subscribe();
        loop {
            tokio::select! {
                _ = connections.wait_for(|number| *number > 0) => {}
                () = service.ambient.sleep(HOST_TIMEOUT) => return,
            }
            if connections.wait_for(|number| *number == 0).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = accept => {}
        _ = end.wait_for(|ends| *ends) => {}
        () = host_is_gone => {
            service.log.line(Level::Warn, "the host is gone: ending", &[]);
            service.shut_down().await;
        }
    }
}

async fn serve_connection(stream: UnixStream, service: Arc<Service>) {
    let answer = service_fn(move |request| route(request, service.clone()));
    let connection = http2::Builder::new(TokioExecutor::new());
    // A connection that breaks is a host that ends.
    let _ = connection
        .serve_connection(TokioIo::new(stream), answer)
        .await;
}

/// Routes a call by its path. An unknown service is answered as a known one answers an unknown call: UNIMPLEMENTED.
async fn route(
    request: http::Request<Incoming>,
    service: Arc<Service>,
) -> Result<http::Response<Body>, Infallible> {
    let name = request.uri().path().split('/').nth(1).unwrap_or_default();
    match name {
        "plugin.GRPCController" => GrpcControllerServer::from_arc(service).call(request).await,
        "plugin.GRPCStdio" => GrpcStdioServer::from_arc(service).call(request).await,
        "grpc.health.v1.Health" => HealthServer::from_arc(service).call(request).await,
        _ => {
            InstanceGroupServer::from_arc(service)
                .max_decoding_message_size(usize::MAX)
                .max_encoding_message_size(usize::MAX)
                .call(request)
                .await
        }
    }
}
