//! From a listener that is back to the first answer.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::codec::LengthDelimitedCodec;
use tower::{Service as _, ServiceBuilder};
use tower_conn_retry::{ExponentialBackoff, Reconnect, RetryOnConnErr, tcp};

use super::{Connector, now, quantile};

/// The longest delay between two probes.
const CAP: Duration = Duration::from_millis(250);

/// For how long whoever comes at a moment that has nothing to do with the probes waits for the next
/// one, in milliseconds: so long or less with this probability. The delays between probes are
/// uniform in [`low`, `high`]; a moment is in one of them the more likely the longer it is. So the
/// distribution is F(x) = (`low` + ((`high` - `low`)² - (`high` - x)²) / 2 (`high` - `low`)) / mean
/// beyond `low`, and the figures of interest are all there.
fn residual(probability: f64) -> f64 {
    let (low, high) = (10.0, CAP.as_secs_f64() * 1e3);
    let (mean, range) = ((low + high) / 2.0, high - low);
    high - (range * range - 2.0 * range * (probability * mean - low)).sqrt()
}

/// Two figures for each outage, in milliseconds: from the moment a listener is back to the first
/// answer, and from the beginning of the connect that succeeded to that answer.
async fn recovery(rounds: usize, outage: Duration) -> (Vec<f64>, Vec<f64>) {
    let mut figures = (Vec::new(), Vec::new());
    let listen = |address| {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(16)
    };
    let mut address = SocketAddr::from(([127, 0, 0, 1], 0));
    for _ in 0..rounds {
        let listener = listen(address).expect("a listener");
        address = listener.local_addr().expect("its address");
        let connector: Connector = tcp::Connector::new(address, LengthDelimitedCodec::new);
        let connects = Arc::new(Mutex::new(now()));
        let last = Arc::clone(&connects);
        let connector = ServiceBuilder::new()
            .map_request(move |()| *last.lock().expect("no panic") = now())
            .service(connector);
        let backoff = ExponentialBackoff::new().cap(CAP);
        let mut service = ServiceBuilder::new()
            .layer(RetryOnConnErr::new().backoff(backoff))
            .service(Reconnect::new(connector));
        let first = service.call(Bytes::from("up"));
        let (first, (mut server, _)) =
            tokio::join!(tokio::spawn(first), async { accept_one(&listener).await });
        first.expect("no panic").expect("an answer");
        server.shutdown().await.expect("the end");
        drop((server, listener));
        let call = tokio::spawn(service.call(Bytes::from("down")));
        // At the cap, and at a moment that has nothing to do with the probes.
        tokio::time::sleep(outage + Duration::from_millis(fastrand::u64(0..500))).await;
        let begun = now();
        let listener = listen(address).expect("the same address");
        let _server = accept_one(&listener).await;
        call.await.expect("no panic").expect("an answer");
        figures.0.push(begun.elapsed().as_secs_f64() * 1e3);
        let connected = *connects.lock().expect("no panic");
        figures.1.push(connected.elapsed().as_secs_f64() * 1e3);
    }
    figures
}

/// Answers the first frame of a connection with itself.
async fn accept_one(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    let (mut stream, peer) = listener.accept().await.expect("a connection");
    let mut buffer = [0; 1024];
    let n = stream.read(&mut buffer).await.expect("a frame");
    stream.write_all(&buffer[..n]).await.expect("written");
    (stream, peer)
}

pub(super) async fn table(bench: bool) {
    let (rounds, outage) = if bench { (41, 1_000) } else { (1, 100) };
    let outage = Duration::from_millis(outage);
    let (figures, after_delay) = recovery(rounds, outage).await;
    println!(
        "\nfrom a listener that is back to the first answer, backoff of at most 250 ms, in ms"
    );
    let row = |name, [median, p90, max]: [f64; 3]| {
        println!("  {name:<30} {median:>7.1} (median) {p90:>7.1} (p90) {max:>7.1} (max)");
    };
    let summary = |figures: &[f64]| [0.5, 0.9, 1.0].map(|part| quantile(figures.to_vec(), part));
    row("measured", summary(&figures));
    row("the backoff's delay alone", [0.5, 0.9, 1.0].map(residual));
    row("from the connect to the answer", summary(&after_delay));
}
