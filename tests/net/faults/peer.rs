//! Faults of the server.

use std::time::Duration;

use super::{BROKEN_PIPE, CLOSED, REFUSED, RESET, connecting};
use crate::child::ServerProcess;
use crate::lan::{Lan, SERVICE};
use crate::server::{Ledger, Protocol, Server};
use crate::stream::{Mode, Plan, Stream};
use crate::table;

pub(crate) fn killed(mode: Mode) {
    let lan = Lan::new();
    let ledger = Ledger::default();
    let mut server = ServerProcess::start(&lan.server, SERVICE, &ledger);
    let mut stream = Stream::start(&lan.client, Plan::new(mode));
    stream.fault(|| server.kill());
    stream.await_failed(3, &[REFUSED]);
    let mut next = None;
    stream.heal(|| next = Some(ServerProcess::start(&lan.server, SERVICE, &ledger)));
    // It may be killed with a connection that it has not accepted yet.
    let signs = [CLOSED, RESET, BROKEN_PIPE, REFUSED, connecting(RESET)];
    table::add(stream.finish(&ledger, "server killed and restarted", &signs));
}

/// The connection is half open then: the new one knows nothing of it.
pub(crate) fn replaced(mode: Mode) {
    let mut lan = Lan::new();
    let ledger = Ledger::default();
    let old = Server::start(&lan.server, SERVICE, &ledger, Protocol::Numbers);
    let user_timeout = Duration::from_secs(15);
    let plan = Plan {
        user_timeout,
        ..Plan::new(mode)
    };
    let mut stream = Stream::start(&lan.client, plan);
    stream.fault(|| lan.to_server("drop"));
    lan.to_client("drop");
    drop(old);
    lan.replace_server();
    let _new = Server::start(&lan.server, SERVICE, &ledger, Protocol::Numbers);
    stream.heal(|| lan.heal());
    stream.await_failed(1, &[RESET]);
    table::add(stream.finish(&ledger, "server's host replaced (half open)", &[RESET]));
}
