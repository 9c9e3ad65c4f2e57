use tokio::time::Instant;

use super::clock::Clock;
use super::gone::Gone;
use super::refusal::Refusal;
use crate::error::{Cause, History};
use crate::link::{Place, Room};
use crate::{BoxError, ConnError, Reason, Sent};

/// How a call begins that does not begin with an attempt.
pub(crate) enum Start {
    /// The service's `poll_ready` failed.
    Failed(BoxError),
    /// With an attempt, as soon as the service is ready.
    Now,
    /// The link is down.
    Held(Place),
    /// The link is down, and so many wait that there is no place.
    Room(Room),
    /// The call is over.
    Ended(Reason),
}

/// The state of a call that is more than one attempt.
pub(crate) struct Slow<S> {
    pub(super) clock: Clock,
    pub(super) step: Step<S>,
    pub(super) place: Option<Place>,
    pub(super) attempts: u32,
    /// The present attempt is the immediate replay after a broken connection.
    pub(super) immediate: bool,
    /// Why it is, if the attempt before was refused.
    pub(super) refusal: Option<Refusal>,
    /// How many replays broke a connection.
    pub(super) broke: u8,
    /// Some attempt may have been sent.
    pub(super) maybe_sent: bool,
    /// The only doubt about all attempts is a redirect.
    pub(super) redirect_doubt: bool,
    pub(super) history: History,
    /// The request can't be copied, and an attempt has it.
    pub(super) gone: Option<Box<Gone>>,
    /// The last error.
    pub(super) cause: Option<Box<(Cause, ConnError)>>,
}

/// What the call does while no attempt is in flight.
pub(crate) enum Step<S> {
    /// Its first attempt is in flight, or the call is over.
    Idle,
    /// Another attempt is in flight, since then.
    Flying(Instant),
    /// The service's `poll_ready` failed.
    Failed(BoxError),
    /// It is over.
    Ended(Reason),
    /// It waits for a place. Boxed, because few do, and all who are held would be larger.
    Room(Box<Room>),
    /// It has a place and waits for its turn.
    Waiting,
    /// A fresh clone of the service is polled ready, since then.
    Readying(Box<S>, Instant),
}

impl<S> Slow<S> {
    pub(super) fn new() -> Self {
        Self {
            clock: Clock::Stopped,
            step: Step::Idle,
            place: None,
            attempts: 0,
            immediate: false,
            refusal: None,
            broke: 0,
            maybe_sent: false,
            redirect_doubt: false,
            history: History::default(),
            gone: None,
            cause: None,
        }
    }

    /// The next attempt begins with this service.
    pub(super) fn ready_with(&mut self, service: S) {
        self.step = Step::Readying(Box::new(service), Instant::now());
    }

    /// The peer may have seen the request, redirected or not.
    pub(super) fn may_be_sent(&mut self) {
        self.maybe_sent = true;
        self.redirect_doubt = false;
    }

    /// Whether the peer may have seen the request.
    pub(super) fn sent(&self) -> Sent {
        match self.maybe_sent {
            true => Sent::Maybe,
            false => Sent::No,
        }
    }

    pub(super) fn started(start: Start) -> Self {
        let mut slow = Self::new();
        slow.step = match start {
            Start::Failed(error) => Step::Failed(error),
            Start::Ended(reason) => Step::Ended(reason),
            Start::Now => Step::Waiting,
            Start::Room(room) => Step::Room(Box::new(room)),
            Start::Held(place) => {
                slow.place = Some(place);
                Step::Waiting
            }
        };
        slow
    }
}
