//! The closing table of the tour with an outbox.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::ops::Range;

use super::account::Account;
use crate::ledger::{Receipt, count};
use crate::rooms::Room;
use crate::table::Stop;

pub(super) struct Report {
    rows: Vec<(Room, Row)>,
    total: Row,
}

/// What became of the messages of one room, or of the whole tour.
#[derive(Clone, Copy)]
pub(super) struct Row {
    sent: u64,
    answered: usize,
    deferred: usize,
    unaccepted: usize,
    kills: usize,
    delivered: u64,
    /// Accepted, and never arrived.
    pub(super) lost: u64,
    duplicated: u64,
    /// Without those that were sent again: they have left their place themselves.
    out_of_order: u64,
}

impl Report {
    pub(super) fn new(stops: &[Stop], account: &Account, receipts: &[Receipt]) -> Self {
        let again: HashSet<_> = account.unaccepted.iter().collect();
        let in_line = receipts.iter().filter(|it| !again.contains(&it.number));
        let in_line: Vec<_> = in_line.copied().collect();
        let row = |room: Range<u64>| {
            let rooms = std::slice::from_ref(&room);
            let all = count(receipts, rooms).pop().unwrap_or_default();
            let in_line = count(&in_line, rooms).pop().unwrap_or_default();
            let within = |number: &&u64| room.contains(*number);
            Row {
                sent: all.sent,
                answered: account.answered.iter().filter(within).count(),
                deferred: account.deferred.iter().filter(within).count(),
                unaccepted: account.unaccepted.iter().filter(within).count(),
                kills: account.kills.iter().filter(within).count(),
                delivered: all.delivered,
                // Everything was accepted in the end.
                lost: all.lost,
                duplicated: all.duplicated,
                out_of_order: in_line.out_of_order,
            }
        };
        let rows = stops.iter().map(|stop| {
            let row = row(stop.numbers.clone());
            (stop.room, row)
        });
        Self {
            rows: rows.collect(),
            total: row(0..stops.last().map_or(0, |stop| stop.numbers.end)),
        }
    }

    pub(super) fn total(&self) -> Row {
        self.total
    }

    pub(super) fn render(&self) -> String {
        let mut out = String::from(
            "\nSaid by the robot, and counted at the base:\n\n\
             room                sent  answered  deferred  unaccepted  kills  delivered   lost  duplicated  out of order\n",
        );
        let rule = "─".repeat(108);
        let _ = writeln!(out, "{rule}");
        for (room, row) in &self.rows {
            row.line(&mut out, room.name());
        }
        let _ = writeln!(out, "{rule}");
        self.total.line(&mut out, "whole tour");
        let Row {
            sent,
            answered,
            deferred,
            unaccepted,
            kills,
            delivered,
            lost,
            duplicated,
            out_of_order,
        } = self.total;
        let _ = write!(
            out,
            "\nUnaccepted: the robot was killed before it could say that the message was answered or \
             deferred.\nNobody has promised anything then, so it was sent again (and is left out where order is counted).\n\n\
             outbox: sent {sent}, answered {answered}, deferred {deferred}, unaccepted {unaccepted}, \
             kills {kills}, delivered {delivered}, lost {lost}, duplicated {duplicated}, out of order \
             {out_of_order}",
        );
        out
    }
}

impl Row {
    fn line(&self, out: &mut String, name: &str) {
        let _ = writeln!(
            out,
            "{name:<17} {:>6} {:>9} {:>9} {:>11} {:>6} {:>10} {:>6} {:>11} {:>13}",
            self.sent,
            self.answered,
            self.deferred,
            self.unaccepted,
            self.kills,
            self.delivered,
            self.lost,
            self.duplicated,
            self.out_of_order,
        );
    }
}
