//! The rules of a link, one module for each group of them. Mocks and virtual time only.

#![allow(unreachable_pub, clippy::unwrap_used)]

mod link {
    mod bad_input;
    mod bounds;
    mod callers;
    mod drain;
    mod observing;
    mod outage;
    mod partial;
    mod peer;
    mod permanent;
    mod poison;
    mod readiness;
    mod replay;
    mod retry_after;
    mod review;
    mod review2;
    mod review3;
    mod room;
    mod stalled;
    mod stress;
    mod time;
    mod unclonable;
}
