//! The outbox's store on disk beside its engine alone, on the same disk and in turns: puts and removals per second
//! in commits of 1, 10 and 1,000 messages of 64 bytes, each commit synced. Then a file with a
//! million messages: how long it takes to open it, and how much memory.
//!
//! ```console
//! cargo bench --bench outbox_disk --features outbox-disk [-- DIRECTORY]
//! ```

#![allow(missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
#[expect(clippy::disallowed_types, reason = "this measures real time")]
use std::time::Instant;

use bytes::Bytes;
use redb::{Database, TableDefinition};
use tower_conn_retry::outbox::{Changes, DiskStore, Message, Raw, Store, Ticket};
use tower_conn_retry::{BoxError, Destination};

const TABLE: TableDefinition<'_, (u64, u64), &[u8]> = TableDefinition::new("raw");
const BYTES: [u8; 64] = [7; 64];
const MILLION: u64 = 1_000_000;
/// Names a file for a process that only opens it.
const OPEN: &str = "OUTBOX_DISK_BENCH_FILE";

fn main() -> Result<(), BoxError> {
    if let Some(path) = std::env::var_os(OPEN) {
        return open(path.as_ref());
    }
    let directory = std::env::args().skip(1).find(|it| !it.starts_with('-'));
    let directory = directory.map_or_else(std::env::temp_dir, PathBuf::from);
    let file = |name: &str| directory.join(format!("bench-{}-{name}", std::process::id()));
    let (ours, raw) = (file("outbox"), file("raw"));
    let done = run(&ours, &raw);
    let _ = (fs::remove_file(ours), fs::remove_file(raw));
    done
}

fn run(ours: &Path, raw: &Path) -> Result<(), BoxError> {
    let mut store = DiskStore::open(ours, Raw)?;
    let mut engine = Database::builder();
    engine
        .set_cache_size(8 << 20)
        .create_with_file_format_v3(true);
    let engine = engine.create(raw)?;
    println!("messages per second          put                     remove");
    println!("per commit    engine    outbox  ratio    engine    outbox  ratio");
    let mut next = 0;
    for (batch, rounds) in [(1, 400), (10, 400), (1_000, 60)] {
        // In turns, and the median of each, as the disk may have other things to do.
        let mut took = [const { Vec::new() }; 4];
        for _ in 0..rounds {
            let tickets = next..next + batch;
            next += batch;
            for (at, put) in [(0, true), (1, false)] {
                took[at].push(time(|| alone(&engine, tickets.clone(), put))?);
                took[at + 2].push(time(|| commit(&mut store, tickets.clone(), put))?);
            }
        }
        let [put, remove, our_put, our_remove] = took.map(|mut took| {
            took.sort_unstable();
            batch as f64 / took[took.len() / 2].as_secs_f64()
        });
        println!(
            "{batch:>10}{put:>10.0}{our_put:>10.0}{:>7.2}{remove:>10.0}{our_remove:>10.0}{:>7.2}",
            put / our_put,
            remove / our_remove
        );
    }
    drop(engine);

    let size = |path| fs::metadata(path).map_or(0, |file| file.len() >> 10);
    println!("\nthe file: {} KiB", size(ours));
    let took = time(|| {
        (0..1_000).try_for_each(|round| {
            let from = next + round * 1_000;
            commit(&mut store, from..from + 1_000, true)?;
            commit(&mut store, from..from + 1_000, false)
        })
    })?;
    println!(
        "a million went through, 1,000 at a time: {took:.1?}, {} KiB",
        size(ours)
    );
    next += MILLION;
    let mut load = (next..next + MILLION).step_by(10_000);
    let took = time(|| load.try_for_each(|from| commit(&mut store, from..from + 10_000, true)))?;
    println!("a million are in it: {took:.1?}, {} KiB", size(ours));
    drop(store);

    // In a new process, so that all memory is new.
    let mut child = Command::new(std::env::current_exe()?);
    child.env(OPEN, ours).status()?;
    Ok(())
}

fn open(path: &Path) -> Result<(), BoxError> {
    let before = memory();
    let start = now();
    let mut store = DiskStore::<Bytes, Raw>::open(path, Raw)?;
    let took = start.elapsed();
    let [(_, len, bytes)] = &store.contents()?.destinations[..] else {
        return Err("not one destination".into());
    };
    let more = || memory().saturating_sub(before);
    println!(
        "opened, {len} messages of {bytes} bytes: {took:.2?}, {} KiB more memory",
        more()
    );
    let (start, mut read, mut after) = (now(), 0, None);
    while read < MILLION {
        store.read(
            &Destination::default(),
            after,
            1_000,
            &mut |ticket, message| {
                read += u64::from(message.is_ok());
                after = Some(ticket);
            },
        )?;
    }
    println!(
        "read, 1,000 at a time: {:.2?}, {} KiB more memory",
        start.elapsed(),
        more()
    );
    Ok(())
}

/// Our store.
fn commit(
    store: &mut DiskStore<Bytes, Raw>,
    tickets: std::ops::Range<u64>,
    put: bool,
) -> Result<(), BoxError> {
    let mut changes = Changes {
        put: vec![],
        remove: vec![],
        clock: Duration::ZERO,
    };
    if put {
        changes.put.extend(tickets.map(|ticket| Message {
            ticket: Ticket::new(ticket),
            destination: Destination::default(),
            request: Bytes::from_static(&BYTES),
            size: BYTES.len(),
            since: Duration::ZERO,
            attempts: 1,
            maybe_sent: false,
            max_age: None,
        }));
    } else {
        let at = |ticket| (Destination::default(), Ticket::new(ticket));
        changes.remove.extend(tickets.map(at));
    }
    store.commit(changes)
}

/// The engine alone.
fn alone(engine: &Database, tickets: std::ops::Range<u64>, put: bool) -> Result<(), BoxError> {
    let transaction = engine.begin_write()?;
    let mut table = transaction.open_table(TABLE)?;
    for ticket in tickets {
        if put {
            table.insert((1, ticket), &BYTES[..])?;
        } else {
            table.remove((1, ticket))?;
        }
    }
    drop(table);
    Ok(transaction.commit()?)
}

#[expect(clippy::disallowed_types, reason = "this measures real time")]
fn now() -> Instant {
    Instant::now()
}

fn time(run: impl FnOnce() -> Result<(), BoxError>) -> Result<Duration, BoxError> {
    let start = now();
    run()?;
    Ok(start.elapsed())
}

/// What the process has in memory, in KiB.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}
