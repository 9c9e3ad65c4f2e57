//! The server's side of it: every fault with every client, over TCP and over TLS, and what was read
//! in truth. "Not sent" is never said of a request that was read, and no fault goes unseen.
//!
//! `cargo test --all-features --test classify truth -- --nocapture` prints the whole matrix.

mod clients;
mod http2;
mod server;

use std::fmt::Write;
use std::time::Duration;

use rustls::{ClientConfig, ServerConfig, version};
use tower_conn_retry::ConnErrorKind::{self, *};
use tower_conn_retry::Outlook::{self, Permanent, Transient};
use tower_conn_retry::{Sent, classify};

use self::clients::Client::{self, Hyper, HyperUtil, Raw, Reqwest, ReqwestNativeTls, Tonic};
use self::clients::Target;
use self::server::Fault::{self, *};
use self::server::Server;
use super::tls_peer::{Authority, NAME, Validity};

/// A fault, and what may be said of it.
struct Row {
    name: &'static str,
    fault: Fault,
    kinds: &'static [ConnErrorKind],
    outlook: Outlook,
    /// Always proved, never, or as it comes.
    sent: Option<Sent>,
    requests: usize,
    body: usize,
}

const fn row(
    name: &'static str,
    fault: Fault,
    kinds: &'static [ConnErrorKind],
    sent: Option<Sent>,
) -> Row {
    Row {
        name,
        fault,
        kinds,
        outlook: Transient,
        sent,
        requests: 1,
        body: 10,
    }
}

const MAYBE: Option<Sent> = Some(Sent::Maybe);
const LOST: &[ConnErrorKind] = &[Reset, Closed, BrokenPipe, NotConnected];

/// More than what the kernel takes before anybody reads.
const LARGE: usize = 16 << 20;

/// With and without TLS.
const HTTP: &[Row] = &[
    row(
        "refused",
        Fault::Refused,
        &[ConnErrorKind::Refused],
        Some(Sent::No),
    ),
    Row {
        body: LARGE,
        ..row("reset with the body half sent", ResetMidBody, LOST, MAYBE)
    },
    Row {
        body: LARGE,
        ..row("closed with the body half sent", ClosedMidBody, LOST, MAYBE)
    },
    row("read, then reset", ResetAfterRequest, &[Reset], MAYBE),
    row("read, then closed", ClosedAfterRequest, &[Closed], MAYBE),
    row("half an answer's head", HalfAHead, &[Closed], MAYBE),
    row("half an answer's body", HalfABody, &[Closed], MAYBE),
    row(
        "half a body, then reset",
        HalfABodyThenReset,
        &[Reset, Closed],
        MAYBE,
    ),
    row("silence", Silence, &[Timeout], MAYBE),
    Row {
        requests: 2,
        ..row("closed while idle", IdleClose, LOST, None)
    },
];

/// Without TLS, when there is a connection but no request was read.
const TCP: &[Row] = &[
    row("reset at once", ResetAtOnce, LOST, None),
    row("closed at once", ClosedAtOnce, LOST, None),
    Row {
        body: LARGE,
        ..row("reset after the first bytes", ResetEarly, LOST, MAYBE)
    },
];

/// The same is the handshake's with TLS: nothing was sent.
const HANDSHAKE: &[Row] = &[
    row(
        "reset at once",
        ResetAtOnce,
        &[Tls, Reset, Closed],
        Some(Sent::No),
    ),
    row(
        "closed at once",
        ClosedAtOnce,
        &[Tls, Reset, Closed],
        Some(Sent::No),
    ),
    row(
        "reset in the handshake",
        ResetEarly,
        &[Tls, Reset, Closed],
        Some(Sent::No),
    ),
    row(
        "closed in the handshake",
        ClosedEarly,
        &[Tls, Reset, Closed],
        Some(Sent::No),
    ),
    Row {
        outlook: Permanent,
        ..row("no TLS there", PlainText, &[Tls], Some(Sent::No))
    },
];

const AFTER_THE_HANDSHAKE: &[Row] = &[
    row(
        "closed without close_notify",
        NoCloseNotify,
        &[Closed],
        MAYBE,
    ),
    row("a damaged record", DamagedRecord, &[Tls], MAYBE),
];

/// What the handshakes are about.
struct Tls13 {
    server: ServerConfig,
    client: ClientConfig,
    pem: String,
    name: &'static str,
}

fn tls(edit: impl FnOnce(&mut Tls13, &Authority)) -> Tls13 {
    let authority = Authority::new();
    let mut tls = Tls13 {
        server: authority.server(Validity::Now),
        client: authority.client(),
        pem: authority.pem(),
        name: NAME,
    };
    edit(&mut tls, &authority);
    tls
}

