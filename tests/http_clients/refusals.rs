//! HTTP/2 servers that go away (GOAWAY) after a few requests, and refuse those that come later on the
//! same connection: that is no outage, as long as each connection takes some.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, watch};
use tower::{Layer, ServiceExt};
use tower_conn_retry::http::connection::Http2Connect;
use tower_conn_retry::{ConnRetry, Reconnect, RetryOnConnErr};

use super::calls::{Tally, within};

type Client = Reconnect<Http2Connect<HttpConnector, Full<Bytes>>, Uri>;

/// Frames (RFC 9113 §6), their flags, and error codes (§7).
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const ACK: u8 = 0x1;
const END: u8 = 0x5;
const NO_ERROR: u32 = 0;
const REFUSED_STREAM: [u8; 4] = 7_u32.to_be_bytes();
const ENHANCE_YOUR_CALM: u32 = 11;

/// What it does with the requests of each connection.
#[derive(Clone, Copy)]
struct Manner {
    /// So many are taken.
    takes: usize,
    /// What is said then.
    then: Then,
    /// They are answered when it has taken so many in all.
    answers_after: usize,
}

#[derive(Clone, Copy)]
enum Then {
    /// GOAWAY, with the last that was taken. What comes later is not looked at.
    GoesAway(u32),
    /// The same, and then it closes.
    Closes,
    /// Each one that comes later is refused.
    Refuses,
}

struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    taken: watch::Sender<usize>,
}

