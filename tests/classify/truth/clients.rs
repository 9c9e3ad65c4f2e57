//! HTTP clients of all kinds. Each sends some requests over one connection, if it can.

use std::future::ready;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Request, Response};
use hyper_util::client::legacy::Client as Pooled;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
use tower::ServiceExt;
use tower_conn_retry::{BoxError, ConnectError};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    Raw,
    Hyper,
    HyperUtil,
    Reqwest,
    ReqwestNativeTls,
    /// Speaks HTTP/2, so that of the faults it comes as far as the handshake's.
    Tonic,
}

/// What a client needs to know.
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// The name in the URL. It resolves to the address.
    pub(crate) name: &'static str,
    pub(crate) tls: Option<ClientConfig>,
    /// The root for native-tls.
    pub(crate) pem: String,
    pub(crate) requests: usize,
    pub(crate) body: usize,
    pub(crate) timeout: Duration,
}

impl Target {
    fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}:{}/", self.name, self.address.port())
    }

    fn request(&self) -> Request<Full<Bytes>> {
        let body = Full::new(vec![b'x'; self.body].into());
        let request = Request::post(self.url()).header("host", self.name);
        request.body(body).unwrap()
    }
}

/// A TCP connection, or TLS over it.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Client {
    /// How many requests were answered, and what came then.
    pub(crate) async fn run(self, target: &Target) -> (usize, Option<BoxError>) {
        let mut answered = 0;
        let result = match self {
            Self::Raw => raw(target, &mut answered).await,
            Self::Hyper => hyper(target, &mut answered).await,
            Self::HyperUtil => hyper_util(target, &mut answered).await,
            Self::Reqwest => reqwest(target, &mut answered, false).await,
            Self::ReqwestNativeTls => reqwest(target, &mut answered, true).await,
            Self::Tonic => tonic(target, &mut answered).await,
        };
        (answered, result.err())
    }
}

/// As a connector of one's own would do it: its errors are marked.
async fn connect(target: &Target) -> Result<Box<dyn Stream>, ConnectError> {
    let stream = TcpStream::connect(target.address)
        .await
        .map_err(ConnectError::new)?;
    let Some(tls) = &target.tls else {
        return Ok(Box::new(stream));
    };
    let name = ServerName::try_from(target.name).unwrap();
    let connector = TlsConnector::from(Arc::new(tls.clone()));
    match connector.connect(name, stream).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(ConnectError::new(error)),
    }
}

async fn raw(target: &Target, answered: &mut usize) -> Result<(), BoxError> {
    let mut stream = connect(target).await?;
    for _ in 0..target.requests {
        let head = format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n",
            target.name, target.body
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&vec![b'x'; target.body]).await?;
        stream.flush().await?;
        let read = async {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await?);
            }
            // The only answers with a body are these.
            let length = if head.windows(4).any(|four| four == b": 10") {
                10
            } else {
                0
            };
            stream.read_exact(&mut vec![0; length]).await
        };
        tokio::time::timeout(target.timeout, read).await??;
        *answered += 1;
    }
    Ok(())
}

async fn hyper(target: &Target, answered: &mut usize) -> Result<(), BoxError> {
    let stream = TokioIo::new(connect(target).await?);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream)
        .await
        .map_err(ConnectError::new)?;
    let connection = tokio::spawn(connection);
    for _ in 0..target.requests {
        let answer = sender.send_request(target.request());
        read(tokio::time::timeout(target.timeout, answer).await??).await?;
        *answered += 1;
    }
    connection.abort();
    Ok(())
}

async fn hyper_util(target: &Target, answered: &mut usize) -> Result<(), BoxError> {
    let address = target.address;
    let resolver =
        tower::service_fn(move |_: Name| ready(Ok::<_, io::Error>(std::iter::once(address))));
    let mut tcp = HttpConnector::new_with_resolver(resolver);
    tcp.enforce_http(false);
    let config = target.tls.clone().unwrap_or_else(no_roots);
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    let client: Pooled<_, Full<Bytes>> = Pooled::builder(TokioExecutor::new()).build(connector);
    for _ in 0..target.requests {
        let answer = client.request(target.request());
        read(tokio::time::timeout(target.timeout, answer).await??).await?;
        *answered += 1;
    }
    Ok(())
}

fn no_roots() -> ClientConfig {
    ClientConfig::builder()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

async fn read(answer: Response<hyper::body::Incoming>) -> Result<(), BoxError> {
    answer.into_body().collect().await?;
    Ok(())
}

async fn reqwest(target: &Target, answered: &mut usize, native: bool) -> Result<(), BoxError> {
    let builder = reqwest::Client::builder()
        .no_proxy()
        .http1_only()
        .timeout(target.timeout)
        .resolve(target.name, target.address);
    let builder = match &target.tls {
        Some(_) if native => builder
            .tls_backend_native()
            .tls_certs_merge([reqwest::Certificate::from_pem(target.pem.as_bytes())?]),
        tls => builder.tls_backend_preconfigured(tls.clone().unwrap_or_else(no_roots)),
    };
    let client = builder.build()?;
    for _ in 0..target.requests {
        let request = client.post(target.url()).body(vec![b'x'; target.body]);
        request.send().await?.bytes().await?;
        *answered += 1;
    }
    Ok(())
}

/// As generated clients do it.
async fn tonic(target: &Target, answered: &mut usize) -> Result<(), BoxError> {
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(&target.pem))
        .domain_name(target.name);
    let channel = Endpoint::from_shared(format!("https://{}", target.address))?
        .tls_config(tls)?
        .connect_lazy();
    for _ in 0..target.requests {
        let body = Full::new(Bytes::from(vec![b'x'; target.body]));
        let request = Request::post(target.url()).body(tonic::body::Body::new(body))?;
        let answer = channel.clone().oneshot(request);
        tokio::time::timeout(target.timeout, answer)
            .await?
            .map_err(|error| tonic::Status::from_error(error.into()))?;
        *answered += 1;
    }
    Ok(())
}
