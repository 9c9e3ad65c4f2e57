//! Real errors of tokio-postgres, with a real PostgreSQL server.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, Error, NoTls};
use tower_conn_retry::ConnErrorKind::{Closed, Refused, Reset};
use tower_conn_retry::Sent::{Maybe, No};
use tower_conn_retry::{ConnErrorKind, Sent, classify, is_conn_error};

use super::postgres::Server;
use super::process::free_address;

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
    let error = connect(free_address()).await.err().unwrap();
    assert_one_of(&error, &[Refused], Maybe);
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
