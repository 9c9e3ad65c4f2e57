//! Real errors of the Redis client, with a real server.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError, cmd};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tower_conn_retry::ConnErrorKind::{self, BrokenPipe, Closed, Dns, Refused, Reset, Timeout};
use tower_conn_retry::{Sent, classify, is_conn_error};

use super::process::{Process, free_address, skip};
use super::sockets::refusing;

/// `None` where there is no such server.
fn server() -> Option<(Process, SocketAddr)> {
    if Command::new("redis-server")
        .arg("--version")
        .output()
        .is_err()
    {
        skip("redis-server is not installed");
        return None;
    }
    let address = free_address();
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--save", "", "--port"]);
    command.arg(address.port().to_string());
    let process = Process::start(command, "eady to accept connections");
    Some((process, address))
}

async fn connect(address: SocketAddr) -> Result<MultiplexedConnection, RedisError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(Duration::from_secs(30)))
        .set_response_timeout(Some(Duration::from_secs(30)));
    Client::open(format!("redis://{address}/"))?
        .get_multiplexed_async_connection_with_config(&config)
        .await
}

async fn ping(connection: &mut MultiplexedConnection) -> Result<String, RedisError> {
    cmd("PING").query_async(connection).await
}

#[track_caller]
fn assert_one_of(error: &RedisError, kinds: &[ConnErrorKind]) {
    let found = classify(error).unwrap_or_else(|| panic!("{error:?}"));
    assert!(kinds.contains(&found.kind()), "{found:?} {error:?}");
    assert_eq!(found.sent(), Sent::Maybe, "{error:?}");
}

#[tokio::test]
async fn refused() {
    let error = connect(refusing()).await.map(|_| ()).unwrap_err();
    assert_one_of(&error, &[Refused]);
    // No proof either: a cluster's client may have asked another node before.
    let client = Client::open("redis://no-such-name.invalid/").unwrap();
    let error = client.get_multiplexed_async_connection().await;
    assert_one_of(&error.map(|_| ()).unwrap_err(), &[Dns]);
    #[cfg(unix)]
    {
        let client = Client::open("redis+unix:///no/such/socket").unwrap();
        let error = client.get_multiplexed_async_connection().await;
        assert_one_of(&error.map(|_| ()).unwrap_err(), &[Refused]);
    }
}

#[tokio::test]
async fn a_server_that_is_killed() {
    let Some((mut server, address)) = server() else {
        return;
    };
    let mut connection = connect(address).await.unwrap();
    assert_eq!(ping(&mut connection).await.unwrap(), "PONG");
    server.kill();
    let error = ping(&mut connection).await.unwrap_err();
    assert_one_of(&error, &[Closed, Reset, BrokenPipe]);
    // And what comes after that on the same, broken connection.
    let error = ping(&mut connection).await.unwrap_err();
    assert_one_of(&error, &[Closed, Reset, BrokenPipe]);
}

#[tokio::test]
async fn a_client_that_is_thrown_out_with_a_command_in_flight() {
    let Some((_server, address)) = server() else {
        return;
    };
    let mut connection = connect(address).await.unwrap();
    let mut other = connect(address).await.unwrap();
    let id: u64 = cmd("CLIENT")
        .arg("ID")
        .query_async(&mut connection)
        .await
        .unwrap();
    let mut blocked = connection.clone();
    let mut wait = cmd("BLPOP");
    wait.arg("nothing").arg(0);
    let waiting = tokio::spawn(async move { wait.query_async::<()>(&mut blocked).await });
    // Until the server has it.
    loop {
        let info: String = cmd("INFO")
            .arg("clients")
            .query_async(&mut other)
            .await
            .unwrap();
        if info.contains("blocked_clients:1") {
            break;
        }
    }
    let () = cmd("CLIENT")
        .arg("KILL")
        .arg("ID")
        .arg(id)
        .query_async(&mut other)
        .await
        .unwrap();
    let error = waiting.await.unwrap().unwrap_err();
    assert_one_of(&error, &[Closed, Reset, BrokenPipe]);
}

