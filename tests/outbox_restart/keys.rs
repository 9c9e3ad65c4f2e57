//! By its `Idempotency-Key` a server knows again what comes a second time, also from another process.

use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderValue, Request};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_conn_retry::outbox::HttpCodec;
use tower_conn_retry::{IdempotencyKeyLayer, Outbox, RetryOnConnErr};

use super::life::{Directory, life, open_with};

type Keys = Arc<Mutex<Vec<Option<HeaderValue>>>>;

fn reset() -> io::Result<()> {
    Err(io::ErrorKind::ConnectionReset.into())
}

fn outbox(directory: &Directory) -> Outbox<Request<Bytes>> {
    open_with(&directory.file(), || HttpCodec, Outbox::builder)
}

/// A client that notes the key of each attempt.
fn client(
    keys: &Keys,
    answer: fn() -> io::Result<()>,
) -> impl Service<Request<Bytes>, Response = (), Error = io::Error, Future: Send> + Clone + Send + 'static
{
    let keys = keys.clone();
    service_fn(move |request: Request<Bytes>| {
        let key = request.headers().get("idempotency-key").cloned();
        keys.lock().unwrap().push(key);
        async move { answer() }
    })
}

#[test]
fn a_post_has_its_key_through_a_restart() {
    let (directory, keys) = (Directory::new(), Keys::default());
    life(async {
        let layer = RetryOnConnErr::new().outbox(outbox(&directory));
        let mut service = IdempotencyKeyLayer::new().layer(layer.layer(client(&keys, reset)));
        let request = Request::post("http://robot/moves").body(Bytes::from_static(b"1"));
        let call = service.ready().await.unwrap().call(request.unwrap());
        assert!(call.await.unwrap_err().is_deferred());
    });
    let before = keys.lock().unwrap().len();
    life(async {
        let outbox = outbox(&directory);
        let layer = RetryOnConnErr::new().outbox(outbox.clone());
        let _service = layer.layer(client(&keys, || Ok(())));
        outbox.flush().await;
    });
    let keys = keys.lock().unwrap();
    assert_eq!(keys.len(), before + 1);
    assert!(
        keys[0].is_some() && keys.iter().all(|key| *key == keys[0]),
        "{keys:?}"
    );
}
