//! A server's process, and what the kernel says of it. Ends what it started, and
//! nothing else.

use std::fs;
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How long a server may take to end when asked; then it is killed.
const END_TIME_MAX: Duration = Duration::from_secs(20);
/// How often a condition is looked at that nothing tells of.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A process to look at, which somebody else started and ends.
#[derive(Clone, Copy, Debug)]
pub struct Process(u32);

impl Process {
    /// The process of a number.
    ///
    /// # Errors
    /// When there is none, or it is not ours to read.
    pub fn of(pid: u32) -> anyhow::Result<Self> {
        let process = Self(pid);
        process.cpu()?;
        Ok(process)
    }

    /// CPU time it has used, in ticks of the kernel (10 ms); its children's is not
    /// counted.
    ///
    /// # Errors
    /// When it is gone.
    pub fn cpu(self) -> anyhow::Result<Duration> {
        let path = format!("/proc/{}/stat", self.0);
        let stat = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let after = stat.rsplit_once(')').context("a process has a name")?.1;
        let field = |number: usize| -> anyhow::Result<u64> {
            let field = after.split_whitespace().nth(number);
            Ok(field.context("a field of stat")?.parse()?)
        };
        let ticks = field(11)? + field(12)?;
        Ok(Duration::from_millis(
            ticks * 1_000 / rustix::param::clock_ticks_per_second(),
        ))
    }

    /// The number it has.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The first process that it started and that runs; none: there is none.
    #[must_use]
    pub fn child(self) -> Option<Self> {
        let path = format!("/proc/{0}/task/{0}/children", self.0);
        let children = fs::read_to_string(path).ok()?;
        let first = children.split_whitespace().next()?;
        first.parse().ok().map(Self)
    }

    /// Its proportional set size: user memory, in bytes.
    ///
    /// # Errors
    /// When it is gone, or not ours to read.
    pub fn memory_bytes(self) -> anyhow::Result<u64> {
        let path = format!("/proc/{}/smaps_rollup", self.0);
        let rollup = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let line = rollup.lines().find(|line| line.starts_with("Pss:"));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        let kilobytes: u64 = number.context("a Pss line")?.parse()?;
        Ok(kilobytes * 1024)
    }
}

/// A process that was started here. Ends with this value.
#[derive(Debug)]
pub struct Started(Child);

impl Started {
    /// Takes a child over.
    #[must_use]
    pub const fn new(child: Child) -> Self {
        Self(child)
    }

    /// The process, to look at.
    #[must_use]
    pub fn process(&self) -> Process {
        Process(self.0.id())
    }

    /// Waits until something of it is there; nothing tells that it is, so it is
    /// looked for again and again.
    ///
    /// # Errors
    /// When it ends, or takes longer than the time given.
    pub fn until<T>(
        &mut self,
        time_max: Duration,
        mut look: impl FnMut() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let began = Instant::now();
        while began.elapsed() < time_max {
            if let Some(found) = look()? {
                return Ok(found);
            }
            if let Some(status) = self.0.try_wait()? {
                bail!("it ended before it was ready: {status}");
            }
            pause();
        }
        bail!("it was not ready after {time_max:?}")
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // Asked first: Porthouse stops its own Postgres then; killed, it could not.
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _gone = kill_process(pid, Signal::TERM);
        }
        let began = Instant::now();
        while matches!(self.0.try_wait(), Ok(None)) {
            if began.elapsed() > END_TIME_MAX {
                let _gone = self.0.kill();
                let _status = self.0.wait();
                return;
            }
            pause();
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "nothing tells of what is waited for"
)]
fn pause() {
    std::thread::sleep(LOOK_EVERY);
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_kernel_tells_of_this_process() {
        let own = Process::of(std::process::id()).expect("it runs");
        assert!(own.memory_bytes().expect("readable") > 100_000);
        assert!(own.cpu().is_ok());
        let none = Process::of(u32::MAX).expect_err("none has it").to_string();
        assert!(none.contains("/proc/4294967295"), "{none}");
    }

    #[test]
    fn what_was_started_ends_with_its_value() {
        let child = Command::new("sleep").arg("60").spawn().expect("it starts");
        let pid = child.id();
        let mut started = Started::new(child);
        let found = started.until(Duration::from_secs(5), || Ok(Some(())));
        found.expect("at once");
        drop(started);
        assert!(Process::of(pid).is_err());
    }

    #[test]
    fn one_that_ends_early_is_not_waited_for() {
        let child = Command::new("false").spawn().expect("it starts");
        let waited = Started::new(child).until(Duration::from_secs(30), || Ok(None::<()>));
        let told = waited.expect_err("it ended").to_string();
        assert!(told.contains("ended before"), "{told}");
    }
}
