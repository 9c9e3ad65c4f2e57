//! A pool full of connections that are dead, and nobody knows.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tower::{BoxError, Layer, Service};
use tower_conn_retry::{Renew, RetryOnConnErr};

use super::calls::{Tally, get, layer, post, spawn, text, within};
use super::origin::{Origin, Version};
use super::relay::{Loss, Relay};

/// Connections in the pool when the network is lost.
const IDLE: usize = 50;

fn client() -> Client<HttpConnector, Full<Bytes>> {
    Client::builder(TokioExecutor::new()).build_http()
}

/// Fills the client's pool, and then loses the network.
async fn lose<C>(client: &C, origin: &Origin, relay: &Relay, loss: Loss)
where
    C: Service<Request<Full<Bytes>>, Response = Response<Incoming>> + Clone + Send + 'static,
    C::Error: Into<BoxError> + Send,
    C::Future: Send,
{
    let calls: Vec<_> = (0..IDLE)
        .map(|n| spawn(client, get(relay.url(&format!("/hold/{n}")))))
        .collect();
    origin.has_seen(IDLE).await;
    origin.release();
    for call in calls {
        let answer = within(call).await.unwrap().map_err(Into::into).unwrap();
        within(answer.into_body().collect()).await.unwrap();
    }
    assert_eq!(relay.accepted(), IDLE);
    relay.lose(loss);
}

fn watched(tally: &Arc<Tally>) -> RetryOnConnErr {
    layer().observer(tally.clone())
}

/// What happens without: the reason why `Renew` is there.
#[tokio::test]
async fn without_renewal_one_dead_connection_after_the_other_is_tried() {
    let origin = Origin::started(Version::H1);
    let relay = Relay::to(origin.address).await;
    let (client, tally) = (client(), Arc::new(Tally::default()));
    lose(&client, &origin, &relay, Loss::Reset).await;
    let service = watched(&tally).layer(client);
    let call = spawn(&service, get(relay.url("/1")));
    assert_eq!(text(within(call).await.unwrap()).await, "/1");
    assert_eq!((relay.tried(), tally.failed()), (IDLE, IDLE as u32));
    assert_eq!(tally.downs(), 1);
}

#[tokio::test]
async fn the_replay_goes_out_on_a_fresh_connection() {
    let origin = Origin::started(Version::H1);
    let relay = Relay::to(origin.address).await;
    let (client, tally) = (Renew::new(client), Arc::new(Tally::default()));
    lose(&client, &origin, &relay, Loss::Reset).await;
    let service = watched(&tally).layer(client.clone());
    let call = spawn(&service, get(relay.url("/1")));
    assert_eq!(text(within(call).await.unwrap()).await, "/1");
    assert_eq!((relay.tried(), relay.accepted()), (1, IDLE + 1));
    assert_eq!((tally.failed(), tally.downs()), (1, 0));
    assert_eq!(client.renewals(), 1);
}

/// They all found out for themselves, and share what they have learned.
#[tokio::test]
async fn many_calls_that_fail_together_make_one_new_client() {
    let origin = Origin::started(Version::H1);
    let relay = Relay::to(origin.address).await;
    let (client, tally) = (Renew::new(client), Arc::new(Tally::default()));
    lose(&client, &origin, &relay, Loss::Reset).await;
    let service = watched(&tally).layer(client.clone());
    let calls: Vec<_> = (0..IDLE)
        .map(|n| spawn(&service, get(relay.url(&format!("/{n}")))))
        .collect();
    for (n, call) in calls.into_iter().enumerate() {
        assert_eq!(text(within(call).await.unwrap()).await, format!("/{n}"));
    }
    assert_eq!(tally.downs(), 0);
    assert_eq!(client.renewals(), 1);
}

/// The timeout of an attempt drops it: that is all the client sees of it.
#[tokio::test]
async fn silent_connections_cost_one_timeout() {
    let origin = Origin::started(Version::H1);
    let relay = Relay::to(origin.address).await;
    let limit = Duration::from_millis(500);
    let client = Renew::new(client).suspect_after(limit / 2);
    let tally = Arc::new(Tally::default());
    lose(&client, &origin, &relay, Loss::Silent).await;
    let service = watched(&tally).attempt_timeout(limit).layer(client.clone());
    let call = spawn(&service, get(relay.url("/1")));
    assert_eq!(text(within(call).await.unwrap()).await, "/1");
    assert_eq!((relay.tried(), relay.accepted()), (1, IDLE + 1));
    assert_eq!(client.renewals(), 1);
}

