//! The robot: sends what it is told to, and leaves to its outbox what can't be sent now.

use std::env;
use std::io::{self, Write as _};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines, Stdin};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::interval;
use tower::{Service as _, ServiceBuilder, ServiceExt as _};
use tower_conn_retry::outbox::Raw;
use tower_conn_retry::{BoxError, ConnError, Destination, Observer, Outbox};

use super::ROOT;
use super::wire::{Order, Said};
use crate::options::Options;
use crate::screen::in_full;
use crate::{client, tls, tour};

pub(super) async fn live(options: &Options) -> Result<(), BoxError> {
    let root = CertificateDer::from_pem_slice(env::var(ROOT)?.as_bytes())?;
    let file = options.outbox.as_deref().ok_or("no outbox")?;
    // What a former robot has left in it is delivered first.
    let outbox = Outbox::<Bytes>::open(file, Raw)?;
    say(&Said::Opened(outbox.len()))?;
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    // The base is known from the first order on. If there is none, nothing may be delivered.
    let Some(Order::Address(address)) = next(&mut orders).await? else {
        return Ok(());
    };
    let address = watch::Sender::new(address);
    let trusts = tls::trusting(root)?;
    let connection = client::connection(address.subscribe(), &trusts, options.pace);
    let layer = client::layer(options.pace)
        // A name that is not known and a certificate that is not trusted look like a mistake to a
        // process that has never reached its base. To one that was restarted they need not be one.
        .persist_through_permanent()
        .observer(Notes)
        .outbox(outbox.clone());
    let mut service = ServiceBuilder::new().layer(layer).service(connection);

    let shown = tokio::spawn(show(outbox.clone()));
    let mut random = fastrand::Rng::with_seed(options.seed);
    let mut calls = JoinSet::new();
    loop {
        let number = match next(&mut orders).await? {
            Some(Order::Send(number)) => number,
            Some(Order::Address(new)) => {
                address.send_replace(new);
                continue;
            }
            Some(Order::End) => break,
            // Who has started it is dead, and the base with it.
            None => return Ok(()),
        };
        let message = tour::message(number, &mut random);
        let mut call = Box::pin(service.ready().await?.call(message));
        // Here, so that the calls get into line in their order, whichever threads go on with them.
        let now = call.as_mut().now_or_never();
        calls.spawn(async move {
            let end = match now {
                Some(end) => end,
                None => call.await,
            };
            let said = match end {
                Ok(answer) if answer[..] == number.to_be_bytes() => Said::Answered(number),
                Ok(_) => Said::Failed(number, "the answer is another one's".to_owned()),
                Err(error) if error.is_deferred() => Said::Deferred(number),
                Err(error) => Said::Failed(number, in_full(&error)),
            };
            say(&said)
        });
    }
    while let Some(call) = calls.join_next().await {
        call??;
    }
    tokio::select! {
        () = outbox.flush() => {}
        // Nobody is left to deliver to.
        () = async { while let Ok(Some(_)) = next(&mut orders).await {} } => return Ok(()),
    }
    shown.abort();
    show_now(&outbox)?;
    say(&Said::Done)?;
    Ok(())
}

/// The next order. `None` if there is nobody to give one.
async fn next(orders: &mut Lines<BufReader<Stdin>>) -> Result<Option<Order>, BoxError> {
    let Some(line) = orders.next_line().await? else {
        return Ok(None);
    };
    let order = Order::parse(&line);
    Ok(Some(order.ok_or_else(|| format!("what is {line:?}?"))?))
}

/// At once and as a whole.
fn say(said: &Said) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(said.line().as_bytes())?;
    out.flush()
}

async fn show(outbox: Outbox<Bytes>) -> io::Result<()> {
    let mut ticks = interval(Duration::from_millis(100));
    loop {
        ticks.tick().await;
        show_now(&outbox)?;
    }
}

fn show_now(outbox: &Outbox<Bytes>) -> io::Result<()> {
    // There should be none: these are lost.
    for letter in outbox.dead_letters() {
        let why = letter.error().map(|error| in_full(error));
        let why = why.unwrap_or_default();
        let outcome = letter.outcome();
        say(&Said::Note(format!("dead letter: {outcome:?}: {why}")))?;
    }
    say(&Said::Holds(outbox.len()))
}

struct Notes;

impl Observer for Notes {
    fn link_down(&self, _: &Destination, error: ConnError) {
        let _ = say(&Said::Note(format!("link down: {}", error.kind())));
    }

    fn link_up(&self, _: &Destination, outage: Duration) {
        let outage = outage.as_secs_f64();
        let _ = say(&Said::Note(format!("link up after {outage:.3} s")));
    }
}
