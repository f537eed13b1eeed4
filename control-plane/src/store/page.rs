//! One page of a listing, as a query is limited by it.

/// Sorts after every byte a name may have, so that a name begins with a prefix
/// exactly when it lies between the prefix and the prefix followed by this.
pub(crate) const NAME_BYTE_AFTER: char = '\x7f';

/// A page: what comes after a key, up to a number of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page<K> {
    /// The key of the last row of the page before.
    pub(crate) after: Option<K>,
    /// Rows to answer.
    pub(crate) size: usize,
}

impl<K> Page<K> {
    /// Rows to read: one more than is answered, which tells that there are more.
    pub(crate) fn rows(&self) -> i64 {
        i64::try_from(self.size + 1).expect("a page is small")
    }
}
