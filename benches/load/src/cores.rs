//! Which core runs what: a server and the client that loads it have one each, as
//! far as there are so many.

use std::io;
use std::num::NonZero;
use std::process::{Child, Command};
use std::sync::OnceLock;

use rustix::process::setpriority_process;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The core of a server that is started here.
pub const SERVER: usize = 0;
/// The core of the load client.
pub const CLIENT: usize = 1;
/// How nice a thread is that gives way.
const GIVES_WAY: i32 = 10;

/// The cores of a server of two threads: the client's only where there is no third.
#[must_use]
pub fn two_for_a_server() -> [usize; 2] {
    [SERVER, if present() > 2 { 2 } else { CLIENT }]
}

/// How many there are, tied to one or not.
#[must_use]
pub fn present() -> usize {
    // Looked at before the first thread is tied.
    static PRESENT: OnceLock<usize> = OnceLock::new();
    let count = || std::thread::available_parallelism().map_or(1, NonZero::get);
    *PRESENT.get_or_init(count)
}

/// Ties the calling thread to a core, if there are two of them.
///
/// # Errors
/// The kernel's.
pub fn pin(core: usize) -> io::Result<()> {
    if core < present() {
        sched_setaffinity(None, &set_of(&[core]))?;
    }
    Ok(())
}

/// Has the calling thread wait for others of its core that want to run.
///
/// # Errors
/// The kernel's.
pub fn give_way() -> io::Result<()> {
    // Of the process whose number is this thread's: the thread.
    Ok(setpriority_process(None, GIVES_WAY)?)
}

/// Starts a process on some cores; what it starts stays there too.
///
/// # Errors
/// The kernel's.
pub fn spawn(cores: &[usize], command: &mut Command) -> io::Result<Child> {
    // A child begins where the thread is that starts it.
    let before = sched_getaffinity(None)?;
    sched_setaffinity(None, &set_of(cores))?;
    let child = command.spawn();
    sched_setaffinity(None, &before)?;
    child
}

fn set_of(cores: &[usize]) -> CpuSet {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core);
    }
    set
}
