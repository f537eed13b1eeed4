//! Connections between clients and puddles: they begin, carry bytes in pieces, stall, break and
//! end. Knows no frames.

use porthouse_puddle::{Input, SocketId};

use super::node::at;
use super::socket::address;
use super::{Event, Socket, World};
use crate::checker::line::Line;
use crate::link::Written;
use crate::plant::Plant;
use crate::queue::{MICROS, Nanos};

/// What a healed link takes at once, and how long it takes.
const HEALED_BYTES: usize = 256 * 1024;
const HEALED_DELAY: Nanos = 200 * MICROS;

impl World {
    /// The mean delay of a link.
    pub(super) fn link_delay(&self) -> Nanos {
        let delay = self.plan.link_delay;
        if self.phase.is_healed() {
            delay.min(HEALED_DELAY)
        } else {
            delay
        }
    }

    /// Every link is a good one from here on.
    pub(super) fn heal_links(&mut self) {
        let now = self.now();
        for socket in self.sockets.iter_mut().flatten() {
            socket.stalled_until = socket.stalled_until.min(now);
            socket.down.widen(HEALED_BYTES);
        }
        // A stalled socket's next look is far off: have one now.
        for number in 0..u32::try_from(self.sockets.len()).expect("fewer than 2^32") {
            self.queue.after(0, Event::Down(number));
        }
    }

    /// A new connection of a client, on its way to a puddle.
    pub(crate) fn dial(&mut self, client: u32) -> u32 {
        let number = u32::try_from(self.sockets.len()).expect("fewer than 2^24 sockets");
        let puddle = u8::try_from(self.chance.below(u64::from(self.plan.puddles))).expect("few");
        let bytes_max = if self.phase.is_healed() {
            HEALED_BYTES
        } else {
            self.plan.down_bytes_max
        };
        self.sockets
            .push(Some(Box::new(Socket::new(client, puddle, bytes_max))));
        self.after(self.link_delay(), Event::Accept(number));
        number
    }

    /// Bytes of a client, for the node.
    pub(crate) fn send_up(&mut self, number: u32, bytes: &[u8]) {
        let Some(socket) = self.sockets[at(number)].as_mut() else {
            return;
        };
        socket.up.push(bytes);
        self.up_soon(number);
    }

    /// The network a socket comes from, by a number: its own, unless they are counted.
    pub(crate) fn network_of(&self, socket: u32) -> u32 {
        let networks = self.plan.voices.networks;
        networks.map_or(socket, |networks| socket % networks)
    }

    fn up_soon(&mut self, number: u32) {
        let Some(socket) = self.sockets[at(number)].as_mut() else {
            return;
        };
        let has_more = socket.up.len() > 0 || socket.up_ended;
        if has_more && !socket.up_due && !socket.up_paused && socket.accepted {
            socket.up_due = true;
            self.after(self.link_delay(), Event::Up(number));
        }
    }

    pub(super) fn accept(&mut self, number: u32) {
        let Some(socket) = self.sockets[at(number)].as_mut() else {
            return;
        };
        let puddle = socket.puddle;
        if self.sleeps(puddle, Event::Accept(number)) {
            return;
        }
        let id = self.node.workers[usize::from(puddle)].allot(number);
        let socket = self.sockets[at(number)].as_mut().expect("looked at above");
        socket.id = Some(id);
        socket.accepted = true;
        let address = address(number, self.plan.voices.networks);
        self.input(
            puddle,
            Input::Connected {
                socket: id,
                address,
            },
        );
        self.up_soon(number);
    }

    pub(super) fn arrive_up(&mut self, number: u32) {
        let Some(socket) = self.sockets[at(number)].as_mut() else {
            return;
        };
        let puddle = socket.puddle;
        if socket.up_paused || socket.id.is_none() {
            socket.up_due = false;
            return;
        }
        if self.sleeps(puddle, Event::Up(number)) {
            return;
        }
        let mut socket = self.sockets[at(number)].take().expect("looked at above");
        let id = socket.id.expect("looked at above");
        socket.up_due = false;
        let len = socket.up.len();
        if len == 0 {
            self.sockets[at(number)] = Some(socket);
            self.lost(number);
            return;
        }
        let len = self.cut(len);
        let bytes = socket.up.front(len);
        self.inputs += 1;
        let now = self.time();
        let worker = &mut self.node.workers[usize::from(puddle)];
        let input = Input::Received { socket: id, bytes };
        worker.black_box.handle(&mut worker.puddle, now, input);
        socket.up.advance(len);
        self.sockets[at(number)] = Some(socket);
        self.settle_soon(puddle);
        self.up_soon(number);
    }

    /// How much of this arrives at once: anything from a byte, where links cut.
    fn cut(&mut self, len: usize) -> usize {
        let cuts = !self.phase.is_healed() && self.chance.percent(self.plan.habits.cut);
        if cuts {
            1 + self.chance.index(len)
        } else {
            len.min(256 * 1024)
        }
    }