/// One row, with one client.
async fn check(client: Client, row: &Row, tls: Option<Tls13>, report: &mut Report) {
    let (server, client_tls, pem, name) = match tls {
        Some(tls) => (Some(tls.server), Some(tls.client), tls.pem, tls.name),
        None => (None, None, String::new(), NAME),
    };
    let scheme = if server.is_some() { "TLS" } else { "TCP" };
    let server = Server::start(row.fault, server).await;
    let target = Target {
        address: server.address,
        name,
        tls: client_tls,
        pem,
        requests: row.requests,
        body: row.body,
        timeout: Duration::from_secs(if row.fault == Silence { 1 } else { 30 }),
    };
    let run = tokio::time::timeout(Duration::from_secs(60), client.run(&target));
    let (answered, error) = run.await.expect("it ends");
    let read = server.requests();

    let what = format!("{scheme}, {}, {client:?}", row.name);
    let Some(error) = error else {
        // A pool replays by itself what its connection hands back.
        if row.fault != IdleClose {
            report.wrong(format!("{what}: no error"));
        }
        return report.line(&what, read, "answered");
    };
    let Some(found) = classify(&*error) else {
        return report.wrong(format!("{what}: not seen: {error:?}"));
    };
    report.line(&what, read, &format!("{found:?}"));
    if read > answered && found.sent() == Sent::No {
        report.wrong(format!("{what}: it was read! {found:?} {error:?}"));
    }
    let is_right = row.kinds.contains(&found.kind())
        && found.outlook() == row.outlook
        && row.sent.is_none_or(|sent| sent == found.sent());
    if !is_right {
        report.wrong(format!("{what}: {found:?} {error:?}"));
    }
}

#[derive(Default)]
struct Report {
    table: String,
    wrong: Vec<String>,
}

impl Report {
    fn line(&mut self, what: &str, read: usize, verdict: &str) {
        writeln!(self.table, "{what:<60} read {read}  {verdict}").unwrap();
    }

    fn wrong(&mut self, what: String) {
        self.wrong.push(what);
    }

    #[track_caller]
    fn end(self) {
        println!("{}", self.table);
        assert!(self.wrong.is_empty(), "{:#?}", self.wrong);
    }
}

#[tokio::test]
async fn http_over_tcp() {
    let mut report = Report::default();
    for row in HTTP.iter().chain(TCP) {
        for client in [Raw, Hyper, HyperUtil, Reqwest] {
            check(client, row, None, &mut report).await;
        }
    }
    report.end();
}

#[tokio::test]
async fn http_over_tls() {
    let mut report = Report::default();
    for row in HTTP.iter().chain(HANDSHAKE).chain(AFTER_THE_HANDSHAKE) {
        for client in [Raw, Hyper, HyperUtil, Reqwest, ReqwestNativeTls] {
            check(client, row, Some(tls(|_, _| ())), &mut report).await;
        }
    }
    report.end();
}

/// What comes before HTTP/2 can be spoken.
#[tokio::test]
async fn tonic_over_tls() {
    let mut report = Report::default();
    for row in HTTP[..1].iter().chain(HANDSHAKE) {
        check(Tonic, row, Some(tls(|_, _| ())), &mut report).await;
    }
    report.end();
}

/// Handshakes that fail by what the certificates and the settings are.
#[tokio::test]
async fn handshakes() {
    type Edit = fn(&mut Tls13, &Authority);
    let edits: &[(&'static str, Edit, Outlook)] = &[
        (
            "unknown issuer",
            |tls, _| tls.server = Authority::new().server(Validity::Now),
            Permanent,
        ),
        (
            "expired",
            |tls, ours| tls.server = ours.server(Validity::Past),
            Permanent,
        ),
        ("wrong name", |tls, _| tls.name = "other.test", Permanent),
        (
            "not valid yet",
            |tls, ours| tls.server = ours.server(Validity::Future),
            Transient,
        ),
        (
            "version",
            |tls, ours| {
                tls.server = ours.server_of(&version::TLS12);
                tls.client = ClientConfig::builder_with_protocol_versions(&[&version::TLS13])
                    .with_root_certificates(ours.roots())
                    .with_no_client_auth();
            },
            Permanent,
        ),
        (
            "ALPN",
            |tls, _| tls.server.alpn_protocols = vec![b"mqtt".to_vec()],
            Permanent,
        ),
    ];
    let mut report = Report::default();
    for &(name, edit, outlook) in edits {
        let row = Row {
            outlook,
            ..row(name, Handshake, &[ConnErrorKind::Tls], Some(Sent::No))
        };
        for client in [Raw, Hyper, HyperUtil, Reqwest, ReqwestNativeTls, Tonic] {
            if client == ReqwestNativeTls && matches!(name, "version" | "not valid yet") {
                // It can't be told to speak 1.3 only, and its error has no verification result.
                continue;
            }
            if client == Tonic && name == "version" {
                continue; // nor can this
            }
            if name == "ALPN" && matches!(client, HyperUtil | ReqwestNativeTls) {
                continue; // they offer nothing, and then the server asks for nothing
            }
            let mut tls = tls(edit);
            if name == "ALPN" {
                tls.client.alpn_protocols = vec![b"http/1.1".to_vec()];
            }
            check(client, &row, Some(tls), &mut report).await;
        }
    }
    report.end();
}

/// With TLS 1.3 the client learns of it after it may have sent the request.
#[tokio::test]
async fn client_certificates() {
    let row = Row {
        outlook: Permanent,
        ..row(
            "client certificate refused",
            Handshake,
            &[ConnErrorKind::Tls],
            None,
        )
    };
    let mut report = Report::default();
    for client in [Raw, Hyper, HyperUtil, Reqwest, ReqwestNativeTls, Tonic] {
        let mut tls = tls(|tls, ours| tls.server = ours.server_with_client_auth());
        if client == Tonic {
            tls.server.alpn_protocols = vec![b"h2".to_vec()];
        }
        check(client, &row, Some(tls), &mut report).await;
    }
    report.end();
}
