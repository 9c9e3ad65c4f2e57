//! tonic's channel and a client as the code generator makes it, with a server that goes away and
//! comes back.
//!
//! ```text
//! cargo run --example tonic
//! ```
//!
//! It needs no network and no `protoc`: the server is a part of this example, and `echo.rs` is what
//! the code generator would make. What it claims, it checks; so it ends with an error if something is
//! not as it says.

mod echo;
mod server;

use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;
use tonic::body::Body;
use tonic::transport::Endpoint;
use tonic::{Request, Status};
use tower::ServiceBuilder;
use tower_conn_retry::http::Idempotent;
use tower_conn_retry::{BoxError, Error, Reason, ReplayBodyLayer, RetryOnConnErr};

use echo::EchoClient;
use server::Server;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let mut server = Server::started()?;
    let channel = Endpoint::from_shared(server.url())?.connect_lazy();

    // tonic's body can't be copied. So what goes out of it is kept (here up to 1 MiB of each call), and
    // below the layer it is made tonic's body again.
    let retry = ServiceBuilder::new()
        .layer(RetryOnConnErr)
        .map_request(|request: http::Request<_>| request.map(Body::new))
        .service(channel);
    let links = retry.links();
    let mut client = EchoClient::new(
        ServiceBuilder::new()
            .map_err(Status::from)
            .layer(ReplayBodyLayer::new(1 << 20))
            .service(retry),
    );

    println!("1. The server is down. The call is held, and answered when it is back.");
    server.stop().await?;
    let mut caller = client.clone();
    let call = tokio::spawn(async move { caller.say(text("hello")).await });
    let mut summary = links.subscribe();
    timeout(
        Duration::from_secs(10),
        summary.wait_for(|links| links.waiting() == 1),
    )
    .await??;
    println!("   (the server is started)");
    server.start()?;
    let answer = call.await??.into_inner();
    println!("   {answer:?}");
    assert_eq!(answer, "hello");
    assert_eq!(server.calls(), 1);

    println!("2. The server reads a call and dies. All gRPC calls are POSTs: was it done?");
    server.die_at_the_next();
    let Err(status) = client.say(text("one vacuum cleaner")).await else {
        return Err("a call that may have been done was replayed".into());
    };
    println!("   {:?}: {}", status.code(), status.message());
    // Ours is in the status.
    let error = status
        .source()
        .and_then(|error| error.downcast_ref::<Error>());
    assert_eq!(error.map(Error::reason), Some(Reason::NotIdempotent));
    assert_eq!(server.calls(), 2); // once

    println!("3. The same, and the caller says that doing it twice is as good as once.");
    server.die_at_the_next();
    let mut request = text("where are you?");
    request.extensions_mut().insert(Idempotent);
    let answer = client.say(request).await?.into_inner();
    println!(
        "   {answer:?} (the server has read it {} times)",
        server.calls() - 2
    );
    assert_eq!(server.calls(), 4);

    println!("4. Or it has a key by which the server can tell a replay.");
    server.die_at_the_next();
    let mut request = text("one more vacuum cleaner");
    let key = "\"8e03978e\"".parse()?;
    request.metadata_mut().insert("idempotency-key", key);
    println!("   {:?}", client.say(request).await?.into_inner());
    assert_eq!(server.keys(), ["\"8e03978e\"", "\"8e03978e\""]);

    println!(
        "5. A stream of answers is not replayed once it has begun; its error can be recognised."
    );
    let mut answers = client.count(text("breaks")).await?.into_inner();
    println!("   {:?}", answers.message().await?);
    server.stop().await?;
    let Err(status) = answers.message().await else {
        return Err("the stream should have broken off".into());
    };
    assert!(tower_conn_retry::is_conn_error(&status));
    println!("   a connection error: {}", status.message());

    Ok(())
}

fn text(text: &'static str) -> Request<Bytes> {
    Request::new(Bytes::from(text))
}
