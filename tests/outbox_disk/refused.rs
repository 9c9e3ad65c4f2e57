//! The system says no.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use std::error::Error;
use std::time::Duration;

use tower_conn_retry::Destination;
use tower_conn_retry::outbox::{
    Changes, Codec, DiskStore, Message, OutboxError, OutboxErrorKind, Store, Ticket,
};

use super::tools::{Directory, all, message, open, put, remove, skip, tickets};

/// A file system of its own that goes when the test ends.
struct Mount<'a>(&'a Path);

impl<'a> Mount<'a> {
    fn new(at: &'a Path, arguments: &[&str]) -> Option<Self> {
        let mut mount = Command::new("mount");
        let done = mount.args(arguments).arg(at).output();
        let mounted = done.is_ok_and(|output| output.status.success());
        mounted.then_some(Self(at))
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_refuses_messages_and_loses_none() {
    let directory = Directory::new();
    let Some(_mount) = Mount::new(directory.path(), &["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
    else {
        return skip("a full disk needs root, to mount a small one");
    };
    let path = directory.file("outbox");
    let mut store = open(&path).unwrap();
    let mut kept = Vec::new();
    let mut refused = 0;
    for ticket in 0..400 {
        match put(&mut store, vec![message(ticket, 20_000)]) {
            Ok(()) => kept.push(ticket),
            Err(error) => {
                refused += 1;
                let error = error.downcast::<OutboxError>().unwrap();
                assert_eq!(error.kind(), OutboxErrorKind::Io, "{error:?}");
            }
        }
        if refused == 5 {
            break;
        }
    }
    assert_eq!(refused, 5);
    assert!(kept.len() > 20, "{}", kept.len());
    assert_eq!(tickets(&mut store), kept);
    // There is room again, and it goes on.
    Command::new("mount")
        .args(["-o", "remount,size=16m"])
        .arg(directory.path())
        .status()
        .unwrap();
    put(&mut store, vec![message(1_000, 20_000)]).unwrap();
    kept.push(1_000);
    assert_eq!(tickets(&mut store), kept);
    drop(store);
    let mut store = open(&path).unwrap();
    assert_eq!(tickets(&mut store), kept);
    remove(&mut store, kept);
    assert!(all(&mut store).unwrap().is_empty());
}

/// The directory of the process changes for good: this is a program of its own.
#[test]
fn a_program_that_changes_its_directory_finds_its_file_again() {
    if let Some(path) = std::env::var_os(RELATIVE) {
        return goes_away(Path::new(&path));
    }
    let directory = Directory::new();
    let name = "a_program_that_changes_its_directory_finds_its_file_again";
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.arg(name).env(RELATIVE, directory.path());
    let output = program.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}

const RELATIVE: &str = "OUTBOX_DISK_RELATIVE";

fn goes_away(directory: &Path) {
    let Some(_mount) = Mount::new(directory, &["-t", "tmpfs", "-o", "size=4m", "tmpfs"]) else {
        return skip("a full disk needs root, to mount a small one");
    };
    std::env::set_current_dir(directory).unwrap();
    let mut store = open(Path::new("outbox")).unwrap();
    std::env::set_current_dir("/").unwrap();
    // An error, after which the file is opened anew.
    let too_large = put(&mut store, vec![message(0, 8 << 20)]);
    let error = too_large.unwrap_err().downcast::<OutboxError>().unwrap();
    assert_eq!(error.kind(), OutboxErrorKind::Io);
    put(&mut store, vec![message(1, 5)]).unwrap();
    assert_eq!(error.path(), Some(&*directory.join("outbox")));
    assert_eq!(tickets(&mut store), [1]);
}

#[test]
fn a_disk_without_any_room_is_a_clear_error_and_fine_when_there_is_room() {
    let directory = Directory::new();
    let Some(_mount) = Mount::new(
        directory.path(),
        &["-t", "tmpfs", "-o", "size=64k", "tmpfs"],
    ) else {
        return skip("a full disk needs root, to mount a small one");
    };
    let path = directory.file("outbox");
    for _ in 0..2 {
        let error = open(&path).unwrap_err();
        assert_eq!(error.kind(), OutboxErrorKind::Io, "{error:?}");
    }
    Command::new("mount")
        .args(["-o", "remount,size=16m"])
        .arg(directory.path())
        .status()
        .unwrap();
    put(&mut open(&path).unwrap(), vec![message(0, 5)]).unwrap();
}

#[test]
fn a_file_system_that_is_read_only_is_a_clear_error() {
    let directory = Directory::new();
    let Some(_mount) = Mount::new(directory.path(), &["-t", "tmpfs", "-o", "size=8m", "tmpfs"])
    else {
        return skip("a read-only file system needs root, to mount one");
    };
    let path = directory.file("outbox");
    drop(open(&path).unwrap());
    Command::new("mount")
        .args(["-o", "remount,ro"])
        .arg(directory.path())
        .status()
        .unwrap();
    refused(&path, std::io::ErrorKind::ReadOnlyFilesystem);
    refused(
        &directory.file("new"),
        std::io::ErrorKind::ReadOnlyFilesystem,
    );
}

#[test]
fn a_file_without_permission_is_a_clear_error() {
    let directory = Directory::new();
    let path = directory.file("outbox");
    drop(open(&path).unwrap());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    if fs::File::options().write(true).open(&path).is_ok() {
        // Root may write all the same. A program that is being run may not be written by anybody.
        let program = directory.file("sleep");
        fs::copy("/bin/sleep", &program).unwrap();
        let mut running = Command::new(&program).arg("60").spawn().unwrap();
        refused(&program, std::io::ErrorKind::ExecutableFileBusy);
        running.kill().unwrap();
        running.wait().unwrap();
        return;
    }
    refused(&path, std::io::ErrorKind::PermissionDenied);
}

#[test]
fn a_directory_that_is_not_there_and_one_instead_of_a_file_are_clear_errors() {
    let directory = Directory::new();
    refused(&directory.file("no/outbox"), std::io::ErrorKind::NotFound);
    refused(directory.path(), std::io::ErrorKind::IsADirectory);
}

fn refused(path: &Path, kind: std::io::ErrorKind) {
    let error = open(path).unwrap_err();
    assert_eq!(error.kind(), OutboxErrorKind::Io);
    assert!(
        error.to_string().contains(path.to_str().unwrap()),
        "{error}"
    );
    let source = error
        .source()
        .and_then(|it| it.downcast_ref::<std::io::Error>());
    assert_eq!(source.map(std::io::Error::kind), Some(kind));
}

#[test]
fn a_message_that_cannot_be_encoded_changes_nothing_and_harms_no_other() {
    let directory = Directory::new();
    let path = directory.file("outbox");
    let mut store = DiskStore::<u8, Picky>::open(&path, Picky).unwrap();
    let commit = |store: &mut DiskStore<u8, Picky>, bytes: &[u8]| {
        let put = (0..).zip(bytes).map(|(ticket, byte)| Message {
            ticket: Ticket::new(ticket),
            destination: Destination::default(),
            request: *byte,
            size: 1,
            since: Duration::ZERO,
            attempts: 1,
            maybe_sent: false,
            max_age: None,
        });
        store.commit(Changes {
            put: put.collect(),
            remove: vec![],
            clock: Duration::ZERO,
        })
    };
    let error = commit(&mut store, &[1, 13]).unwrap_err();
    let error = error.downcast::<OutboxError>().unwrap();
    assert_eq!(error.kind(), OutboxErrorKind::Encode);
    assert_eq!(error.source().unwrap().to_string(), "unlucky");
    assert!(store.contents().unwrap().destinations.is_empty());
    // One that can't be decoded stands between two that can.
    commit(&mut store, &[1, 14, 3]).unwrap();
    let mut found = Vec::new();
    let read = store.read(&Destination::default(), None, 9, &mut |ticket, message| {
        found.push((ticket.get(), message.ok().map(|it| it.request)));
    });
    read.unwrap();
    assert_eq!(found, [(0, Some(1)), (1, None), (2, Some(3))]);
}

#[test]
fn a_codec_that_panics_refuses_or_hides_one_message() {
    let directory = Directory::new();
    let mut store = DiskStore::<u8, Picky>::open(directory.file("outbox"), Picky).unwrap();
    let message = |byte: u8| Message {
        ticket: Ticket::new(byte.into()),
        destination: Destination::default(),
        request: byte,
        size: 1,
        since: Duration::ZERO,
        attempts: 1,
        maybe_sent: false,
        max_age: None,
    };
    let error = store.accept(&message(23)).unwrap_err();
    let error = error.downcast::<OutboxError>().unwrap();
    assert_eq!(error.kind(), OutboxErrorKind::Encode);
    let source = error.source().unwrap().to_string();
    assert_eq!(source, "the codec panicked: very unlucky");
    let changes = Changes {
        put: [1, 24, 30].map(message).into(),
        remove: vec![],
        clock: Duration::ZERO,
    };
    store.commit(changes).unwrap();
    let mut found = Vec::new();
    let read = store.read(&Destination::default(), None, 9, &mut |ticket, message| {
        let text = |error: tower_conn_retry::BoxError| error.to_string();
        found.push((ticket.get(), message.map(|it| it.request).map_err(text)));
    });
    read.unwrap();
    let hidden = Err("the codec panicked: unlucky, too".into());
    assert_eq!(found, [(1, Ok(1)), (24, hidden), (30, Ok(30))]);
}

/// Does not like two numbers, and panics at two others.
struct Picky;

impl Codec<u8> for Picky {
    fn encode(&self, byte: &u8, into: &mut Vec<u8>) -> Result<(), tower_conn_retry::BoxError> {
        if *byte == 23 {
            panic!("very unlucky");
        }
        into.push(*byte);
        if *byte == 13 {
            Err("unlucky".into())
        } else {
            Ok(())
        }
    }

    fn decode(&self, bytes: &[u8]) -> Result<u8, tower_conn_retry::BoxError> {
        match bytes {
            [14] => Err("unlucky, too".into()),
            [24] => panic!("unlucky, too"),
            [byte] => Ok(*byte),
            _ => Err("not a byte".into()),
        }
    }
}
