//! The bytes of held requests: of what is known of a body.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tower::{Layer, ServiceBuilder, ServiceExt};
use tower_conn_retry::{Limits, Reason, ReplayBodyLayer};

use super::calls::{held, layer, spawn, within};
use super::server::Server;

const MIB: usize = 1 << 20;

/// A request with a body of so many bytes, to a server that is away.
fn put(server: &Server, bytes: usize) -> Request<Full<Bytes>> {
    let body = Full::new(Bytes::from(vec![7; bytes]));
    Request::put(server.url("/map")).body(body).unwrap()
}

fn put_with_length(server: &Server, bytes: usize) -> Request<Full<Bytes>> {
    let mut request = put(server, bytes);
    request.headers_mut().insert("content-length", bytes.into());
    request
}

#[tokio::test]
async fn the_content_length_of_a_held_request_counts() {
    let server = Server::stopped().unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http();
    let service = layer().limits(Limits::new().bytes(4 * MIB)).layer(client);
    let links = service.links();
    let calls = [(); 3].map(|()| spawn(&service, put_with_length(&server, MIB)));
    held(&links, 3).await;
    let bytes = links.status()[0].waiting_bytes();
    assert!((3 * MIB..3 * MIB + 4_096).contains(&bytes), "{bytes}");

    let too_many = within(service.clone().oneshot(put_with_length(&server, MIB))).await;
    assert_eq!(too_many.unwrap_err().reason(), Reason::QueueFull);
    // Nobody can tell.
    let untold = spawn(&service, put(&server, 5 * MIB));
    held(&links, 4).await;
    calls
        .into_iter()
        .chain([untold])
        .for_each(|call| call.abort());
}

#[tokio::test]
async fn the_body_of_a_replay_body_layer_counts() {
    let server = Server::stopped().unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http();
    let retry = layer().limits(Limits::new().bytes(4 * MIB)).layer(client);
    let links = retry.links();
    let service = ServiceBuilder::new()
        .layer(ReplayBodyLayer::new(8 * MIB))
        .service(retry);
    let calls = [(); 3].map(|()| spawn(&service, put(&server, MIB)));
    held(&links, 3).await;
    let bytes = links.status()[0].waiting_bytes();
    assert!((3 * MIB..3 * MIB + 4_096).contains(&bytes), "{bytes}");

    for bytes in [MIB, 5 * MIB] {
        let too_much = within(service.clone().oneshot(put(&server, bytes))).await;
        assert_eq!(too_much.unwrap_err().reason(), Reason::QueueFull);
    }
    calls.into_iter().for_each(|call| call.abort());
}
