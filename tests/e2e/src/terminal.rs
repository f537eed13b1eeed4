//! A terminal that a process is started at: what a person types, what is shown,
//! and how it is left. Interprets no escape sequence.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use tokio::time::sleep;

use crate::wait::within;

/// How often it is looked at.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(20);

/// A terminal, and the process at it; killed when dropped.
#[derive(Debug)]
pub struct Terminal {
    /// Where a person sits.
    person: File,
    /// Where the process does.
    process: File,
    child: Child,
    shown: Arc<Mutex<Vec<u8>>>,
    printed: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Terminal {
    /// Starts a command at a terminal of its own, which keys that send signals send
    /// them from; its standard output goes elsewhere.
    ///
    /// # Panics
    /// When the system has no terminals, or no `setsid`.
    #[must_use]
    pub fn start(command: &Command) -> Self {
        let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC);
        let person = person.expect("a terminal");
        grantpt(&person).expect("it is ours");
        unlockpt(&person).expect("it is ours");
        let name = ptsname(&person, Vec::new()).expect("it has a name");
        let no_control = OFlags::NOCTTY.bits();
        let process = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(i32::try_from(no_control).expect("a flag"))
            .open(OsStr::from_bytes(name.as_bytes()))
            .expect("its other end");
        let mut at_it = Command::new("setsid");
        at_it.arg("--ctty").arg(command.get_program());
        at_it.args(command.get_args()).current_dir("/");
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => at_it.env(name, value),
                None => at_it.env_remove(name),
            };
        }
        let end = || Stdio::from(process.try_clone().expect("descriptors are left"));
        let mut child = at_it
            .stdin(end())
            .stdout(Stdio::piped())
            .stderr(end())
            .spawn()
            .expect("setsid runs");
        let person = File::from(person);
        let shown = Arc::default();
        let printed = Arc::default();
        let out = child.stdout.take().expect("it is piped");
        let screen = person.try_clone().expect("descriptors are left");
        let readers = vec![
            read(screen, Arc::clone(&shown)),
            read(out, Arc::clone(&printed)),
        ];
        Self {
            person,
            process,
            child,
            shown,
            printed,
            readers,
        }
    }

    /// Types.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn types(&mut self, keys: &str) {
        self.person
            .write_all(keys.as_bytes())
            .expect("it takes keys");
    }

    /// Sends the process a signal.
    ///
    /// # Panics
    /// When it has ended.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process"), signal).expect("it is there");
    }

    /// All that was shown.
    #[must_use]
    pub fn shown(&self) -> String {
        text(&self.shown)
    }

    /// Waits until this is shown.
    ///
    /// # Panics
    /// When it is not in time, or the process has ended.
    pub async fn shows(&mut self, wanted: &str) {
        let shown = async {
            while !self.shown().contains(wanted) {
                let ended = self.child.try_wait().expect("it is our child");
                assert!(ended.is_none(), "{ended:?}: {}", self.shown());
                sleep(LOOK_EVERY).await;
            }
        };
        within(&format!("{wanted:?} is shown"), shown).await;
    }

    /// Whether it shows what is typed.
    ///
    /// # Panics
    /// When it is gone.
    #[must_use]
    pub fn echoes(&self) -> bool {
        let modes = tcgetattr(&self.process).expect("a terminal").local_modes;
        modes.contains(LocalModes::ECHO)
    }

    /// Waits until the process has ended; answers how, and what it printed.
    ///
    /// # Panics
    /// When it does not in time.
    pub async fn ends(&mut self) -> (ExitStatus, String) {
        let ended = async {
            loop {
                if let Some(status) = self.child.try_wait().expect("it is our child") {
                    return status;
                }
                sleep(LOOK_EVERY).await;
            }
        };
        let status = within("it ends", ended).await;
        // The pipe has ended with the process; the screen has not.
        if let Some(printing) = self.readers.pop() {
            printing.join().expect("readers do not panic");
        }
        (status, text(&self.printed))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(bytes: &Mutex<Vec<u8>>) -> String {
    let bytes = bytes.lock().expect("readers do not panic");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn read(mut from: impl std::io::Read + Send + 'static, all: Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut part = [0; 1024];
        while let Ok(count @ 1..) = from.read(&mut part) {
            let mut all = all.lock().expect("nobody panics");
            all.extend_from_slice(&part[..count]);
        }
    })
}
