//! HTTP/2: what a server says of a stream or a connection, with each client, over TCP and over TLS.
//! The server has read all of these requests; what counts is whether it says that it did not
//! process them (RFC 9113 §6.8, §8.7), and whether it says so of *this* request. All of the clients
//! are hyper's, of which a GOAWAY does not.

use std::future::ready;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use h2::Reason;
use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client as Pooled;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
use tower::ServiceExt;
use tower_conn_retry::ConnErrorKind::{Closed, Reset};
use tower_conn_retry::Sent::{self, Maybe, No};
use tower_conn_retry::{BoxError, classify};

use super::super::h2::{connection, go_away, reset};
use super::super::tls_peer::{Authority, NAME, Validity};

/// What the server does, and what that says of the request. `None`: nothing about the connection.
fn rows() -> Vec<(&'static str, Vec<u8>, bool, Option<Sent>)> {
    let both = |first: Vec<u8>, then: Vec<u8>| [first, then].concat();
    let refused = reset(Reason::REFUSED_STREAM);
    vec![
        ("REFUSED_STREAM", refused.clone(), false, Some(No)),
        ("CANCEL", reset(Reason::CANCEL), false, None),
        ("INTERNAL_ERROR", reset(Reason::INTERNAL_ERROR), false, None),
        (
            "GOAWAY, above",
            go_away(0, Reason::NO_ERROR),
            false,
            Some(Maybe),
        ),
        (
            "GOAWAY with a reason, above",
            go_away(0, Reason::ENHANCE_YOUR_CALM),
            false,
            Some(Maybe),
        ),
        (
            "GOAWAY, below, and closed",
            go_away(1, Reason::NO_ERROR),
            true,
            Some(Maybe),
        ),
        (
            "GOAWAY, below, and refused",
            both(go_away(1, Reason::NO_ERROR), refused),
            false,
            Some(No),
        ),
        ("closed", Vec::new(), true, Some(Maybe)),
    ]
}

async fn serve(answer: Vec<u8>, closes: bool, tls: Option<TlsAcceptor>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (answer, tls) = (answer.clone(), tls.clone());
            tokio::spawn(async move {
                match tls {
                    None => connection(stream, &answer, closes).await,
                    Some(tls) => connection(tls.accept(stream).await?, &answer, closes).await,
                }
            });
        }
    });
    address
}

#[derive(Debug, Clone, Copy)]
enum Client {
    HyperUtil,
    Reqwest,
    ReqwestNativeTls,
    Tonic,
}

impl Client {
    async fn error(self, address: SocketAddr, authority: &Authority, tls: bool) -> BoxError {
        let scheme = if tls { "https" } else { "http" };
        let url = format!("{scheme}://{NAME}:{}/", address.port());
        match self {
            Self::HyperUtil => {
                let resolver = tower::service_fn(move |_: Name| {
                    ready(Ok::<_, io::Error>(std::iter::once(address)))
                });
                let mut tcp = HttpConnector::new_with_resolver(resolver);
                tcp.enforce_http(false);
                let connector = hyper_rustls::HttpsConnectorBuilder::new()
                    .with_tls_config(authority.client())
                    .https_or_http()
                    .enable_http2()
                    .wrap_connector(tcp);
                let client: Pooled<_, Full<Bytes>> = Pooled::builder(TokioExecutor::new())
                    .http2_only(true)
                    .build(connector);
                let request = Request::post(url).body(Full::new("hello".into())).unwrap();
                client.request(request).await.unwrap_err().into()
            }
            Self::Reqwest | Self::ReqwestNativeTls => {
                let builder = reqwest::Client::builder()
                    .no_proxy()
                    .resolve(NAME, address)
                    .retry(reqwest::retry::never());
                let root = reqwest::Certificate::from_pem(authority.pem().as_bytes()).unwrap();
                let mut config = authority.client();
                config.alpn_protocols = vec![b"h2".to_vec()];
                let builder = match self {
                    Self::Reqwest => builder.tls_backend_preconfigured(config),
                    _ => builder.tls_backend_native().tls_certs_merge([root]),
                };
                let builder = if tls {
                    builder
                } else {
                    builder.http2_prior_knowledge()
                };
                let request = builder.build().unwrap().post(url).body("hello");
                request.send().await.unwrap_err().into()
            }
            Self::Tonic => {
                let mut endpoint = Endpoint::from_shared(format!("{scheme}://{address}")).unwrap();
                if tls {
                    let config = ClientTlsConfig::new()
                        .ca_certificate(Certificate::from_pem(authority.pem()))
                        .domain_name(NAME);
                    endpoint = endpoint.tls_config(config).unwrap();
                }
                let channel = endpoint.connect_lazy();
                let request = Request::post("http://robot.test/move.Robot/Left")
                    .body(tonic::body::Body::empty())
                    .unwrap();
                let error = channel.oneshot(request).await.unwrap_err();
                tonic::Status::from_error(error.into()).into()
            }
        }
    }
}

async fn check(clients: &[Client], tls: bool) {
    let authority = Authority::new();
    let mut server = authority.server(Validity::Now);
    server.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let mut wrong = Vec::new();
    for (name, answer, closes, sent) in rows() {
        for &client in clients {
            let address = serve(answer.clone(), closes, tls.then(|| acceptor.clone())).await;
            let error = client.error(address, &authority, tls);
            let error = tokio::time::timeout(Duration::from_secs(60), error)
                .await
                .expect("it ends");
            let found = classify(&*error);
            println!("{name:<30} {client:?}, TLS {tls}: {found:?}");
            let is_kind = found.is_none_or(|found| matches!(found.kind(), Closed | Reset));
            if found.map(|found| found.sent()) != sent || !is_kind {
                wrong.push(format!("{name}, {client:?}: {found:?} {error:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn over_tcp() {
    check(&[Client::HyperUtil, Client::Reqwest, Client::Tonic], false).await;
}

#[tokio::test]
async fn over_tls() {
    let clients = [
        Client::HyperUtil,
        Client::Reqwest,
        Client::ReqwestNativeTls,
        Client::Tonic,
    ];
    check(&clients, true).await;
}
