//! The public API, item by item, as it is promised: this file has to compile.

#![allow(clippy::unwrap_used)]

use std::cell::Cell;
use std::error::Error as StdError;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::watch;
use tower::retry::budget::TpsBudget;
use tower::util::{BoxCloneService, BoxCloneSyncService, BoxService};
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_conn_retry::{
    Backoff, ByClone, ByTrait, ConnError, ConnErrorKind, ConnErrorPolicy, ConnRetry, Decision,
    DefaultPolicy, Destination, Error, ExponentialBackoff, FailedAttempt, Failure, Inline, Limits,
    LinkStatus, Links, LinksSummary, Observer, Outlook, Reason, Replayable, ResponseFuture,
    RetryOnConnErr, Sent, WhenFull, classify, is_conn_error, policy_fn,
};

const SECOND: Duration = Duration::from_secs(1);

async fn echo(message: String) -> io::Result<String> {
    Ok(message)
}

async fn refused(_: String) -> io::Result<String> {
    Err(io::ErrorKind::ConnectionRefused.into())
}

struct Own;

impl ConnErrorPolicy<String> for Own {
    fn classify(&self, error: &(dyn StdError + 'static)) -> Option<ConnError> {
        classify(error)
    }

    fn decide(&self, failure: &Failure<'_, String>) -> Decision {
        let _: (&String, &(dyn StdError + 'static)) = (failure.request(), failure.error());
        let _: (ConnError, u32) = (failure.conn_error(), failure.attempts());
        let _: (Duration, bool) = (failure.elapsed(), failure.is_idempotent());
        match failure.default_decision() {
            Decision::Fail => Decision::Fail,
            Decision::Replay => Decision::Replay,
            other => other,
        }
    }

    fn prepare(&self, request: &mut String, attempt: u32) {
        *request = attempt.to_string();
    }
}

struct Quiet;

impl Observer for Quiet {}

fn policy_is<Req>(_: impl ConnErrorPolicy<Req>) {}

fn is_all<T: Copy + std::fmt::Debug + Eq + std::hash::Hash>() {}

#[tokio::test]
async fn the_bare_name_and_the_constructors() {
    let service = ServiceBuilder::new()
        .layer(RetryOnConnErr)
        .service(service_fn(echo));
    assert_eq!(service.oneshot("a".to_owned()).await.unwrap(), "a");
    let _: RetryOnConnErr = RetryOnConnErr::new();
    let _: RetryOnConnErr = RetryOnConnErr::default();
    let layer: RetryOnConnErr<DefaultPolicy, ByTrait, Inline> = Default::default();
    let _: ConnRetry<_, DefaultPolicy, ByTrait, Inline> = layer.clone().layer(service_fn(echo));
    static LAYER: RetryOnConnErr = RetryOnConnErr::new();
    let _ = LAYER.layer(service_fn(echo));
    fn in_a_signature(_: RetryOnConnErr) {}
    in_a_signature(RetryOnConnErr);
}

#[tokio::test]
async fn every_builder_method() {
    let layer = RetryOnConnErr::new()
        .policy(Own)
        .backoff(
            ExponentialBackoff::new()
                .initial(SECOND)
                .multiplier(2)
                .cap(SECOND)
                .jitter(true),
        )
        .backoff(|| std::iter::repeat(SECOND))
        .budget(TpsBudget::default())
        .attempt_timeout(SECOND)
        .give_up_after(SECOND)
        .never_give_up()
        .max_attempts(3)
        .limits(Limits::new().requests(1_000).bytes(8 << 20))
        .when_full(WhenFull::Reject)
        .when_full(WhenFull::Wait)
        .when_full(WhenFull::DropOldest)
        .persist_through_permanent()
        .redirects_off()
        .observer(Quiet)
        .observer(Arc::new(Quiet))
        .observer(Arc::new(Quiet) as Arc<dyn Observer>);
    let service = layer.layer(service_fn(echo));
    assert_eq!(service.oneshot("a".to_owned()).await.unwrap(), "a");

    let _: RetryOnConnErr<DefaultPolicy, ByClone> = RetryOnConnErr::new().clone_requests();
    #[derive(Clone)]
    struct Foreign;
    let inner = service_fn(|_: Foreign| async { Ok::<_, BoxError>(7) });
    let service = RetryOnConnErr::new().clone_requests().layer(inner);
    assert_eq!(service.oneshot(Foreign).await.unwrap(), 7);
}

#[tokio::test]
async fn backons_builders_as_they_are() {
    use backon::BackoffBuilder;
    let layer = RetryOnConnErr::new().backoff(|| backon::ExponentialBuilder::default().build());
    layer
        .layer(service_fn(echo))
        .oneshot(String::new())
        .await
        .unwrap();
    fn is_backoff<B: Backoff>(b: B) -> B::Delays {
        b.delays()
    }
    is_backoff(ExponentialBackoff::default());
}

#[tokio::test]
async fn policies_behind_pointers() {
    policy_is::<String>(Own);
    policy_is::<String>(&Own);
    policy_is::<String>(Box::new(Own));
    policy_is::<String>(Arc::new(Own));
    policy_is::<String>(DefaultPolicy::new());
    let shared: Arc<dyn ConnErrorPolicy<String>> = Arc::new(Own);
    let boxed: Box<dyn ConnErrorPolicy<String>> = Box::new(Own);
    let function = policy_fn(classify);
    policy_is::<u8>(&function);
    let recognizes = DefaultPolicy::new()
        .recognize(|_: &std::fmt::Error| Some(ConnError::new(ConnErrorKind::Other)))
        .recognize(|_: &io::Error| None);
    async fn works<P: ConnErrorPolicy<String>>(policy: P) {
        let service = RetryOnConnErr::new().policy(policy).layer(service_fn(echo));
        service.oneshot(String::new()).await.unwrap();
    }
    works(shared).await;
    works(boxed).await;
    works(&Own).await;
    works(function).await;
    works(recognizes).await;
}

#[tokio::test(start_paused = true)]
async fn the_error_and_its_accessors() {
    let layer = RetryOnConnErr::new().max_attempts(2);
    let service = layer.layer(service_fn(refused));
    let links: Links = service.links();
    let error: Error = service.oneshot("a".to_owned()).await.unwrap_err();
    assert_eq!(size_of::<Error>(), size_of::<usize>());
    let found: Option<ConnError> = error.conn_error();
    assert_eq!(found.map(|e| e.kind()), Some(ConnErrorKind::Refused));
    assert_eq!((error.sent(), error.attempts()), (Sent::Maybe, 2));
    assert!(error.elapsed() > Duration::ZERO);
    assert_eq!(error.reason(), Reason::AttemptsExhausted);
    let history: &[FailedAttempt] = error.history();
    let _: (Duration, ConnError) = (history[0].at(), history[0].conn_error());
    assert!(!error.is_deferred());
    assert!(error.downcast_ref::<io::Error>().is_some());
    assert!(is_conn_error(&error));
    let inner: BoxError = error.into_source();
    assert!(inner.is::<io::Error>());

    let status: Vec<LinkStatus> = links.status();
    let link = &status[0];
    let _: (&Destination, bool) = (link.destination(), link.is_up());
    let _: (Duration, usize, usize) = (link.since(), link.waiting(), link.waiting_bytes());
    let _: (u32, Option<ConnError>) = (link.attempts(), link.last_error());
    let _: Option<Duration> = link.next_probe();
    let summary: watch::Receiver<LinksSummary> = links.subscribe();
    let summary: LinksSummary = summary.borrow().clone();
    assert_eq!((summary.down(), summary.waiting()), (1, 0));
    assert_eq!(summary, summary.clone());
    links.clone().wake();
}

#[cfg(feature = "wake")]
#[tokio::test]
async fn links_watch_the_network() {
    fn a_task<F: Future<Output = io::Result<()>> + Send + Unpin + 'static>(_: F) {}
    let service = RetryOnConnErr.layer(tower::service_fn(|message: String| async move {
        Ok::<_, io::Error>(message)
    }));
    let watch: io::Result<tower_conn_retry::NetworkWatch> =
        service.links().wake_on_network_change();
    match watch {
        Ok(watch) => a_task(watch),
        Err(error) => assert_ne!(error.to_string(), ""),
    }
}

#[tokio::test]
async fn an_error_goes_through_question_marks() {
    async fn any(service: impl Service<String, Error = Error>) -> anyhow::Result<()> {
        service.oneshot(String::new()).await?;
        Ok(())
    }
    async fn boxed(service: impl Service<String, Error = Error>) -> Result<(), BoxError> {
        service.oneshot(String::new()).await?;
        Ok(())
    }
    let layer = || RetryOnConnErr::new().max_attempts(1);
    let error = any(layer().layer(service_fn(refused))).await.unwrap_err();
    assert!(error.downcast_ref::<Error>().is_some());
    assert!(error.root_cause().is::<io::Error>());
    boxed(layer().layer(service_fn(refused))).await.unwrap_err();
}

#[test]
fn small_types() {
    is_all::<ConnError>();
    is_all::<ConnErrorKind>();
    is_all::<Sent>();
    is_all::<Outlook>();
    is_all::<Decision>();
    is_all::<Reason>();
    is_all::<WhenFull>();
    let error = ConnError::new(ConnErrorKind::Reset);
    assert_eq!(
        (error.sent(), error.outlook()),
        (Sent::Maybe, Outlook::Transient)
    );
    let error = error.with_sent(Sent::No).with_outlook(Outlook::Permanent);
    assert_eq!(
        (error.sent(), error.outlook()),
        (Sent::No, Outlook::Permanent)
    );
    use ConnErrorKind::*;
    let _ = [
        Refused,
        Reset,
        Aborted,
        BrokenPipe,
        NotConnected,
        Closed,
        Unreachable,
        NetworkDown,
        AddressUnavailable,
        Dns,
        Tls,
        Timeout,
        Local,
        Other,
    ];
    let _ = [
        Reason::NotConnError,
        Reason::NotReplayable,
        Reason::NotIdempotent,
        Reason::Permanent,
        Reason::PolicyFailed,
        Reason::GaveUp,
        Reason::AttemptsExhausted,
        Reason::Poisoned,
        Reason::QueueFull,
        Reason::Deferred,
        Reason::Closed,
    ];
    assert_eq!(Destination::default(), Destination::default().clone());
    assert_eq!(Destination::new("a").to_string(), "a");
    let _ = std::collections::HashSet::from([Destination::new(String::from("a"))]);
}

#[test]
fn requests() {
    fn is<T: Replayable>() {}
    is::<bytes::Bytes>();
    is::<Vec<u8>>();
    is::<String>();
    is::<()>();
    is::<u64>();
    is::<Arc<[u8]>>();
    is::<&'static str>();
    assert!("a".can_replay() && "a".is_idempotent());
    assert_eq!("a".destination(), Destination::default());
    assert!(String::from("abc").size_hint() >= 3);
    assert_eq!("a".try_clone(), Some("a"));
}

#[test]
fn auto_traits() {
    fn shareable<T: Send + Sync + Clone + 'static>(_: &T) {}
    fn sendable<T: Send + Unpin>(_: &T) {}
    fn error<T: StdError + Send + Sync + Unpin + 'static>() {}
    error::<Error>();
    let inner = service_fn(|_: String| std::future::ready(io::Result::Ok(())));
    let mut service = RetryOnConnErr.layer(inner);
    shareable(&service);
    shareable(&service.links());
    shareable(&RetryOnConnErr);
    let _ = (service.get_ref(), format!("{:?}", service.links()));
    let _ = service.get_mut();
    let future: ResponseFuture<_, _, _, _, _> = service.call(String::new());
    sendable(&future);
    let _ = service.into_inner();
    let _: Option<Arc<dyn Observer>> = None;
}

#[tokio::test]
async fn boxed_services() {
    let boxed = BoxCloneService::new(service_fn(echo));
    let layered = RetryOnConnErr.layer(boxed);
    let boxed: BoxCloneService<String, String, Error> = BoxCloneService::new(layered);
    assert_eq!(boxed.oneshot("a".into()).await.unwrap(), "a");
    let sync = BoxCloneSyncService::new(RetryOnConnErr.layer(service_fn(echo)));
    let once = BoxService::new(RetryOnConnErr.layer(sync));
    once.oneshot("a".into()).await.unwrap();
    // A layer in a layer, and one layer used twice.
    let twice = RetryOnConnErr.layer(RetryOnConnErr.layer(service_fn(echo)));
    twice.oneshot("a".into()).await.unwrap();
    // Behind a buffer: `S::Error` is a `BoxError`.
    let buffered = ServiceBuilder::new()
        .layer(RetryOnConnErr)
        .buffer::<String>(4)
        .service(service_fn(echo));
    buffered.oneshot("a".into()).await.unwrap();
}

#[test]
fn services_that_are_neither_send_nor_static() {
    let count = Rc::new(Cell::new(0));
    let name = String::from("local");
    let inner = service_fn(|message: String| {
        count.set(count.get() + 1);
        let (count, name) = (count.clone(), &name);
        async move {
            assert!(count.get() > 0 && name == "local");
            Ok::<_, io::Error>(message)
        }
    });
    let service = RetryOnConnErr.layer(inner);
    // No runtime either, as long as nothing has to wait.
    let end = service.clone().oneshot("a".to_owned()).now_or_never();
    assert_eq!(end.unwrap().unwrap(), "a");
    assert_eq!(count.get(), 1);
}

#[cfg(feature = "http")]
#[tokio::test]
async fn http_requests() {
    let request = http::Request::post("http://a.example/")
        .body(bytes::Bytes::new())
        .unwrap();
    assert!(!request.is_idempotent());
    let inner = service_fn(|request: http::Request<bytes::Bytes>| async move {
        Ok::<_, io::Error>(http::Response::new(request.into_body()))
    });
    RetryOnConnErr.layer(inner).oneshot(request).await.unwrap();
    fn is<T: Replayable>() {}
    is::<http::Uri>();
}

#[cfg(feature = "reqwest")]
#[tokio::test]
async fn reqwests_client() {
    let service = ServiceBuilder::new()
        .layer(RetryOnConnErr::new().max_attempts(1).redirects_off())
        .service(reqwest::Client::builder().no_proxy().build().unwrap());
    let request =
        reqwest::Request::new(reqwest::Method::GET, "http://127.0.0.1:1/".parse().unwrap());
    let error = service.oneshot(request).await.unwrap_err();
    assert_eq!((error.attempts(), error.sent()), (1, Sent::No));
    assert!(error.downcast_ref::<reqwest::Error>().is_some());
}

#[cfg(feature = "hyper-util")]
#[tokio::test]
async fn hyper_utils_client_and_connector() {
    use hyper_util::client::legacy::{Client, connect::HttpConnector};
    use hyper_util::rt::TokioExecutor;
    let executor = TokioExecutor::new();
    let client: Client<_, String> = Client::builder(executor.clone()).build(HttpConnector::new());
    let layer = RetryOnConnErr::new().max_attempts(1);
    #[cfg(feature = "http")]
    {
        let request = http::Request::get("http://127.0.0.1:1/")
            .body(String::new())
            .unwrap();
        let error = layer.layer(client).oneshot(request).await.unwrap_err();
        assert_eq!((error.attempts(), error.sent()), (1, Sent::No));
        let uri: http::Uri = "http://127.0.0.1:1/".parse().unwrap();
        let connector = layer.layer(HttpConnector::new());
        let error = connector.clone().oneshot(uri).await.unwrap_err();
        assert_eq!(error.attempts(), 1);
        // And as a connector of the client.
        let _: Client<_, String> = Client::builder(executor).build(connector);
    }
}
