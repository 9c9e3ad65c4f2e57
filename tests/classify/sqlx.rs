//! Real errors of sqlx, with a real PostgreSQL server.

use std::net::SocketAddr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::{Connection, Error, Executor, PgConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tower_conn_retry::ConnErrorKind::{BrokenPipe, Closed, Refused, Reset, Timeout, Tls};
use tower_conn_retry::Sent::{Maybe, No};
use tower_conn_retry::{ConnErrorKind, Outlook, Sent, classify, is_conn_error};

use super::postgres::{COMMIT_AND_RAISE, RAISE, STATES, Server};
use super::sockets::refusing;

fn options(address: SocketAddr) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(address.port())
        .username("robot")
        .database("postgres")
        .ssl_mode(PgSslMode::Disable)
}

async fn connect(address: SocketAddr) -> Result<PgConnection, Error> {
    PgConnection::connect_with(&options(address)).await
}

#[track_caller]
fn assert_one_of(error: &Error, kinds: &[ConnErrorKind], sent: Sent) {
    let found = classify(error).unwrap_or_else(|| panic!("{error:?}"));
    assert!(kinds.contains(&found.kind()), "{found:?} {error:?}");
    assert_eq!(found.sent(), sent, "{error:?}");
}

#[tokio::test]
async fn refused() {
    let error = connect(refusing()).await.unwrap_err();
    assert_one_of(&error, &[Refused], Maybe);
}

#[tokio::test]
async fn closed_in_the_middle() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let peer = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read(&mut [0; 64]).await.unwrap()
    });
    let error = connect(address).await.unwrap_err();
    assert!(peer.await.unwrap() > 0);
    assert_one_of(&error, &[Closed, Reset], Maybe);
}

/// A peer that is asked whether it speaks TLS, and answers this before it closes.
async fn asked_for_tls(answer: &'static [u8], mode: PgSslMode) -> Error {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let peer = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_exact(&mut [0; 8]).await.unwrap();
        stream.write_all(answer).await.unwrap();
    });
    let options = options(address).ssl_mode(mode);
    let error = PgConnection::connect_with(&options).await.unwrap_err();
    peer.await.unwrap();
    error
}

/// As a balancer does whose server is being started again. `Prefer` is the default.
#[tokio::test]
async fn closed_where_tls_is_asked_for() {
    for mode in [PgSslMode::Prefer, PgSslMode::Require] {
        let error = asked_for_tls(b"", mode).await;
        assert_one_of(&error, &[Closed], No);
    }
}

#[tokio::test]
async fn a_server_without_tls() {
    let error = asked_for_tls(b"N", PgSslMode::Require).await;
    assert_one_of(&error, &[Tls], No);
    assert_eq!(classify(&error).unwrap().outlook(), Outlook::Permanent);
    // No PostgreSQL.
    let error = asked_for_tls(b"HTTP/1.1 400 Bad Request", PgSslMode::Prefer).await;
    assert!(matches!(error, Error::Protocol(_)));
    assert!(!is_conn_error(&error), "{error:?}");
}

/// SQLSTATE 57P01, and then nothing.
#[tokio::test]
async fn a_connection_that_is_taken_away() {
    let Some(server) = Server::start() else {
        return;
    };
    let mut connection = connect(server.address).await.unwrap();
    let error = connection
        .execute("SELECT pg_terminate_backend(pg_backend_pid())")
        .await
        .unwrap_err();
    let code = error.as_database_error().unwrap().code().unwrap();
    assert_eq!(code, "57P01");
    assert_one_of(&error, &[Closed], Maybe);
    let error = connection.execute("SELECT 1").await.unwrap_err();
    assert_one_of(&error, &[Closed, Reset, BrokenPipe], Maybe);
}

/// SQLSTATE 53300 and 57P03: there is a server, but it takes no connection.
#[tokio::test]
async fn no_more_connections() {
    let Some(server) = Server::start() else {
        return;
    };
    let mut connections = Vec::new();
    let error = loop {
        match connect(server.address).await {
            Ok(connection) => connections.push(connection),
            Err(error) => break error,
        }
        assert!(connections.len() < 10);
    };
    let code = error.as_database_error().unwrap().code().unwrap();
    assert_eq!(code, "53300");
    assert_one_of(&error, &[Refused], No);

    // It waits for those that are connected, and takes no others.
    connections.truncate(1);
    server.process.signal("TERM");
    let shutting_down = async {
        loop {
            match connect(server.address).await {
                Err(error) => match error.as_database_error().map(|found| found.code()) {
                    Some(Some(code)) if code == "57P03" => return error,
                    _ => assert!(is_conn_error(&error), "{error:?}"),
                },
                Ok(_) => tokio::task::yield_now().await,
            }
        }
    };
    let error = tokio::time::timeout(Duration::from_secs(60), shutting_down)
        .await
        .unwrap();
    assert_one_of(&error, &[Refused], No);
}

