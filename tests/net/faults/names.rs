//! The server goes away, and its name can't be resolved for a while.

use super::{BROKEN_PIPE, CLOSED, NO_CONNECT, NO_NAME, RESET};
use crate::child::ServerProcess;
use crate::dns::{Mood, NameServer};
use crate::lan::{Lan, ROUTER, SERVER, SERVICE};
use crate::server::Ledger;
use crate::stream::{Mode, Plan, Stream};
use crate::table;

pub(crate) fn not_resolved(mode: Mode) {
    let mut lan = Lan::new();
    lan.client.resolver(ROUTER);
    let names = NameServer::start(&lan.router, ROUTER, Mood::Address(SERVER));
    let ledger = Ledger::default();
    let mut server = ServerProcess::start(&lan.server, SERVICE, &ledger);
    let plan = Plan {
        address: format!("server.test:{}", SERVICE.port()),
        ..Plan::new(mode)
    };
    let mut stream = Stream::start(&lan.client, plan);

    names.set(Mood::ServFail);
    stream.fault(|| server.kill());
    let _server = ServerProcess::start(&lan.server, SERVICE, &ledger);
    stream.await_failed(3, &[NO_NAME]);
    // Of a name that has resolved before, this is not believed.
    stream.change(|| names.set(Mood::NxDomain));
    stream.await_failed(3, &[NO_NAME]);
    stream.change(|| names.set(Mood::Silent));
    stream.await_failed(1, &[NO_CONNECT]);
    stream.heal_with_a_probe_under_way(|| names.set(Mood::Address(SERVER)));
    let signs = [CLOSED, RESET, BROKEN_PIPE, NO_NAME, NO_CONNECT];
    table::add(stream.finish(&ledger, "name not resolved", &signs));
}
