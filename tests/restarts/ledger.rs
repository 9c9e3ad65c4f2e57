//! What the server does with a request, and its account of that. It tells replays by the value of their
//! `Idempotency-Key`, as the draft of that header has it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use tokio::sync::{Notify, watch};
use tokio::time::sleep;
use tonic::server::Grpc;
use tower::service_fn;

use super::calls::{ID, KEY, Kind};
use super::echo::TextCodec;
use super::origin::Answer;

pub(crate) struct Ledger {
    /// How long it takes to answer.
    pace: Duration,
    account: Mutex<Account>,
    /// The name of the requests that are not answered.
    held: watch::Sender<Option<&'static str>>,
    news: Notify,
}

#[derive(Default)]
pub(crate) struct Account {
    /// By the id of the request: for each time that its head was read, the key in it.
    pub(crate) reads: HashMap<String, Vec<Option<String>>>,
    /// By the id of the request: for each time that it was done, its body.
    pub(crate) effects: HashMap<String, Vec<Bytes>>,
    /// By the key: what was answered when it was new.
    pub(crate) answers: HashMap<String, String>,
    /// Requests with a key that was not new.
    pub(crate) repeats: usize,
    /// By the id of the request: how often the server in front of this one has read it.
    pub(crate) front: HashMap<String, usize>,
    done: usize,
    /// Requests that are done and not answered, as they are held.
    met: usize,
}

impl Ledger {
    pub(crate) fn new(pace: Duration) -> Arc<Self> {
        Arc::new(Self {
            pace,
            account: Mutex::default(),
            held: watch::Sender::new(None),
            news: Notify::new(),
        })
    }

    /// From now on, requests of this kind are done, and not answered.
    pub(crate) fn hold(&self, kind: &Kind) {
        self.account().met = 0;
        self.held.send_replace(Some(kind.name));
    }

    /// Until that has happened.
    pub(crate) async fn has_met(&self) {
        loop {
            let news = self.news.notified();
            if self.account().met > 0 {
                return;
            }
            news.await;
        }
    }

    pub(crate) fn release(&self) {
        self.held.send_replace(None);
    }

    pub(crate) fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap()
    }

    pub(crate) async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        let text = |name| {
            let values = request.headers().get_all(name).iter();
            let values: Vec<_> = values.map(|value| value.to_str().unwrap()).collect();
            (!values.is_empty()).then(|| values.join(", "))
        };
        let (id, key) = (text(ID).unwrap(), text(KEY));
        let read = key.clone();
        self.account()
            .reads
            .entry(id.clone())
            .or_default()
            .push(read);
        if text("content-type").is_some_and(|kind| kind == "application/grpc") {
            let say = service_fn(move |message: tonic::Request<Bytes>| {
                let done = self.clone().execute(&id, key.clone(), message.into_inner());
                let answer = self.clone().wait(id.clone(), done);
                async { Ok(tonic::Response::new(Bytes::from(answer.await))) }
            });
            let answer = Grpc::new(TextCodec).unary(say, request).await;
            return Ok(answer.map(|body| body.map_err(Into::into).boxed_unsync()));
        }
        let body = request.into_body().collect().await?.to_bytes();
        let done = self.execute(&id, key, body);
        let answer = Full::from(self.wait(id, done).await);
        Ok(Response::new(answer.map_err(Into::into).boxed_unsync()))
    }

    /// Does it, unless its key says that it was done. Returns the answer.
    fn execute(&self, id: &str, key: Option<String>, body: Bytes) -> String {
        let account = &mut *self.account();
        if let Some(answer) = key.as_ref().and_then(|key| account.answers.get(key)) {
            account.repeats += 1;
            return answer.clone();
        }
        account.done += 1;
        account.effects.entry(id.to_owned()).or_default().push(body);
        let answer = format!("{id} was number {}", account.done);
        if let Some(key) = key {
            account.answers.insert(key, answer.clone());
        }
        answer
    }

    /// Until it may be answered.
    async fn wait(self: Arc<Self>, id: String, answer: String) -> String {
        let is_held = |held: &Option<&str>| {
            let name = id.split('/').next();
            held.is_some() && *held == name
        };
        if !self.pace.is_zero() {
            sleep(self.pace).await;
        }
        let mut held = self.held.subscribe();
        if is_held(&held.borrow()) {
            self.account().met += 1;
            self.news.notify_waiters();
        }
        let _ = held.wait_for(|held| !is_held(held)).await;
        answer
    }
}
