//! No file descriptors are left: a limit of a process, so this takes a process of its own.

use std::fs::File;
use std::io::Read;

use rustix::process::{Resource, Rlimit, setrlimit};
use tower_conn_retry::ConnErrorKind::Local;
use tower_conn_retry::Outlook::Transient;
use tower_conn_retry::classify;

use super::clients::{Client, KINDS};
use super::{assert_errno, assert_not_sent, within};
use crate::child;
use crate::lan::{Lan, SERVER, SERVICE, WEB};
use crate::server::{Ledger, Protocol, Server};

/// The part to play.
pub(crate) const PART: &str = "descriptors";
const LAST_WORDS: &str = "all as expected";

pub(crate) fn exhausted() {
    let lan = Lan::new();
    let ledger = Ledger::default();
    let _numbers = Server::start(&lan.server, SERVICE, &ledger, Protocol::Numbers);
    let _web = Server::start(&lan.server, WEB, &ledger, Protocol::Http);
    let mut child = lan.client.run(|| child::command(PART).spawn()).unwrap();
    let mut said = String::new();
    let output = child.stdout.as_mut().unwrap();
    output.read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success(), "{said}");
    assert_eq!(said, LAST_WORDS);
    assert_eq!(ledger.read(), [0; 0]);
}

pub(crate) fn exhaust() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let clients = KINDS.map(|kind| (kind, Client::new(kind, &SERVER.to_string())));
        let limit = Rlimit {
            current: Some(64),
            maximum: Some(64),
        };
        setrlimit(Resource::Nofile, limit).unwrap();
        let mut files = Vec::new();
        let full = loop {
            match File::open("/dev/null") {
                Ok(file) => files.push(file),
                Err(error) => break error,
            }
        };
        // Of a file this is nothing about a connection.
        assert_eq!(full.raw_os_error(), Some(libc::EMFILE));
        assert_eq!(classify(&full), None);
        for (kind, mut client) in clients {
            let error = within(client.request(1)).await.unwrap_err();
            assert_errno(kind, &error, libc::EMFILE);
            assert_not_sent(kind, error, Local, Transient);
        }
    });
    print!("{LAST_WORDS}");
}
