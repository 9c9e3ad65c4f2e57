use std::process::{Command, Stdio};

use tower_conn_retry::outbox::OutboxErrorKind;

use super::tools::{Directory, message, open, put, tickets};

const FILE: &str = "OUTBOX_DISK_TEST_FILE";

#[test]
fn a_second_outbox_on_the_same_file_is_refused() {
    let directory = Directory::new();
    let path = directory.file("outbox");
    let mut store = open(&path).unwrap();
    let error = open(&path).unwrap_err();
    assert_eq!(error.kind(), OutboxErrorKind::Locked);
    let text = error.to_string();
    assert!(
        text.contains("open already") && text.contains(path.to_str().unwrap()),
        "{text}"
    );
    put(&mut store, vec![message(0, 1)]).unwrap();
    drop(store);
    assert_eq!(tickets(&mut open(&path).unwrap()), [0]);
}

#[test]
fn a_second_process_is_refused_until_the_first_one_has_closed_the_file() {
    let directory = Directory::new();
    let path = directory.file("outbox");
    let child = || {
        let mut child = Command::new(std::env::current_exe().unwrap());
        let child = child.args([
            "--exact",
            "outbox_disk::locks::the_other_process",
            "--nocapture",
        ]);
        let output = child.env(FILE, &path).stderr(Stdio::inherit()).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    let store = open(&path).unwrap();
    assert!(child().contains("the other process: Some(Locked)"));
    drop(store);
    assert!(child().contains("the other process: None"));
}

/// Run by the test above, in a process of its own.
#[test]
fn the_other_process() {
    if let Some(path) = std::env::var_os(FILE) {
        let error = open(path.as_ref()).err();
        println!("the other process: {:?}", error.map(|error| error.kind()));
    }
}
