//! Callers on several runtimes, some of which end.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tower::{Service, service_fn};
use tower_conn_retry::Reconnect;

use crate::mock::Conn;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// What has a timer of a runtime that is gone panics when it is polled.
#[test]
fn an_attempt_whose_runtime_is_gone_is_begun_anew() {
    for stays in [true, false] {
        let attempts = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&attempts);
        let maker = service_fn(move |()| {
            let number = count.fetch_add(1, Ordering::SeqCst);
            async move {
                if number == 0 {
                    tokio::time::sleep(Duration::from_secs(3600)).await;
                }
                Ok::<_, Infallible>(Conn::new(1))
            }
        });
        let mut service = Reconnect::new(maker);

        let first = runtime();
        let mut call = Box::pin(service.call("a"));
        first.block_on(poll_fn(|cx| {
            assert!(call.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        }));
        drop(first);

        let second = runtime();
        let call = if stays {
            call
        } else {
            drop(call);
            Box::pin(service.call("b"))
        };
        let answer = second.block_on(pin!(call));
        assert_eq!(answer.unwrap(), 1);
        assert_eq!(attempts.load(Ordering::SeqCst), 2);
    }
}
