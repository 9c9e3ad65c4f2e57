//! One file through many lives and deaths.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use tokio::time::Instant;

use super::base::{Base, Weather};
use super::child::{self, Said};
use super::count::{Count, count};

pub(super) struct Story {
    base: Base,
    random: fastrand::Rng,
    directory: PathBuf,
    lives: u32,
    said: Vec<Said>,
}

impl Story {
    pub(super) fn new(name: &str) -> Self {
        let seed = fastrand::u64(..1_000_000);
        eprintln!("{name}: seed {seed}");
        let directory = format!("outbox-kill-{}-{name}", std::process::id());
        let directory = std::env::temp_dir().join(directory);
        std::fs::create_dir_all(&directory).unwrap();
        Self {
            base: Base::start(),
            random: fastrand::Rng::with_seed(seed),
            directory,
            lives: 0,
            said: Vec::new(),
        }
    }

    /// A process lives for a while in this weather, and is killed.
    pub(super) fn life(&mut self, weathers: &[Weather]) {
        self.base.set(weathers[0]);
        let life = self.lives;
        let mut process = self.start(false);
        // Some are killed while they start and open the file.
        if self.random.u8(..5) > 0 {
            process.hear_until_opened();
        }
        for weather in weathers {
            self.base.set(*weather);
            let time = self.random.u64(..100_000) / weathers.len() as u64;
            process.hear(Duration::from_micros(time));
        }
        let said = process.kill();
        let numbers = said.iter().filter_map(|said| said.number());
        let mut lives = numbers.map(|number| number / child::NUMBERS);
        assert!(lives.all(|it| it == u64::from(life)));
        self.said.extend(said);
    }

    /// The last process delivers what is left.
    pub(super) fn end(mut self) -> Count {
        self.base.set(Weather::Up);
        let mut process = self.start(true);
        let said = process.hear_to_the_end();
        assert_eq!(said, [Said::Opened, Said::Drained]);
        let count = count(&self.said, &self.base.arrivals());
        eprintln!("{} kills: {count:?}", self.lives - 1);
        count
    }

    fn start(&mut self, drains: bool) -> Process {
        let file = self.directory.join("outbox");
        let child = child::start(&file, self.base.port, self.lives, drains);
        self.lives += 1;
        Process::new(child)
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// A child, and what it said. It is killed when it is dropped.
struct Process {
    child: std::process::Child,
    says: mpsc::Receiver<Said>,
    said: Vec<Said>,
}

impl Process {
    fn new(mut child: std::process::Child) -> Self {
        let out = child.stdout.take().unwrap();
        let (sender, says) = mpsc::channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(out).lines().map_while(Result::ok);
            let mut said = lines.filter_map(|line| Said::parse(&line));
            said.try_for_each(|said| sender.send(said))
        });
        Self {
            child,
            says,
            said: Vec::new(),
        }
    }

    fn hear_until_opened(&mut self) {
        let first = self.says.recv_timeout(Duration::from_secs(30));
        assert_eq!(first, Ok(Said::Opened), "the file can't be opened");
        self.said.push(Said::Opened);
    }

    /// Listens for so long.
    fn hear(&mut self, time: Duration) {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.says.recv_timeout(left) {
                Ok(said) => self.said.push(said),
                Err(mpsc::RecvTimeoutError::Timeout) => return,
                Err(mpsc::RecvTimeoutError::Disconnected) => panic!("it has ended by itself"),
            }
        }
    }

    /// What it said until it was dead.
    fn kill(mut self) -> Vec<Said> {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(status.signal(), Some(9), "it has ended by itself: {status}");
        let mut said = std::mem::take(&mut self.said);
        said.extend(self.says.iter());
        said
    }

    fn hear_to_the_end(&mut self) -> Vec<Said> {
        let mut said = Vec::new();
        while let Ok(next) = self.says.recv_timeout(Duration::from_secs(60)) {
            said.push(next);
        }
        said
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
