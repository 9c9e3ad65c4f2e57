//! What a request says of itself: how old it may get, and that it knows its ticket.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tower::{Layer, Service, ServiceExt, service_fn};
use tower_conn_retry::{BoxError, Outbox, OutboxBuilder, Outcome, Replayable, Ticket};

use crate::peer::{SECOND, pass, settle, steady};

#[derive(Clone, Debug)]
struct Reading {
    number: u64,
    limit: Option<Duration>,
    ticket: Option<Ticket>,
}

impl Reading {
    fn new(number: u64, limit: impl Into<Option<u32>>) -> Self {
        Self {
            number,
            limit: limit.into().map(|seconds: u32| seconds * SECOND),
            ticket: None,
        }
    }
}

impl Replayable for Reading {
    fn try_clone(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn max_age(&self) -> Option<Duration> {
        self.limit
    }

    fn set_ticket(&mut self, ticket: Ticket) {
        assert_eq!(self.ticket, None, "told once");
        self.ticket = Some(ticket);
    }
}

/// Who is away or there, and what came.
#[derive(Clone, Default)]
struct Station(Arc<Mutex<(bool, Vec<Reading>)>>);

impl Station {
    fn behind(
        &self,
        outbox: &Outbox<Reading>,
    ) -> impl Service<Reading, Response = (), Error = tower_conn_retry::Error> + Clone {
        let station = self.clone();
        let client = service_fn(move |reading: Reading| {
            let mut station = station.0.lock().unwrap();
            station.1.push(reading);
            let there = station.0;
            async move {
                match there {
                    true => Ok(()),
                    false => Err(io::Error::from(io::ErrorKind::ConnectionRefused)),
                }
            }
        });
        steady().outbox(outbox.clone()).layer(client)
    }

    fn is_back(&self) {
        let mut station = self.0.lock().unwrap();
        *station = (true, Vec::new());
    }

    fn came(&self) -> Vec<u64> {
        let station = self.0.lock().unwrap();
        station.1.iter().map(|reading| reading.number).collect()
    }
}

async fn expired_after(builder: OutboxBuilder<Reading>, limits: &[Option<u32>]) -> Vec<(u64, u64)> {
    let outbox = builder.in_memory();
    let station = Station::default();
    let service = station.behind(&outbox);
    for (number, limit) in (0..).zip(limits) {
        let call = service.clone().oneshot(Reading::new(number, *limit));
        assert!(call.await.unwrap_err().is_deferred());
    }
    let mut expired = Vec::new();
    for second in 0..30 {
        for letter in outbox.dead_letters() {
            assert_eq!(letter.outcome(), Outcome::Expired);
            expired.push((letter.request().number, second));
        }
        pass(SECOND).await;
    }
    station.is_back();
    outbox.flush().await;
    let expired_numbers: Vec<_> = expired.iter().map(|(number, _)| *number).collect();
    let all = 0..limits.len() as u64;
    let left: Vec<_> = all
        .filter(|number| !expired_numbers.contains(number))
        .collect();
    assert_eq!(station.came(), left);
    expired
}

#[tokio::test(start_paused = true)]
async fn each_may_have_a_limit_of_its_own() {
    let expired = expired_after(Outbox::builder(), &[None, Some(20), Some(10), None]).await;
    assert!(
        matches!(expired[..], [(2, 10..=12), (1, 20..=22)]),
        "{expired:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_shorter_one_holds() {
    let builder = Outbox::builder().max_age(15 * SECOND);
    let expired = expired_after(builder, &[Some(20), Some(10)]).await;
    assert!(
        matches!(expired[..], [(1, 10..=12), (0, 15..=17)]),
        "{expired:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_knows_its_ticket_in_each_attempt() -> Result<(), BoxError> {
    let outbox = Outbox::in_memory();
    let station = Station::default();
    let service = station.behind(&outbox);
    let mut tickets = Vec::new();
    for number in 0..3 {
        let error = service
            .clone()
            .oneshot(Reading::new(number, None))
            .await
            .unwrap_err();
        tickets.push(error.ticket().ok_or("it was deferred")?);
    }
    station.0.lock().unwrap().0 = true;
    outbox.flush().await;
    settle().await;
    service.clone().oneshot(Reading::new(3, None)).await?;
    let station = station.0.lock().unwrap();
    assert!(station.1.len() > 4, "some came twice");
    for reading in &station.1 {
        let ticket = reading.ticket.ok_or("it was told")?;
        match tickets.get(reading.number as usize) {
            Some(told) => assert_eq!(ticket, *told),
            None => assert!(ticket > tickets[2]),
        }
    }
    Ok(())
}
