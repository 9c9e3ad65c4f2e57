//! A host: a network namespace of its own.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use rustix::mount::{MountPropagationFlags, mount_bind, mount_change};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};
use tokio::runtime::{Builder, Runtime};

const NAMESPACES: &str = "/run/netns";
const PREFIX: &str = "conn-retry-";

/// It is gone when this is dropped, together with its interfaces. Its sockets must be closed by then.
pub(crate) struct Host {
    name: String,
    /// What `/etc/resolv.conf` is there, if it is not the machine's.
    resolv_conf: Option<PathBuf>,
}

impl Host {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{count}", std::process::id());
        ip(&["netns", "add", &name]);
        let host = Self {
            name,
            resolv_conf: None,
        };
        host.sh("ip link set lo up");
        host
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Names are asked for at this address there, with one try of a second.
    pub(crate) fn resolver(&mut self, address: Ipv4Addr) {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&self.name);
        let text = format!("nameserver {address}\noptions timeout:1 attempts:1\n");
        fs::write(&path, text).unwrap();
        self.resolv_conf = Some(path);
    }

    /// Runs a shell script there; every command in it must succeed.
    pub(crate) fn sh(&self, script: &str) {
        let args = ["netns", "exec", &self.name, "sh", "-ec", script];
        ip(&args);
    }

    /// Moves this thread there, and with it all threads and processes that it will start.
    fn enter(&self) {
        let namespace = fs::File::open(Path::new(NAMESPACES).join(&self.name)).unwrap();
        let network = Some(LinkNameSpaceType::Network);
        move_into_link_name_space(rustix::fd::AsFd::as_fd(&namespace), network).unwrap();
        let Some(resolv_conf) = &self.resolv_conf else {
            return;
        };
        own_mounts();
        mount_bind(resolv_conf, "/etc/resolv.conf").unwrap();
    }

    /// Does this there, in a thread of its own.
    pub(crate) fn run<T: Send>(&self, task: impl FnOnce() -> T + Send) -> T {
        let done = thread::scope(|scope| {
            let there = scope.spawn(|| {
                self.enter();
                task()
            });
            there.join()
        });
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Does this there, in a runtime of its own.
    pub(crate) fn block_on<F: Future<Output: Send>>(
        &self,
        task: impl FnOnce() -> F + Send,
    ) -> F::Output {
        self.run(|| runtime(1).block_on(task()))
    }

    /// Does this there, in a thread and a runtime of its own.
    pub(crate) fn spawn<F: Future<Output: Send + 'static>>(
        &self,
        task: impl FnOnce() -> F + Send + 'static,
    ) -> thread::JoinHandle<F::Output> {
        self.spawn_on(1, task)
    }

    /// The same, with so many threads for the tasks that it spawns.
    pub(crate) fn spawn_on<F: Future<Output: Send + 'static>>(
        &self,
        threads: usize,
        task: impl FnOnce() -> F + Send + 'static,
    ) -> thread::JoinHandle<F::Output> {
        self.run(move || thread::spawn(move || runtime(threads).block_on(task())))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = delete(&self.name);
        if let Some(path) = &self.resolv_conf {
            let _ = fs::remove_file(path);
        }
    }
}

/// Its threads are started by this one, so that they are where this one is.
fn runtime(threads: usize) -> Runtime {
    let mut builder = match threads {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder
        .worker_threads(threads)
        .enable_all()
        .build()
        .unwrap()
}

/// This thread (and those that it starts) can mount without anybody else seeing it.
#[allow(unsafe_code)]
fn own_mounts() {
    // SAFETY: what is unsafe about it is sharing no files any more (`UnshareFlags::FILES`).
    unsafe { unshare_unsafe(UnshareFlags::FS | UnshareFlags::NEWNS) }.unwrap();
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).unwrap();
}

/// Why there can't be hosts on this machine, if so. Removes what dead processes left behind.
pub(crate) fn impossible() -> Option<&'static str> {
    if !rustix::process::geteuid().is_root() {
        return Some("not root");
    }
    for (tool, version) in [("ip", "-V"), ("nft", "--version")] {
        let mut command = Command::new(tool);
        command.arg(version).stdout(Stdio::null());
        if !command.status().is_ok_and(|status| status.success()) {
            return Some("no nftables or no iproute2");
        }
    }
    sweep();
    let name = format!("{PREFIX}{}-trial", std::process::id());
    let made = Command::new("ip").args(["netns", "add", &name]).status();
    let deleted = delete(&name);
    match made.is_ok_and(|status| status.success()) && deleted {
        true => None,
        false => Some("no network namespaces can be made"),
    }
}

fn sweep() {
    for entry in fs::read_dir(NAMESPACES).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let of = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next());
        if of.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            delete(name);
        }
    }
}

fn delete(name: &str) -> bool {
    let mut command = Command::new("ip");
    let status = command.args(["netns", "delete", name]).status();
    status.is_ok_and(|status| status.success())
}

fn ip(args: &[&str]) {
    let output = Command::new("ip").args(args).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {args:?}: {errors}");
}
