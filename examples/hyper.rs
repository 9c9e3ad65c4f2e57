//! hyper-util's pooled client, with a server that goes away and comes back.
//!
//! ```text
//! cargo run --example hyper
//! ```
//!
//! It needs no network: the server is a part of this example (`server/mod.rs`). What it claims, it
//! checks; so it ends with an error if something is not as it says.

mod server;

use std::time::Duration;

use http_body_util::{BodyExt, Channel, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;
use tower::{ServiceBuilder, ServiceExt};
use tower_conn_retry::{
    BoxError, IdempotencyKeyLayer, Links, Reason, ReplayBodyLayer, RetryOnConnErr,
};

use server::{Answer, Server};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let mut server = Server::started()?;
    let http = Client::builder(TokioExecutor::new()).build_http();

    // These three lines are all that is needed. (Any body that is `Clone` will do.)
    let client = ServiceBuilder::new().layer(RetryOnConnErr).service(http);

    println!("1. The server is down. Requests are held, and answered when it is back.");
    server.stop().await?;
    let mut calls = Vec::new();
    for path in ["/1", "/2", "/3"] {
        let request = Request::get(server.url(path)).body(Full::default())?;
        calls.push(tokio::spawn(client.clone().oneshot(request)));
    }
    held(&client.links(), 3).await?;
    for link in client.links().status() {
        let (to, waiting) = (link.destination(), link.waiting());
        println!("   {to}: up: {}, {waiting} requests wait", link.is_up());
    }
    println!("   (the server is started)");
    server.start()?;
    for (call, path) in calls.into_iter().zip(["/1", "/2", "/3"]) {
        let answer = text(call.await??).await?;
        println!("   {answer:?}");
        assert_eq!(answer, path);
    }
    // They were called in order; on the way, connections of the client's pool may overtake each other.
    let mut lines = server.lines();
    lines.sort();
    assert_eq!(lines, ["GET /1", "GET /2", "GET /3"]);

    println!("2. The server reads a POST and hangs up. Was it done? A replay could do it twice.");
    server.next(Answer::HangUp);
    let order = Request::post(server.url("/order")).body(body())?;
    let Err(error) = client.clone().oneshot(order).await else {
        return Err("an order that may have been done was replayed".into());
    };
    println!("   Error: {error}");
    assert_eq!(error.reason(), Reason::NotIdempotent);
    assert_eq!(server.lines()[3..], ["POST /order"]); // once

    println!(
        "3. The same with an Idempotency-Key: the server can tell a replay, so it is replayed."
    );
    server.next(Answer::HangUp);
    let keyed = ServiceBuilder::new()
        .layer(IdempotencyKeyLayer::new()) // for servers that honour it
        .service(client.clone());
    let order = Request::post(server.url("/order")).body(body())?;
    println!("   {:?}", text(keyed.oneshot(order).await?).await?);
    let [first, second] = &server.seen()[4..] else {
        return Err("it should have been read twice".into());
    };
    println!(
        "   (the server has read {}, key {:?},",
        first.line, first.key
    );
    println!("    and {}, key {:?})", second.line, second.key);
    assert!(first.key.is_some() && first.key == second.key);

    println!("4. A POST while the server is down was certainly not sent, so it needs no key.");
    server.stop().await?;
    let order = Request::post(server.url("/order")).body(body())?;
    let call = tokio::spawn(client.clone().oneshot(order));
    held(&client.links(), 1).await?;
    println!("   (the server is started)");
    server.start()?;
    println!("   {:?}", text(call.await??).await?);
    assert_eq!(server.lines()[6..], ["POST /order"]); // once

    println!("5. A streaming upload. What went out of it is kept, and goes out again.");
    let upload = ServiceBuilder::new()
        .layer(ReplayBodyLayer::new(1 << 20)) // up to 1 MiB
        .layer(RetryOnConnErr)
        .service(Client::builder(TokioExecutor::new()).build_http());
    server.next(Answer::HangUp);
    let (mut sender, body) = Channel::<Bytes, BoxError>::new(1);
    let map = Request::put(server.url("/map")).body(body)?;
    let call = tokio::spawn(upload.oneshot(map));
    for room in ["kitchen ", "hall ", "attic"] {
        sender.send_data(room.into()).await?;
    }
    drop(sender);
    println!("   {:?}", text(call.await??).await?);
    let maps: Vec<_> = server.seen().drain(7..).map(|seen| seen.body).collect();
    println!("   (the server has read it {} times)", maps.len());
    assert_eq!(maps, [b"kitchen hall attic"; 2]);

    Ok(())
}

/// Until so many requests wait for the server.
async fn held(links: &Links, waiting: usize) -> Result<(), BoxError> {
    let mut links = links.subscribe();
    let held = links.wait_for(|links| links.waiting() == waiting);
    timeout(Duration::from_secs(10), held).await??;
    Ok(())
}

fn body() -> Full<Bytes> {
    Full::from("one vacuum cleaner")
}

async fn text(response: Response<Incoming>) -> Result<String, BoxError> {
    assert_eq!(response.status(), 200);
    let bytes = response.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8(bytes.to_vec())?)
}
