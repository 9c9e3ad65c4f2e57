//! The server, which the kills don't touch.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::child::FRAME;

/// What the server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weather {
    Up,
    /// Takes a while for each message.
    Slow,
    /// Nobody listens, and all connections are closed.
    Down,
    /// Connections are reset soon.
    Flapping,
}

/// A message that was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    pub(super) connection: usize,
    pub(super) life: u32,
    pub(super) to: u8,
    pub(super) number: u64,
}

pub(super) struct Base {
    pub(super) port: u16,
    weather: watch::Sender<Weather>,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
    _runtime: Runtime,
}

impl Base {
    pub(super) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        // Below the ports that systems give to clients: one of those could get it while it is free.
        let mut ports = std::iter::repeat_with(|| fastrand::u16(15_000..32_000)).take(100);
        let (port, listener) = ports
            .find_map(|port| Some((port, runtime.block_on(bind(port))?)))
            .unwrap();
        let weather = watch::Sender::new(Weather::Up);
        let arrivals = Arc::<Mutex<Vec<_>>>::default();
        runtime.spawn(serve(port, listener, weather.subscribe(), arrivals.clone()));
        Self {
            port,
            weather,
            arrivals,
            _runtime: runtime,
        }
    }

    pub(super) fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    pub(super) fn arrivals(&self) -> Vec<Arrival> {
        self.arrivals.lock().unwrap().clone()
    }
}

async fn bind(port: u16) -> Option<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.ok()
}

async fn serve(
    port: u16,
    listener: TcpListener,
    mut weather: watch::Receiver<Weather>,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
) {
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    let mut count = 0;
    loop {
        if *weather.borrow_and_update() == Weather::Down {
            listener = None;
            connections.shutdown().await;
            if weather.changed().await.is_err() {
                return;
            }
            continue;
        }
        let Some(open) = &listener else {
            listener = bind(port).await;
            if listener.is_none() {
                sleep(Duration::from_millis(2)).await;
            }
            continue;
        };
        tokio::select! {
            changed = weather.changed() => if changed.is_err() {
                return;
            },
            Ok((stream, _)) = open.accept() => {
                count += 1;
                connections.spawn(answer_for_a_while(count, stream, weather.clone(), arrivals.clone()));
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn answer_for_a_while(
    connection: usize,
    mut stream: TcpStream,
    weather: watch::Receiver<Weather>,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
) {
    let _ = stream.set_nodelay(true);
    let limit = match *weather.borrow() {
        Weather::Flapping => Duration::from_micros(fastrand::u64(..15_000)),
        _ => Duration::from_secs(600),
    };
    let answers = answer(connection, &mut stream, weather, arrivals);
    if timeout(limit, answers).await.is_err() {
        // With a RST.
        let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    }
}

async fn answer(
    connection: usize,
    stream: &mut TcpStream,
    weather: watch::Receiver<Weather>,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
) -> std::io::Result<()> {
    loop {
        let mut frame = [0; 4 + FRAME];
        stream.read_exact(&mut frame).await?;
        let mut rest = &frame[4..];
        let arrival = Arrival {
            connection,
            life: rest.read_u32().await?,
            to: rest.read_u8().await?,
            number: rest.read_u64().await?,
        };
        arrivals.lock().unwrap().push(arrival);
        if *weather.borrow() == Weather::Slow {
            sleep(Duration::from_micros(500)).await;
        }
        stream.write_all(&frame).await?;
    }
}
