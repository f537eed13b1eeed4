//! Which core runs what: a server and the client that loads it have one each.

use std::io;
use std::process::{Child, Command};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The core of a server that is started here.
pub const SERVER: usize = 0;
/// The core of the load client.
pub const CLIENT: usize = 1;

/// Ties the calling thread to a core, if there are two of them.
///
/// # Errors
/// The kernel's.
pub fn pin(core: usize) -> io::Result<()> {
    let present = std::thread::available_parallelism()?.get();
    if core < present {
        sched_setaffinity(None, &only(core))?;
    }
    Ok(())
}

/// Starts a process on a core; what it starts stays there too.
///
/// # Errors
/// The kernel's.
pub fn spawn(core: usize, command: &mut Command) -> io::Result<Child> {
    // A child begins where the thread is that starts it.
    let before = sched_getaffinity(None)?;
    sched_setaffinity(None, &only(core))?;
    let child = command.spawn();
    sched_setaffinity(None, &before)?;
    child
}

fn only(core: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(core);
    set
}
