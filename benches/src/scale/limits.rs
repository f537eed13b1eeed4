//! What the machine lets a run do: looked at before anything is started, and told
//! with both numbers and what to change. Changes no setting.

use anyhow::{Context as _, ensure};
use porthouse_load::target::SOCKETS_PER_SOURCE;
use rustix::process::{Resource, getrlimit};

use crate::machine;

/// Files of a server or client beside its sockets.
const OTHER_FILES: u64 = 1_500;
/// No process is given more than this, limit or not.
const SOCKETS_MAX: u64 = 20_000;
/// What a connection takes of the machine, both ends and both programs.
const BYTES_A_CONNECTION: u64 = 16 * 1024;

/// The most sockets that one process is given here.
pub(super) fn sockets_of_a_process() -> anyhow::Result<usize> {
    let files = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let most = files.saturating_sub(OTHER_FILES).min(SOCKETS_MAX);
    ensure!(
        most > 0,
        "the hard limit on open files is {files}: raise it above {OTHER_FILES} (`ulimit -Hn`)"
    );
    Ok(usize::try_from(most)?)
}

/// So many sockets, spread evenly over as few processes as may have them.
pub(super) fn parts(sockets: usize, most: usize) -> Vec<usize> {
    let count = sockets.div_ceil(most.max(1)).max(1);
    (0..count)
        .map(|part| sockets * (part + 1) / count - sockets * part / count)
        .collect()
}

/// Whether so many sockets have room here.
pub(super) fn check(sockets: usize) -> anyhow::Result<()> {
    let wanted = u64::try_from(sockets)?;
    let free = machine::memory_bytes("MemAvailable");
    let needed = wanted * BYTES_A_CONNECTION;
    ensure!(
        free > needed,
        "{sockets} sockets need {} MiB and {} are free: ask for fewer",
        needed >> 20,
        free >> 20
    );
    at_least("fs/file-max", wanted * 2)?;
    at_least("net/netfilter/nf_conntrack_max", wanted)?;
    let range = machine::setting("net/ipv4/ip_local_port_range");
    let ports = ports(&range).with_context(|| format!("ip_local_port_range is {range:?}"))?;
    // Of which the kernel hands out one half quickly.
    let least = u64::try_from(SOCKETS_PER_SOURCE.min(sockets))? * 2;
    ensure!(
        ports >= least,
        "an address needs {least} ports and net.ipv4.ip_local_port_range has {ports}: \
         widen it (`sysctl -w net.ipv4.ip_local_port_range=\"10000 65000\"`)"
    );
    Ok(())
}

/// A setting of the kernel that must be this high, if it is there.
fn at_least(name: &str, least: u64) -> anyhow::Result<()> {
    let set = machine::setting(name);
    let shown = name.replace('/', ".");
    // One that is not there limits nothing.
    if let Ok(set) = set.parse::<u64>() {
        ensure!(
            set >= least,
            "{shown} is {set} and must be {least}: `sysctl -w {shown}={least}`"
        );
    }
    Ok(())
}

/// How many ports a range has.
fn ports(range: &str) -> Option<u64> {
    let mut ends = range.split_whitespace().map(str::parse);
    let (first, last): (u64, u64) = (ends.next()?.ok()?, ends.next()?.ok()?);
    last.checked_sub(first).map(|between| between + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_spread_evenly_over_as_few_processes_as_may_have_them() {
        assert_eq!(
            parts(100_000, 18_500),
            [16_666, 16_667, 16_667, 16_666, 16_667, 16_667]
        );
        assert_eq!(parts(10, 100), [10]);
        assert_eq!(parts(0, 100), [0]);
    }

    #[test]
    fn what_does_not_fit_is_refused_with_what_it_needs() {
        assert_eq!(ports("32768\t60999"), Some(28_232));
        assert_eq!(ports("none"), None);
        let refused = check(usize::MAX >> 16).expect_err("too many").to_string();
        assert!(refused.contains("ask for fewer"), "{refused}");
    }
}
