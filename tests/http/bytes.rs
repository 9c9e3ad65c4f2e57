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
