//! Sockets that read too slowly: what their rooms' rules let them miss goes, and
//! if that is not enough, they do.

use std::collections::BTreeMap;

use porthouse_model::{Refused, RoomName, SlowConsumer};

use super::Puddle;
use crate::input::SocketId;
use crate::outbox::{Lane, Pressure, Thinned};
use crate::output::WireForm;
use crate::room::RoomIndex;
use crate::socket::{Phase, Socket};
use crate::wire::event_stream;
use crate::wire::multiplexed::Event as Told;

impl Puddle {
    /// More is queued for a socket than may be.
    pub(super) fn keep_backlog(&mut self, id: SocketId) {
        let bytes_max = self.settings.socket_backlog_bytes_max;
        let thinned = self.thin(id, Pressure::Backlog { bytes_max });
        if thinned.is_none_or(|thinned| thinned.bytes > bytes_max) {
            self.put_out_slow(id);
        }
    }

    /// When all queues hold too much, those that hold the oldest make room, or go.
    pub(super) fn keep_memory(&mut self) {
        let bytes_max = self.settings.payload_bytes_max;
        loop {
            let over = self.outbox.held_bytes().saturating_sub(bytes_max);
            // Whoever holds what is looked for in all queues: not in every turn.
            if over == 0 {
                return;
            }
            let oldest = self.outbox.oldest_logs(over);
            if oldest.is_empty() {
                return;
            }
            for (log, holders) in oldest {
                if self.outbox.held_bytes() <= bytes_max {
                    return;
                }
                self.free_log(log, &holders);
            }
        }
    }

    fn free_log(&mut self, log: u32, holders: &[u32]) {
        for slot in holders {
            if let Some(id) = self.sockets.in_slot(*slot).map(|socket| socket.id) {
                self.thin(id, Pressure::Memory { log });
            }
        }
        for slot in holders {
            let Some(id) = self.sockets.in_slot(*slot).map(|socket| socket.id) else {
                continue;
            };
            if !self.outbox.holds(*slot, log) {
                continue;
            }
            match self.sockets.get(id).map(|socket| &socket.phase) {
                Some(Phase::Closing { .. }) => self.hang_up(id),
                Some(_) | None => self.put_out_slow(id),
            }
        }
        self.outbox.end_turn();
    }

    /// Takes from a socket's queue what the rules of its rooms let it miss, and
    /// tells it, if it is one that can be told. `None`: they let it miss nothing.
    pub(super) fn thin(&mut self, id: SocketId, pressure: Pressure) -> Option<Thinned> {
        let socket = self.sockets.get(id)?;
        let form = socket.form;
        let rules = self.rules_for_slow(socket);
        if rules.is_empty() {
            return None;
        }
        let rooms = &self.rooms;
        let gap = |room: RoomIndex, dropped| gap(form, &rooms.get(room).name, dropped);
        let thinned = self.outbox.thin(id.slot, form, &rules, pressure, gap);
        self.counters.dropped += thinned.dropped;
        Some(thinned)
    }

    /// So many messages of a room are missing here, if the socket can be told.
    pub(super) fn hear_of_gap(&mut self, id: SocketId, room: RoomIndex, dropped: u32) {
        let form = self.sockets.get(id).map(|socket| socket.form);
        let name = &self.rooms.get(room).name;
        if dropped > 0
            && let Some(form) = form
            && let Some(gap) = gap(form, name, dropped)
        {
            let lane = Lane::Room(room);
            let frame = self.outbox.frame(form, lane, |out| out.extend(gap));
            self.outbox.push(id.slot, frame, lane);
        }
    }

    /// The rooms of a socket that would rather have it miss something than go.
    fn rules_for_slow(&self, socket: &Socket) -> BTreeMap<RoomIndex, SlowConsumer> {
        let rooms: Vec<RoomIndex> = match &socket.phase {
            Phase::Raw(stay, _) => vec![stay.room],
            Phase::Multiplexed(lobby) => lobby.stays.iter().map(|stay| stay.room).collect(),
            Phase::Upgrading { .. } | Phase::Knocking(_) | Phase::Closing { .. } => Vec::new(),
        };
        let rules = rooms.into_iter().map(|room| {
            let rules = self.rooms.get(room).governed.rules();
            (room, rules.source().delivery.slow_consumer)
        });
        rules
            .filter(|(_, rule)| *rule != SlowConsumer::Close)
            .collect()
    }

    fn put_out_slow(&mut self, id: SocketId) {
        let closing = |phase: &Phase| matches!(phase, Phase::Closing { .. });
        if self
            .sockets
            .get(id)
            .is_some_and(|socket| !closing(&socket.phase))
        {
            self.counters.slow += 1;
            self.close_refused(id, Refused::SlowConsumer);
        }
    }
}

/// How a socket of this form is told that messages are missing; not at all on a
/// raw one.
fn gap(form: WireForm, room: &RoomName, dropped: u32) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match form {
        WireForm::Raw => return None,
        WireForm::Multiplexed => Told::Gap { room, dropped }.frame(&mut out),
        WireForm::EventStream => event_stream::gap(dropped, &mut out),
    }
    Some(out)
}
