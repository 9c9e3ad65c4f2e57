//! The closing table.

use std::fmt::Write as _;
use std::ops::Range;
use std::time::Duration;

use tokio::time::Instant;

use crate::client::Kind;
use crate::ledger::{Count, Receipt, count};
use crate::rooms::Room;

/// A room that was passed.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) room: Room,
    /// The messages that were sent there.
    pub(crate) numbers: Range<u64>,
    /// When the break was over.
    pub(crate) healed: Instant,
    pub(crate) probes: u64,
}

/// What one client did.
pub(crate) struct Report {
    pub(crate) kind: Kind,
    rooms: Vec<Row>,
}

struct Row {
    room: Room,
    count: Count,
    /// From the end of the break to the first message that arrived after it.
    back_after: Option<Duration>,
    probes: u64,
}

impl Report {
    pub(crate) fn new(kind: Kind, stops: &[Stop], receipts: &[Receipt]) -> Self {
        let numbers: Vec<_> = stops.iter().map(|stop| stop.numbers.clone()).collect();
        let counts = count(receipts, &numbers);
        let row = |(stop, count): (&Stop, Count)| Row {
            room: stop.room,
            count,
            back_after: receipts
                .iter()
                .find(|receipt| receipt.at >= stop.healed)
                .map(|receipt| receipt.at - stop.healed),
            probes: stop.probes,
        };
        let rooms = stops.iter().zip(counts).map(row).collect();
        Self { kind, rooms }
    }

    pub(crate) fn total(&self) -> Count {
        let counts = self.rooms.iter().map(|row| row.count);
        counts.fold(Count::default(), |sum, count| Count {
            sent: sum.sent + count.sent,
            delivered: sum.delivered + count.delivered,
            lost: sum.lost + count.lost,
            duplicated: sum.duplicated + count.duplicated,
            out_of_order: sum.out_of_order + count.out_of_order,
        })
    }
}

/// All rooms with all clients, then what it comes to.
pub(crate) fn render(reports: &[Report]) -> String {
    let mut out = String::from(
        "\nCounted at the base:\n\n\
         room              client              sent  delivered   lost  duplicated  out of order   back after  probes\n",
    );
    let _ = writeln!(out, "{}", "─".repeat(107));
    for (i, room) in Room::ALL.iter().enumerate() {
        let mut name = room.name();
        for report in reports {
            let Some(row) = report.rooms.get(i).filter(|row| row.room == *room) else {
                continue;
            };
            let back_after = row.back_after.map_or("never".to_owned(), |time| {
                format!("{:.3} s", time.as_secs_f64())
            });
            let probes = match report.kind {
                Kind::ConnRetry => row.probes.to_string(),
                Kind::Bare | Kind::TowerRetry => "–".to_owned(),
            };
            line(&mut out, name, report.kind, row.count, &back_after, &probes);
            name = "";
        }
    }
    let _ = writeln!(out, "{}", "─".repeat(107));
    let mut name = "whole tour";
    for report in reports {
        line(&mut out, name, report.kind, report.total(), "", "");
        name = "";
    }
    out.push('\n');
    for report in reports {
        let Count {
            sent,
            delivered,
            lost,
            duplicated,
            out_of_order,
        } = report.total();
        let _ = writeln!(
            out,
            "{}: sent {sent}, delivered {delivered}, lost {lost}, duplicated {duplicated}, out of \
             order {out_of_order}",
            report.kind.name(),
        );
    }
    out
}

fn line(out: &mut String, room: &str, kind: Kind, count: Count, back_after: &str, probes: &str) {
    let _ = writeln!(
        out,
        "{room:<17} {:<17} {:>6} {:>10} {:>6} {:>11} {:>13} {back_after:>12} {probes:>7}",
        kind.name(),
        count.sent,
        count.delivered,
        count.lost,
        count.duplicated,
        count.out_of_order,
    );
}
