//! The examples end by themselves, and well. What they claim, they check themselves.

#[path = "built/mod.rs"]
mod built;

use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use built::example;

/// What it prints, if it ends well.
async fn run(name: &str) -> String {
    let output = Command::new(example(name)).kill_on_drop(true).output();
    let output = timeout(Duration::from_secs(120), output)
        .await
        .expect("it ends by itself")
        .expect("it can be started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{name}: {}\n{text}\n{errors}",
        output.status
    );
    assert_eq!(errors, "", "{name}");
    text
}

/// The text of step `n` of an example that numbers its steps.
fn step(text: &str, n: u32) -> &str {
    let from = text.find(&format!("{n}. ")).expect("the step is there");
    let rest = &text[from..];
    let to = rest.find(&format!("\n{}. ", n + 1));
    &rest[..to.unwrap_or(rest.len())]
}

#[tokio::test]
async fn reqwest() {
    let text = run("reqwest").await;
    assert!(step(&text, 1).contains("/3 200 OK"), "{text}");
    assert!(step(&text, 2).contains("not idempotent"), "{text}");
    assert!(step(&text, 3).contains("/order 200 OK"), "{text}");
    assert!(
        step(&text, 4).contains("redirect::Policy::none()"),
        "{text}"
    );
    assert!(step(&text, 5).contains("/order 200 OK"), "{text}");
    assert!(step(&text, 6).contains("read it 2 times"), "{text}");
}

#[tokio::test]
async fn hyper() {
    let text = run("hyper").await;
    assert!(step(&text, 1).contains("\"/3\""), "{text}");
    assert!(step(&text, 2).contains("not idempotent"), "{text}");
    assert!(step(&text, 3).contains("\"/order\""), "{text}");
    assert!(step(&text, 4).contains("\"/order\""), "{text}");
    assert!(step(&text, 5).contains("read it 2 times"), "{text}");
}

#[tokio::test]
async fn policy() {
    let text = run("policy").await;
    assert!(step(&text, 1).contains("the broker ended the session"));
    assert!(step(&text, 2).contains("signed for attempt 4"), "{text}");
    assert!(step(&text, 3).contains("2 attempts"), "{text}");
    assert!(step(&text, 4).contains("too long"), "{text}");
}

#[tokio::test]
async fn tonic() {
    let text = run("tonic").await;
    assert!(step(&text, 1).contains("hello"), "{text}");
    assert!(step(&text, 2).contains("Unavailable"), "{text}");
    assert!(step(&text, 3).contains("read it 2 times"), "{text}");
    assert!(step(&text, 4).contains("one more"), "{text}");
    assert!(step(&text, 5).contains("a connection error"), "{text}");
}

#[tokio::test]
async fn proxy() {
    let text = run("proxy").await;
    assert!(text.contains("2000 requests, 2000 answered"), "{text}");
}
