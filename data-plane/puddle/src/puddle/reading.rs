//! Bytes come from a socket: frames are read in place, and what cannot be used
//! yet is kept, within limits.

use porthouse_model::MESSAGE_BYTES_DEFAULT;

use super::Puddle;
use super::handshake::is_shaking_hands;
use crate::input::SocketId;
use crate::output::{Output, WireForm};
use crate::socket::{Habit, Held, Phase, Reading};
use crate::wire::assembly::{Event, Step};
use crate::wire::frame::Limits;

/// Kept from a socket whose entry is not decided; past it the socket is not read.
const HELD_BYTES_MAX: usize = 16 * 1024;

/// What a socket's bytes are, now.
enum Stage {
    /// A request.
    Request,
    /// Frames, no longer than this.
    Frames(Limits),
    /// Not to be looked at yet.
    Later,
    /// Of no interest.
    Over,
}

impl Puddle {
    pub(super) fn received(&mut self, id: SocketId, bytes: &mut [u8]) {
        let (now, length) = (self.now, bytes.len());
        let Some(socket) = self.sockets.get_mut(id) else {
            return;
        };
        let over = matches!(socket.phase, Phase::Closing { .. });
        socket.heard = now;
        socket.pinged = false;
        match socket.held.take() {
            None => {
                let used = self.consume(id, bytes);
                self.hold(id, &bytes[used..]);
            }
            Some(mut held) => {
                held.0.extend_from_slice(bytes);
                self.consume_held(id, *held);
            }
        }
        self.keep_posting(id);
        self.count_inbound(id);
        if over {
            self.stop_reading_if_over(id, length);
        }
    }

    /// Who goes on after the close frame is read for a while, as their own may be
    /// behind what was under way, and then no more: a flood that is over costs
    /// nothing.
    fn stop_reading_if_over(&mut self, id: SocketId, bytes: usize) {
        let bytes_max = self.settings.closing_bytes_max;
        let Some(socket) = self.sockets.get_mut(id) else {
            return;
        };
        if let Phase::Closing { ignored_bytes, .. } = &mut socket.phase {
            *ignored_bytes = ignored_bytes.saturating_add(bytes);
            if *ignored_bytes > bytes_max {
                self.stop_reading(id);
            }
        }
    }

    /// What was kept can be used now, perhaps.
    pub(super) fn resume(&mut self, id: SocketId) {
        let Some(socket) = self.sockets.get_mut(id) else {
            return;
        };
        if socket.reading != Reading::On {
            socket.reading = Reading::On;
            self.outputs.push(Output::Resume { socket: id });
        }
        let Some(socket) = self.sockets.get_mut(id) else {
            return;
        };
        if let Some(held) = socket.held.take() {
            self.consume_held(id, *held);
            self.count_inbound(id);
        }
    }

    fn consume_held(&mut self, id: SocketId, mut held: Held) {
        let used = self.consume(id, &mut held.0);
        held.0.drain(..used);
        if held.0.is_empty() {
            return;
        }
        if let Some(socket) = self.sockets.get_mut(id) {
            socket.held = Some(Box::new(held));
        }
        self.stop_reading_if_full(id);
    }

    fn hold(&mut self, id: SocketId, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if let Some(socket) = self.sockets.get_mut(id) {
            socket.held = Some(Box::new(Held(bytes.to_vec())));
        }
        self.stop_reading_if_full(id);
    }

    /// A socket that is not decided yet is not read without bound.
    fn stop_reading_if_full(&mut self, id: SocketId) {
        let Some(socket) = self.sockets.get_mut(id) else {
            return;
        };
        let held = socket.held.as_ref().map_or(0, |held| held.0.len());
        let held_max = match &socket.phase {
            Phase::Knocking(knock) => knock.held_bytes_max(HELD_BYTES_MAX),
            Phase::Upgrading {
                routed: Some(_), ..
            }
            | Phase::Upgrading {
                redeems: Some(_), ..
            } => HELD_BYTES_MAX,
            Phase::Upgrading { .. }
            | Phase::Raw(..)
            | Phase::Multiplexed(_)
            | Phase::Closing { .. } => return,
        };
        if held > held_max {
            self.stop_reading(id);
        }
    }

    /// A socket is not read until its entry is decided.
    pub(super) fn stop_reading(&mut self, id: SocketId) {
        if let Some(socket) = self.sockets.get_mut(id)
            && socket.reading == Reading::On
        {
            socket.reading = Reading::Full;
            self.outputs.push(Output::Pause { socket: id });
        }
    }

    /// Uses what can be used, from the front. Answers how much.
    fn consume(&mut self, id: SocketId, bytes: &mut [u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            let used = match self.stage(id) {
                Stage::Request => self.read_head(id, &bytes[at..]),
                Stage::Frames(limits) => match self.read_frame(id, &mut bytes[at..], &limits) {
                    Some(used) => used,
                    None => return at,
                },
                Stage::Later => return at,
                Stage::Over => return bytes.len(),
            };
            if used == 0 {
                return at;
            }
            at += used;
        }
        at
    }

