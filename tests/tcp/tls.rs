//! TLS: a round trip, and the ways in which a handshake fails.

use std::error::Error as _;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tower::{Service, ServiceExt};
use tower_conn_retry::tcp::{Error, ErrorKind, Tls};
use tower_conn_retry::{ConnectError, Reconnect, Sent};

use crate::server::{Framed, bounded, framed, listen, reset, send};

pub(crate) struct Identity {
    pub(crate) server: Arc<ServerConfig>,
    pub(crate) certificate: CertificateDer<'static>,
}

/// A server that calls itself by this name, with a certificate of its own making.
pub(crate) fn identity(name: &str) -> Identity {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    identity_of(cert.der().clone(), key)
}

fn identity_of(certificate: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> Identity {
    let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    Identity {
        server: Arc::new(server),
        certificate,
    }
}

fn trust(certificate: &CertificateDer<'static>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

pub(crate) async fn accept(
    listener: &TcpListener,
    identity: &Identity,
) -> io::Result<TlsStream<TcpStream>> {
    let (stream, _) = listener.accept().await?;
    let acceptor = TlsAcceptor::from(Arc::clone(&identity.server));
    acceptor.accept(stream).await
}

async fn failed_handshake(mut connector: Framed) -> Error {
    let error = connector.call(()).await.unwrap_err();
    assert_eq!(error.sent(), Sent::No);
    error
}

#[tokio::test]
async fn requests_go_through_tls() {
    let (listener, address) = listen().await;
    let identity = identity("127.0.0.1");
    // The name is the host of the address.
    let mut connector = framed(address).tls(trust(&identity.certificate));
    let (client, server) = tokio::join!(connector.call(()), accept(&listener, &identity));
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    tokio::spawn(async move {
        let (mut read, mut write) = tokio::io::split(&mut server);
        let _ = tokio::io::copy(&mut read, &mut write).await;
    });
    let mut calls = Vec::new();
    for n in 0..100 {
        calls.push(send(&mut client, vec![n; 10_000]).await);
    }
    for (n, call) in (0..100).zip(calls) {
        assert_eq!(call.await.unwrap(), vec![n; 10_000]);
    }
}

#[tokio::test]
async fn the_end_of_the_last_handle_is_an_orderly_end() {
    let (listener, address) = listen().await;
    let identity = identity("peer.example");
    let tls = Tls::with_config(trust(&identity.certificate)).server_name("peer.example");
    let mut connector = framed(address).tls(tls);
    let (client, server) = tokio::join!(connector.call(()), accept(&listener, &identity));
    drop(client);
    // Without a close_notify this would be an error.
    assert_eq!(server.unwrap().read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_certificate_of_nobody_we_trust_is_an_error_of_connecting() {
    let (listener, address) = listen().await;
    let identity = identity("127.0.0.1");
    let other = crate::tls::identity("127.0.0.1").certificate;
    let service = Reconnect::new(framed(address).tls(trust(&other)));
    let call = service.oneshot(Bytes::from("a"));
    let (result, _) = tokio::join!(call, accept(&listener, &identity));
    let error = result.unwrap_err();
    assert!(error.downcast_ref::<ConnectError>().is_some());
}

#[tokio::test]
async fn the_certificate_must_be_valid_for_the_name() {
    let (listener, address) = listen().await;
    let identity = identity("right.example");
    let tls = Tls::with_config(trust(&identity.certificate));
    for name in ["wrong.example", "not a name"] {
        let connector = framed(address).tls(tls.clone().server_name(name));
        let server = tokio::time::timeout(Duration::from_secs(5), accept(&listener, &identity));
        let (error, _) = tokio::join!(failed_handshake(connector), server);
        assert_eq!(error.kind(), ErrorKind::Tls);
        assert!(error.source().is_some());
    }
}

#[tokio::test]
async fn a_peer_that_breaks_off_the_handshake() {
    let (listener, address) = listen().await;
    let certificate = identity("127.0.0.1").certificate;
    let connector = framed(address).tls(trust(&certificate));
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        // The client is in the middle of it.
        stream.read_u8().await.unwrap();
        reset(stream);
    };
    let (error, ()) = tokio::join!(failed_handshake(connector), server);
    assert_eq!(error.kind(), ErrorKind::Tls);
}

#[tokio::test]
async fn a_handshake_without_an_answer_ends_with_the_connect_timeout() {
    let (_listener, address) = listen().await;
    let certificate = identity("127.0.0.1").certificate;
    let connector = framed(address)
        .tls(trust(&certificate))
        .connect_timeout(Duration::from_millis(50));
    let error = failed_handshake(connector).await;
    assert_eq!(error.kind(), ErrorKind::ConnectTimeout);
}

#[tokio::test]
async fn a_broken_connection_knows_what_was_handed_to_tls() {
    let (listener, address) = listen().await;
    let identity = identity("127.0.0.1");
    let mut connector = framed(address).tls(trust(&identity.certificate));
    let (client, server) = tokio::join!(connector.call(()), accept(&listener, &identity));
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    let whole = send(&mut client, "whole").await;
    let mut parts = Vec::new();
    for _ in 0..8 {
        parts.push(send(&mut client, vec![0; 7 << 20]).await);
    }
    server.read_exact(&mut [0; 10]).await.unwrap();
    reset(server.into_inner().0);
    assert_eq!(whole.await.unwrap_err().sent(), Sent::Maybe);
    let last = parts.pop().unwrap().await.unwrap_err();
    assert_eq!(last.sent(), Sent::No);
}

/// Where a process finds its own list of the platform's certificates (OpenSSL's convention, which
/// `rustls-native-certs` follows on every system).
const ROOTS: &str = "SSL_CERT_FILE";

/// Runs `trusts` in processes whose platform trusts the server, or another one.
#[test]
fn the_platforms_roots_are_trusted_and_no_others() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = signing_key.serialize_pem();
    let other = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    for (roots, trusted) in [(&cert, "yes"), (&other.cert, "no")] {
        let name = format!("roots-{}-{trusted}", std::process::id());
        let file = std::env::temp_dir().join(name);
        std::fs::write(&file, roots.pem()).unwrap();
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tls::trusts", "--ignored", "--nocapture"])
            .env(ROOTS, &file)
            .env("CERTIFICATE", cert.pem())
            .env("KEY", &key)
            .env("TRUSTED", trusted)
            .output();
        std::fs::remove_file(&file).unwrap();
        let output = output.unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let told = format!("{text}{}", String::from_utf8_lossy(&output.stderr));
        assert!(
            output.status.success() && text.contains("1 passed"),
            "{told}"
        );
    }
}

#[tokio::test]
#[ignore = "run by the test above"]
async fn trusts() {
    use rustls::pki_types::pem::PemObject as _;
    let told = |name| std::env::var(name).expect("is run by another test");
    let certificate = CertificateDer::from_pem_slice(told("CERTIFICATE").as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(told("KEY").as_bytes()).unwrap();
    let identity = identity_of(certificate, key);
    let (listener, address) = listen().await;
    let mut connector = framed(address).tls(Tls::platform().unwrap());
    let (client, _) = tokio::join!(connector.call(()), accept(&listener, &identity));
    match told("TRUSTED").as_str() {
        "yes" => drop(client.unwrap()),
        _ => assert_eq!(client.unwrap_err().kind(), ErrorKind::Tls),
    }
}

/// The server answers nothing, and resets when it has read the first frame. What it had read is not
/// "not sent", though the write that carried it failed. A thread of its own: both at once.
#[test]
fn what_the_server_has_read_is_never_not_sent() {
    const ROUNDS: usize = 20;
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    };
    let identity = identity("127.0.0.1");
    let trusted = trust(&identity.certificate);
    let (address, at) = std::sync::mpsc::channel();
    let server = std::thread::spawn(move || {
        runtime().block_on(bounded(async move {
            let (listener, own) = listen().await;
            address.send(own).unwrap();
            for _ in 0..ROUNDS {
                let mut stream = accept(&listener, &identity).await.unwrap();
                let mut frame = vec![0; stream.read_u32().await.unwrap() as usize];
                stream.read_exact(&mut frame).await.unwrap();
                reset(stream.into_inner().0);
            }
        }));
    });
    let address = at.recv().unwrap();
    runtime().block_on(async {
        for _ in 0..ROUNDS {
            let mut client = framed(address).tls(trusted.clone()).call(()).await.unwrap();
            let first = send(&mut client, "pay 100").await;
            let more = send(&mut client, vec![0; 7 << 20]).await;
            assert_eq!(first.await.unwrap_err().sent(), Sent::Maybe);
            assert_eq!(more.await.unwrap_err().sent(), Sent::No);
        }
    });
    server.join().unwrap();
}
