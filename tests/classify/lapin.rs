//! Real errors of lapin, with a peer that speaks as much of AMQP 0-9-1 as it takes to be sent a
//! message.

use std::error::Error;
use std::io;
use std::net::SocketAddr;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower_conn_retry::ConnErrorKind::{self, Aborted, Closed, Dns, Refused, Reset, Timeout};
use tower_conn_retry::Sent::Maybe;
use tower_conn_retry::classify;

use super::sockets::refusing;

/// A method, as (class, method) and its arguments ("AMQP 0-9-1", §4.2.3).
struct Method(u16, u16, &'static [u8]);

const START: Method = Method(10, 10, b"\0\x09\0\0\0\0\0\0\0\x05PLAIN\0\0\0\x05en_US");
const OPEN_OK: Method = Method(10, 41, b"\0");
const CHANNEL_OPEN_OK: Method = Method(20, 11, b"\0\0\0\0");
const SELECT_OK: Method = Method(85, 11, b"");
/// The broker is told to shut down.
const CLOSE_FORCED: Method = Method(10, 50, b"\x01\x40\x08SHUTDOWN\0\0\0\0");
/// There is no such exchange.
const CHANNEL_CLOSE_NOT_FOUND: Method = Method(20, 40, b"\x01\x94\x09NOT_FOUND\0\x3c\0\x28");

/// No more than 2047 channels, 128 KiB a frame, and a sign of life each so many seconds.
const TUNE: Method = Method(10, 30, b"\x07\xff\0\x02\0\0\0\0");
const TUNE_WITH_HEARTBEAT: Method = Method(10, 30, b"\x07\xff\0\x02\0\0\0\x01");

async fn write(stream: &mut TcpStream, channel: u16, method: &Method) -> io::Result<()> {
    let mut frame = vec![1];
    frame.extend(channel.to_be_bytes());
    frame.extend((method.2.len() as u32 + 4).to_be_bytes());
    frame.extend(method.0.to_be_bytes());
    frame.extend(method.1.to_be_bytes());
    frame.extend(method.2);
    frame.push(0xCE);
    stream.write_all(&frame).await
}

/// A frame's type, channel and payload.
async fn read(stream: &mut TcpStream) -> io::Result<(u8, u16, Vec<u8>)> {
    let (kind, channel) = (stream.read_u8().await?, stream.read_u16().await?);
    let mut payload = vec![0; stream.read_u32().await? as usize];
    stream.read_exact(&mut payload).await?;
    assert_eq!(stream.read_u8().await?, 0xCE);
    Ok((kind, channel, payload))
}

/// Answers until a message has come, or anything that it does not know.
async fn answer(stream: &mut TcpStream, tune: &Method) -> io::Result<()> {
    stream.read_exact(&mut [0; 8]).await?;
    write(stream, 0, &START).await?;
    loop {
        let (kind, channel, payload) = read(stream).await?;
        match (kind, payload.get(..4)) {
            (1, Some(b"\0\x0a\0\x0b")) => write(stream, 0, tune).await?,
            (1, Some(b"\0\x0a\0\x28")) => write(stream, 0, &OPEN_OK).await?,
            (1, Some(b"\0\x14\0\x0a")) => write(stream, channel, &CHANNEL_OPEN_OK).await?,
            (1, Some(b"\0\x55\0\x0a")) => write(stream, channel, &SELECT_OK).await?,
            // The message's header follows, then its body.
            (1, Some(b"\0\x0a\0\x1f" | b"\0\x3c\0\x28")) | (2 | 8, _) => {}
            _ => return Ok(()),
        }
    }
}

/// A broker that takes a message, and does this then.
async fn broker<T: Future<Output = ()> + Send + 'static>(
    tune: Method,
    then: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut stream = listener.accept().await.unwrap().0;
        answer(&mut stream, &tune).await.unwrap();
        then(stream).await;
    });
    address
}

/// With this method as its answer to the message; then it takes all that comes.
async fn saying(method: Method, channel: u16) -> SocketAddr {
    broker(TUNE, async move |mut stream: TcpStream| {
        write(&mut stream, channel, &method).await.unwrap();
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    })
    .await
}

async fn connect(address: SocketAddr) -> lapin::Result<(Connection, Channel)> {
    let uri = format!("amqp://{address}");
    let connection = Connection::connect(&uri, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    Ok((connection, channel))
}

/// The error of a message that the broker has read, and that of the next one.
async fn failures(address: SocketAddr) -> (lapin::Error, lapin::Error) {
    let (_connection, channel) = connect(address).await.unwrap();
    let publish = async || {
        let exchange = "room".into();
        let properties = BasicProperties::default();
        channel
            .basic_publish(
                exchange,
                "".into(),
                BasicPublishOptions::default(),
                b"x",
                properties,
            )
            .await?
            .await
    };
    (publish().await.unwrap_err(), publish().await.unwrap_err())
}

#[track_caller]
fn assert_one_of(error: &(dyn Error + 'static), kinds: &[ConnErrorKind]) {
    let found = classify(error).unwrap_or_else(|| panic!("{error:?}"));
    assert!(kinds.contains(&found.kind()), "{found:?} {error:?}");
    assert_eq!(found.sent(), Maybe, "{error:?}");
}

#[tokio::test]
async fn no_connection() {
    let error = connect(refusing()).await.map(|_| ()).unwrap_err();
    assert_one_of(&error, &[Refused]);
    let uri = "amqp://no-such-name.invalid";
    let error = Connection::connect(uri, ConnectionProperties::default()).await;
    assert_one_of(&error.unwrap_err(), &[Dns]);
}

#[tokio::test]
async fn lost_when_the_message_was_read() {
    let (first, next) = failures(broker(TUNE, async |stream| drop(stream)).await).await;
    assert_one_of(&first, &[Aborted, Closed, Reset]);
    assert_one_of(&next, &[Aborted, Closed, Reset]);
    let reset = async |stream: TcpStream| {
        socket2::SockRef::from(&stream)
            .set_linger(Some(std::time::Duration::ZERO))
            .unwrap();
    };
    let (first, next) = failures(broker(TUNE, reset).await).await;
    assert_one_of(&first, &[Reset]);
    assert_one_of(&next, &[Closed, Reset]);
}

#[tokio::test]
async fn a_broker_that_shuts_down() {
    let (first, next) = failures(saying(CLOSE_FORCED, 0).await).await;
    assert_one_of(&first, &[Closed]);
    assert_one_of(&next, &[Closed]);
}

#[tokio::test]
async fn silence_is_a_timeout() {
    let silent = async |mut stream: TcpStream| {
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    };
    let (first, _) = failures(broker(TUNE_WITH_HEARTBEAT, silent).await).await;
    assert_one_of(&first, &[Timeout]);
}

#[tokio::test]
async fn answers_are_none_of_the_connections_but_end_the_channel() {
    let (first, next) = failures(saying(CHANNEL_CLOSE_NOT_FOUND, 1).await).await;
    assert_eq!(classify(&first), None, "{first:?}");
    // The next message finds no channel: it has to be opened again.
    assert_one_of(&next, &[Closed]);
}

#[tokio::test]
async fn bad_frames_are_none_of_the_connections() {
    let address = broker(TUNE, async |mut stream: TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    })
    .await;
    let (_connection, channel) = connect(address).await.unwrap();
    let (options, arguments) = (QueueDeclareOptions::default(), FieldTable::default());
    let error = channel
        .queue_declare("room".into(), options, arguments)
        .await;
    let error = error.unwrap_err();
    assert_eq!(classify(&error), None, "{error:?}");
}
