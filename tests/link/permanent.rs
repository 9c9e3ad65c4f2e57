//! Rule 14: permanent is believed only of a destination that never worked.

use tower_conn_retry::{ConnError, ConnErrorKind, Outlook, Reason, RetryOnConnErr, policy_fn};

use super::peer::*;

/// Takes a refused connection for a vanished name.
fn vanished<Req>() -> impl tower_conn_retry::ConnErrorPolicy<Req> {
    policy_fn(|error| {
        let refused = tower_conn_retry::classify(error)?;
        let gone = ConnError::new(ConnErrorKind::Dns).with_outlook(Outlook::Permanent);
        Some(if refused.kind() == ConnErrorKind::Refused {
            gone
        } else {
            refused
        })
    })
}

fn layer() -> RetryOnConnErr<impl tower_conn_retry::ConnErrorPolicy<Message>> {
    steady().policy(vanished())
}

#[tokio::test(start_paused = true)]
async fn rule_14_a_destination_that_never_worked_fails_at_once() {
    let peer = Peer::that(REFUSED);
    let service = peer.behind(layer());
    for number in 0..3 {
        let error = call(&service, message(number)).await.unwrap_err();
        assert_eq!(error.reason(), Reason::Permanent);
        assert_eq!(error.attempts(), 1, "and holds up nobody");
        assert_eq!(error.conn_error().unwrap().outlook(), Outlook::Permanent);
    }
}

#[tokio::test(start_paused = true)]
async fn rule_14_one_that_worked_is_waited_for() {
    let peer = Peer::that(Does::Answer);
    let service = peer.behind(layer());
    call(&service, message(1)).await.unwrap();
    peer.now_does(REFUSED);
    let held = send(&service, message(2));
    pass(10 * SECOND).await;
    assert!(!held.is_finished());
    peer.now_does(Does::Answer);
    assert_eq!(held.await.unwrap().unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn rule_14_each_destination_for_itself() {
    let peer = Peer::new(|message| {
        if message.to == "c" {
            REFUSED
        } else {
            Does::Answer
        }
    });
    let service = peer.behind(layer());
    let to = |to, number| Message {
        to,
        ..message(number)
    };
    call(&service, to("a", 1)).await.unwrap();
    call(&service, to("b", 2)).await.unwrap();
    peer.now_does(REFUSED);
    let held = [send(&service, to("a", 3)), send(&service, to("b", 4))];
    let error = call(&service, to("c", 5)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::Permanent);
    pass(10 * SECOND).await;
    peer.now_does(Does::Answer);
    for held in held {
        held.await.unwrap().unwrap();
    }
}

#[cfg(feature = "http")]
#[tokio::test(start_paused = true)]
async fn rule_14_each_destination_of_http_however_it_is_spelled() {
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use tower::{Layer, ServiceExt, service_fn};

    let up = Arc::new(AtomicBool::new(true));
    let service = steady().policy(vanished()).layer(service_fn({
        let up = up.clone();
        move |_: http::Request<()>| {
            let up = up.load(Ordering::Relaxed);
            async move {
                up.then_some(())
                    .ok_or(io::Error::from(io::ErrorKind::ConnectionRefused))
            }
        }
    }));
    let get = |uri: &str| {
        let request = http::Request::get(uri).body(()).unwrap();
        tokio::spawn(service.clone().oneshot(request))
    };
    for uri in [
        "http://a:8080/",
        "http://u:p@B:80/",
        "http://a:8080/2",
        "https://d/",
    ] {
        get(uri).await.unwrap().unwrap();
    }
    up.store(false, Ordering::Relaxed);
    for uri in [
        "https://a:8080/",
        "http://b:8080/",
        "http://c/",
        "http://d/",
        "/",
    ] {
        let error = get(uri).await.unwrap().unwrap_err();
        assert_eq!(error.reason(), Reason::Permanent, "{uri}");
    }
    let worked = [
        "http://a:8080/3",
        "http://A:8080/",
        "http://u@a:8080/",
        "http://b/",
        "https://d:443/",
    ];
    let held = worked.map(get);
    pass(10 * SECOND).await;
    assert!(held.iter().all(|call| !call.is_finished()));
    up.store(true, Ordering::Relaxed);
    for call in held {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn rule_14_can_be_turned_off() {
    let peer = Peer::that(REFUSED);
    let service = peer.behind(layer().persist_through_permanent());
    let held = send(&service, message(1));
    pass(10 * SECOND).await;
    peer.now_does(Does::Answer);
    assert_eq!(held.await.unwrap().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn rule_14_a_backlog_does_not_outlast_a_permanent_answer() {
    // The link is down for another reason, then its name turns out not to exist.
    let peer = Peer::that(Does::Fail(std::io::ErrorKind::TimedOut));
    let service = peer.behind(layer());
    let calls = burst(&service, 0..5);
    settle().await;
    peer.now_does(REFUSED);
    let began = tokio::time::Instant::now();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap_err().reason(), Reason::Permanent);
    }
    assert!(began.elapsed() < SECOND);
}
