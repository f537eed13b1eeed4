//! The watch: a tailer that reads the log, and a stream that carries what it read. Says nothing
//! that was not read. Knows no node.

use porthouse_puddle::Position;

use super::{Control, Row};

/// What goes over the stream.
#[derive(Clone, Debug)]
pub(crate) enum Frame {
    Opened { head: Position },
    Change(Box<Row>),
    Progress { head: Position },
}

/// How far a revision may stand from its place where they are numbered without the lock.
const OUT_OF_ORDER_MAX: u64 = 64;

/// One stream's place in the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Feed {
    read_to: u64,
    head: Position,
}

impl Feed {
    /// Opens a stream at a place; `None`: at the head. Fails where the place is not in the log, or
    /// was cut off it.
    pub(crate) fn open(control: &Control, from: Option<Position>, cut: u64) -> Option<Self> {
        let head = control.head();
        let Some(from) = from else {
            let read_to = head.revision.0;
            return Some(Self { read_to, head });
        };
        let at = from.revision.0;
        let in_log = |row: &Row| row.change.revision == from.revision && row.chain == from.chain;
        let known = at == 0 || control.log.iter().any(in_log);
        (known && at >= cut).then_some(Self { read_to: at, head })
    }

    /// The first frame.
    pub(crate) const fn opened(&self) -> Frame {
        Frame::Opened { head: self.head }
    }

    /// A successful read: all after what was read before.
    pub(crate) fn read(&mut self, control: &Control) -> Vec<Frame> {
        let read_to = self.read_to;
        let near = |row: &&Row| row.change.revision.0 + OUT_OF_ORDER_MAX > read_to;
        let fresh = |row: &&Row| row.change.revision.0 > read_to;
        let late = control.log.iter().rev().take_while(near);
        let mut rows: Vec<Row> = late.filter(fresh).cloned().collect();
        rows.sort_by_key(|row| row.change.revision);
        if let Some(last) = rows.last() {
            self.read_to = last.change.revision.0;
            self.head = Position {
                revision: last.change.revision,
                chain: last.chain,
            };
        }
        rows.into_iter()
            .map(|row| Frame::Change(Box::new(row)))
            .collect()
    }

    /// What was read last is the log's head.
    pub(crate) const fn progress(&self) -> Frame {
        Frame::Progress { head: self.head }
    }
}
