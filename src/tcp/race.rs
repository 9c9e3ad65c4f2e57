//! Which of a name's addresses to connect to: a small part of Happy Eyeballs, RFC 8305.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Alternates the families, beginning with that of the first address (§4). Within one family the
/// order stays, which is that of the system's preference.
pub(super) fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let is_v4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|a| a.is_ipv4() == is_v4);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut mixed = Vec::with_capacity(first.len() + second.len());
    while first.len() + second.len() > 0 {
        mixed.extend(first.next());
        mixed.extend(second.next());
    }
    mixed
}

/// Connects to one after the other, without waiting for longer than `delay` before the next one is
/// begun as well (§5). The first success counts; the others are dropped. `None` if there is no
/// address, else the last error.
pub(super) async fn race<F, T, E>(
    addresses: Vec<SocketAddr>,
    delay: Duration,
    mut connect: impl FnMut(SocketAddr) -> F,
) -> Result<T, Option<E>>
where
    F: Future<Output = Result<T, E>>,
{
    let mut addresses = addresses.into_iter();
    let mut attempts = Vec::new();
    let mut last = None;
    let mut timer = pin!(sleep_until(Instant::now()));
    // Begin the next one without waiting for the timer.
    let mut at_once = true;
    poll_fn(|cx| {
        loop {
            let mut i = 0;
            while let Some(attempt) = attempts.get_mut(i) {
                let attempt: &mut Pin<Box<F>> = attempt;
                match attempt.as_mut().poll(cx) {
                    Poll::Pending => i += 1,
                    Poll::Ready(Ok(stream)) => return Poll::Ready(Ok(stream)),
                    Poll::Ready(Err(error)) => {
                        attempts.swap_remove(i);
                        last = Some(error);
                        at_once = true;
                    }
                }
            }
            if !at_once && timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            at_once = false;
            match addresses.next() {
                Some(address) => {
                    attempts.push(Box::pin(connect(address)));
                    timer.as_mut().reset(Instant::now() + delay);
                }
                None if attempts.is_empty() => return Poll::Ready(Err(last.take())),
                None => return Poll::Pending,
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::future::{Ready, pending, ready};
    use std::sync::{Arc, Mutex};

    use tokio::time::{sleep, timeout};

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn addresses(count: u16) -> Vec<SocketAddr> {
        (1..=count)
            .map(|port| SocketAddr::from(([127, 0, 0, 1], port)))
            .collect()
    }

    const DELAY: Duration = Duration::from_millis(250);

    #[test]
    fn families_take_turns_and_the_first_one_stays_first() {
        let [a4, b4] = ["1.1.1.1:1", "2.2.2.2:2"].map(address);
        let [a6, b6, c6] = ["[::1]:1", "[::2]:2", "[::3]:3"].map(address);
        for (given, expected) in [
            (vec![a6, b6, c6, a4, b4], vec![a6, a4, b6, b4, c6]),
            (vec![a4, b4, a6], vec![a4, a6, b4]),
            (vec![a4], vec![a4]),
            (vec![], vec![]),
        ] {
            assert_eq!(interleave(given), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_swallows_everything_costs_the_delay() {
        let begun = Instant::now();
        let connect = async |to: SocketAddr| match to.port() {
            1 | 2 => pending().await,
            port => Ok::<_, ()>(port),
        };
        assert_eq!(race(addresses(4), DELAY, connect).await, Ok(3));
        assert_eq!(begun.elapsed(), 2 * DELAY);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_refuses_costs_nothing() {
        let begun = Instant::now();
        let connect = async |to: SocketAddr| match to.port() {
            3 => Ok(3),
            port => Err(port),
        };
        assert_eq!(race(addresses(4), DELAY, connect).await, Ok(3));
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_slow_may_still_win_and_the_others_are_dropped() {
        let alive = Arc::new(());
        let connect = |to: SocketAddr| {
            let alive = Arc::clone(&alive);
            async move {
                match to.port() {
                    1 => sleep(3 * DELAY).await,
                    _ => pending().await,
                }
                drop(alive);
                Ok::<_, ()>(to.port())
            }
        };
        assert_eq!(race(addresses(9), DELAY, connect).await, Ok(1));
        assert_eq!(Arc::strong_count(&alive), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_fail_the_last_error_is_told() {
        let tried = Mutex::new(Vec::new());
        let connect = |to: SocketAddr| {
            tried.lock().unwrap().push(to.port());
            async move {
                // The first one fails last.
                sleep(DELAY * 2 * (10 - u32::from(to.port()))).await;
                Err::<(), _>(to.port())
            }
        };
        assert_eq!(race(addresses(3), DELAY, connect).await, Err(Some(1)));
        assert_eq!(*tried.lock().unwrap(), [1, 2, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn without_addresses_there_is_no_error_to_tell() {
        let connect = |_| -> Ready<Result<(), ()>> { ready(Ok(())) };
        assert_eq!(race(Vec::new(), DELAY, connect).await, Err(None));
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_swallow_everything_it_never_ends() {
        let connect = |_| pending::<Result<(), ()>>();
        let race = timeout(
            Duration::from_secs(1_000),
            race(addresses(3), DELAY, connect),
        );
        assert!(race.await.is_err());
    }
}
