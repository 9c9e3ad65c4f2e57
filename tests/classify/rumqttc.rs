//! Real errors of rumqttc, with a real broker.

use std::error::Error;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use rumqttc::{
    AsyncClient, ClientError, ConnectionError, Event, EventLoop, MqttOptions, NetworkOptions,
    Packet, QoS, TlsConfiguration, Transport, v5,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower_conn_retry::ConnErrorKind::{self, Closed, Dns, Refused, Reset, Timeout, Tls};
use tower_conn_retry::Outlook::{Permanent, Transient};
use tower_conn_retry::Sent::{self, Maybe, No};
use tower_conn_retry::{ConnError, classify};

use super::process::{Process, free_address, skip};
use super::sockets::refusing;
use super::tls_peer::{Authority, Peer, serve_peer};

/// `None` where there is no such broker.
fn broker(with: &str) -> Option<(Process, SocketAddr)> {
    if Command::new("mosquitto").arg("-h").output().is_err() {
        skip("mosquitto is not installed");
        return None;
    }
    let address = free_address();
    let config = std::env::temp_dir().join(format!(
        "tower-conn-retry-{}-{}.conf",
        std::process::id(),
        address.port()
    ));
    let port = address.port();
    std::fs::write(&config, format!("listener {port} 127.0.0.1\n{with}\n")).unwrap();
    let mut command = Command::new("mosquitto");
    command.arg("-v").arg("-c").arg(&config);
    let process = Process::start(command, "running");
    std::fs::remove_file(config).unwrap();
    Some((process, address))
}

/// A broker that takes one connection, and does this with it.
async fn serve<T: Future<Output = ()> + Send + 'static>(
    then: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { then(listener.accept().await.unwrap().0).await });
    address
}

/// A broker that says this to a client, and then nothing until that has gone.
async fn saying(answer: &'static [u8]) -> SocketAddr {
    serve(async move |mut stream: TcpStream| {
        assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
        stream.write_all(answer).await.unwrap();
        while stream.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {}
    })
    .await
}

fn client(host: &str, port: u16) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new("robot", host, port);
    options.set_keep_alive(Duration::from_secs(1));
    let (client, mut events) = AsyncClient::new(options, 10);
    let mut network = NetworkOptions::new();
    network.set_connection_timeout(1);
    events.set_network_options(network);
    (client, events)
}

fn client_5(address: SocketAddr) -> (v5::AsyncClient, v5::EventLoop) {
    let mut options = v5::MqttOptions::new("robot-5", address.ip().to_string(), address.port());
    options.set_connection_timeout(1);
    v5::AsyncClient::new(options, 10)
}

async fn failure(events: &mut EventLoop) -> ConnectionError {
    loop {
        if let Err(error) = events.poll().await {
            return error;
        }
    }
}

async fn failure_5(events: &mut v5::EventLoop) -> v5::ConnectionError {
    loop {
        if let Err(error) = events.poll().await {
            return error;
        }
    }
}

/// Of a client that publishes to this address.
async fn failures(address: SocketAddr) -> (ConnectionError, v5::ConnectionError) {
    let (sender, mut events) = client(&address.ip().to_string(), address.port());
    sender
        .publish("room", QoS::AtLeastOnce, false, "x")
        .await
        .unwrap();
    let error = failure(&mut events).await;
    let (sender, mut events) = client_5(address);
    let qos = v5::mqttbytes::QoS::AtLeastOnce;
    sender.publish("room", qos, false, "x").await.unwrap();
    (error, failure_5(&mut events).await)
}

