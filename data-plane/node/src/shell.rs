//! What a puddle's outputs do: bytes go to sockets, hops into rings, questions
//! and replies to the switchboard. Decides nothing, and never waits.

use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::sync::Arc;

use porthouse_model::{Revision, Time};
use porthouse_process::spans::Cause;
use porthouse_puddle::{
    FromStore, OrderId, Output, PuddleId, Question, QuestionId, Reply, Shell, SocketId,
    StoreRequest, StoredRoom, ToPuddle, ToStore, Wrote,
};
use rtrb::Producer;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, send, sendmsg};
use tokio::sync::mpsc;

use crate::follow::{Follow, Followers};
use crate::own::front::Front;
use crate::own::{self, Sign};
use crate::policy::kept_out::KeptOut;
use crate::policy::seen::Seen;
use crate::refusals::Refusals;
use crate::ring::{Ends, Peers};
use crate::socket::Sockets;
use crate::spans::Spans;

/// A close frame with code 1011 (RFC 6455, section 7.4.1): our fault.
const CLOSE_INTERNAL: [u8; 4] = [0x88, 2, 0x03, 0xf3];

/// What the switchboard tells a puddle's thread.
#[derive(Debug)]
pub(crate) enum Told {
    /// What the switchboard has to say.
    Message(ToPuddle),
    /// The store has answered.
    Bridged {
        request: StoreRequest,
        answer: FromStore,
    },
    /// A backend follows rooms.
    Follow(Arc<Follow>),
    /// It does not any more.
    Unfollow(Arc<Follow>),
    /// Another puddle began anew; these are the new rings' ends.
    Restarted { puddle: PuddleId, ends: Ends },
    /// End.
    Stop,
}

/// What a puddle's thread says to the switchboard.
#[derive(Debug)]
pub(crate) enum Said {
    /// A question.
    Asked {
        question: QuestionId,
        what: Question,
        /// The entry that it is asked for, where a span is taken of that.
        cause: Option<Cause>,
    },
    /// Something for the store.
    Bridge {
        request: StoreRequest,
        room: StoredRoom,
        what: ToStore,
    },
    /// A revision was applied.
    Applied { revision: Revision },
    /// An order was carried out.
    Replied { order: OrderId, reply: Reply },
    /// The puddle panicked and begins anew: it is told things by the new inbox,
    /// and the others get new rings' ends.
    Restarted {
        inbox: Producer<Told>,
        peers: Vec<(PuddleId, Ends)>,
    },
    /// The node drains, and no connection is left here.
    Emptied,
    /// The puddle panicked too often, and has ended.
    Broken,
}

/// A puddle's way to the switchboard. Has room for all it may say, because what
/// it may ask, be told and be ordered at once is bounded.
pub(crate) type Voice = mpsc::Sender<(PuddleId, Said)>;

/// The world, as one puddle's outputs reach it.
#[derive(Debug)]
pub(crate) struct Io {
    pub(crate) puddle: PuddleId,
    pub(crate) sockets: Sockets,
    pub(crate) peers: Peers,
    pub(crate) voice: Voice,
    pub(crate) sign: Arc<Sign>,
    pub(crate) front: Front,
    /// Where what the node refuses beside its puddles is kept.
    pub(crate) refusals: Arc<Refusals>,
    pub(crate) seen: Seen,
    pub(crate) followers: Followers,
    pub(crate) kept_out: KeptOut,
    /// When this turn began.
    pub(crate) now: Time,
    /// Writes since the node began.
    pub(crate) writes: u64,
    /// `None`: no span is taken.
    pub(crate) spans: Option<Box<Spans>>,
}

