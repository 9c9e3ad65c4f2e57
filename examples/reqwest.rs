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

use reqwest::{Client, Method, Request, StatusCode, redirect};
use tokio::time::timeout;
use tower::{ServiceBuilder, ServiceExt};
use tower_conn_retry::{BoxError, Links, Reason, RetryOnConnErr, Sent};

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
    let order = post(&server.url("/order"), None)?;
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
    let order = post(&server.url("/order"), Some("8e03978e"))?;
    let response = client.clone().oneshot(order).await?;
    println!("   {} {}", response.url().path(), response.status());
    assert_eq!(response.status(), StatusCode::OK);
    for order in &server.seen()[4..] {
        println!(
            "   (the server has read {}, key {:?})",
            order.line, order.key
        );
        assert_eq!(order.key.as_deref(), Some("8e03978e"));
    }
    assert_eq!(server.seen().len(), 6);

    println!(
        "4. A POST while the server is down. reqwest follows redirects and does not tell: the"
    );
    println!("   server that is down may be the second one, and the first has read the order.");
    server.stop().await?;
    let order = post(&server.url("/order"), None)?;
    let Err(error) = client.clone().oneshot(order).await else {
        return Err("an order that may have been redirected was replayed".into());
    };
    println!("   Error: {error}");
    assert_eq!(error.conn_error().map(|e| e.sent()), Some(Sent::No)); // the connection's view
    assert_eq!(error.sent(), Sent::Maybe); // the request's

    println!(
        "5. The same with a client that does not follow redirects, and a layer that knows it."
    );
    let http = Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .build()?;
    let client = ServiceBuilder::new()
        .layer(RetryOnConnErr::new().redirects_off())
        .service(http);

    let order = post(&server.url("/order"), None)?;
    let call = tokio::spawn(client.clone().oneshot(order));
    held(&client.links(), 1).await?;
    println!("   (the server is started)");
    server.start()?;
    let response = call.await??;
    println!("   {} {}", response.url().path(), response.status());
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(server.lines()[6..], ["POST /order"]); // once

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

fn post(url: &str, key: Option<&'static str>) -> Result<Request, BoxError> {
    let mut request = Request::new(Method::POST, url.parse()?);
    *request.body_mut() = Some("one vacuum cleaner".into());
    if let Some(key) = key {
        request
            .headers_mut()
            .insert("Idempotency-Key", key.parse()?);
    }
    Ok(request)
}
