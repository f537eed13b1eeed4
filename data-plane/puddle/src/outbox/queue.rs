//! One socket's queue: places in the logs, in the order in which they are sent.

use smallvec::SmallVec;

use super::log::Span;

/// Two places stand inline: in one room a socket has one run, or two around its
/// own message.
#[derive(Debug, Default)]
pub(super) struct Queue {
    spans: SmallVec<[Span; 2]>,
    bytes: usize,
    mark: Mark,
    blocked: bool,
}

/// Where the socket waits for its turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mark {
    #[default]
    Clean,
    Dirty,
    Urgent,
}

impl Queue {
    pub(super) fn spans(&self) -> &[Span] {
        &self.spans
    }

    pub(super) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds what directly follows the last place; otherwise answers false.
    #[inline]
    pub(super) fn extend(&mut self, span: Span) -> bool {
        let joined = self.spans.last_mut().is_some_and(|last| last.join(span));
        if joined {
            self.bytes += span.len();
        }
        joined
    }

    #[inline]
    pub(super) fn start(&mut self, span: Span) {
        self.spans.push(span);
        self.bytes += span.len();
    }

    /// Takes the first bytes off; `release` is told each place that is done.
    #[inline]
    pub(super) fn advance(&mut self, mut bytes: usize, mut release: impl FnMut(Span)) {
        self.bytes -= bytes;
        let mut done = 0;
        for span in &mut self.spans {
            if bytes < span.len() {
                if bytes > 0 {
                    *span = span.without_first(bytes);
                }
                break;
            }
            bytes -= span.len();
            release(*span);
            done += 1;
        }
        if done == self.spans.len() {
            // What a long queue took is given back.
            self.spans = SmallVec::new();
        } else {
            self.spans.drain(..done);
        }
    }

    pub(super) fn replace(&mut self, spans: impl IntoIterator<Item = Span>) {
        self.spans = spans.into_iter().collect();
        self.bytes = self.spans.iter().map(|span| span.len()).sum();
    }

    pub(super) const fn is_blocked(&self) -> bool {
        self.blocked
    }

    pub(super) const fn block(&mut self) {
        self.blocked = true;
    }

    pub(super) const fn unblock(&mut self) {
        self.blocked = false;
    }

    /// Whether it was not waiting for a turn before.
    #[inline]
    pub(super) fn mark_dirty(&mut self) -> bool {
        let was_clean = self.mark == Mark::Clean;
        if was_clean {
            self.mark = Mark::Dirty;
        }
        was_clean
    }

    /// Whether it was not waiting among the urgent before.
    pub(super) fn mark_urgent(&mut self) -> bool {
        let was_urgent = self.mark == Mark::Urgent;
        self.mark = Mark::Urgent;
        !was_urgent
    }

    pub(super) const fn unmark(&mut self) {
        self.mark = Mark::Clean;
    }

    pub(super) fn check(&self) {
        let bytes: usize = self.spans.iter().map(|span| span.len()).sum();
        assert_eq!(bytes, self.bytes, "queued bytes are counted");
        let waits = self.mark != Mark::Clean || self.blocked;
        assert!(
            self.spans.is_empty() || waits,
            "what is queued will be written"
        );
    }
}
