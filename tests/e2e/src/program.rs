//! The `porthouse` binary: its processes, what they say, how they end.
//!
//! Owns that nothing outlives a test: a process that was not stopped is killed
//! with all its descendants (a private Postgres is one), and waited for. Never
//! hides what a failed test's processes said.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::sync::watch;

use crate::wait::{START_MAX, WAIT_MAX, within_time};

/// Names the binary; else it is the one in the target directory of the tests.
const BINARY_VARIABLE: &str = "PORTHOUSE_BIN";
/// What the processes log: enough of our own to find a secret said in passing.
const LOG: &str =
    "info,porthouse=trace,porthouse_control=trace,porthouse_node=trace,porthouse_puddle=trace";

/// Where a process wrote a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output: for who started it.
    Out,
    /// Standard error: the log.
    Err,
}

/// Somebody else to run a process as.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
}

/// A process of ours, killed with its descendants when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    watched: OwnedFd,
    said: Arc<Said>,
    readers: Vec<JoinHandle<()>>,
    ended: Option<ExitStatus>,
}

/// What a process said so far.
#[derive(Debug)]
struct Said {
    lines: Mutex<Vec<(Stream, String)>>,
    count: watch::Sender<usize>,
}

/// The binary under test.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn binary() -> PathBuf {
    let path = std::env::var_os(BINARY_VARIABLE).map_or_else(built_beside_us, PathBuf::from);
    assert!(
        path.is_file(),
        "there is no {}: build it with `cargo build -p porthouse`, or name it by {BINARY_VARIABLE}",
        path.display()
    );
    path
}

/// `target/debug/porthouse`, from `target/debug/deps/promises-…`.
fn built_beside_us() -> PathBuf {
    let test = std::env::current_exe().expect("a process knows its program");
    let directory = test.parent().and_then(Path::parent);
    directory
        .expect("cargo puts tests two levels below target")
        .join("porthouse")
}

/// A command of the binary, told nothing by the environment of the tests.
#[must_use]
pub fn command<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    command_of(&binary(), arguments)
}

/// The same of a copy of the binary.
#[must_use]
pub fn command_of<A: AsRef<OsStr>>(
    binary: &Path,
    arguments: impl IntoIterator<Item = A>,
) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        let ours = name_text.starts_with("PORTHOUSE_") && name_text != "PORTHOUSE_POSTGRES_BIN";
        if ours || name_text == "DATABASE_URL" {
            command.env_remove(&name);
        }
    }
    command
        .args(arguments)
        .env("PORTHOUSE_LOG", LOG)
        .env("RUST_BACKTRACE", "1")
        .stdin(Stdio::null())
        .current_dir("/");
    command
}

impl Process {
    /// Starts a command; `account` is who runs it, if not we.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn start(name: &str, mut command: Command, account: Option<Account>) -> Self {
        if let Some(account) = account {
            command.uid(account.uid).gid(account.gid);
        }
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not run: {error}"));
        let watched = watch_process(child.id()).expect("it was not waited for");
        let said = Arc::new(Said {
            lines: Mutex::default(),
            count: watch::Sender::new(0),
        });
        let out = child.stdout.take().expect("it is piped");
        let err = child.stderr.take().expect("it is piped");
        let readers = vec![
            read(out, Stream::Out, Arc::clone(&said)),
            read(err, Stream::Err, Arc::clone(&said)),
        ];
        Self {
            name: name.to_owned(),
            child,
            watched,
            said,
            readers,
            ended: None,
        }
    }

    /// Its number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line that has something to tell.
    ///
    /// # Panics
    /// When the process ends or time passes without one.
    pub async fn line<T>(&mut self, what: &str, tells: impl Fn(Stream, &str) -> Option<T>) -> T {
        let mut count = self.said.count.subscribe();
        let name = self.name.clone();
        let wait = async {
            loop {
                count.borrow_and_update();
                if let Some(told) = self.said.find(&tells) {
                    return told;
                }
                assert!(
                    !is_ready(&self.watched, Timespec::default()),
                    "{name} ended without {what}"
                );
                // Its end is no line: look at that now and then.
                let _ = tokio::time::timeout(LOOK_EVERY, count.changed()).await;
            }
        };
        within_time(&format!("{name}: {what}"), START_MAX, wait).await
    }

    /// Whether it has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        is_ready(&self.watched, Timespec::default())
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        // It may have ended, which a test finds by how it ended.
        let _ = pidfd_send_signal(&self.watched, signal);
    }

    /// Waits until it has ended and all it said is read.
    ///
    /// # Panics
    /// When it does not end in time.
    pub async fn exit(&mut self) -> ExitStatus {
        let watched = self.watched.try_clone().expect("descriptors are left");
        let ended = tokio::task::spawn_blocking(move || is_ready(&watched, bound())).await;
        assert!(
            ended.expect("no panic"),
            "{} does not end within {WAIT_MAX:?}",
            self.name
        );
        self.reap()
    }

    /// All it said so far to one stream.
    #[must_use]
    pub fn output(&self, stream: Stream) -> String {
        let lines = self.said.lines.lock().expect("readers do not panic");
        let said = lines.iter().filter(|(to, _)| *to == stream);
        let lines: Vec<&str> = said.map(|(_, line)| line.as_str()).collect();
        lines.join("\n")
    }

    fn reap(&mut self) -> ExitStatus {
        if let Some(status) = self.ended {
            return status;
        }
        let status = self.child.wait().expect("it is our child");
        for reader in self.readers.drain(..) {
            reader.join().expect("readers do not panic");
        }
        self.ended = Some(status);
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended.is_none() {
            kill_tree(self.pid(), &self.watched);
            self.reap();
        }
        if std::thread::panicking() {
            let said = self.said.lines.lock().expect("readers do not panic");
            eprintln!("---- {} said ----", self.name);
            said.iter().for_each(|(_, line)| eprintln!("{line}"));
            eprintln!("---- end of {} ----", self.name);
        }
    }
}

