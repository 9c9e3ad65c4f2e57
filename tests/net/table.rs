//! The figures of all faults, for the end.

use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::Duration;

use crate::stream::Mode;
use crate::witness::Sign;

/// What became of a stream that went through a fault.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) mode: Mode,
    pub(crate) messages: u64,
    /// Read more than once by the server; each of them was perhaps sent before.
    pub(crate) doubled: usize,
    pub(crate) out_of_order: u64,
    /// From the beginning of the fault to the first failed attempt.
    pub(crate) noticed: Duration,
    /// From the beginning of the fault to its end, or until it was noticed.
    pub(crate) outage: Duration,
    /// From then to the first answer.
    pub(crate) recovery: Duration,
    /// How long that may be.
    pub(crate) limit: Duration,
    pub(crate) signs: Vec<Sign>,
}

static ROWS: Mutex<Vec<Row>> = Mutex::new(Vec::new());

pub(crate) fn add(row: Row) {
    ROWS.lock().unwrap().push(row);
}

/// All rows, as a table.
pub(crate) fn show() -> Option<String> {
    let mut rows = ROWS.lock().unwrap();
    if rows.is_empty() {
        return None;
    }
    rows.sort_by_key(|row| (row.name, row.mode));
    let mut table = String::from(
        "A stream of 1,000 requests in a second through each fault; times in ms. Nothing was lost.\n",
    );
    let _ = writeln!(
        table,
        "{:<44} {:>8} {:>8} {:>9} {:>8} {:>7} {:>9} {:>6}  seen",
        "fault", "requests", "doubled", "order", "noticed", "outage", "recovery", "limit"
    );
    for row in rows.iter() {
        let order = match (row.mode, row.out_of_order) {
            (Mode::InOrder, _) => String::from("strict"),
            (Mode::OnThreads, late) => format!("{late} late"),
        };
        let seen: Vec<_> = row.signs.iter().map(|sign| seen(*sign)).collect();
        let _ = writeln!(
            table,
            "{:<44} {:>8} {:>8} {:>9} {:>8} {:>7} {:>9} {:>6}  {}",
            row.name,
            row.messages,
            row.doubled,
            order,
            row.noticed.as_millis(),
            row.outage.as_millis(),
            row.recovery.as_millis(),
            row.limit.as_millis(),
            seen.join(", ")
        );
    }
    Some(table)
}

fn seen((at, kind, errno): Sign) -> String {
    match errno {
        0 => format!("{at:?} {kind:?}"),
        errno => format!("{at:?} {kind:?} {errno}"),
    }
}
