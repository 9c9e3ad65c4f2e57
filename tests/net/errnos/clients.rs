//! One client of each kind, with one connection each.

use std::time::Duration;

use http_body_util::Empty;
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tower::{Service, ServiceExt};
use tower_conn_retry::BoxError;
use tower_conn_retry::tcp::{self, Connector};

use crate::lan::{SERVICE, WEB};
use crate::server::Numbers;

/// For how long sent bytes may be unacknowledged.
const USER_TIMEOUT: Duration = Duration::from_millis(800);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// tokio's sockets, and nothing else.
    Raw,
    Tcp,
    HyperUtil,
    Reqwest,
}

pub(crate) const KINDS: [Kind; 4] = [Kind::Raw, Kind::Tcp, Kind::HyperUtil, Kind::Reqwest];

pub(crate) enum Client {
    Raw(String, Option<TcpStream>),
    Tcp(
        Box<Connector<fn() -> Numbers, u64>>,
        Option<tcp::Client<u64, u64>>,
    ),
    HyperUtil(String, Box<legacy::Client<HttpConnector, Empty<Bytes>>>),
    Reqwest(String, reqwest::Client),
}

impl Client {
    /// Nothing happens before the first request.
    pub(crate) fn new(kind: Kind, host: &str) -> Self {
        let service = format!("{host}:{}", SERVICE.port());
        let web = format!("http://{host}:{}", WEB.port());
        match kind {
            Kind::Raw => Self::Raw(service, None),
            Kind::Tcp => {
                let codec: fn() -> Numbers = || Numbers;
                let connector = Connector::new(service, codec).user_timeout(USER_TIMEOUT);
                Self::Tcp(Box::new(connector), None)
            }
            Kind::HyperUtil => {
                let mut connector = HttpConnector::new();
                connector.set_tcp_user_timeout(Some(USER_TIMEOUT));
                connector.set_nodelay(true);
                let client = legacy::Client::builder(TokioExecutor::new()).build(connector);
                Self::HyperUtil(web, Box::new(client))
            }
            Kind::Reqwest => {
                let client = reqwest::Client::builder()
                    .no_proxy()
                    .redirect(reqwest::redirect::Policy::none())
                    .tcp_user_timeout(USER_TIMEOUT)
                    .build();
                Self::Reqwest(web, client.unwrap())
            }
        }
    }

    /// Connects if there is no connection, sends the number, and waits for the answer.
    pub(crate) async fn request(&mut self, number: u64) -> Result<(), BoxError> {
        match self {
            Self::Raw(address, connection) => {
                if connection.is_none() {
                    *connection = Some(connect(address).await?);
                }
                if let Some(stream) = connection {
                    stream.write_u64(number).await?;
                    assert_eq!(stream.read_u64().await?, number);
                }
            }
            Self::Tcp(connector, connection) => {
                if connection.is_none() {
                    *connection = Some(connector.call(()).await?);
                }
                if let Some(client) = connection {
                    assert_eq!(client.ready().await?.call(number).await?, number);
                }
            }
            Self::HyperUtil(web, client) => {
                let request = Request::post(format!("{web}/{number}")).body(Empty::new())?;
                assert_eq!(client.request(request).await?.status(), 200);
            }
            Self::Reqwest(web, client) => {
                let answer = client.post(format!("{web}/{number}")).send().await?;
                assert_eq!(answer.status(), 200);
            }
        }
        Ok(())
    }
}

async fn connect(address: &str) -> Result<TcpStream, BoxError> {
    let address = lookup_host(address).await?.next().unwrap();
    let socket = TcpSocket::new_v4()?;
    SockRef::from(&socket).set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(socket.connect(address).await?)
}
