//! Real errors of async-nats, with a real server.

use std::error::Error;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use async_nats::{Client, ConnectError, ConnectOptions, ToServerAddrs};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower_conn_retry::ConnErrorKind::{self, Closed, Dns, Refused, Reset, Timeout};
use tower_conn_retry::Sent::{self, Maybe, No};
use tower_conn_retry::classify;

use super::process::{Process, free_address, skip};
use super::sockets::refusing;

/// Long enough to be never reached.
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(300);

/// `None` where there is no such server.
fn server(with: &[&str]) -> Option<(Process, SocketAddr)> {
    if Command::new("nats-server")
        .arg("--version")
        .output()
        .is_err()
    {
        skip("nats-server is not installed");
        return None;
    }
    let address = free_address();
    let mut command = Command::new("nats-server");
    command.args(["--addr", "127.0.0.1", "--port"]);
    command.arg(address.port().to_string()).args(with);
    let process = Process::start(command, "Server is ready");
    Some((process, address))
}

fn options(timeout: Duration) -> ConnectOptions {
    ConnectOptions::new()
        .connection_timeout(timeout)
        .request_timeout(Some(timeout))
}

async fn connect(to: impl ToServerAddrs, timeout: Duration) -> Result<Client, ConnectError> {
    options(timeout).connect(to).await
}

fn url(address: SocketAddr) -> String {
    format!("nats://{address}")
}

/// A server that does this with its one connection.
async fn serve<T: Future<Output = ()> + Send + 'static>(
    then: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { then(listener.accept().await.unwrap().0).await });
    address
}

