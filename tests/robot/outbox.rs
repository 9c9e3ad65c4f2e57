//! The tour with an outbox, whose robot is killed.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use tower_conn_retry::Destination;
use tower_conn_retry::outbox::{Changes, DiskStore, Message, Raw, Store, Ticket};

use super::run;

/// A place for a file.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = format!("robot-{}-{name}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.join("robot.outbox")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn tour(folder: &Folder, more: &[&str]) -> (Option<i32>, String, String) {
    let file = folder.file();
    let file = file.to_str().expect("Unicode");
    run(&[&["--fast", "--seed", "7", "--outbox", file], more].concat())
}

/// A number of the table's last line.
fn figure(table: &str, name: &str) -> u64 {
    let last = table.lines().find_map(|line| line.strip_prefix("outbox: "));
    let mut figures = last.unwrap_or_default().split(", ");
    figures
        .find_map(|figure| figure.strip_prefix(name)?.trim().parse().ok())
        .unwrap_or_else(|| panic!("no {name} in {table}"))
}

#[test]
fn killed_again_and_again_it_loses_nothing() {
    let folder = Folder::new("kills");
    let (status, table, log) = tour(&folder, &["--kill"]);
    assert_eq!(status, Some(0), "{table}\n{log}");
    assert!(figure(&table, "kills") > 0, "{table}");
    assert!(figure(&table, "deferred") > 0, "{table}");
    assert_eq!(figure(&table, "lost"), 0, "{table}");
    let sent = figure(&table, "sent");
    assert_eq!(figure(&table, "delivered"), sent, "{table}");
    let accepted = figure(&table, "answered") + figure(&table, "deferred");
    assert_eq!(accepted, sent, "{table}");
    // The same file once more: it is empty.
    let (status, table, log) = tour(&folder, &[]);
    assert_eq!(status, Some(0), "{table}\n{log}");
    assert_eq!(figure(&table, "kills"), 0, "{table}");
    assert_eq!(figure(&table, "unaccepted"), 0, "{table}");
}

#[test]
fn a_damaged_file_is_told() {
    let folder = Folder::new("damage");
    fs::write(folder.file(), "no outbox at all").expect("a file");
    let (status, table, log) = tour(&folder, &["--kill"]);
    assert_eq!(status, Some(1), "{table}\n{log}");
    assert!(log.contains("robot.outbox is damaged"), "{log}");
}

#[test]
fn messages_of_others_are_left_alone() {
    let folder = Folder::new("leftovers");
    // The store, not an outbox: its file is free as soon as it is dropped.
    let open = || DiskStore::open(folder.file(), Raw).expect("it is not locked");
    let theirs = Message {
        ticket: Ticket::new(0),
        destination: Destination::default(),
        request: Bytes::from("mine"),
        size: 4,
        since: Duration::ZERO,
        attempts: 1,
        maybe_sent: false,
        max_age: None,
    };
    let changes = Changes {
        put: vec![theirs],
        remove: vec![],
        clock: Duration::ZERO,
    };
    open().commit(changes).expect("it is stored");

    let (status, table, log) = tour(&folder, &["--kill"]);
    assert_eq!(status, Some(1), "{table}\n{log}");
    assert!(log.contains("holds 1 messages already"), "{log}");
    let contents = Store::<Bytes>::contents(&mut open()).expect("it is well");
    let destinations = contents.destinations.as_slice();
    assert_eq!(destinations, [(Destination::default(), 1, 4)]);
}