#[tokio::test]
async fn a_server_that_crashes_with_a_statement_in_flight() {
    let Some(server) = Server::start() else {
        return;
    };
    let mut connection = connect(server.address).await.unwrap();
    let mut other = connect(server.address).await.unwrap();
    let sleeping = tokio::spawn(async move { connection.execute("SELECT pg_sleep(600)").await });
    // Until the server is at it.
    loop {
        let found = other
            .fetch_all("SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'")
            .await
            .unwrap();
        if !found.is_empty() {
            break;
        }
    }
    server.process.signal("QUIT");
    let error = sleeping.await.unwrap().unwrap_err();
    assert_one_of(&error, &[Closed, Reset, BrokenPipe], Maybe);
}

#[tokio::test]
async fn a_pool_without_a_free_connection_is_a_timeout() {
    let Some(server) = Server::start() else {
        return;
    };
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_millis(500))
        .connect_lazy_with(options(server.address));
    let _held = loop {
        // The first one has to be made in that time.
        if let Ok(connection) = pool.acquire().await {
            break connection;
        }
    };
    let error = pool.execute("SELECT 1").await.unwrap_err();
    assert!(matches!(error, Error::PoolTimedOut));
    assert_one_of(&error, &[Timeout], Maybe);
}

#[tokio::test]
async fn statements_and_answers_are_none_of_the_connections() {
    let Some(server) = Server::start() else {
        return;
    };
    let mut connection = connect(server.address).await.unwrap();
    connection
        .execute("CREATE TABLE t (id int PRIMARY KEY)")
        .await
        .unwrap();
    connection
        .execute("INSERT INTO t VALUES (1)")
        .await
        .unwrap();
    for statement in [
        "no SQL",
        "SELECT * FROM no_such_table",
        "INSERT INTO t VALUES (1)",
        "SELECT 1 / 0",
        "SET statement_timeout = 1; SELECT pg_sleep(600)",
    ] {
        let error = connection.execute(statement).await.map(|_| ()).unwrap_err();
        assert!(error.as_database_error().is_some());
        assert!(!is_conn_error(&error), "{statement}: {error:?}");
    }
    let error = PgConnection::connect_with(&options(server.address).database("none"))
        .await
        .unwrap_err();
    assert!(!is_conn_error(&error), "{error:?}");
    assert!(!is_conn_error(&Error::RowNotFound));
}

/// Whatever a statement raises, the server has read it, and may have done a part.
#[tokio::test]
async fn what_a_statement_raises_is_an_answer() {
    let Some(server) = Server::start() else {
        return;
    };
    let mut connection = connect(server.address).await.unwrap();
    connection.execute(RAISE).await.unwrap();
    for state in STATES {
        let raise = sqlx::query("SELECT raise($1)").bind(state);
        let error = connection.execute(raise).await.unwrap_err();
        let code = error.as_database_error().unwrap().code().unwrap();
        assert_eq!(code, state);
        assert!(!is_conn_error(&error), "{error:?}");
    }
    connection
        .execute("CREATE TABLE done (id int)")
        .await
        .unwrap();
    connection.execute(COMMIT_AND_RAISE).await.unwrap();
    let error = connection.execute("CALL work()").await.unwrap_err();
    assert!(!is_conn_error(&error), "{error:?}");
    let done = connection.fetch_all("SELECT * FROM done").await.unwrap();
    assert_eq!(done.len(), 1);
    // SQLSTATE 08P01, for a parameter that was forgotten.
    let forgotten = sqlx::query("SELECT $1::int");
    let error = connection.execute(forgotten).await.unwrap_err();
    let code = error.as_database_error().unwrap().code().unwrap();
    assert_eq!(code, "08P01");
    assert!(!is_conn_error(&error), "{error:?}");
}