impl Shell for Io {
    fn write(&mut self, socket: SocketId, bytes: &[IoSlice<'_>]) -> Wrote {
        // The other puddles need not wait for the writes, which take most of a turn.
        self.peers.wake_told();
        self.writes += 1;
        let Some(fd) = self.sockets.fd(socket) else {
            return Wrote::Gone;
        };
        let offered: usize = bytes.iter().map(|slice| slice.len()).sum();
        let sent = loop {
            let sent = match bytes {
                [one] => send(fd, one, SendFlags::NOSIGNAL),
                many => {
                    let mut nothing = SendAncillaryBuffer::default();
                    sendmsg(fd, many, &mut nothing, SendFlags::NOSIGNAL)
                }
            };
            if !matches!(sent, Err(Errno::INTR)) {
                break sent;
            }
        };
        match sent {
            Ok(taken) if taken == offered => Wrote::All,
            Ok(taken) => self.wait_for_room(socket, taken),
            Err(Errno::AGAIN) => self.wait_for_room(socket, 0),
            Err(_) => {
                self.sockets.remove(socket);
                Wrote::Gone
            }
        }
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Close { socket } => self.sockets.close(socket, self.now),
            Output::Pause { socket } => self.sockets.wait_readable(socket, false),
            Output::Resume { socket } => self.sockets.wait_readable(socket, true),
            Output::HandOver { socket, from, head } => self.answer(socket, from, &head),
            Output::Hop { to, hop } => self.peers.tell(to, hop),
            Output::Ask { question, what, by } => {
                let spans = self.spans.as_ref();
                let cause = spans.and_then(|spans| spans.cause(by?));
                self.say(Said::Asked {
                    question,
                    what,
                    cause,
                });
            }
            Output::Bridge {
                request,
                room,
                what,
            } => self.say(Said::Bridge {
                request,
                room,
                what,
            }),
            Output::Applied { revision } => self.say(Said::Applied { revision }),
            Output::Seen { sessions } => self.seen.tell(self.puddle, sessions),
            Output::Followed { message, place } => self.followers.tell(&message, place),
            Output::KeepOut(kicked) => self.kept_out.tell(*kicked),
            Output::Reply { order, reply } => self.say(Said::Replied { order, reply }),
        }
    }
}

impl Io {
    fn wait_for_room(&mut self, socket: SocketId, taken: usize) -> Wrote {
        self.sockets.wait_writable(socket, true);
        Wrote::Part(taken)
    }

    /// The answer is shorter than the emptiest send buffer, so one write does.
    fn answer(&mut self, socket: SocketId, from: IpAddr, head: &[u8]) {
        if own::is_conversation(head) {
            return self.converse(socket, from, head);
        }
        if let Some(fd) = self.sockets.fd(socket) {
            let answer = own::answer(head, self.sign.read());
            // Who does not take it has left.
            let _ = send(fd, &answer, SendFlags::NOSIGNAL);
        }
        self.sockets.close(socket, self.now);
    }

    fn converse(&mut self, socket: SocketId, from: IpAddr, head: &[u8]) {
        let Some(fd) = self.sockets.remove(socket) else {
            return;
        };
        if let Err(fd) = self.front.hand(fd, from, head) {
            self.turn_away(fd, from);
        }
    }

    /// Tells a connection from this client that there is no place for it.
    pub(crate) fn turn_away(&mut self, fd: OwnedFd, from: IpAddr) {
        let answer = own::no_place(&self.refusals, from);
        // Who does not take it has left.
        let _ = send(&fd, &answer, SendFlags::NOSIGNAL);
        self.sockets.part(fd, self.now);
    }

    pub(crate) fn say(&self, said: Said) {
        match self.voice.try_send((self.puddle, said)) {
            // Closed: the node has ended, and nobody waits for it.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                unreachable!("what may be said at once is bounded by what was told")
            }
        }
    }

    /// The puddle is lost: tells its sockets so as far as they listen, and
    /// starts from none.
    pub(crate) fn abandon(&mut self, sockets_max: usize) -> io::Result<()> {
        let fresh = Sockets::new(sockets_max)?;
        let lost = std::mem::replace(&mut self.sockets, fresh);
        // The fresh puddle is told anew.
        self.followers = Followers::default();
        if let Some(spans) = &mut self.spans {
            spans.abandon();
        }
        for fd in lost.between_frames() {
            // Best effort: a full or broken socket is closed all the same.
            let _ = send(fd, &CLOSE_INTERNAL, SendFlags::NOSIGNAL);
        }
        Ok(())
    }
}
