//! A server that closes each connection after so many answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tower::{Layer, ServiceExt};
use tower_conn_retry::{ConnError, Destination, Observer, Reconnect, RetryOnConnErr};

use crate::server::{bounded, framed, listen, read_frame, write_frame};

const CALLERS: u32 = 20;
const EACH: u32 = 100;
const ANSWERS: usize = 50;

/// Answers so many requests on each connection, and closes it.
async fn serve(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            for _ in 0..ANSWERS {
                let Ok(frame) = read_frame(&mut stream).await else {
                    return;
                };
                write_frame(&mut stream, &frame).await;
            }
        });
    }
}

#[derive(Default, Clone)]
struct Outages(Arc<AtomicUsize>);

impl Observer for Outages {
    fn link_down(&self, _: &Destination, _: ConnError) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// All callers get all their answers, with two attempts at most, and the link stays up. Each connection
/// that ends finds 19 of them waiting for room.
async fn no_outage() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(serve(listener));
    let outages = Outages::default();
    let layer = RetryOnConnErr::new()
        .max_attempts(2)
        .observer(outages.clone())
        // Whoever has to wait for a probe hangs.
        .backoff(|| std::iter::repeat(Duration::MAX));
    let service = layer.layer(Reconnect::new(framed(address).max_in_flight(1)));
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let service = service.clone();
        callers.spawn(async move {
            for call in 0..EACH {
                let request = Bytes::from(format!("{caller} {call}"));
                let answer = service.clone().oneshot(request.clone()).await;
                assert_eq!(answer.expect("answered"), request);
            }
        });
    }
    bounded(callers.join_all()).await;
    assert_eq!(outages.0.load(Ordering::Relaxed), 0);
    assert!(service.links().status().iter().all(|link| link.is_up()));
    server.abort();
}

#[tokio::test]
async fn a_server_that_closes_often_is_no_outage() {
    no_outage().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_is_it_one_for_callers_on_several_threads() {
    no_outage().await;
}
