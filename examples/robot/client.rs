//! The three clients. All of them stand on the same reconnecting TCP client over TLS.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::sync::watch;
use tokio_util::codec::LengthDelimitedCodec;
use tower::retry::Policy;
use tower::retry::backoff::{Backoff, ExponentialBackoff, ExponentialBackoffMaker, MakeBackoff};
use tower::util::rng::HasherRng;
use tower::{Service, ServiceBuilder, service_fn};
use tower_conn_retry::tcp::{Connector, Tls};
use tower_conn_retry::{BoxError, Reconnect, RetryOnConnErr};

use crate::board::{Gauge, Watcher};
use crate::options::Pace;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Bare,
    TowerRetry,
    ConnRetry,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Bare, Self::TowerRetry, Self::ConnRetry];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::TowerRetry => "tower::retry",
            Self::ConnRetry => "tower-conn-retry",
        }
    }
}

/// A client that makes a new connection when the old one is dead. Each message that was under way
/// fails with it.
pub(crate) fn connection(
    address: watch::Receiver<String>,
    tls: &Tls,
    pace: Pace,
) -> impl Service<Bytes, Response = BytesMut, Error = BoxError, Future: Send + 'static>
+ Clone
+ Send
+ 'static {
    let tls = tls.clone();
    // `Reconnect::new(Connector::new(address, LengthDelimitedCodec::new))` would do, if the address
    // were always the same.
    Reconnect::new(service_fn(move |()| {
        let address = address.borrow().clone();
        Connector::new(address, LengthDelimitedCodec::new)
            .tls(tls.clone())
            .connect_timeout(pace.beat)
            // A server that hangs is noticed by nothing else: its kernel answers for it.
            .response_timeout(pace.beat)
            .call(())
    }))
}

/// With this crate's layer.
pub(crate) fn with_this_crate<S>(
    connection: S,
    pace: Pace,
    gauge: Arc<Gauge>,
) -> impl Service<Bytes, Response = BytesMut, Error = tower_conn_retry::Error, Future: Send + 'static>
where
    S: Service<Bytes, Response = BytesMut, Error = BoxError, Future: Send + 'static>
        + Clone
        + Send
        + 'static,
{
    let layer = layer(pace).observer(Watcher::new(gauge.clone()));
    let service = ServiceBuilder::new().layer(layer).service(connection);
    gauge.watch(service.links());
    service
}

/// This crate's layer with its settings.
pub(crate) fn layer(pace: Pace) -> RetryOnConnErr {
    // A robot's message is worth waiting for, however long it is out of range. What bounds the
    // memory is the layer's limit of 10,000 requests, which is left as it is.
    RetryOnConnErr::new()
        .never_give_up()
        // Several messages are in flight on the one connection; none may overtake another.
        .in_order()
        // A robot is the only client of its base: nothing speaks for waiting 5 s between probes,
        // and whoever drives back into range wants to be heard soon.
        .backoff(
            tower_conn_retry::ExponentialBackoff::new()
                .initial(pace.beat / 20)
                .cap(pace.beat / 2),
        )
        // For what the connection's own time limits don't cover. Longer than all of them, so that
        // it is the connection that is found dead, not one message after the other.
        .attempt_timeout(pace.beat * 5)
}

/// With `tower::retry`, as one would use it: five attempts with a growing delay.
pub(crate) fn with_tower_retry<S>(
    connection: S,
    pace: Pace,
) -> Result<
    impl Service<Bytes, Response = BytesMut, Error = BoxError, Future: Send + 'static>,
    BoxError,
>
where
    S: Service<Bytes, Response = BytesMut, Error = BoxError, Future: Send + 'static>
        + Clone
        + Send
        + 'static,
{
    let (min, max) = (pace.beat / 10, pace.beat * 2);
    let backoff = ExponentialBackoffMaker::new(min, max, 0.5, HasherRng::new())?.make_backoff();
    let policy = FiveAttempts { left: 4, backoff };
    Ok(ServiceBuilder::new().retry(policy).service(connection))
}

#[derive(Clone)]
struct FiveAttempts {
    left: u32,
    backoff: ExponentialBackoff,
}

impl Policy<Bytes, BytesMut, BoxError> for FiveAttempts {
    type Future = <ExponentialBackoff as Backoff>::Future;

    fn retry(
        &mut self,
        _request: &mut Bytes,
        result: &mut Result<BytesMut, BoxError>,
    ) -> Option<Self::Future> {
        if result.is_ok() {
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        Some(self.backoff.next_backoff())
    }

    fn clone_request(&mut self, request: &Bytes) -> Option<Bytes> {
        Some(request.clone())
    }
}
