//! A promise that was broken: which, and how it was seen. Decides nothing.

use core::fmt;

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Its number in the list of promises.
    pub(crate) promise: &'static str,
    /// How it was seen.
    pub(crate) seen: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is broken: {}", self.promise, self.seen)
    }
}

/// This promise is broken.
pub(crate) fn broken<T>(promise: &'static str, seen: String) -> Result<T, Violation> {
    Err(Violation { promise, seen })
}