    fn stage(&mut self, id: SocketId) -> Stage {
        let Some(socket) = self.sockets.get(id) else {
            return Stage::Over;
        };
        let limits = |message_bytes_max: usize| {
            let idle_frames_max = self.settings.idle_frames_max;
            Stage::Frames(Limits {
                message_bytes_max,
                idle_frames_max,
            })
        };
        match socket.reading {
            Reading::Claiming | Reading::Ordering | Reading::Resting => return Stage::Later,
            Reading::On | Reading::Full | Reading::Clogged | Reading::Behind => {}
        }
        match &socket.phase {
            Phase::Upgrading {
                routed: None,
                redeems: None,
                ..
            } => Stage::Request,
            phase @ Phase::Knocking(_) if is_shaking_hands(phase) => {
                limits(self.settings.before_start_bytes_max)
            }
            Phase::Knocking(knock) if knock.has_said() => Stage::Over,
            Phase::Upgrading { .. } | Phase::Knocking(_) => Stage::Later,
            Phase::Raw(..) if socket.form == WireForm::EventStream => Stage::Over,
            Phase::Raw(stay, _) => {
                let room = self.rooms.get(stay.room);
                if self.is_held_up(room) {
                    return self.clog(id);
                }
                limits(room.governed.rules().source().messages.bytes_max as usize)
            }
            Phase::Multiplexed(_) if self.has_much_to_take(id) => self.fall_behind(id),
            Phase::Multiplexed(lobby) => {
                let rooms = lobby.stays.iter().map(|stay| self.rooms.get(stay.room));
                if rooms.clone().any(|room| self.is_held_up(room)) {
                    return self.clog(id);
                }
                let rules = rooms.map(|room| room.governed.rules().source().messages.bytes_max);
                // A room may be left while a message to it is on its way.
                let longest = rules.max().unwrap_or(0).max(MESSAGE_BYTES_DEFAULT) as usize;
                limits(longest + self.settings.header_line_bytes_max)
            }
            Phase::Closing {
                answered: false, ..
            } => limits(MESSAGE_BYTES_DEFAULT as usize),
            Phase::Closing { answered: true, .. } => Stage::Over,
        }
    }

    /// Not read until other puddles have taken what was sent to them.
    fn clog(&mut self, id: SocketId) -> Stage {
        if let Some(socket) = self.sockets.get_mut(id)
            && socket.reading == Reading::On
        {
            socket.reading = Reading::Clogged;
            self.clogged.push(id);
            self.outputs.push(Output::Pause { socket: id });
        }
        Stage::Later
    }

    /// Whether more is queued for a socket than may wait for it: what it asks for
    /// comes no faster than it takes it, also in one turn.
    fn has_much_to_take(&self, id: SocketId) -> bool {
        self.outbox.bytes(id.slot) > self.settings.socket_backlog_bytes_max
    }

    fn fall_behind(&mut self, id: SocketId) -> Stage {
        if let Some(socket) = self.sockets.get_mut(id)
            && socket.reading == Reading::On
        {
            socket.reading = Reading::Behind;
            self.behind.insert(id);
            self.outputs.push(Output::Pause { socket: id });
        }
        Stage::Later
    }

    /// Who has taken enough since is read again.
    pub(super) fn catch_up(&mut self) {
        for id in std::mem::take(&mut self.behind) {
            if !self.is_behind(id) {
                continue;
            }
            if self.has_much_to_take(id) {
                self.behind.insert(id);
            } else {
                self.resume(id);
            }
        }
    }

    fn is_behind(&self, id: SocketId) -> bool {
        let socket = self.sockets.get(id);
        socket.is_some_and(|socket| socket.reading == Reading::Behind)
    }

    /// Reads one frame. Answers how many bytes it had; nothing while it is not
    /// whole.
    fn read_frame(&mut self, id: SocketId, bytes: &mut [u8], limits: &Limits) -> Option<usize> {
        let mut assembly = std::mem::take(&mut self.sockets.get_mut(id)?.assembly);
        let used = match assembly.next(bytes, limits) {
            Step::NeedMore { .. } => None,
            Step::Progress { bytes } => Some(bytes),
            Step::Event { event, bytes } => {
                self.framed(id, &event);
                Some(bytes)
            }
            Step::Fault(fault) => {
                self.fault(id, fault);
                Some(bytes.len())
            }
        };
        if let Some(socket) = self.sockets.get_mut(id) {
            socket.assembly = assembly;
        }
        used
    }

    fn framed(&mut self, id: SocketId, event: &Event<'_>) {
        let Some(socket) = self.sockets.get(id) else {
            return;
        };
        let closing = matches!(socket.phase, Phase::Closing { .. });
        match event {
            Event::Message { .. } | Event::Ping(_) if closing => {}
            Event::Message { kind, payload } => match &socket.phase {
                Phase::Raw(stay, _) => {
                    let stay = *stay;
                    self.raw_message(id, stay, *kind, payload);
                }
                Phase::Multiplexed(_) => self.multiplexed_message(id, *kind, payload),
                Phase::Knocking(_) => self.handshake_message(id, *kind, payload),
                Phase::Upgrading { .. } | Phase::Closing { .. } => {
                    unreachable!("frames are read once the request was answered")
                }
            },
            Event::Ping(payload) => {
                if self.behaves(id, Habit::Ping, None) {
                    self.pong(id, payload);
                }
            }
            Event::Pong => {}
            Event::Close(code) => self.closed_by_peer(id, *code),
        }
    }
}
