//! The HTTP server: HTTP/1.1 with keep-alive, one form-encoded call per request.
//!
//! Each call runs in a separate task: as with EC2, it continues if the caller disconnects or dies.

use std::convert::Infallible;
use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::HeaderValue;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::ec2::lab::call::{self, Answer};
use crate::ec2::lab::control;
use crate::ec2::lab::core::Core;
use crate::ec2::protocol::query::Params;
use crate::ec2::protocol::wire;

/// A safety limit; EC2 accepts far less.
const MAX_REQUEST: usize = 4 << 20;

type Body = BoxBody<Bytes, Dropped>;

/// Closes a connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is dropped on purpose")]
pub(crate) struct Dropped;

/// Accepts connections until its task is aborted.
pub(crate) async fn serve(core: Arc<Core>, listener: TcpListener) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Possibly out of file descriptors: yield to the tasks that hold them.
            tokio::task::yield_now().await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        let core = core.clone();
        connections.spawn(async move {
            let service = service_fn(|request| answer(core.clone(), request));
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            // A dropped connection is an intended error here.
            let _ = connection.await;
        });
    }
}

async fn answer(core: Arc<Core>, request: Request<Incoming>) -> Result<Response<Body>, Dropped> {
    let (head, body) = request.into_parts();
    let limited = Limited::new(body, MAX_REQUEST).collect().await;
    let body = limited.map_err(|_| Dropped)?.to_bytes();
    if let Some(path) = head.uri.path().strip_prefix("/_lab/") {
        let (status, json) = control::handle(&core, path, &body);
        return respond(status, "application/json", json.into());
    }
    let form = match head.method {
        Method::GET => head.uri.query().unwrap_or_default().as_bytes().to_vec(),
        _ => body.to_vec(),
    };
    let header = |name| {
        let value = head.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let is_sdk = header("user-agent").starts_with(wire::SDK);
    let carried = tokio::spawn(call::carry_out(
        core,
        Params::parse(&form),
        header("authorization"),
        is_sdk,
    ));
    let xml = "text/xml;charset=UTF-8";
    match carried.await.map_err(|_| Dropped)? {
        Answer::Whole { status, body } => {
            let id = request_id(&body).and_then(|id| HeaderValue::from_str(id).ok());
            let mut response = respond(status, xml, body.into())?;
            if let Some(id) = id {
                response.headers_mut().insert("x-amzn-requestid", id);
            }
            Ok(response)
        }
        Answer::None => Err(Dropped),
        Answer::Cut(start) => {
            let frames = [Ok(Frame::data(Bytes::from(start))), Err(Dropped)];
            let body = StreamBody::new(futures_util::stream::iter(frames));
            response(200, xml, BodyExt::boxed(body))
        }
        Answer::Huge(bytes) => response(200, xml, huge(bytes)),
    }
}

/// Returns the request's id from an answer: EC2 sends it in a header, too, where the SDKs look for it.
fn request_id(body: &str) -> Option<&str> {
    ["requestId", "RequestID", "RequestId"]
        .iter()
        .find_map(|name| {
            let (_, rest) = body.split_once(&format!("<{name}>"))?;
            rest.split('<').next()
        })
}

fn respond(status: u16, kind: &str, body: Bytes) -> Result<Response<Body>, Dropped> {
    let body = Full::new(body).map_err(|never: Infallible| match never {});
    response(status, kind, BodyExt::boxed(body))
}

fn response(status: u16, kind: &str, body: Body) -> Result<Response<Body>, Dropped> {
    Response::builder()
        .status(status)
        .header("content-type", kind)
        .header("server", "AmazonEC2")
        .body(body)
        .map_err(|_| Dropped)
}

/// Returns well-formed XML of about this size, generated while it is read.
fn huge(bytes: u64) -> Body {
    const CHUNK: &str = "<item><key>k</key><value>v</value></item>\n";
    let per_frame = CHUNK.repeat(1000);
    let frames = bytes / u64::try_from(per_frame.len()).unwrap_or(u64::MAX) + 1;
    let frame = Bytes::from(per_frame);
    let start = "<DescribeInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><reservationSet>";
    let end = "</reservationSet></DescribeInstancesResponse>";
    let all = std::iter::once(Bytes::from(start))
        .chain((0..frames).map(move |_| frame.clone()))
        .chain(std::iter::once(Bytes::from(end)))
        .map(|b| Ok(Frame::data(b)));
    BodyExt::boxed(StreamBody::new(futures_util::stream::iter(all)))
}

/// Writes a finished call to the log file, if there is one.
pub(crate) fn log(core: &Core, call: &crate::ec2::protocol::calls::Call) {
    if let Some(file) = &core.log
        && let Ok(line) = serde_json::to_string(call)
        && let Ok(mut file) = file.lock()
    {
        // A full disk must not change the endpoint's answers.
        let _ = writeln!(file, "{line}");
    }
}