#[track_caller]
fn assert_one_of(error: &(dyn Error + 'static), kinds: &[ConnErrorKind], sent: Sent) {
    let found = classify(error).unwrap_or_else(|| panic!("{error:?}"));
    assert!(kinds.contains(&found.kind()), "{found:?} {error:?}");
    assert_eq!(found.sent(), sent, "{error:?}");
}

#[tokio::test]
async fn no_connection() {
    let (error, error_5) = failures(refusing()).await;
    assert_one_of(&error, &[Refused], Maybe);
    assert_one_of(&error_5, &[Refused], Maybe);
    // Not even this is proof: it may be what comes of connecting again.
    let (_client, mut events) = client("no-such-name.invalid", 1);
    assert_one_of(&failure(&mut events).await, &[Dns], Maybe);
}

#[tokio::test]
async fn closed_before_there_is_an_answer() {
    let close = async |mut stream: TcpStream| {
        assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
    };
    let address = serve(close).await;
    let (_client, mut events) = client("127.0.0.1", address.port());
    assert_one_of(&failure(&mut events).await, &[Closed], Maybe);
    let (_client, mut events) = client_5(serve(close).await);
    assert_one_of(&failure_5(&mut events).await, &[Closed], Maybe);
}

#[tokio::test]
async fn handshakes() {
    for (peer, outlook) in [
        (Peer::PlainText, Permanent),
        (Peer::Closes, Transient),
        (Peer::Resets, Transient),
    ] {
        let expected = Some(ConnError::new(Tls).with_outlook(outlook));
        let tls = || TlsConfiguration::from(Authority::new().client());
        let port = serve_peer(peer).await.port();
        let mut options = MqttOptions::new("robot", "127.0.0.1", port);
        options.set_transport(Transport::tls_with_config(tls()));
        let error = failure(&mut AsyncClient::new(options, 10).1).await;
        assert_eq!(classify(&error), expected, "{error:?}");
        let mut options = v5::MqttOptions::new("robot-5", "127.0.0.1", port);
        options.set_transport(Transport::tls_with_config(tls()));
        let error = failure_5(&mut v5::AsyncClient::new(options, 10).1).await;
        assert_eq!(classify(&error), expected, "{error:?}");
    }
}

#[tokio::test]
async fn closed_within_a_packet() {
    let close = async |mut stream: TcpStream| {
        assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
        stream.write_all(b"\x20\x02\0").await.unwrap();
    };
    let address = serve(close).await;
    let (_client, mut events) = client("127.0.0.1", address.port());
    assert_one_of(&failure(&mut events).await, &[Closed], Maybe);
    let (_client, mut events) = client_5(serve(close).await);
    assert_one_of(&failure_5(&mut events).await, &[Closed], Maybe);
}

#[tokio::test]
async fn a_broker_that_is_killed() {
    let Some((mut broker, address)) = broker("allow_anonymous true") else {
        return;
    };
    let (sender, mut events) = client("127.0.0.1", address.port());
    sender
        .publish("room", QoS::AtLeastOnce, false, "x")
        .await
        .unwrap();
    while !matches!(
        events.poll().await.unwrap(),
        Event::Incoming(Packet::PubAck(_))
    ) {}
    let (_client, mut events_5) = client_5(address);
    while !matches!(
        events_5.poll().await.unwrap(),
        v5::Event::Incoming(v5::mqttbytes::v5::Packet::ConnAck(_))
    ) {}
    broker.kill();
    assert_one_of(&failure(&mut events).await, &[Closed, Reset], Maybe);
    assert_one_of(&failure(&mut events).await, &[Refused], Maybe);
    assert_one_of(&failure_5(&mut events_5).await, &[Closed, Reset], Maybe);
    assert_one_of(&failure_5(&mut events_5).await, &[Refused], Maybe);
}

/// It says so, in MQTT 5.
#[tokio::test]
async fn a_broker_that_shuts_down() {
    for (answer, kind) in [
        (b"\x20\x03\0\0\0\xe0\x02\x8b\0", Closed),
        (b"\x20\x03\0\0\0\xe0\x02\x8d\0", Timeout), // no pings came
    ] {
        let (_client, mut events) = client_5(saying(answer).await);
        assert_one_of(&failure_5(&mut events).await, &[kind], Maybe);
    }
}

#[tokio::test]
async fn silence_is_a_timeout() {
    let (_client, mut events) = client("127.0.0.1", saying(b"").await.port());
    assert_one_of(&failure(&mut events).await, &[Timeout], Maybe);
    let (_client, mut events) = client_5(saying(b"").await);
    assert_one_of(&failure_5(&mut events).await, &[Timeout], Maybe);
    // Not even pings are answered.
    let address = saying(b"\x20\x02\0\0").await;
    let (_client, mut events) = client("127.0.0.1", address.port());
    assert_one_of(&failure(&mut events).await, &[Timeout], Maybe);
}

#[tokio::test]
async fn a_broker_that_takes_no_connection_for_now() {
    let address = saying(b"\x20\x02\0\x03").await;
    let (_client, mut events) = client("127.0.0.1", address.port());
    assert_one_of(&failure(&mut events).await, &[Refused], Maybe);
    let (_client, mut events) = client_5(saying(b"\x20\x03\0\x88\0").await);
    assert_one_of(&failure_5(&mut events).await, &[Refused], Maybe);
}

/// The message is handed back.
#[tokio::test]
async fn an_event_loop_that_has_ended() {
    let (sender, events) = client("127.0.0.1", 1);
    drop(events);
    let error = sender.publish("room", QoS::AtLeastOnce, false, "x").await;
    assert_one_of(&error.unwrap_err(), &[Closed], No);
    let (sender, events) = client_5(([127, 0, 0, 1], 1).into());
    drop(events);
    let qos = v5::mqttbytes::QoS::AtLeastOnce;
    let error = sender.publish("room", qos, false, "x").await;
    assert_one_of(&error.unwrap_err(), &[Closed], No);
}

#[tokio::test]
async fn answers_and_mistakes_are_none_of_the_connections() {
    let (sender, _events) = client("127.0.0.1", 1);
    let full: ClientError = loop {
        if let Err(error) = sender.try_publish("room", QoS::AtLeastOnce, false, "x") {
            break error;
        }
    };
    assert_eq!(classify(&full), None, "{full:?}");
    for answer in [
        b"\x20\x02\0\x04".as_slice(),  // a bad password
        b"\x40\x02\0\x09",             // an acknowledgement of nothing, instead of an answer
        b"\x20\x02\0\0\x40\x02\0\x09", // the same, later
        b"\xff\xff\xff\xff\xff\xff",
    ] {
        let (_client, mut events) = client("127.0.0.1", saying(answer).await.port());
        let error = failure(&mut events).await;
        assert_eq!(classify(&error), None, "{error:?}");
    }
    for answer in [
        b"\x20\x03\0\x86\0".as_slice(),
        b"\x20\x03\0\0\0\xe0\x02\x8e\0", // somebody else has the session now
        b"\xff\xff\xff\xff\xff\xff",
    ] {
        let (_client, mut events) = client_5(saying(answer).await);
        let error = failure_5(&mut events).await;
        assert_eq!(classify(&error), None, "{error:?}");
    }
    let Some((_broker, address)) = broker("allow_anonymous false") else {
        return;
    };
    let (error, error_5) = failures(address).await;
    assert_eq!(classify(&error), None, "{error:?}");
    assert_eq!(classify(&error_5), None, "{error_5:?}");
}