#[tokio::test]
async fn silence_is_a_timeout() {
    let Some((_server, address)) = server() else {
        return;
    };
    let config =
        AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_millis(200)));
    let client = Client::open(format!("redis://{address}/")).unwrap();
    let mut connection = client
        .get_multiplexed_async_connection_with_config(&config)
        .await
        .unwrap();
    let mut wait = cmd("BLPOP");
    wait.arg("nothing").arg(0);
    let error = wait.query_async::<()>(&mut connection).await.unwrap_err();
    assert_one_of(&error, &[Timeout]);
}

#[tokio::test]
async fn a_command_that_was_read_may_have_been_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let peer = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read(&mut [0; 64]).await.unwrap()
    });
    let error = async { ping(&mut connect(address).await?).await }.await;
    assert!(peer.await.unwrap() > 0);
    assert_one_of(&error.unwrap_err(), &[Closed, Reset, BrokenPipe]);
}

/// What comes of a GET whose answer is this, and then the end of the stream.
async fn answered(bytes: &'static [u8]) -> RedisError {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut read = Vec::new();
        let mut greeted = 0;
        while !read.ends_with(b"key\r\n") {
            read.push(stream.read_u8().await.unwrap());
            // The client says who it is, in two commands.
            let greetings = read.windows(7).filter(|word| *word == b"SETINFO").count();
            if greetings > greeted {
                greeted = greetings;
                stream.write_all(b"+OK\r\n").await.unwrap();
            }
        }
        stream.write_all(bytes).await.unwrap();
    });
    let mut connection = connect(address).await.unwrap();
    let mut get = cmd("GET");
    get.arg("key");
    get.query_async::<String>(&mut connection)
        .await
        .unwrap_err()
}

#[tokio::test]
async fn an_answer_that_is_cut_off() {
    for part in [
        b"$5\r\nhal".as_slice(),
        b"$5",
        b"+hal",
        b"*2\r\n+a\r\n",
        b"-ERR hal",
        b":1",
        b"$28\r\nUnexpected end of",
    ] {
        assert_one_of(&answered(part).await, &[Closed, Reset, BrokenPipe]);
    }
    // Complete, and no answer.
    for bad in [
        b"HTTP/1.1 400 Bad Request\r\n\r\n".as_slice(),
        b":\r\n",
        b":Unexpected end of input\r\n",
        b"$x\r\n",
        b"$-7\r\n",
        b"*x\r\n",
        b"_x\r\n",
        b"#x\r\n",
        b",x\r\n",
        b"(x\r\n",
        b"(\r\n",
        b"$2\r\nlong\r\n",
        b"+\xff\r\n",
        b"-Unexpected end of input\r\n",
        b"!26\r\nx\nUnexpected end of input\r\n",
    ] {
        let error = answered(bad).await;
        assert!(!is_conn_error(&error), "{bad:?} {error:?}");
    }
}

#[tokio::test]
async fn answers_and_mistakes_are_none_of_the_connections() {
    let Some((_server, address)) = server() else {
        return;
    };
    let mut connection = connect(address).await.unwrap();
    let error = cmd("NO_SUCH")
        .query_async::<()>(&mut connection)
        .await
        .unwrap_err();
    assert!(!is_conn_error(&error), "{error:?}");
    let () = cmd("SET")
        .arg("text")
        .arg("x")
        .query_async(&mut connection)
        .await
        .unwrap();
    let error = cmd("INCR")
        .arg("text")
        .query_async::<i64>(&mut connection)
        .await
        .unwrap_err();
    assert!(!is_conn_error(&error), "{error:?}");
    // An answer of another type than was asked for.
    let error = cmd("GET")
        .arg("text")
        .query_async::<i64>(&mut connection)
        .await
        .unwrap_err();
    assert!(!is_conn_error(&error), "{error:?}");
    let error = Client::open("http://robot.test").unwrap_err();
    assert!(!is_conn_error(&error), "{error:?}");
}