#[tokio::test]
async fn a_call_that_is_given_up_early_is_no_sign() {
    let origin = Origin::started(Version::H1);
    let client = Renew::new(client);
    let call = spawn(&client, get(origin.url("/hold")));
    origin.has_seen(1).await;
    call.abort();
    assert!(within(call).await.is_err());
    assert_eq!(client.renewals(), 0);
}

#[tokio::test]
async fn a_failed_connect_says_nothing_against_the_pool() {
    let away = Origin::stopped(Version::H1);
    let client = Renew::new(client);
    let call = within(spawn(&client, get(away.url("/1")))).await.unwrap();
    call.unwrap_err();
    assert_eq!(client.renewals(), 0);
}

/// What is in flight on the old client goes on.
#[tokio::test]
async fn a_renewal_disturbs_nobody() {
    let mut other = Origin::started(Version::H1);
    let origin = Origin::started(Version::H1);
    let client = Renew::new(client);
    let slow = spawn(&client, get(origin.url("/hold")));
    let answer = within(spawn(&client, get(origin.url("/breaks")))).await;
    let mut body = answer.unwrap().unwrap().into_body();
    let lost = spawn(&client, post(other.url("/hold"), "one"));
    other.has_seen(1).await;
    other.kill().await;
    within(lost).await.unwrap().unwrap_err();
    assert_eq!(client.renewals(), 1);
    origin.release();
    let answer = within(slow).await.unwrap().unwrap();
    let text = within(answer.into_body().collect()).await.unwrap();
    assert_eq!(text.to_bytes(), "/hold");
    let half = within(body.frame()).await.unwrap().unwrap();
    assert_eq!(half.into_data().unwrap(), "half of it");
}

/// Nobody who just has the service keeps the former client, and with it its connections.
#[tokio::test]
async fn the_former_clients_idle_connections_are_closed() {
    let origin = Origin::started(Version::H1);
    let service = layer().layer(Renew::new(client).suspect_after(Duration::ZERO));
    let two = [0, 1].map(|_| spawn(&service, get(origin.url("/hold"))));
    origin.has_seen(2).await;
    origin.release();
    for call in two {
        text(within(call).await.unwrap()).await;
    }
    origin.hold();
    let dropped = spawn(&service, get(origin.url("/hold")));
    origin.has_seen(3).await;
    assert_eq!(origin.connections(), 2); // so the other one is idle
    dropped.abort();
    assert!(within(dropped).await.unwrap_err().is_cancelled());
    origin.all_closed().await;
    assert_eq!(service.get_ref().renewals(), 1);
}

#[tokio::test]
async fn it_fits_reqwest() {
    let origin = Origin::started(Version::H1);
    let relay = Relay::to(origin.address).await;
    let make = || reqwest::Client::builder().no_proxy().build().unwrap();
    let (client, tally) = (Renew::new(make), Arc::new(Tally::default()));
    let get = |path: &str| {
        let url = relay.url(path).parse().unwrap();
        reqwest::Request::new(reqwest::Method::GET, url)
    };
    let calls: Vec<_> = (0..IDLE)
        .map(|n| spawn(&client, get(&format!("/hold/{n}"))))
        .collect();
    origin.has_seen(IDLE).await;
    origin.release();
    for call in calls {
        let answer = within(call).await.unwrap().unwrap();
        within(answer.bytes()).await.unwrap();
    }
    relay.lose(Loss::Reset);
    let service = watched(&tally).layer(client);
    let answer = within(spawn(&service, get("/1"))).await.unwrap().unwrap();
    assert_eq!(within(answer.text()).await.unwrap(), "/1");
    assert_eq!((relay.tried(), relay.accepted()), (1, IDLE + 1));
    assert_eq!((tally.failed(), tally.downs()), (1, 0));
}
