//! What the system counts of this process, under the names that
//! [Prometheus gives them](https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics).
//! Reads Linux' `/proc`; where there is none, nothing is shown.

use core::fmt;
use std::fs;
use std::time::Duration;

use rustix::param::{clock_ticks_per_second, page_size};

use super::MetricsEncoder;

/// As of one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Process {
    cpu: Duration,
    resident_bytes: u64,
    open_fds: u64,
}

impl Process {
    pub(super) fn read() -> Option<Self> {
        let open_fds = fs::read_dir("/proc/self/fd").ok()?.count() as u64;
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        Self::from_stat(&stat, open_fds)
    }

    /// From proc(5)'s `stat`: user and system time are its 14th and 15th field,
    /// resident pages the 24th. The second may hold spaces and brackets.
    fn from_stat(stat: &str, open_fds: u64) -> Option<Self> {
        let (_, after_name) = stat.rsplit_once(") ")?;
        let field = |number: usize| {
            let text = after_name.split(' ').nth(number - 3)?;
            text.parse::<u64>().ok()
        };
        let millis = (field(14)? + field(15)?) * 1_000 / clock_ticks_per_second();
        Some(Self {
            cpu: Duration::from_millis(millis),
            resident_bytes: field(24)? * page_size() as u64,
            open_fds,
        })
    }

    pub(super) fn count(&self, out: &mut MetricsEncoder<'_>) -> fmt::Result {
        let cpu = (
            "process_cpu_seconds",
            "Processor time, of the system and the program",
        );
        out.seconds(cpu, self.cpu.as_secs_f64())?;
        let memory = ("process_resident_memory_bytes", "Memory held");
        out.gauge(memory, self.resident_bytes)?;
        out.gauge(("process_open_fds", "Descriptors open"), self.open_fds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let fields = "0 0 0 0 0 0 0 0 0 0 700 300 0 0 20 0 4 0 99 1000000 25 0";
        let stat = format!("17 (port) house) S {fields}");
        let read = Process::from_stat(&stat, 9).expect("a process");
        let (ticks, page) = (clock_ticks_per_second(), page_size() as u64);
        assert_eq!(read.cpu, Duration::from_millis(1_000_000 / ticks));
        assert_eq!((read.resident_bytes, read.open_fds), (25 * page, 9));
        assert_eq!(Process::from_stat("17 (x) S 1", 9), None);
    }

    #[test]
    fn this_process_holds_memory() {
        let own = Process::read().expect("on Linux");
        assert!(own.resident_bytes > 0 && own.open_fds > 0);
    }
}
