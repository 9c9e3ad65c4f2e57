//! What HTTP/1.1 can do to the order of messages on a connection, with a server that says exactly
//! what it is told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tower::{Layer, Service, ServiceExt};
use tower_conn_retry::http::connection::Http1Connect;
use tower_conn_retry::{ConnRetry, Reconnect};

use super::calls::{get, layer, spawn, text, within};
use super::origin::{Origin, Version};

/// Answers one request after the other; what it has read and on which connection.
struct Scripted {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<(usize, String)>>>,
}

impl Scripted {
    async fn says(answers: &[&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Vec<_>>>::default();
        let mut answers: Vec<_> = answers.to_vec();
        answers.reverse();
        let answers = Arc::new(Mutex::new(answers));
        let account = seen.clone();
        tokio::spawn(async move {
            for connection in 1.. {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, connection, answers.clone(), account.clone()));
            }
        });
        Self { address, seen }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn seen(&self) -> Vec<(usize, String)> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(
    stream: TcpStream,
    connection: usize,
    answers: Arc<Mutex<Vec<&'static str>>>,
    seen: Arc<Mutex<Vec<(usize, String)>>>,
) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let line = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1");
        seen.lock().unwrap().push((connection, line.to_owned()));
        let answer = answers.lock().unwrap().pop().unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
        if answer.starts_with("HTTP/1.1 101") {
            // The other protocol: it says all again.
            let (mut from, mut to) = stream.into_inner().into_split();
            let _ = tokio::io::copy(&mut from, &mut to).await;
            return;
        }
    }
}

type Client = ConnRetry<Reconnect<Http1Connect<HttpConnector, Full<Bytes>>, Uri>>;

fn client(address: SocketAddr) -> Client {
    let to = format!("http://{address}").parse().unwrap();
    layer().layer(Reconnect::to(Http1Connect::new(HttpConnector::new()), to))
}

const NEXT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnext";

/// The next call gets its own answer, on the same connection.
async fn goes_on(server: &Scripted, client: &Client) {
    let answer = within(spawn(client, get(server.url("/next")))).await;
    assert_eq!(text(answer.unwrap()).await, "next");
    let connections: Vec<_> = server.seen().iter().map(|seen| seen.0).collect();
    assert_eq!(connections, [1, 1]);
}

#[tokio::test]
async fn an_answer_to_head_has_no_body() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n";
    let server = Scripted::says(&[head, NEXT]).await;
    let client = client(server.address);
    let mut request = get::<Full<Bytes>>(server.url("/1"));
    *request.method_mut() = hyper::Method::HEAD;
    let answer = within(spawn(&client, request)).await;
    assert_eq!(text(answer.unwrap()).await, "");
    goes_on(&server, &client).await;
}

#[tokio::test]
async fn interim_answers_are_not_the_answer() {
    let answer = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n\
                  HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\none";
    let server = Scripted::says(&[answer, NEXT]).await;
    let client = client(server.address);
    let answer = within(spawn(&client, get(server.url("/1")))).await;
    assert_eq!(text(answer.unwrap()).await, "one");
    goes_on(&server, &client).await;
}

#[tokio::test]
async fn trailers_of_an_answer_arrive() {
    let answer = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n\
                  3\r\none\r\n0\r\nx-sum: 3\r\n\r\n";
    let server = Scripted::says(&[answer, NEXT]).await;
    let client = client(server.address);
    let mut request = get::<Full<Bytes>>(server.url("/1"));
    let te = hyper::header::HeaderValue::from_static("trailers");
    request.headers_mut().insert("te", te);
    let answer = within(spawn(&client, request)).await.unwrap().unwrap();
    let whole = within(answer.into_body().collect()).await.unwrap();
    assert_eq!(whole.trailers().unwrap()["x-sum"], "3");
    assert_eq!(whole.to_bytes(), "one");
    goes_on(&server, &client).await;
}

/// The connection belongs to the other protocol; who has waited for it gets another one.
#[tokio::test]
async fn an_upgraded_connection_lives_on_and_the_next_call_has_a_new_one() {
    let upgrade =
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\n";
    let server = Scripted::says(&[upgrade, NEXT]).await;
    let mut client = client(server.address);
    let mut request = get::<Full<Bytes>>(server.url("/1"));
    let headers = request.headers_mut();
    headers.insert("connection", "upgrade".parse().unwrap());
    headers.insert("upgrade", "echo".parse().unwrap());
    let first = within(client.ready()).await.unwrap().call(request);
    let next = spawn(&client, get(server.url("/next")));
    let answer = within(first).await.unwrap();
    assert_eq!(answer.status(), 101);
    assert_eq!(text(within(next).await.unwrap()).await, "next");
    assert_eq!(
        server.seen(),
        [(1, "GET /1".to_owned()), (2, "GET /next".to_owned())]
    );
    drop(client);
    let mut other = TokioIo::new(within(hyper::upgrade::on(answer)).await.unwrap());
    other.write_all(b"hello").await.unwrap();
    let mut echo = [0; 5];
    within(other.read_exact(&mut echo)).await.unwrap();
    assert_eq!(&echo, b"hello");
}

/// What is left of a message that nobody wants is never taken for the next one.
#[tokio::test]
async fn a_dropped_call_or_answer_closes_the_connection_and_the_next_has_a_new_one() {
    for path in ["/hold", "/breaks"] {
        let origin = Origin::started(Version::H1);
        let client = client(origin.address);
        let call = spawn(&client, get::<Full<Bytes>>(origin.url(path)));
        origin.has_seen(1).await;
        let waits = spawn(&client, get(origin.url("/next")));
        if path == "/hold" {
            call.abort();
            assert!(within(call).await.unwrap_err().is_cancelled());
        } else {
            drop(within(call).await.unwrap().unwrap());
        }
        assert_eq!(text(within(waits).await.unwrap()).await, "/next");
        let seen = origin.seen().into_iter();
        let connections: Vec<_> = seen.map(|seen| seen.connection).collect();
        assert_eq!(connections, [1, 2]);
        drop(client);
        origin.all_closed().await;
    }
}

/// The server has heard enough of it.
#[tokio::test]
async fn an_answer_before_the_end_of_the_request_is_the_answer() {
    let early = "HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let server = Scripted::says(&[early, NEXT]).await;
    let client = client(server.address);
    let body = Full::from(vec![b'x'; 1 << 20]);
    let request = Request::post(server.url("/1")).body(body).unwrap();
    let answer = within(spawn(&client, request)).await.unwrap().unwrap();
    assert_eq!(answer.status(), 413);
    drop(answer);
    let answer = within(spawn(&client, get(server.url("/next")))).await;
    assert_eq!(text(answer.unwrap()).await, "next");
    assert_eq!(server.seen().len(), 2);
}
