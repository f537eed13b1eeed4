//! Sessions that nobody has seen for too long end. How long is counted only while it is known who was
//! seen: until the node's last report, and from no earlier than the end of the last break.

use porthouse_model::{ChangeItem, SessionId};

use super::Control;
use crate::checker::line::Edit;
use crate::plant::Plant;
use crate::queue::Nanos;

/// Until when it is known who was seen, and since when without a break.
#[derive(Debug, Default)]
pub(super) struct Watched {
    /// How far the node has told.
    told: Nanos,
    seen_through: Nanos,
    resumed: Nanos,
}

impl Control {
    /// The node has told all whom it saw until then.
    pub(crate) fn see(&mut self, sessions: &[SessionId], until: Nanos, idle: Nanos) {
        for id in sessions {
            let (number, _) = id.as_bytes().split_first_chunk::<8>().expect("16 bytes");
            let number = u64::from_be_bytes(*number) - 1;
            let number = usize::try_from(number).expect("an index");
            let row = &mut self.sessions[number];
            // A row a session and report would be many.
            if row.seen + idle / 4 < until {
                row.seen = until;
            }
        }
        self.watched.told = self.watched.told.max(until);
    }

    /// Live sessions that nobody has seen for so long, and since when.
    pub(crate) fn idle(&mut self, idle: Nanos) -> Option<(Nanos, Vec<u32>)> {
        let by_clock = self.plant == Some(Plant::IdleExpiryAfterAnOutage);
        let told = if by_clock {
            self.now
        } else {
            self.watched.told
        };
        let watched = &mut self.watched;
        if told - watched.seen_through > idle / 2 && !by_clock {
            watched.resumed = told;
        }
        watched.seen_through = watched.seen_through.max(told);
        let (through, resumed) = (watched.seen_through, watched.resumed);
        let all = (0..).zip(&self.sessions);
        let idle_ones = all.filter(|(_, row)| {
            let is_device = row.session.device.is_some();
            !is_device && !self.is_over(row) && row.seen.max(resumed) + idle < through
        });
        let idle_ones: Vec<u32> = idle_ones.map(|(number, _)| number).collect();
        (!idle_ones.is_empty()).then(|| (through - idle, idle_ones))
    }

    /// Ends those that still have not been seen since then.
    pub(super) fn end_idle(
        &mut self,
        seen_before: Nanos,
        sessions: &[u32],
    ) -> Option<Vec<(ChangeItem, Edit)>> {
        let mut changes = Vec::new();
        for &session in sessions {
            let row = &mut self.sessions[usize::try_from(session).expect("an index")];
            if !row.ended && row.seen < seen_before {
                row.ended = true;
                let item = ChangeItem::SessionGone(row.session.id);
                changes.push((item, Edit::SessionIdle { session }));
            }
        }
        (!changes.is_empty()).then_some(changes)
    }
}
