//! reqwest, with a server that goes away and comes back.
//!
//! ```text
//! cargo run --example reqwest
//! ```
//!
//! It needs no network: the server is a part of this example (`server/mod.rs`). What it claims, it
//! checks; so it ends with an error if something is not as it says.

mod server;

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Channel;
use reqwest::{Client, Method, Request, StatusCode, redirect, retry};
use tokio::time::timeout;
use tower::{ServiceBuilder, ServiceExt};
use tower_conn_retry::{
    BoxError, IdempotencyKeyLayer, Links, Reason, ReplayBody, ReplayBodyLayer, RetryOnConnErr, Sent,
};

use server::{Answer, Server};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let mut server = Server::started()?;
    let http = Client::builder().no_proxy().build()?; // no proxy: it is on this machine

    // These three lines are all that is needed.
    let client = ServiceBuilder::new().layer(RetryOnConnErr).service(http);

    println!("1. The server is down. Requests are held, and answered when it is back.");
    server.stop().await?;
    let mut calls = Vec::new();
    for path in ["/1", "/2", "/3"] {
        let request = get(&server.url(path))?;
        calls.push(tokio::spawn(client.clone().oneshot(request)));
    }
    held(&client.links(), 3).await?;
    for link in client.links().status() {
        let (to, waiting) = (link.destination(), link.waiting());
        println!("   {to}: up: {}, {waiting} requests wait", link.is_up());
    }
    println!("   (the server is started)");
    server.start()?;
    for call in calls {
        let response = call.await??;
        assert_eq!(response.status(), StatusCode::OK);
        println!("   {} {}", response.url().path(), response.status());
    }
    // They were called in order; on the way, connections of the client's pool may overtake each other.
    let mut lines = server.lines();
    lines.sort();
    assert_eq!(lines, ["GET /1", "GET /2", "GET /3"]);

    println!("2. The server reads a POST and hangs up. Was it done? A replay could do it twice.");
    server.next(Answer::HangUp);
    let order = post(&server.url("/order"))?;
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
    let order = post(&server.url("/order"))?;
    let response = keyed.oneshot(order).await?;
    println!("   {} {}", response.url().path(), response.status());
    assert_eq!(response.status(), StatusCode::OK);
    let [first, second] = &server.seen()[4..] else {
        return Err("it should have been read twice".into());
    };
    println!(
        "   (the server has read {}, key {:?},",
        first.line, first.key
    );
    println!("    and {}, key {:?})", second.line, second.key);
    assert!(first.key.is_some() && first.key == second.key);
    assert_eq!(first.body, second.body);

    println!(
        "4. A POST while the server is down. reqwest follows redirects and does not tell: the"
    );
    println!("   server that is down may be the second one, and the first has read the order.");
    server.stop().await?;
    let order = post(&server.url("/order"))?;
    let Err(error) = client.clone().oneshot(order).await else {
        return Err("an order that may have been redirected was replayed".into());
    };
    println!("   Error: {error}");
    assert_eq!(error.conn_error().map(|e| e.sent()), Some(Sent::No)); // the connection's view
    assert_eq!(error.sent(), Sent::Maybe); // the request's

    println!(
        "5. The same with a client that follows no redirects and does not retry, and a layer that knows it."
    );
    let http = Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .build()?;
    let client = ServiceBuilder::new()
        .layer(RetryOnConnErr::new().redirects_off())
        .service(http.clone());

    let order = post(&server.url("/order"))?;
    let call = tokio::spawn(client.clone().oneshot(order));
    held(&client.links(), 1).await?;
    println!("   (the server is started)");
    server.start()?;
    let response = call.await??;
    println!("   {} {}", response.url().path(), response.status());
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(server.lines()[6..], ["POST /order"]); // once

    println!("6. A streaming upload. What went out of it is kept, and goes out again.");
    let upload = ServiceBuilder::new()
        .layer(ReplayBodyLayer::new(1 << 20)) // up to 1 MiB
        .layer(RetryOnConnErr::new().redirects_off())
        .map_request(|request: http::Request<ReplayBody<_>>| {
            let request = request.map(reqwest::Body::wrap);
            Request::try_from(request).expect("an absolute URL")
        })
        .service(http);
    server.next(Answer::HangUp);
    let (mut sender, body) = Channel::<Bytes, BoxError>::new(1);
    let map = http::Request::put(server.url("/map")).body(body)?;
    let call = tokio::spawn(upload.oneshot(map));
    for room in ["kitchen ", "hall ", "attic"] {
        sender.send_data(room.into()).await?;
    }
    drop(sender);
    let response = call.await??;
    println!("   {} {}", response.url().path(), response.status());
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

fn get(url: &str) -> Result<Request, BoxError> {
    Ok(Request::new(Method::GET, url.parse()?))
}

/// What `Client::post(url).json(…).build()` makes.
fn post(url: &str) -> Result<Request, BoxError> {
    let mut request = Request::new(Method::POST, url.parse()?);
    let json = "application/json".parse()?;
    request.headers_mut().insert("content-type", json);
    *request.body_mut() = Some(r#"{"article": "vacuum cleaner", "pieces": 1}"#.into());
    Ok(request)
}