impl Said {
    fn find<T>(&self, tells: impl Fn(Stream, &str) -> Option<T>) -> Option<T> {
        let lines = self.lines.lock().expect("readers do not panic");
        lines.iter().find_map(|(stream, line)| tells(*stream, line))
    }
}

/// How often a wait for a line looks whether the process still lives.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(200);

fn read(pipe: impl Read + Send + 'static, stream: Stream, said: Arc<Said>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while pipe.read_until(b'\n', &mut line).unwrap_or(0) > 0 {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            said.lines
                .lock()
                .expect("readers do not panic")
                .push((stream, text));
            said.count.send_modify(|count| *count += 1);
            line.clear();
        }
    })
}

/// Kills a process, and tells its descendants to go: a Postgres that is killed
/// outright leaves shared memory behind.
fn kill_tree(pid: u32, watched: &OwnedFd) {
    let below: Vec<OwnedFd> = descendants(pid)
        .into_iter()
        .filter_map(watch_process)
        .collect();
    let _ = pidfd_send_signal(watched, Signal::KILL);
    for process in &below {
        let _ = pidfd_send_signal(process, Signal::QUIT);
    }
    for process in &below {
        if !is_ready(process, bound()) {
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
    }
}

/// Every process below one, found as the kernel shows them.
#[must_use]
pub fn descendants(pid: u32) -> Vec<u32> {
    let all = parents();
    let mut below = vec![pid];
    let mut next = 0;
    while next < below.len() {
        let parent = below[next];
        below.extend(
            all.iter()
                .filter(|(_, of)| *of == parent)
                .map(|(pid, _)| *pid),
        );
        next += 1;
    }
    below.split_off(1)
}

/// Every process with its parent.
fn parents() -> Vec<(u32, u32)> {
    let entries = std::fs::read_dir("/proc").expect("there is a /proc");
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| Some((pid, parent(pid)?))).collect()
}

/// The second field after the name, which stands in brackets and may hold any.
fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after) = stat.rsplit_once(')')?;
    after.split_whitespace().nth(1)?.parse().ok()
}

/// Whether a process is there and not only waits to be reaped.
#[must_use]
pub fn lives(pid: u32) -> bool {
    watch_process(pid).is_some_and(|process| !is_ready(&process, Timespec::default()))
}

fn watch_process(pid: u32) -> Option<OwnedFd> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

/// Whether a process has ended, or does so in time.
fn is_ready(process: &OwnedFd, time_max: Timespec) -> bool {
    let mut polled = [PollFd::new(process, PollFlags::IN)];
    poll(&mut polled, Some(&time_max)).is_ok_and(|ready| ready > 0)
}

fn bound() -> Timespec {
    Timespec {
        tv_sec: i64::try_from(WAIT_MAX.as_secs()).expect("it is small"),
        tv_nsec: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_process_starts_goes_with_it() {
        let mut command = Command::new("sh");
        command.args(["-c", "(echo started; exec sleep 600); true"]);
        let mut process = Process::start("a shell", command, None);
        process
            .line("the word that it started", |_, line| {
                (line == "started").then_some(())
            })
            .await;
        let below = descendants(process.pid());
        assert_eq!(below.len(), 1);
        drop(process);
        assert!(!lives(below[0]));
    }
}
