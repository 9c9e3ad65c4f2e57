//! Real errors of tokio-postgres, with a real PostgreSQL server.

use std::error::Error as StdError;
use std::future::{Ready, ready};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::{MakeTlsConnect, NoTlsStream, TlsConnect};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Config, Error, NoTls, Socket};
use tower_conn_retry::ConnErrorKind::{Closed, Dns, Refused, Reset, Tls};
use tower_conn_retry::Outlook::{Permanent, Transient};
use tower_conn_retry::Sent::{Maybe, No};
use tower_conn_retry::{ConnErrorKind, Sent, classify, is_conn_error};

use super::postgres::{COMMIT_AND_RAISE, RAISE, STATES, Server};
use super::sockets::refusing;

async fn connect_to(address: SocketAddr, database: &str) -> Result<Client, Error> {
    let mut config = Config::new();
    config.host("127.0.0.1").port(address.port()).user("robot");
    config.dbname(database).ssl_mode(SslMode::Disable);
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn connect(address: SocketAddr) -> Result<Client, Error> {
    connect_to(address, "postgres").await
}

#[track_caller]
fn assert_one_of(error: &Error, kinds: &[ConnErrorKind], sent: Sent) {
    let found = classify(error).unwrap_or_else(|| panic!("{error:?}"));
    assert!(kinds.contains(&found.kind()), "{found:?} {error:?}");
    assert_eq!(found.sent(), sent, "{error:?}");
}

#[tokio::test]
async fn refused() {
    let error = connect(refusing()).await.err().unwrap();
    assert_one_of(&error, &[Refused], No);
}

#[tokio::test]
async fn no_connection() {
    for (host, kind) in [
        ("no-such-name.invalid", Dns),
        #[cfg(unix)]
        ("/no/such/socket", Refused),
    ] {
        let mut config = Config::new();
        config.host(host).user("robot");
        let error = config.connect(NoTls).await.err().unwrap();
        assert_one_of(&error, &[kind], No);
    }
}

/// A peer that reads the first message, answers this, and closes.
async fn answering(answer: &[u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = answer.to_owned();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
        stream.write_all(&answer).await.unwrap();
    });
    address
}

/// Fails as a TLS library does that got no TLS.
struct PlainText;

impl MakeTlsConnect<Socket> for PlainText {
    type Stream = NoTlsStream;
    type TlsConnect = Self;
    type Error = io::Error;

    fn make_tls_connect(&mut self, _: &str) -> io::Result<Self> {
        Ok(Self)
    }
}

impl TlsConnect<Socket> for PlainText {
    type Stream = NoTlsStream;
    type Error = io::Error;
    type Future = Ready<io::Result<NoTlsStream>>;

    fn connect(self, _: Socket) -> Self::Future {
        let plain = rustls::InvalidMessage::InvalidContentType;
        let plain = rustls::Error::InvalidMessage(plain);
        ready(Err(io::Error::new(io::ErrorKind::InvalidData, plain)))
    }
}

#[tokio::test]
async fn handshakes() {
    async fn connect<T>(answer: &[u8], tls: T) -> Error
    where
        T: MakeTlsConnect<Socket>,
    {
        let address = answering(answer).await;
        let mut config = Config::new();
        config.host("127.0.0.1").port(address.port()).user("robot");
        let config = config.ssl_mode(SslMode::Require);
        config.connect(tls).await.err().unwrap()
    }
    for (answer, kind, outlook) in [(b"S", Tls, Permanent), (b"N", Tls, Permanent)] {
        let error = connect(answer, PlainText).await;
        assert_one_of(&error, &[kind], No);
        assert_eq!(classify(&error).unwrap().outlook(), outlook, "{error:?}");
    }
    let error = connect(b"", PlainText).await;
    assert_one_of(&error, &[Closed, Reset], Maybe);
    assert_eq!(classify(&error).unwrap().outlook(), Transient, "{error:?}");
    // A mistake of the program's.
    let error = connect(b"S", NoTls).await;
    assert!(!is_conn_error(&error), "{error:?}");
}

/// As pgbouncer's and old servers', whose errors do not say how bad they are but in words.
#[tokio::test]
async fn a_server_whose_severity_is_in_its_language() {
    for (severity, state, expected) in [
        ("FATAL", "53300", Some((Refused, No))),
        ("ERROR", "53300", None),
        ("ERROR", "57P01", None),
        ("VERHÄNGNIS", "53300", Some((Refused, Maybe))),
        ("VERHÄNGNIS", "57P01", Some((Closed, Maybe))),
        ("VERHÄNGNIS", "23505", None),
    ] {
        let fields = format!("S{severity}\0C{state}\0Mno\0\0");
        let length = u32::try_from(fields.len() + 4).unwrap();
        let answer = [b"E", &length.to_be_bytes()[..], fields.as_bytes()].concat();
        let error = connect(answering(&answer).await).await.err().unwrap();
        assert_eq!(error.code().map(|code| code.code()), Some(state));
        let found = classify(&error).map(|found| (found.kind(), found.sent()));
        assert_eq!(found, expected, "{error:?}");
    }
}

/// Says that it is ready, reads a statement, and closes.
#[tokio::test]
async fn closed_when_the_statement_was_read() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let peer = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let length = stream.read_u32().await.unwrap();
        let mut startup = vec![0; length as usize - 4];
        stream.read_exact(&mut startup).await.unwrap();
        // AuthenticationOk, and ReadyForQuery.
        let ready = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";
        stream.write_all(ready).await.unwrap();
        stream.read(&mut [0; 64]).await.unwrap()
    });
    let client = connect(address).await.unwrap();
    let error = client.simple_query("SELECT 1").await.unwrap_err();
    assert!(peer.await.unwrap() > 0);
    assert!(error.is_closed());
    assert_one_of(&error, &[Closed], Maybe);
    let error = client.simple_query("SELECT 1").await.unwrap_err();
    assert_one_of(&error, &[Closed], Maybe);
}

