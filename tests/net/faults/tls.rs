//! A record of TLS is corrupted on its way.

use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::crypto::ring;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;
use tower_conn_retry::tcp::Tls;

use super::{BAD_RECORD, CLOSED, RESET};
use crate::lan::{Lan, ROUTER, SERVICE};
use crate::proxy::{Direction, Proxy};
use crate::server::{Ledger, Protocol, Server};
use crate::stream::{Mode, Plan, Stream};
use crate::table;

const NAME: &str = "server.test";

pub(crate) fn record_to_client(mode: Mode) {
    corrupt(
        mode,
        Direction::ToClient,
        "TLS record to the client corrupted",
    );
}

pub(crate) fn record_to_server(mode: Mode) {
    corrupt(
        mode,
        Direction::ToServer,
        "TLS record to the server corrupted",
    );
}

fn corrupt(mode: Mode, direction: Direction, name: &'static str) {
    let lan = Lan::new();
    let (acceptor, tls) = identity();
    let ledger = Ledger::default();
    let _server = Server::start(&lan.server, SERVICE, &ledger, Protocol::Tls(acceptor));
    let proxy = Proxy::start(&lan.router, (ROUTER, 7000).into(), SERVICE);
    let plan = Plan {
        address: format!("{ROUTER}:7000"),
        tls: Some(tls),
        ..Plan::new(mode)
    };
    let mut stream = Stream::start(&lan.client, plan);
    stream.fault(|| proxy.corrupt(direction));
    stream.await_failed(1, &[BAD_RECORD]);
    // It was one.
    stream.heal(|| {});
    // The server says so and closes, maybe with a reset.
    let signs = [BAD_RECORD, CLOSED, RESET];
    table::add(stream.finish(&ledger, name, &signs));
}

fn identity() -> (TlsAcceptor, Tls) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed([NAME.to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key.into())
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tls = Tls::with_config(Arc::new(client)).server_name(NAME);
    (TlsAcceptor::from(Arc::new(server)), tls)
}
