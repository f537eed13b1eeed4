//! What operators are shown of a replica: whether it is of use to backends and nodes,
//! and what it counts. Reads what others own when it is asked; shows no name, key or
//! address, and decides nothing.

pub(crate) mod calls;
mod metrics;
mod standing;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use porthouse_process::operators::{Label, MetricsEncoder, Plane, Readiness};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::api::Keys;
use crate::identity::hashing::Hashing;
use crate::policy::Watches;
use crate::store::Store;
use crate::store::tail::Tail;

use calls::Calls;
pub(crate) use standing::{Standing, run};

/// How old the last read of the log may be: nodes go elsewhere after as long.
const READ_AGE_MAX: Duration = Duration::from_secs(3);

/// What operators are shown of a replica. All copies are one; it is given to the
/// replica that it is of, and to the listener that shows it.
#[derive(Clone, Debug, Default)]
pub struct Operated(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    calls: Arc<Calls>,
    replica: OnceLock<Parts>,
}

/// What is read of a replica that has started.
pub(crate) struct Parts {
    pub(crate) store: Store,
    pub(crate) tail: Tail,
    pub(crate) hashing: Hashing,
    pub(crate) keys: Keys,
    pub(crate) watches: Watches,
    pub(crate) standing: watch::Receiver<Standing>,
    pub(crate) stop: CancellationToken,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}

impl Operated {
    /// Where calls are counted.
    pub(crate) fn calls(&self) -> Arc<Calls> {
        Arc::clone(&self.0.calls)
    }

    /// The replica has started.
    pub(crate) fn started(&self, parts: Parts) {
        let first = self.0.replica.set(parts);
        debug_assert!(first.is_ok(), "it is given to one replica");
    }
}

impl Plane for Operated {
    fn labels(&self) -> Vec<Label> {
        vec![("plane", "control".to_owned())]
    }

    fn readiness(&self) -> Readiness {
        self.0.replica.get().map_or_else(starting, Parts::readiness)
    }

    fn count(&self, out: &mut MetricsEncoder<'_>) -> fmt::Result {
        metrics::ready(out, self.readiness().is_ready)?;
        self.0.calls.count(out)?;
        let replica = self.0.replica.get();
        replica.map_or(Ok(()), |parts| metrics::count(parts, out))
    }
}

fn starting() -> Readiness {
    Readiness {
        is_ready: false,
        says: "starting\n".to_owned(),
    }
}

impl Parts {
    fn readiness(&self) -> Readiness {
        let now = Instant::now();
        let standing = self.standing.borrow().clone();
        let read_age = now.saturating_duration_since(self.tail.read_time());
        let followed = read_age <= READ_AGE_MAX;
        let (head, is_ready) = if self.stop.is_cancelled() {
            ("stopping: go to another replica", false)
        } else if standing.is_good(now) && followed {
            ("ready", true)
        } else {
            ("not ready", false)
        };
        let log = if followed {
            "followed".to_owned()
        } else {
            format!("not read for {} s", read_age.as_secs())
        };
        Readiness {
            is_ready,
            says: format!("{head}\n{}log: {log}\n", standing.says(now)),
        }
    }
}
