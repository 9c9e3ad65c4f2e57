//! One connection of the base.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_rustls::server::TlsStream;
use tokio_util::codec::{Decoder as _, Encoder as _, LengthDelimitedCodec};

use crate::base::{Sky, Weather};
use crate::ledger::Ledger;
use crate::tls::Certificates;

pub(crate) struct Host {
    pub(crate) certificates: Certificates,
    pub(crate) ledger: Ledger,
    /// From the arrival of a message until it counts as received, and is acknowledged.
    pub(crate) latency: Duration,
}

/// Serves the `nth` connection. That it breaks is nothing to report here.
pub(crate) async fn serve(
    stream: TcpStream,
    nth: usize,
    host: Arc<Host>,
    mut weather: watch::Receiver<Weather>,
) {
    let begun = *weather.borrow_and_update();
    let hanging = |weather: &Weather| weather.sky == Sky::Hanging;
    if weather.wait_for(|now| !hanging(now)).await.is_err() {
        return;
    }
    let result = match begun.sky {
        Sky::Portal => portal(stream, nth, &host).await,
        Sky::Flapping => flap(stream, nth, &host).await,
        Sky::Clear | Sky::Gone | Sky::Hanging => {
            let accepted = host.certificates.genuine.accept(stream).await;
            match accepted {
                Ok(stream) => acknowledge(stream, &host, begun.strikes, weather).await,
                Err(error) => Err(error),
            }
        }
    };
    drop(result);
}

/// Receives messages and acknowledges them, until the weather changes.
async fn acknowledge(
    mut stream: TlsStream<TcpStream>,
    host: &Host,
    strikes: u64,
    mut weather: watch::Receiver<Weather>,
) -> io::Result<()> {
    let mut codec = LengthDelimitedCodec::new();
    let mut input = BytesMut::new();
    let mut output = BytesMut::new();
    let mut arrived: VecDeque<(Instant, u64)> = VecDeque::new();
    loop {
        let now = *weather.borrow_and_update();
        if now.strikes != strikes {
            return reset(stream.get_ref().0);
        }
        match now.sky {
            Sky::Gone => return stream.shutdown().await,
            Sky::Hanging => {
                let over = |now: &Weather| now.sky != Sky::Hanging || now.strikes != strikes;
                let _ = weather.wait_for(over).await;
                continue;
            }
            Sky::Clear | Sky::Portal | Sky::Flapping => {}
        }
        let due = arrived.front().map_or_else(Instant::now, |(at, _)| *at);
        tokio::select! {
            biased;
            changed = weather.changed() => if changed.is_err() {
                return stream.shutdown().await;
            },
            () = sleep_until(due), if !arrived.is_empty() => {
                if let Some((_, number)) = arrived.pop_front() {
                    host.ledger.record(number);
                    let answer = Bytes::copy_from_slice(&number.to_be_bytes());
                    codec.encode(answer, &mut output)?;
                    stream.write_all_buf(&mut output).await?;
                    stream.flush().await?;
                }
            }
            read = stream.read_buf(&mut input) => {
                if read? == 0 {
                    return Ok(());
                }
                while let Some(mut message) = codec.decode(&mut input)? {
                    let number = message.try_get_u64().map_err(io::Error::other)?;
                    arrived.push_back((Instant::now() + host.latency, number));
                }
            }
        }
    }
}

/// What a captive portal does to TLS, one way after the other.
async fn portal(mut stream: TcpStream, nth: usize, host: &Host) -> io::Result<()> {
    match nth % 3 {
        0 => {
            let login = b"HTTP/1.1 302 Found\r\nLocation: http://login.invalid/\r\n\r\n";
            something(&mut stream).await?;
            stream.write_all(login).await
        }
        1 => {
            // In the middle of the handshake.
            something(&mut stream).await?;
            stream.shutdown().await
        }
        _ => {
            let mut stream = host.certificates.impostor.accept(stream).await?;
            stream.shutdown().await
        }
    }
}

/// "Connects, then resets": at once, or with the first message.
async fn flap(stream: TcpStream, nth: usize, host: &Host) -> io::Result<()> {
    if nth % 2 == 0 {
        return reset(&stream);
    }
    let mut stream = host.certificates.genuine.accept(stream).await?;
    something(&mut stream).await?;
    reset(stream.get_ref().0)
}

/// Reads what has come, whatever it is.
async fn something(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    stream.read(&mut [0; 4096]).await.map(drop)
}

/// The connection ends with a RST instead of a FIN when it is dropped.
fn reset(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).set_linger(Some(Duration::ZERO))
}
