//! What one classification costs, in time and heap allocations: it runs once for each attempt that
//! failed. The errors are real ones, made before the clock starts.
//!
//! ```console
//! cargo bench --all-features --bench classify
//! ```

#![allow(missing_docs, unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::error::Error;
use std::fmt;
use std::hint::black_box;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
#[expect(clippy::disallowed_types, reason = "this measures real time")]
use std::time::Instant;

use rustls::pki_types::ServerName;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tower_conn_retry::{BoxError, ConnectError, classify};

/// Counts allocations.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: all is done by `System`.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

async fn listener() -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// reqwest, where nobody listens.
async fn refused() -> Result<BoxError, BoxError> {
    let (listener, address) = listener().await?;
    drop(listener);
    get(format!("http://{address}/")).await
}

/// reqwest, with a server that reads the request and closes.
async fn closed() -> Result<BoxError, BoxError> {
    let (listener, address) = listener().await?;
    let server = async {
        let (mut stream, _) = listener.accept().await?;
        stream.read(&mut [0; 4096]).await
    };
    let (error, read) = tokio::join!(get(format!("http://{address}/")), server);
    assert!(read? > 0);
    error
}

async fn get(url: String) -> Result<BoxError, BoxError> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    match client.get(url).send().await {
        Ok(_) => Err("an answer".into()),
        Err(error) => Ok(error.into()),
    }
}

/// A name that does not exist (RFC 6761 §6.4), or can't be asked for.
async fn no_such_name() -> Result<BoxError, BoxError> {
    match tokio::net::lookup_host("no-such-host.invalid:80").await {
        Ok(_) => Err("an address".into()),
        Err(error) => Ok(error.into()),
    }
}

/// rustls, with a peer that does not speak TLS; wrapped as hyper-rustls does.
async fn handshake() -> Result<BoxError, BoxError> {
    let (listener, address) = listener().await?;
    let server = async {
        let (stream, _) = listener.accept().await?;
        stream.writable().await?;
        stream.try_write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    };
    let client = async {
        let config = rustls::ClientConfig::builder()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from("robot.test").map_err(io::Error::other)?;
        tokio_rustls::TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
    };
    let (client, server) = tokio::join!(client, server);
    server?;
    match client {
        Ok(_) => Err("a handshake".into()),
        Err(error) => Ok(ConnectError::new(io::Error::other(error)).into()),
    }
}

/// Its own source: as long as a chain can be.
#[derive(Debug)]
struct Cycle;

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a snake and its tail")
    }
}

impl Error for Cycle {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self)
    }
}

async fn cases() -> Result<Vec<(&'static str, BoxError)>, BoxError> {
    let errno = || io::Error::from_raw_os_error(104);
    let deep = (0..8).fold(errno(), |error, _| io::Error::other(Arc::new(error)));
    let message = anyhow::Error::new(errno()).context("sending the position");
    Ok(vec![
        ("errno", errno().into()),
        ("errno, in anyhow with context", message.into()),
        ("errno, 16 levels down", deep.into()),
        ("reqwest: refused", refused().await?),
        ("reqwest: closed", closed().await?),
        ("getaddrinfo", no_such_name().await?),
        ("rustls: no TLS there", handshake().await?),
        (
            "not one: invalid data",
            io::Error::from(io::ErrorKind::InvalidData).into(),
        ),
        ("not one: a text", "no such room".into()),
        ("not one: fmt::Error", fmt::Error.into()),
        ("not one: reqwest, bad URL", get("http://".into()).await?),
        ("a cycle", Cycle.into()),
    ])
}

fn many(error: &(dyn Error + 'static), times: u32) {
    for _ in 0..times {
        black_box(classify(black_box(error)));
    }
}

/// The best of many short runs: what others do on the machine only adds to it.
#[expect(clippy::disallowed_types, reason = "this measures real time")]
fn time(error: &(dyn Error + 'static)) -> Duration {
    const TIMES: u32 = 1_000;
    let run = || {
        let start = Instant::now();
        many(error, TIMES);
        start.elapsed() / TIMES
    };
    (0..200).map(|_| run()).min().unwrap_or_default()
}

fn main() -> Result<(), BoxError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let cases = runtime.block_on(cases())?;
    if !std::env::args().any(|arg| arg == "--bench") {
        cases.iter().for_each(|(_, error)| many(&**error, 1)); // a test that it runs
        return Ok(());
    }
    println!("{:<32} {:>8} {:>12}  verdict", "", "ns", "allocations");
    for (name, error) in &cases {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        many(&**error, 1_000);
        let allocations = (ALLOCATIONS.load(Ordering::Relaxed) - before) as f64 / 1e3;
        let time = time(&**error).as_nanos();
        let verdict = match classify(&**error) {
            Some(found) => format!("{:?}, sent: {:?}", found.kind(), found.sent()),
            None => "none".into(),
        };
        println!("{name:<32} {time:>8} {allocations:>12.2}  {verdict}");
    }
    Ok(())
}
