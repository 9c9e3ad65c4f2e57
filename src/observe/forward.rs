//! Pairs of observers, and pointers to one, are observers.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use super::Observer;
use crate::{ConnError, Destination, Reason};

impl<A: Observer, B: Observer> Observer for (A, B) {
    fn attempt_failed(&self, destination: &Destination, error: ConnError, attempts: u32) {
        self.0.attempt_failed(destination, error, attempts);
        self.1.attempt_failed(destination, error, attempts);
    }

    fn held(&self, destination: &Destination) {
        self.0.held(destination);
        self.1.held(destination);
    }

    fn probe(&self, destination: &Destination) {
        self.0.probe(destination);
        self.1.probe(destination);
    }

    fn replay(&self, destination: &Destination, attempt: u32) {
        self.0.replay(destination, attempt);
        self.1.replay(destination, attempt);
    }

    fn link_down(&self, destination: &Destination, error: ConnError) {
        self.0.link_down(destination, error);
        self.1.link_down(destination, error);
    }

    fn link_up(&self, destination: &Destination, outage: Duration) {
        self.0.link_up(destination, outage);
        self.1.link_up(destination, outage);
    }

    fn link_forgotten(&self, destination: &Destination) {
        self.0.link_forgotten(destination);
        self.1.link_forgotten(destination);
    }

    fn recovered(&self, destination: &Destination, attempts: u32, elapsed: Duration) {
        self.0.recovered(destination, attempts, elapsed);
        self.1.recovered(destination, attempts, elapsed);
    }

    fn failed(&self, destination: &Destination, reason: Reason, attempts: u32, elapsed: Duration) {
        self.0.failed(destination, reason, attempts, elapsed);
        self.1.failed(destination, reason, attempts, elapsed);
    }

    fn store_failed(&self, error: &(dyn Error + 'static)) {
        self.0.store_failed(error);
        self.1.store_failed(error);
    }
}

macro_rules! through_pointer {
    ($($pointer:ty),*) => {$(
        impl<O: Observer + ?Sized> Observer for $pointer {
            fn attempt_failed(&self, destination: &Destination, error: ConnError, attempts: u32) {
                (**self).attempt_failed(destination, error, attempts);
            }

            fn held(&self, destination: &Destination) {
                (**self).held(destination);
            }

            fn probe(&self, destination: &Destination) {
                (**self).probe(destination);
            }

            fn replay(&self, destination: &Destination, attempt: u32) {
                (**self).replay(destination, attempt);
            }

            fn link_down(&self, destination: &Destination, error: ConnError) {
                (**self).link_down(destination, error);
            }

            fn link_up(&self, destination: &Destination, outage: Duration) {
                (**self).link_up(destination, outage);
            }

            fn link_forgotten(&self, destination: &Destination) {
                (**self).link_forgotten(destination);
            }

            fn recovered(&self, destination: &Destination, attempts: u32, elapsed: Duration) {
                (**self).recovered(destination, attempts, elapsed);
            }

            fn failed(
                &self,
                destination: &Destination,
                reason: Reason,
                attempts: u32,
                elapsed: Duration,
            ) {
                (**self).failed(destination, reason, attempts, elapsed);
            }

            fn store_failed(&self, error: &(dyn Error + 'static)) {
                (**self).store_failed(error);
            }
        }
    )*};
}

through_pointer!(Arc<O>, Box<O>);