#[tokio::test]
async fn closed_before_it_is_ready() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let peer = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read(&mut [0; 1024]).await.unwrap()
    });
    let error = connect(address).await.err().unwrap();
    assert!(peer.await.unwrap() > 0);
    assert_one_of(&error, &[Closed, Reset], Maybe);
}

/// SQLSTATE 57P01, and then nothing.
#[tokio::test]
async fn a_connection_that_is_taken_away() {
    let Some(server) = Server::start() else {
        return;
    };
    let client = connect(server.address).await.unwrap();
    let error = client
        .simple_query("SELECT pg_terminate_backend(pg_backend_pid())")
        .await
        .unwrap_err();
    // The server's word, or that its connection has gone meanwhile.
    let code = error.code().map(|code| code.code());
    assert!(code == Some("57P01") || error.is_closed(), "{error:?}");
    assert_one_of(&error, &[Closed], Maybe);
    let error = client.simple_query("SELECT 1").await.unwrap_err();
    assert_one_of(&error, &[Closed], Maybe);
}

/// SQLSTATE 53300: there is a server, but it takes no connection.
#[tokio::test]
async fn no_more_connections() {
    let Some(server) = Server::start() else {
        return;
    };
    let mut clients = Vec::new();
    let error = loop {
        match connect(server.address).await {
            Ok(client) => clients.push(client),
            Err(error) => break error,
        }
        assert!(clients.len() < 10);
    };
    assert_eq!(error.code().map(|code| code.code()), Some("53300"));
    assert_one_of(&error, &[Refused], No);
}

#[tokio::test]
async fn statements_and_answers_are_none_of_the_connections() {
    let Some(server) = Server::start() else {
        return;
    };
    let client = connect(server.address).await.unwrap();
    for statement in [
        "no SQL",
        "SELECT * FROM no_such_table",
        "SELECT 1 / 0",
        "SET statement_timeout = 1; SELECT pg_sleep(600)",
        // What a statement raises is no word of the server's about its connections.
        "DO $$ BEGIN RAISE 'Connection reset by peer (os error 104)'; END $$",
    ] {
        let error = client.simple_query(statement).await.map(|_| ());
        let error = error.unwrap_err();
        assert!(error.code().is_some(), "{error:?}");
        assert!(!is_conn_error(&error), "{statement}: {error:?}");
    }
    let error = connect_to(server.address, "none").await.err().unwrap();
    assert!(!is_conn_error(&error), "{error:?}");
    let column = async {
        let row = client.query_one("SELECT 1", &[]).await.unwrap();
        row.try_get::<_, String>(0).unwrap_err()
    };
    let error = tokio::time::timeout(Duration::from_secs(60), column);
    let error = error.await.unwrap();
    assert!(!is_conn_error(&error), "{error:?}");
}

/// Whatever a statement raises, the server has read it, and may have done a part.
#[tokio::test]
async fn what_a_statement_raises_is_an_answer() {
    let Some(server) = Server::start() else {
        return;
    };
    let client = connect(server.address).await.unwrap();
    client.simple_query(RAISE).await.unwrap();
    for state in STATES {
        let error = client.query("SELECT raise($1)", &[&state]).await;
        let error = error.unwrap_err();
        assert_eq!(error.code().map(|code| code.code()), Some(state));
        assert!(!is_conn_error(&error), "{error:?}");
    }
    client
        .simple_query("CREATE TABLE done (id int)")
        .await
        .unwrap();
    client.simple_query(COMMIT_AND_RAISE).await.unwrap();
    let error = client.query("CALL work()", &[]).await.unwrap_err();
    assert!(!is_conn_error(&error), "{error:?}");
    let done = client.query("SELECT * FROM done", &[]).await.unwrap();
    assert_eq!(done.len(), 1);
}

/// A value whose own code fails, as that of one does that comes from a stream.
#[derive(Debug)]
struct Broken;

fn reset() -> Box<dyn StdError + Send + Sync> {
    io::Error::from(io::ErrorKind::ConnectionReset).into()
}

impl ToSql for Broken {
    fn to_sql(
        &self,
        _: &Type,
        _: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Send + Sync>> {
        Err(reset())
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl FromSql<'_> for Broken {
    fn from_sql(_: &Type, _: &[u8]) -> Result<Self, Box<dyn StdError + Send + Sync>> {
        Err(reset())
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

#[tokio::test]
async fn the_callers_own_errors_are_none_of_the_connections() {
    let Some(server) = Server::start() else {
        return;
    };
    let client = connect(server.address).await.unwrap();
    let error = client.query("SELECT $1::int", &[&Broken]).await;
    let error = error.unwrap_err();
    assert!(error.source().is_some());
    assert!(!is_conn_error(&error), "{error:?}");
    let row = client.query_one("SELECT 1", &[]).await.unwrap();
    let error = row.try_get::<_, Broken>(0).unwrap_err();
    assert!(error.source().is_some());
    assert!(!is_conn_error(&error), "{error:?}");
    // A server that may only be read from is an answer.
    let mut config = Config::new();
    config.host("127.0.0.1").port(server.address.port());
    config.user("robot").dbname("postgres");
    config.target_session_attrs(tokio_postgres::config::TargetSessionAttrs::ReadOnly);
    let error = config.connect(NoTls).await.err().unwrap();
    assert!(!is_conn_error(&error), "{error:?}");
}
