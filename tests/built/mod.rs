//! Finds the examples that cargo has built for the tests.

use std::path::PathBuf;
use std::process::Command;

/// `target/debug/examples/robot`, say, for a test's `target/debug/deps/robot-…`.
///
/// A plain `cargo test` builds the examples too. Where only this test was asked for, an example that
/// is not there is built here (one that is there is taken as it is).
pub(crate) fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let profile = test.ancestors().nth(2).expect("the folder of the profile");
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    let example = profile.join("examples").join(file);
    if !example.is_file() {
        let target = profile.parent().expect("the target folder");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--example", name, "--target-dir"]);
        cargo.arg(target);
        if cfg!(feature = "outbox-disk") {
            cargo.args(["--features", "outbox-disk"]);
        }
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        let built = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status();
        assert!(built.expect("cargo starts").success());
    }
    example
}
