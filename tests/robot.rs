//! The robot's tour, as `cargo run --example robot -- --fast --seed 7` makes it.

#[path = "built/mod.rs"]
mod built;
#[cfg(feature = "outbox-disk")]
#[path = "robot/outbox.rs"]
mod outbox;

use std::process::{Command, Output};

use built::example;

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(example("robot")).args(arguments).output();
    let Output {
        status,
        stdout,
        stderr,
    } = output.expect("the robot starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn the_tour_loses_nothing_and_keeps_the_order() {
    let (status, table, log) = run(&["--fast", "--seed", "7"]);
    assert_eq!(status, Some(0), "{table}\n{log}");
    let line = |client: &str| {
        let mut lines = table.lines();
        lines
            .find_map(|line| line.strip_prefix(client)?.strip_prefix(": "))
            .unwrap_or_else(|| panic!("no line of {client} in {table}"))
            .to_owned()
    };
    let ours = line("tower-conn-retry");
    assert!(ours.contains(" lost 0,"), "{ours}");
    assert!(ours.ends_with("out of order 0"), "{ours}");
    // The connection does break: without the layer it shows.
    assert!(!line("bare").contains(" lost 0,"), "{table}");
}

#[test]
fn a_wrong_command_line_is_told() {
    for (arguments, complaint) in [
        (&["--sped"][..], "--sped"),
        (&["--seed"], "--seed needs a number"),
        (&["--seed", "x"], "not a number"),
        (&["--fast=1"], "--fast=1"),
        (&["--threads", "0"], "not within 1 to 64"),
        (&["--kill"], "--kill needs --outbox FILE"),
        (&["--outbox"], "--outbox needs a file"),
        (&["--outbox", "--kill"], "--outbox needs a file"),
    ] {
        let (status, _, log) = run(arguments);
        assert_eq!(status, Some(2), "{arguments:?}");
        assert!(log.contains(complaint), "{arguments:?}: {log}");
        assert!(log.contains("Usage:"), "{arguments:?}: {log}");
    }
}

#[cfg(not(feature = "outbox-disk"))]
#[test]
fn an_outbox_needs_its_feature() {
    let (status, _, log) = run(&["--outbox", "robot.outbox"]);
    assert_eq!(status, Some(2));
    assert!(log.contains("--features outbox-disk"), "{log}");
}

#[test]
fn help_is_printed() {
    let (status, help, _) = run(&["--help"]);
    assert_eq!(status, Some(0));
    assert!(help.contains("--fast") && help.contains("--seed"));
}
