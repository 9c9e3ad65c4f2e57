//! Real errors of sqlx 0.8, whose types are others.

use std::net::SocketAddr;
use std::time::Duration;

use sqlx_0_8::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx_0_8::{Connection, Error, Executor, PgConnection};
use tower_conn_retry::ConnErrorKind::{BrokenPipe, Closed, Refused, Reset, Timeout};
use tower_conn_retry::Sent::{Maybe, No};
use tower_conn_retry::{ConnErrorKind, Sent, classify, is_conn_error};

use super::postgres::Server;
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
async fn what_is_not_the_servers_word() {
    let error = connect(refusing()).await.unwrap_err();
    assert_one_of(&error, &[Refused], Maybe);
    let pool = PgPoolOptions::new()
        .acquire_timeout(Duration::from_millis(200))
        .connect_lazy_with(options(refusing()));
    let error = pool.execute("SELECT 1").await.unwrap_err();
    assert!(matches!(error, Error::PoolTimedOut));
    assert_one_of(&error, &[Timeout], Maybe);
}

#[tokio::test]
async fn what_the_server_says() {
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

    let mut connection = connections.pop().unwrap();
    for statement in ["no SQL", "SELECT * FROM no_such_table", "SELECT 1 / 0"] {
        let error = connection.execute(statement).await.unwrap_err();
        assert!(!is_conn_error(&error), "{statement}: {error:?}");
    }
    assert!(!is_conn_error(&Error::RowNotFound));
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