    pub(super) fn arrive_down(&mut self, number: u32) {
        let Some(mut socket) = self.sockets[at(number)].take() else {
            return;
        };
        if socket.stalled_until > self.now() {
            self.queue.at(socket.stalled_until, Event::Down(number));
            self.sockets[at(number)] = Some(socket);
            return;
        }
        socket.down_due = false;
        if socket.deaf {
            self.sockets[at(number)] = Some(socket);
            return;
        }
        let under_way = socket.down.under_way();
        if under_way > 0 {
            let len = self.cut(under_way);
            socket.inbox.extend_from_slice(socket.down.front(len));
            socket.down.advance(len);
        }
        if self.plant == Some(Plant::BacklogKept) {
            let stamp = self.stamp();
            socket.write_kept(stamp);
            socket.down.ended |= socket.id.is_none() && socket.kept.is_empty();
        }
        if socket.down.blocked && socket.down.has_room() {
            socket.down.blocked = false;
            self.after(self.link_delay(), Event::Writable(number));
        }
        self.sockets[at(number)] = Some(socket);
        self.read_frames(number);
        self.down_soon(number);
    }

    /// More comes, or the end.
    fn down_soon(&mut self, number: u32) {
        let Some(socket) = self.sockets[at(number)].as_mut() else {
            return;
        };
        if socket.down.under_way() > 0 {
            if !socket.down_due {
                socket.down_due = true;
                self.after(self.link_delay(), Event::Down(number));
            }
        } else if socket.down.ended {
            self.end(number);
        }
    }

    pub(super) fn writable(&mut self, number: u32) {
        let Some(socket) = self.socket(number) else {
            return;
        };
        let (puddle, id) = (socket.puddle, socket.id);
        if let Some(socket) = id
            && !self.sleeps(puddle, Event::Writable(number))
        {
            self.input(puddle, Input::Writable { socket });
        }
    }

    /// The node hears that a connection is gone, and forgets it.
    pub(super) fn lost(&mut self, number: u32) {
        let Some(socket) = self.sockets[at(number)].as_mut() else {
            return;
        };
        let (puddle, id, accepted) = (socket.puddle, socket.id, socket.accepted);
        let Some(id) = id else {
            // Nothing is heard of its end before it is there.
            if !accepted {
                self.queue.after(HEALED_DELAY, Event::Lost(number));
            }
            return;
        };
        if self.sleeps(puddle, Event::Lost(number)) {
            return;
        }
        self.forget(number, puddle, id);
        self.input(puddle, Input::Lost { socket: id });
        self.end(number);
    }

    fn forget(&mut self, number: u32, puddle: u8, id: SocketId) {
        self.node.workers[usize::from(puddle)].release(id);
        if let Some(socket) = self.sockets[at(number)].as_mut() {
            socket.id = None;
        }
    }

    /// The node closes a connection: what it wrote still arrives, then the end.
    pub(super) fn node_closes(&mut self, puddle: u8, id: SocketId) {
        // It may have been lost in the same turn, and be forgotten already.
        let Some(number) = self.node.workers[usize::from(puddle)].socket(id) else {
            return;
        };
        self.forget(number, puddle, id);
        let Some(socket) = self.sockets[at(number)].as_mut() else {
            return;
        };
        socket.down.ended = socket.kept.is_empty() && self.plant != Some(Plant::CloseLost);
        if socket.broken {
            self.end(number);
        } else if !socket.down_due {
            socket.down_due = true;
            self.after(self.link_delay(), Event::Down(number));
        }
    }

    /// Its puddle is gone: what it wrote still arrives, then the end.
    pub(super) fn is_abandoned(&mut self, number: u32) {
        let Some(socket) = self.sockets[at(number)].as_mut() else {
            return;
        };
        socket.id = None;
        socket.down.ended = true;
        if socket.broken {
            self.end(number);
        } else if !socket.down_due {
            socket.down_due = true;
            self.after(self.link_delay(), Event::Down(number));
        }
    }

    pub(super) fn pause(&mut self, puddle: u8, id: SocketId, pause: bool) {
        let number = self.node.workers[usize::from(puddle)].socket(id);
        let Some(number) = number else {
            return;
        };
        if let Some(socket) = self.sockets[at(number)].as_mut() {
            socket.up_paused = pause;
        }
        self.up_soon(number);
    }

    /// The client ends its side: what it sent still arrives, then the end.
    pub(crate) fn hang_up(&mut self, number: u32) {
        if let Some(socket) = self.sockets[at(number)].as_mut() {
            socket.up_ended = true;
            self.up_soon(number);
        }
    }

    /// The client is gone without a word: the node hears of it some time later, or by a write.
    pub(crate) fn vanish(&mut self, number: u32) {
        let at_once = self.chance.one_in(2);
        if let Some(socket) = self.sockets[at(number)].as_mut() {
            socket.broken = at_once;
            socket.deaf = true;
            let delay = self.chance.skewed(1, 2_000_000_000);
            self.queue.after(delay, Event::Lost(number));
        }
        self.client_lost(number);
    }

    /// The connection is over for the client.
    fn end(&mut self, number: u32) {
        let Some(socket) = self.sockets[at(number)].as_ref() else {
            return;
        };
        let is_known = socket.id.is_some() || !socket.accepted;
        self.client_lost(number);
        // What the node still knows stays until it hears of the end.
        if !is_known {
            self.sockets[at(number)] = None;
        }
    }

    /// The client has no socket any more.
    fn client_lost(&mut self, number: u32) {
        let Some(socket) = self.socket(number) else {
            return;
        };
        let client = socket.client;
        if self.clients[at(client)].socket == Some(number) {
            self.clients[at(client)].socket = None;
            self.is_cut_off(number);
            self.see(&Line::Ended { socket: number });
            self.comes_back(client);
        }
    }

    /// When what stands at this place of a socket's stream was written.
    pub(crate) fn written_at(&mut self, number: u32, place: u64) -> Written {
        let socket = self.sockets[at(number)].as_mut().expect("it is being read");
        socket.down.written_at(place)
    }
}