#[track_caller]
fn assert_one_of(error: &(dyn Error + 'static), kinds: &[ConnErrorKind], sent: Sent) {
    let found = classify(error).unwrap_or_else(|| panic!("{error:?}"));
    assert!(kinds.contains(&found.kind()), "{found:?} {error:?}");
    assert_eq!(found.sent(), sent, "{error:?}");
}

#[tokio::test]
async fn no_connection() {
    let error = connect(url(refusing()), LONG).await.unwrap_err();
    assert_one_of(&error, &[Refused], No);
    let error = connect("nats://no-such-name.invalid", LONG)
        .await
        .unwrap_err();
    assert_one_of(&error, &[Dns], No);
    let address = serve(async |stream| drop(stream)).await;
    let error = connect(url(address), LONG).await.unwrap_err();
    assert_one_of(&error, &[Closed, Reset], No);
    let address = serve(async |mut stream: TcpStream| {
        let _ = stream.read(&mut [0; 1]).await;
    })
    .await;
    let error = connect(url(address), SHORT).await.unwrap_err();
    assert_one_of(&error, &[Timeout], No);
}

/// What the server has read by then is only the greeting.
#[tokio::test]
async fn closed_in_the_greeting() {
    let address = serve(async |mut stream: TcpStream| {
        let info = r#"INFO {"server_id":"a","version":"2.9.10","max_payload":1024,"proto":1}"#;
        stream.write_all(info.as_bytes()).await.unwrap();
        stream.write_all(b"\r\n").await.unwrap();
        let mut greeting = Vec::new();
        while !greeting.ends_with(b"PING\r\n") {
            greeting.push(stream.read_u8().await.unwrap());
        }
    })
    .await;
    let error = connect(url(address), LONG).await.unwrap_err();
    assert_one_of(&error, &[Closed], No);
}

#[tokio::test]
async fn a_request_that_nobody_answers() {
    let Some((_server, address)) = server(&[]) else {
        return;
    };
    let client = connect(url(address), SHORT).await.unwrap();
    let _silent = client.subscribe("room").await.unwrap();
    let error = client.request("room", "x".into()).await.unwrap_err();
    assert_one_of(&error, &[Timeout], Maybe);
}

#[tokio::test]
async fn a_server_that_is_killed() {
    let Some((mut server, address)) = server(&[]) else {
        return;
    };
    let options = options(SHORT).max_reconnects(2);
    let client = options.connect(url(address)).await.unwrap();
    let _silent = client.subscribe("room").await.unwrap();
    client.flush().await.unwrap();
    server.kill();
    let error = client.request("room", "x".into()).await.unwrap_err();
    assert_one_of(&error, &[Timeout, Closed], Maybe);
    // Until the client gives up.
    let error = client.flush().await.unwrap_err();
    assert_one_of(&error, &[Closed], Maybe);
    let error = client.publish("room", "x".into()).await.unwrap_err();
    assert_one_of(&error, &[Closed], Maybe);
    let error = client.request("room", "x".into()).await.unwrap_err();
    assert_one_of(&error, &[Closed], Maybe);
    let error = client.subscribe("room").await.unwrap_err();
    assert_one_of(&error, &[Closed], Maybe);
}

#[tokio::test]
async fn no_acknowledgement_in_time() {
    let Some((_server, address)) = server(&[]) else {
        return;
    };
    let client = connect(url(address), LONG).await.unwrap();
    let _silent = client.subscribe("room").await.unwrap();
    let mut stream = async_nats::jetstream::new(client);
    stream.set_timeout(SHORT);
    let acknowledged = stream.publish("room", "x".into()).await.unwrap().await;
    assert_one_of(&acknowledged.unwrap_err(), &[Timeout], Maybe);
}

/// JetStream's calls each have an error of their own for it.
#[tokio::test]
async fn silence_of_jetstream() {
    let Some((_server, address)) = server(&[]) else {
        return;
    };
    let client = connect(url(address), LONG).await.unwrap();
    let mut stream = async_nats::jetstream::new(client.clone());
    stream.set_timeout(SHORT);
    // Nobody is there who could answer.
    let error = stream.create_stream("events").await.unwrap_err();
    assert_eq!(classify(&error), None, "{error:?}");
    let error = stream.create_stream("a b").await.unwrap_err();
    assert_eq!(classify(&error), None, "{error:?}");
    let _silent = client.subscribe("$JS.API.>").await.unwrap();
    client.flush().await.unwrap();
    let error = stream.create_stream("events").await.unwrap_err();
    assert_one_of(&error, &[Timeout], Maybe);
    let error = stream.query_account().await.unwrap_err();
    assert_one_of(&error, &[Timeout], Maybe);
    let error = stream.get_stream("events").await.map(|_| ()).unwrap_err();
    assert_one_of(&error, &[Timeout], Maybe);
    let error = stream.delete_stream("events").await;
    let error = error.map(|_| ()).unwrap_err();
    assert_one_of(&error, &[Timeout], Maybe);
}

#[tokio::test]
async fn answers_and_mistakes_are_none_of_the_connections() {
    let Some((_server, address)) = server(&["--user", "robot", "--pass", "secret"]) else {
        return;
    };
    let error = connect(url(address), LONG).await.unwrap_err();
    assert_eq!(classify(&error), None, "{error:?}");
    let options = options(LONG).user_and_password("robot".into(), "secret".into());
    let client = options.connect(url(address)).await.unwrap();
    let error = client.request("nobody", "x".into()).await.unwrap_err();
    assert_eq!(classify(&error), None, "{error:?}");
    let error = client.publish("a b", "x".into()).await.unwrap_err();
    assert_eq!(classify(&error), None, "{error:?}");
    let large = vec![0; client.server_info().max_payload + 1];
    let error = client
        .publish("room", large.clone().into())
        .await
        .unwrap_err();
    assert_eq!(classify(&error), None, "{error:?}");
    let error = client.request("room", large.into()).await.unwrap_err();
    assert_eq!(classify(&error), None, "{error:?}");
    let stream = async_nats::jetstream::new(client);
    let acknowledged = stream.publish("room", "x".into()).await.unwrap().await;
    let error = acknowledged.unwrap_err();
    assert_eq!(classify(&error), None, "{error:?}");

    let address = serve(async |mut stream: TcpStream| {
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        let _ = stream.read(&mut [0; 64]).await;
    })
    .await;
    let error = connect(url(address), LONG).await.unwrap_err();
    assert_eq!(classify(&error), None, "{error:?}");
}
