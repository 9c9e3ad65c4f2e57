//! What becomes of a call when an attempt is over.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tower_service::Service;

use super::Call;
use super::refusal::Refusal;
use super::slow::Step;
use crate::classify::{may_have_redirected, relies_on_hypers_goaway};
use crate::error::{Cause, Inner};
use crate::link::{After, Failed, LastError, Place};
use crate::mode::Mode;
use crate::{
    AttemptTimeout, BoxError, ConnError, ConnErrorKind, ConnErrorPolicy, Decision, Error, Failure,
    Outlook, Reason, RequestModel, Sent,
};

impl<S, Req, P, R, M> Call<'_, S, Req, P, R, M>
where
    S: Service<Req> + Clone,
    S::Error: Into<BoxError>,
    P: ConnErrorPolicy<Req>,
    R: RequestModel<Req>,
    M: Mode<Req>,
{
    /// An attempt was answered that was not the first, or that of a request that can't be copied.
    #[cold]
    #[inline(never)]
    pub(super) fn succeeded(&mut self) {
        let table = &self.shared.table;
        if let Some(budget) = &table.config().budget {
            budget.deposit();
        }
        table.learn_hash(self.of_request(R::destination_hash, |gone| gone.hash));
        let slow = self.more.slow();
        if slow.attempts == 0 && slow.place.is_none() {
            return; // it can't be copied, that is all
        }
        if let Some(place) = slow.place.take() {
            place.answered(true);
        }
        if let Some(observer) = &self.shared.table.config().observer {
            let elapsed = slow.clock.since().map_or(Duration::ZERO, |at| at.elapsed());
            let attempts = slow.attempts.saturating_add(1);
            observer.recovered(&self.destination(), attempts, elapsed);
        }
    }

    /// An attempt failed: in its call, or before in the service's `poll_ready`. `Ok` if there will
    /// be another one.
    #[cold]
    #[inline(never)]
    pub(super) fn failed(&mut self, error: BoxError, called: bool) -> Result<(), Error> {
        let started = self.more.clock_mut().start();
        let now = Instant::now();
        let began = self.attempt_began().unwrap_or(started);
        let over = self.deadline().is_some_and(|deadline| now >= deadline);
        let table = self.shared.table.clone();
        let slow = self.more.slow();
        slow.attempts = slow.attempts.saturating_add(1);
        // A peer that takes some requests on each connection is there, and it gets on.
        let refusal = slow.refusal.take();
        let served = refusal.is_some_and(|refusal| refusal.has_taken_others());
        let immediate = std::mem::take(&mut slow.immediate) && !served;

        let Some(seen) = self.shared.policy.classify(&*error) else {
            // It says nothing against the connection, so the link may take it for an answer.
            if called {
                slow.may_be_sent();
            }
            if let Some(place) = slow.place.take() {
                place.answered(false);
            }
            let timed_out = over && error.is::<AttemptTimeout>();
            let reason = if timed_out {
                Reason::GaveUp
            } else {
                Reason::NotConnError
            };
            return Err(self.error(reason, Cause::Own(error), None));
        };

        let mut conn_error = if called {
            seen
        } else {
            seen.with_sent(Sent::No)
        };
        if self.kept.is_none() {
            if let Some(request) = R::take_back(&*error) {
                *self.kept = Some(request);
                conn_error = conn_error.with_sent(Sent::No);
            }
        }
        let destination = self.destination();
        let hash = self.of_request(R::destination_hash, |gone| gone.hash);
        let may_redirect = self.of_request(R::may_redirect, |gone| gone.may_redirect);
        let slow = self.more.slow();
        if conn_error.outlook() == Outlook::Permanent && table.worked(&destination, hash) {
            // It worked before, so this is a symptom of the path.
            conn_error = conn_error.with_outlook(Outlook::Transient);
        }
        if conn_error.sent() == Sent::Maybe {
            slow.may_be_sent();
        } else if called
            && !table.config().redirects_off
            && (may_redirect || may_have_redirected(&*error))
        {
            // The error proves something about the last hop only.
            slow.redirect_doubt |= !slow.maybe_sent;
            slow.maybe_sent = true;
        } else if called && relies_on_hypers_goaway(&*error) {
            slow.may_be_sent();
        }
        // Who is told to wait has heard from the peer, not only from a connection.
        let breaks = breaks_one_connection(conn_error.kind()) && conn_error.retry_after().is_none();
        // What was not sent broke nothing; who had company is not known to have. Where order is
        // strict, nobody may pass the head anyway.
        let in_order = table.config().in_order;
        let sent = called && conn_error.sent() == Sent::Maybe;
        let blamed =
            breaks && sent && !in_order && slow.place.as_ref().is_none_or(Place::was_alone);
        if blamed && slow.attempts > 1 {
            slow.broke = slow.broke.saturating_add(1);
        }
        slow.history.push(now - started, conn_error);
        if let Some(observer) = &table.config().observer {
            observer.attempt_failed(&destination, conn_error, slow.attempts);
        }

        let elapsed = now - started;
        let verdict = if over && !M::DEFERS {
            Err(Reason::GaveUp)
        } else {
            self.verdict(&error, conn_error, elapsed)
        };
        // An attempt that was cut short by the end of the call's own time proves no outage, so it
        // counts as one broken connection at most.
        let cut_short = over && error.is::<AttemptTimeout>() && self.is_short(now - began);
        let slow = self.more.slow();
        if let (Err(Reason::Permanent), Outlook::Permanent) = (verdict, conn_error.outlook()) {
            // Others will hear the same at once; holding them up would help nobody.
            if let Some(place) = slow.place.take() {
                place.answered(false);
            }
            return Err(self.error(Reason::Permanent, Cause::Own(error), Some(conn_error)));
        }

        let stays = verdict.is_ok();
        let at_once = breaks && !immediate && stays;
        let paid = match &table.config().budget {
            Some(budget) if at_once && table.is_up(&destination) => budget.withdraw(),
            _ => true,
        };
        let broke = slow.broke.into();
        let how = Failed {
            began: table.time(began),
            not_before: conn_error
                .retry_after()
                .map_or(Duration::ZERO, |wait| table.time(now).saturating_add(wait)),
            breaks: breaks || cut_short,
            blamed,
            immediate: immediate && !cut_short,
            in_order,
            stays,
            paid,
            broke,
        };
        let after = table.failed(&destination, hash, self.id, how, conn_error);
        if let Err(reason) = verdict {
            if let Some(place) = slow.place.take() {
                place.forget();
            }
            if !table.is_up(&destination) {
                let error = Arc::new(Described(error.to_string()));
                table.set_last_error(&destination, LastError { conn_error, error });
            }
            return Err(self.error(reason, Cause::Own(error), Some(conn_error)));
        }
        if after == After::Poisoned {
            if let Some(place) = slow.place.take() {
                place.forget();
            }
            return Err(self.error(Reason::Poisoned, Cause::Own(error), Some(conn_error)));
        }
        if after == After::StillUp && !over {
            slow.refusal = Refusal::find(&*error);
            slow.cause = Some(Box::new((Cause::Own(error), conn_error)));
            slow.immediate = true;
            self.ready_service();
            return Ok(());
        }
        let error: Arc<dyn StdError + Send + Sync> = error.into();
        slow.cause = Some(Box::new((Cause::Shared(error.clone()), conn_error)));
        table.set_last_error(&destination, LastError { conn_error, error });
        if slow.place.as_ref().is_some_and(Place::is_held) {
            slow.step = Step::Waiting;
            return Ok(());
        }
        drop(slow.place.take());
        self.hold(None)
    }

    /// Whether the attempt that ends now had neither the time of an attempt nor half of the call's.
    fn is_short(&self, lasted: Duration) -> bool {
        let config = self.shared.table.config();
        let half = config.give_up_after.map(|limit| limit / 2);
        let enough = config.attempt_timeout.into_iter().chain(half).min();
        enough.is_some_and(|enough| lasted < enough)
    }

    /// Will there be another attempt?
    fn verdict(
        &mut self,
        error: &BoxError,
        conn_error: ConnError,
        elapsed: Duration,
    ) -> Result<(), Reason> {
        let config = self.shared.table.config();
        let slow = self.more.slow();
        let (attempts, sent) = (slow.attempts, slow.sent());
        let permanent = conn_error.outlook() == Outlook::Permanent && !config.persist;
        let replayable = self.kept.as_ref().filter(|request| R::can_replay(request));
        let Some(request) = replayable else {
            return Err(if permanent {
                Reason::Permanent
            } else {
                Reason::NotReplayable
            });
        };
        let failure = Failure {
            request,
            error: &**error,
            conn_error,
            sent,
            attempts,
            elapsed,
            idempotent: R::is_idempotent(request),
            persist: config.persist,
        };
        match self.shared.policy.decide(&failure) {
            Decision::Fail => Err(failure.objection().unwrap_or(Reason::PolicyFailed)),
            Decision::Replay if attempts >= config.max_attempts => Err(Reason::AttemptsExhausted),
            Decision::Replay => Ok(()),
        }
    }

    /// The call ends while no attempt is in flight. Gives up its place.
    pub(super) fn end(&mut self, reason: Reason) -> Error {
        let slow = self.more.slow();
        slow.step = Step::Idle;
        if let Some(own) = slow.cause.take() {
            let (cause, conn_error) = *own;
            return self.error(reason, cause, Some(conn_error));
        }
        let destination = self.destination();
        if reason == Reason::Closed {
            let closed = Described("the outbox is closed".into());
            return self.error(reason, Cause::Shared(Arc::new(closed)), None);
        }
        match self.shared.table.last_error(&destination) {
            Some(last) => self.error(reason, Cause::Shared(last.error), Some(last.conn_error)),
            None => {
                let unknown = Described(format!("{destination} is down"));
                self.error(reason, Cause::Shared(Arc::new(unknown)), None)
            }
        }
    }

    fn error(&mut self, reason: Reason, cause: Cause, conn_error: Option<ConnError>) -> Error {
        let destination = self.destination();
        let mut slow = self.more.take_slow();
        drop(slow.place.take());
        let elapsed = slow.clock.since().map_or(Duration::ZERO, |at| at.elapsed());
        if let (Some(observer), true) = (
            &self.shared.table.config().observer,
            reason != Reason::NotConnError,
        ) {
            observer.failed(&destination, reason, slow.attempts, elapsed);
        }
        Error::new(Inner {
            reason,
            cause,
            conn_error,
            sent: slow.sent(),
            attempts: slow.attempts,
            elapsed,
            history: slow.history,
            destination,
            redirect_doubt: slow.redirect_doubt,
            ticket: None,
            store_error: None,
        })
    }
}

/// Rule 3: these say that one connection broke, not that the peer is away.
fn breaks_one_connection(kind: ConnErrorKind) -> bool {
    matches!(
        kind,
        ConnErrorKind::Reset
            | ConnErrorKind::BrokenPipe
            | ConnErrorKind::Closed
            | ConnErrorKind::Aborted
            | ConnErrorKind::NotConnected
    )
}

/// The text of an error that its own caller has got.
#[derive(Debug)]
struct Described(String);

impl fmt::Display for Described {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Described {}
