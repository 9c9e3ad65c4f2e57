//! The rules of an outbox. Mocks and virtual time only.

#![allow(unreachable_pub, dead_code, clippy::unwrap_used)]

#[path = "link/peer.rs"]
mod peer;

mod outbox {
    mod ages;
    mod bounds;
    mod calls_that_panic;
    mod cancel;
    mod close;
    mod dead;
    mod delivery;
    mod drop_oldest;
    mod drop_stress;
    mod faults;
    mod faulty;
    mod items;
    mod latecomers;
    mod panics;
    mod room;
    mod runs;
    mod runtimes;
    mod slow_store;
    mod stress;
    mod unread;

    use tokio::sync::broadcast;
    use tower::Layer;
    use tower_conn_retry::{ByTrait, ConnRetry, DefaultPolicy, Outbox, Outcome, Receipt};

    use crate::peer::*;

    pub type Service = ConnRetry<Client, DefaultPolicy, ByTrait, Outbox<Message>>;

    pub fn with(peer: &Peer, outbox: &Outbox<Message>) -> Service {
        steady().outbox(outbox.clone()).layer(peer.client())
    }

    /// What has come so far.
    pub fn outcomes(receipts: &mut broadcast::Receiver<Receipt>) -> Vec<(u64, Outcome)> {
        std::iter::from_fn(|| receipts.try_recv().ok())
            .map(|receipt| (receipt.ticket().get(), receipt.outcome()))
            .collect()
    }
}
