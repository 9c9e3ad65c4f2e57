//! A small HTTP/1.1 server on this machine that can be stopped and started again on the same port,
//! and keeps account of what it has read. The examples and the tests have it in common.
#![allow(dead_code, reason = "each of them uses a part")]

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

pub(crate) struct Server {
    address: SocketAddr,
    account: Arc<watch::Sender<Account>>,
    state: State,
}

/// What the server does with a request, once it has read all of it.
pub(crate) enum Answer {
    /// 200, with the request's path as the body.
    Ok,
    /// This status line, and the further headers if there are any.
    Head(String),
    /// None: it closes the connection.
    HangUp,
}

/// A request that was read to its end.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Its method and path.
    pub(crate) line: String,
    /// Its `Idempotency-Key`.
    pub(crate) key: Option<String>,
    pub(crate) body: Vec<u8>,
}

#[derive(Default)]
struct Account {
    seen: Vec<Seen>,
    answers: VecDeque<Answer>,
}

enum State {
    /// The socket has the port, so that nobody else gets it meanwhile, but does not listen.
    Stopped(TcpSocket),
    Running {
        stop: oneshot::Sender<()>,
        task: JoinHandle<()>,
    },
    /// Only if stopping or starting failed.
    Broken,
}

impl Server {
    /// A server on a free port that is not started yet: a connection is refused.
    pub(crate) fn stopped() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        Ok(Self {
            address: socket.local_addr()?,
            account: Arc::default(),
            state: State::Stopped(socket),
        })
    }

    pub(crate) fn started() -> io::Result<Self> {
        let mut server = Self::stopped()?;
        server.start()?;
        Ok(server)
    }

    pub(crate) fn start(&mut self) -> io::Result<()> {
        let socket = match std::mem::replace(&mut self.state, State::Broken) {
            State::Stopped(socket) => socket,
            other => {
                self.state = other;
                return Ok(());
            }
        };
        // Its connections linger on when it stops. (On Windows that does not keep the port.)
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        let listener = socket.listen(1024)?;
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(accept(listener, self.account.clone(), stopped));
        self.state = State::Running { stop, task };
        Ok(())
    }

    /// Closes all connections and refuses new ones.
    pub(crate) async fn stop(&mut self) -> io::Result<()> {
        match std::mem::replace(&mut self.state, State::Broken) {
            State::Running { stop, task } => {
                let _ = stop.send(()); // it may have ended by itself
                task.await?;
            }
            other => {
                self.state = other;
                return Ok(());
            }
        }
        let socket = TcpSocket::new_v4()?;
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        socket.bind(self.address)?;
        self.state = State::Stopped(socket);
        Ok(())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers the next request so; may be said several times for several requests.
    pub(crate) fn next(&self, answer: Answer) {
        self.account
            .send_modify(|account| account.answers.push_back(answer));
    }

    /// The requests that were read to their ends, oldest first.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.account.borrow().seen.clone()
    }

    /// Their methods and paths.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.line).collect()
    }
}

async fn accept(
    listener: TcpListener,
    account: Arc<watch::Sender<Account>>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                connections.spawn(serve(BufReader::new(stream), account.clone()));
            }
            _ = &mut stopped => break,
        }
    }
    drop(listener);
    connections.shutdown().await;
}

/// One request after the other, until either side hangs up.
async fn serve(
    mut stream: BufReader<TcpStream>,
    account: Arc<watch::Sender<Account>>,
) -> io::Result<()> {
    loop {
        let seen = read(&mut stream).await?;
        let path = seen.line.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut answer = None;
        account.send_modify(|account| {
            account.seen.push(seen);
            answer = account.answers.pop_front();
        });
        let (head, body) = match answer.unwrap_or(Answer::Ok) {
            Answer::Ok => ("200 OK".to_owned(), path),
            Answer::Head(head) => (head, String::new()),
            Answer::HangUp => return Ok(()),
        };
        let length = body.len();
        let answer = format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\n\r\n{body}");
        stream.write_all(answer.as_bytes()).await?;
    }
}

/// Reads a request, whose body comes with a `Content-Length` or in chunks.
async fn read(stream: &mut BufReader<TcpStream>) -> io::Result<Seen> {
    let first = read_line(stream).await?;
    let line = first.trim_end_matches(" HTTP/1.1").to_owned();
    let (mut key, mut length, mut chunked) = (None, 0, false);
    loop {
        let header = read_line(stream).await?;
        let Some((name, value)) = header.split_once(':') else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "idempotency-key" => key = Some(value.trim().to_owned()),
            "content-length" => length = value.trim().parse().map_err(io::Error::other)?,
            "transfer-encoding" => chunked = value.trim() == "chunked",
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    while chunked {
        let length = read_line(stream).await?;
        let length = usize::from_str_radix(&length, 16).map_err(io::Error::other)?;
        let mut chunk = vec![0; length];
        stream.read_exact(&mut chunk).await?;
        read_line(stream).await?;
        body.extend(chunk);
        chunked = length > 0;
    }
    Ok(Seen { line, key, body })
}

async fn read_line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    match stream.read_line(&mut line).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(line.trim_end().to_owned()),
    }
}
