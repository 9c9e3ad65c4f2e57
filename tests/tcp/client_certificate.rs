//! A server that demands a certificate of the client.

use std::sync::Arc;

use bytes::Bytes;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::io::{copy, split};
use tower::{Service, ServiceExt};
use tower_conn_retry::tcp::{Error, ErrorKind, Tls};
use tower_conn_retry::{ConnErrorKind, Sent, classify};

use crate::server::{bounded, framed, listen};
use crate::tls::{Identity, accept};

struct Certificate {
    der: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

fn certificate(name: &str) -> Certificate {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed([name.to_owned()]).unwrap();
    Certificate {
        der: cert.der().clone(),
        key: PrivateKeyDer::Pkcs8(signing_key.serialize_der().into()),
    }
}

/// A server that lets in whoever has this certificate.
fn server(demanded: &Certificate, version: &'static SupportedProtocolVersion) -> Identity {
    let own = certificate("127.0.0.1");
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(demanded.der.clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider));
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![own.der.clone()], own.key)
        .unwrap();
    Identity {
        server: Arc::new(config),
        certificate: own.der,
    }
}

/// One request to such a server.
async fn echo(server: &Identity, tls: Tls) -> Result<(), Error> {
    let (listener, address) = listen().await;
    let mut connector = framed(address).tls(tls);
    let serve = async {
        if let Ok(stream) = accept(&listener, server).await {
            let (mut read, mut write) = split(stream);
            let _ = copy(&mut read, &mut write).await;
        }
    };
    let call = async {
        let mut client = connector.call(()).await?;
        let answer = client.ready().await?.call(Bytes::from("a")).await?;
        assert_eq!(answer, "a");
        Ok(())
    };
    bounded(async { tokio::join!(call, serve).0 }).await
}

#[tokio::test]
async fn a_client_that_shows_the_certificate_is_let_in() {
    for version in [&TLS12, &TLS13] {
        let own = certificate("robot.example");
        let server = server(&own, version);
        let tls = Tls::roots([server.certificate.clone()]).unwrap();
        let tls = tls.client_certificate(vec![own.der], own.key).unwrap();
        echo(&server, tls).await.unwrap();
    }
}

#[tokio::test]
async fn without_one_tls_1_3_says_so_when_the_handshake_is_over() {
    let server = server(&certificate("robot.example"), &TLS13);
    let other = certificate("robot.example");
    let without = Tls::roots([server.certificate.clone()]).unwrap();
    let wrong = without.clone();
    let wrong = wrong
        .client_certificate(vec![other.der], other.key)
        .unwrap();
    for tls in [without, wrong] {
        let error = echo(&server, tls).await.unwrap_err();
        // Not `Tls`, the handshake; but TLS is what it is about.
        assert_eq!(error.kind(), ErrorKind::Io);
        let found = classify(&error).unwrap();
        assert_eq!(found.kind(), ConnErrorKind::Tls, "{error:?}");
        assert_eq!(found.sent(), error.sent());
    }
}

#[tokio::test]
async fn without_one_tls_1_2_fails_to_connect() {
    let server = server(&certificate("robot.example"), &TLS12);
    let tls = Tls::roots([server.certificate.clone()]).unwrap();
    let error = echo(&server, tls).await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Tls, Sent::No));
    assert_eq!(classify(&error).unwrap().kind(), ConnErrorKind::Tls);
}

#[tokio::test]
async fn a_key_that_is_not_the_certificates_is_refused_here() {
    let (own, other) = (certificate("a.example"), certificate("b.example"));
    let tls = Tls::roots([own.der.clone()]).unwrap();
    let error = tls
        .client_certificate(vec![own.der], other.key)
        .unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Tls, Sent::No));
}

#[test]
fn a_root_that_is_not_a_certificate_is_refused() {
    let error = Tls::roots([CertificateDer::from(vec![1, 2, 3])]).unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Tls, Sent::No));
}
