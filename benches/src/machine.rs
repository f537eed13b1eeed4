//! The machine that was measured on: what must be known to read a figure, and what
//! the kernel lets a run do.

use std::fs;
use std::process::Command;

use porthouse_load::cores;
use rustix::process::{Resource, getrlimit};
use serde::{Deserialize, Serialize};

/// A machine, and when it was looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) processor: String,
    pub(crate) kernel: String,
    pub(crate) memory_bytes: u64,
    /// UTC, to the minute.
    pub(crate) date: String,
    /// What waited for a core a minute before: near 0, the machine was quiet.
    pub(crate) load_before: f64,
    /// The most open files of a process; none: as many as it likes.
    pub(crate) files_max: Option<u64>,
}

impl Machine {
    /// This one, now.
    pub(crate) fn now() -> Self {
        let first = |path: &str| first_word(&read(path));
        Self {
            cores: cores::present(),
            processor: field(&read("/proc/cpuinfo"), "model name"),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            memory_bytes: memory_bytes("MemTotal"),
            date: date(),
            load_before: first("/proc/loadavg").parse().unwrap_or_default(),
            files_max: getrlimit(Resource::Nofile).maximum,
        }
    }

    /// In a line.
    pub(crate) fn line(&self) -> String {
        let files = self.files_max;
        let files = files.map_or_else(
            || "no limit on".to_owned(),
            |most| format!("at most {most}"),
        );
        format!(
            "{} cores ({}), {} GiB, Linux {}, {files} open files a process; {}, load {} before",
            self.cores,
            self.processor,
            self.memory_bytes >> 30,
            self.kernel,
            self.date,
            self.load_before
        )
    }
}

/// A figure of `/proc/meminfo`, in bytes; 0: there is none.
pub(crate) fn memory_bytes(name: &str) -> u64 {
    let text = field(&read("/proc/meminfo"), name);
    let kilobytes: u64 = first_word(&text).parse().unwrap_or_default();
    kilobytes * 1_024
}

/// A setting of the kernel, such as `net/ipv4/ip_local_port_range`; empty: it has none.
pub(crate) fn setting(name: &str) -> String {
    read(&format!("/proc/sys/{name}")).trim().to_owned()
}

fn read(path: &str) -> String {
    // What is not there is not told.
    fs::read_to_string(path).unwrap_or_default()
}

fn first_word(text: &str) -> String {
    text.split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// What follows a name and a colon.
fn field(text: &str, name: &str) -> String {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    let mut values = lines.filter(|(key, _)| key.trim() == name);
    let value = values.next().map(|(_, value)| value.trim().to_owned());
    value.unwrap_or_default()
}

fn date() -> String {
    let told = Command::new("date")
        .args(["-u", "+%Y-%m-%d %H:%M"])
        .output();
    told.map(|told| String::from_utf8_lossy(&told.stdout).trim().to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_tells_what_it_is() {
        let machine = Machine::now();
        assert!(machine.cores > 0);
        assert!(machine.memory_bytes > 1 << 20);
        assert!(machine.line().contains(&machine.kernel));
        assert_eq!(field("a: 1\nb\t: 2 kB\n", "b"), "2 kB");
        assert_eq!(setting("no/such/setting"), "");
    }
}