impl Server {
    async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, taken) = (Arc::<AtomicUsize>::default(), watch::Sender::new(0));
        let (counter, noted) = (connections.clone(), taken.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, manner, noted.clone()));
            }
        });
        Self {
            address,
            connections,
            taken,
        }
    }

    async fn taking(takes: usize) -> Self {
        let then = Then::GoesAway(NO_ERROR);
        Self::start(Manner {
            takes,
            then,
            answers_after: 0,
        })
        .await
    }

    /// Whoever has to wait for a probe waits for ever.
    fn client(&self, tally: &Arc<Tally>) -> ConnRetry<Client> {
        let uri = format!("http://{}", self.address).parse::<Uri>().unwrap();
        let layer = RetryOnConnErr::new()
            .backoff(|| std::iter::repeat(Duration::from_secs(60)))
            .observer(tally.clone());
        layer.layer(Reconnect::to(Http2Connect::new(HttpConnector::new()), uri))
    }

    /// Every other one is a POST, which must not be sent twice.
    fn request(&self, number: usize) -> Request<Full<Bytes>> {
        let uri = format!("http://{}/{number}", self.address);
        let method = if number % 2 == 0 { "GET" } else { "POST" };
        let request = Request::builder().method(method).uri(uri);
        request.body(Full::default()).unwrap()
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

type Write = Arc<Mutex<OwnedWriteHalf>>;

/// If there is still somebody to hear it.
async fn say(write: &Write, frame: Vec<u8>) {
    let _ = write.lock().await.write_all(&frame).await;
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    let mut frame = vec![0, 0, length, kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The requests here are single frames, and all are answered with 200.
async fn serve(stream: TcpStream, manner: Manner, taken: watch::Sender<usize>) {
    stream.set_nodelay(true).unwrap();
    let (mut read, write) = stream.into_split();
    let write = Arc::new(Mutex::new(write));
    say(&write, frame(SETTINGS, 0, 0, &[])).await;
    let (mut preface, mut head) = ([0; 24], [0; 9]);
    let (mut streams, mut gone) = (0, false);
    read.read_exact(&mut preface).await.unwrap();
    while read.read_exact(&mut head).await.is_ok() {
        let [_, high, low, kind, flags, id @ ..] = head;
        let mut payload = vec![0; u16::from_be_bytes([high, low]).into()];
        if read.read_exact(&mut payload).await.is_err() {
            return;
        }
        let last = match kind {
            SETTINGS if flags == 0 => {
                say(&write, frame(SETTINGS, ACK, 0, &[])).await;
                continue;
            }
            HEADERS if !gone && streams < manner.takes => {
                streams += 1;
                u32::from_be_bytes(id)
            }
            HEADERS if !gone => 0,
            _ => continue,
        };
        let goaway = |reason: u32| {
            let payload = [last.to_be_bytes(), reason.to_be_bytes()];
            frame(GOAWAY, 0, 0, &payload.concat())
        };
        match manner.then {
            Then::GoesAway(reason) if streams == manner.takes => {
                say(&write, goaway(reason)).await;
                gone = true;
            }
            Then::Closes if streams == manner.takes => {
                return say(&write, goaway(NO_ERROR)).await;
            }
            Then::Refuses if last == 0 => {
                let refusal = frame(RST_STREAM, 0, u32::from_be_bytes(id), &REFUSED_STREAM);
                say(&write, refusal).await;
            }
            _ => {}
        }
        if last > 0 {
            taken.send_modify(|taken| *taken += 1);
            let (write, mut taken) = (write.clone(), taken.subscribe());
            tokio::spawn(async move {
                let due = |taken: &usize| *taken >= manner.answers_after;
                if taken.wait_for(due).await.is_ok() {
                    // One byte says `:status: 200` (RFC 7541, appendix A).
                    say(&write, frame(HEADERS, END, last, &[0x88])).await;
                }
            });
        }
    }
}

/// So many callers, each of which makes so many requests, one after the other.
async fn load(server: &Server, callers: usize, each: usize) {
    let tally = Arc::<Tally>::default();
    let service = server.client(&tally);
    let callers = (0..callers).map(|caller| {
        let requests = (0..each).map(|n| server.request(caller * each + n));
        let (service, requests) = (service.clone(), requests.collect::<Vec<_>>());
        tokio::spawn(async move {
            for request in requests {
                service.clone().oneshot(request).await.unwrap();
            }
        })
    });
    let callers: Vec<_> = callers.collect();
    let requests = callers.len() * each;
    for caller in callers {
        within(caller).await.unwrap();
    }
    assert_eq!(*server.taken.borrow(), requests, "each once");
    assert_eq!(tally.downs(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_goes_away_all_the_time_is_no_outage() {
    for takes in [1, 3, 10] {
        load(&Server::taking(takes).await, 20, 5).await;
    }
}

/// It takes a few requests on each connection, and has answered none when it refuses the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_may_take_its_time_to_answer() {
    let server = Server::start(Manner {
        takes: 3,
        then: Then::GoesAway(NO_ERROR),
        answers_after: 20,
    });
    load(&server.await, 20, 1).await;
}

/// Fifty callers and a server that does not get on: its connections, when all wait for a probe.
async fn attempts(takes: usize, then: Then) -> usize {
    let server = Server::start(Manner {
        takes,
        then,
        answers_after: 0,
    });
    let server = server.await;
    let tally = Arc::<Tally>::default();
    let service = server.client(&tally);
    let calls: Vec<_> = (0..50)
        // All of them may be sent twice.
        .map(|number| tokio::spawn(service.clone().oneshot(server.request(2 * number))))
        .collect();
    let summary = service.links().subscribe();
    let unanswered = || calls.iter().filter(|call| !call.is_finished()).count();
    let all_wait = async {
        while tally.downs() == 0 || summary.borrow().waiting() < unanswered() {
            tokio::task::yield_now().await;
        }
    };
    within(all_wait).await;
    assert_eq!(tally.downs(), 1);
    calls.iter().for_each(tokio::task::JoinHandle::abort);
    server.connections()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_takes_nothing_is_left_alone() {
    let attempts = attempts(0, Then::GoesAway(NO_ERROR)).await;
    assert!(attempts < 10, "{attempts} connections");
}

/// What it has taken fails with the connection, so that it was taken in vain.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_closes_without_an_answer_is_left_alone() {
    let attempts = attempts(1, Then::Closes).await;
    assert!(attempts < 20, "{attempts} connections");
}

/// A server that wants to be left alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_goaway_with_an_error_is_no_good_end() {
    let attempts = attempts(1, Then::GoesAway(ENHANCE_YOUR_CALM)).await;
    assert!(attempts < 10, "{attempts} connections");
}

/// The connection goes on, and others are answered there; but that may be for ever so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_refused_is_no_goaway() {
    let attempts = attempts(1, Then::Refuses).await;
    assert!(attempts < 10, "{attempts} connections");
}
