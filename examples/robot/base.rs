//! The base: a TCP server that can be made to fail.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::connection::{self, Host};
use crate::ledger::Ledger;
use crate::tls::Certificates;

/// Dropping it ends the server and its connections.
pub(crate) struct Base {
    port: u16,
    host: Arc<Host>,
    weather: watch::Sender<Weather>,
}

/// What the server is made to do at present.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Weather {
    pub(crate) sky: Sky,
    /// Connections that were accepted before the last strike are reset.
    pub(crate) strikes: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Sky {
    /// All is well.
    #[default]
    Clear,
    /// The server is not there: no listener, and its connections are closed.
    Gone,
    /// The server hangs. The kernel still accepts and acknowledges.
    Hanging,
    /// Somebody else answers in place of the server.
    Portal,
    /// Every connection is reset soon after it was accepted.
    Flapping,
}

impl Base {
    /// `latency` is the time that the server takes for a message.
    pub(crate) async fn start(certificates: &Certificates, latency: Duration) -> io::Result<Self> {
        let (listener, port) = bind_somewhere().await?;
        let weather = watch::Sender::new(Weather::default());
        let host = Arc::new(Host {
            certificates: certificates.clone(),
            ledger: Ledger::default(),
            latency,
        });
        tokio::spawn(accept(listener, port, host.clone(), weather.subscribe()));
        Ok(Self {
            port,
            host,
            weather,
        })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.host.ledger
    }

    pub(crate) fn set(&self, sky: Sky) {
        self.weather.send_modify(|weather| weather.sky = sky);
    }

    /// Resets all connections.
    pub(crate) fn strike(&self) {
        self.weather.send_modify(|weather| weather.strikes += 1);
    }
}

async fn accept(
    listener: TcpListener,
    port: u16,
    host: Arc<Host>,
    mut weather: watch::Receiver<Weather>,
) {
    let mut listener = Some(listener);
    for nth in 0.. {
        let stream = loop {
            let gone = weather.borrow_and_update().sky == Sky::Gone;
            listener = match listener {
                _ if gone => None,
                // Where the port is not free yet, it is tried again.
                None => bind(port).await.ok(),
                there => there,
            };
            tokio::select! {
                changed = weather.changed() => if changed.is_err() {
                    return;
                },
                Some(Ok((stream, _))) = accept_from(listener.as_ref()) => break stream,
                () = sleep(Duration::from_millis(5)), if listener.is_none() && !gone => {}
            }
        };
        let weather = weather.clone();
        tokio::spawn(connection::serve(stream, nth, host.clone(), weather));
    }
}

async fn accept_from(
    listener: Option<&TcpListener>,
) -> Option<io::Result<(tokio::net::TcpStream, SocketAddr)>> {
    Some(listener?.accept().await)
}

/// Below the ports that systems give to clients: otherwise some client could be given the port while
/// the server is gone, even the one that tries to connect to it (TCP connects to itself then).
async fn bind_somewhere() -> io::Result<(TcpListener, u16)> {
    let mut tries = 0;
    loop {
        let port = fastrand::u16(15_000..32_000);
        match bind(port).await {
            Ok(listener) => return Ok((listener, port)),
            Err(error) if tries > 100 => return Err(error),
            Err(_) => tries += 1,
        }
    }
}

async fn bind(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await
}
