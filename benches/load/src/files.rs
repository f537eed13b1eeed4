//! The limit on open files: a socket is one. Raises the process's own limit as
//! far as the kernel lets it; never the system's.

use anyhow::{Context as _, ensure};
use rustix::process::{Resource, getrlimit, setrlimit};

/// Files that are open beside sockets.
const OTHERS: u64 = 200;

/// Makes room for so many sockets, in this process and in those it starts.
///
/// # Errors
/// When the hard limit is lower.
pub fn raise(sockets: usize) -> anyhow::Result<()> {
    let wanted = u64::try_from(sockets)?.saturating_add(OTHERS);
    let mut limit = getrlimit(Resource::Nofile);
    if let Some(maximum) = limit.maximum {
        ensure!(
            wanted <= maximum,
            "{sockets} sockets need {wanted} open files and the hard limit is {maximum}: ask for \
             fewer sockets, or raise the limit (`ulimit -Hn`, as root)"
        );
    }
    if limit.current.is_some_and(|current| current < wanted) {
        // What is started from here inherits it, and may need more.
        limit.current = limit.maximum.or(Some(wanted));
        setrlimit(Resource::Nofile, limit).context("the limit on open files is not raised")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_sockets_than_the_hard_limit_are_refused_with_both_numbers() {
        let Some(maximum) = getrlimit(Resource::Nofile).maximum else {
            return;
        };
        let sockets = usize::try_from(maximum).unwrap_or(usize::MAX - 1);
        let refused = raise(sockets).expect_err("too many").to_string();
        assert!(
            refused.contains(&format!("hard limit is {maximum}")),
            "{refused}"
        );
        raise(10).expect("few");
    }
}
