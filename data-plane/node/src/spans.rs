//! What spans are taken of on a node: turns of a puddle, entries of sockets, and
//! what is asked for them. Owns which turn and which entry; times from outside, for
//! the core has no clock, and holds nothing of any client.
//!
//! A node that takes none has none of this: a branch a turn, an accept and a
//! question. One that does pays the rest for what it takes.

use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime};

use http::request::Parts;
use porthouse_model::{ClientId, PolicyKey, RoomId};
use porthouse_process::spans::{Cause, Kind, Span, Tracer, call};
use porthouse_puddle::{
    Action, Arrival, Counters, Event, Proof, Puddle, PuddleId, Question, SignInBy, SocketId,
};
use tonic::Code;

/// Entries of one puddle of which a span is taken at once; of others none is.
const ENTRIES_MAX: usize = 256;
/// Questions whose cause is remembered until they are asked.
const CAUSES_MAX: usize = 64;
/// Where a page calls.
const ROUTES: [&str; 2] = ["/-/session", "/-/ticket"];
/// How it does.
const METHODS: [&str; 3] = ["POST", "DELETE", "OPTIONS"];

/// The spans of one puddle.
#[derive(Debug)]
pub(crate) struct Spans {
    tracer: Tracer,
    puddle: PuddleId,
    /// One of so many turns is taken.
    one_in: u32,
    /// Turns until the next one; that is the first from there that does something.
    turns_left: u32,
    entries: Vec<(SocketId, Span)>,
}

/// A turn that may be taken.
#[derive(Debug)]
pub(crate) struct Watched {
    wall: SystemTime,
    began: Instant,
    /// From there to the settling.
    handled: Duration,
    before: Counters,
    writes: u64,
}

impl Watched {
    #[expect(
        clippy::disallowed_methods,
        reason = "a span is of the wall clock, and nothing is decided by it"
    )]
    fn begin(before: Counters, writes: u64) -> Self {
        Self {
            wall: SystemTime::now(),
            began: Instant::now(),
            handled: Duration::ZERO,
            before,
            writes,
        }
    }

    /// All that came is handled; what follows is the settling.
    pub(crate) fn settles(&mut self) {
        self.handled = self.began.elapsed();
    }
}

impl Spans {
    /// `None`: none is taken.
    pub(crate) fn new(tracer: &Tracer, puddle: PuddleId) -> Option<Box<Self>> {
        let one_in = tracer.one_in()?;
        Some(Box::new(Self {
            tracer: tracer.clone(),
            puddle,
            one_in,
            turns_left: one_in,
            entries: Vec::new(),
        }))
    }

    /// A turn begins; it is watched if it is the one of so many.
    pub(crate) fn turn(&mut self, puddle: &Puddle, writes: u64) -> Option<Watched> {
        if self.turns_left > 1 {
            self.turns_left -= 1;
            return None;
        }
        Some(Watched::begin(puddle.counters(), writes))
    }

    /// It has ended.
    pub(crate) fn turned(&mut self, watched: Option<Watched>, puddle: &Puddle, writes: u64) {
        if !self.entries.is_empty() {
            self.look_at_entries(puddle);
        }
        if let Some(watched) = watched {
            self.take(&watched, &puddle.counters(), writes);
        }
    }

    fn take(&mut self, turn: &Watched, now: &Counters, writes: u64) {
        let before = &turn.before;
        // A counter only grows, but the three of what there is now.
        let done = [
            ("porthouse.messages", now.messages - before.messages),
            ("porthouse.deliveries", now.deliveries - before.deliveries),
            ("porthouse.writes", writes - turn.writes),
            ("porthouse.admitted", now.admitted - before.admitted),
            ("porthouse.refused", now.refused - before.refused),
            ("porthouse.dropped", now.dropped - before.dropped),
        ];
        if done.iter().all(|(_, count)| *count == 0) {
            return;
        }
        self.turns_left = self.one_in;
        let took = turn.began.elapsed();
        let Some(mut span) = self.tracer.take("puddle.turn", Kind::Internal) else {
            return;
        };
        span.lasted(turn.wall, took);
        span.say("porthouse.puddle", u64::from(self.puddle.0));
        for (what, count) in done {
            span.say(what, count);
        }
        span.say("porthouse.sockets", now.sockets);
        span.say("porthouse.queued_bytes", now.held_bytes);
        let cause = span.cause();
        let mut handle = cause.part("puddle.handle", Kind::Internal);
        handle.lasted(turn.wall, turn.handled);
        let mut settle = cause.part("puddle.settle", Kind::Internal);
        settle.lasted(turn.wall + turn.handled, took.saturating_sub(turn.handled));
    }

    /// A connection was accepted.
    pub(crate) fn accepted(&mut self, socket: SocketId) {
        if self.entries.len() == ENTRIES_MAX {
            // Whether chance would have taken it, nobody asks.
            return self.tracer.note_dropped();
        }
        if let Some(mut span) = self.tracer.begin("socket.entry", Kind::Server) {
            span.say("porthouse.puddle", u64::from(self.puddle.0));
            self.entries.push((socket, span));
        }
    }

    /// For what this socket asks, if a span is taken of its entry.
    pub(crate) fn cause(&self, socket: SocketId) -> Option<Cause> {
        let mut entries = self.entries.iter();
        let (_, span) = entries.find(|(entering, _)| *entering == socket)?;
        Some(span.cause())
    }

    fn look_at_entries(&mut self, puddle: &Puddle) {
        self.entries.retain_mut(|(socket, span)| {
            let outcome = match puddle.arrival(*socket) {
                Arrival::Coming => return true,
                Arrival::Arrived => "arrived",
                Arrival::Leaving => "refused",
                Arrival::Gone => "gone",
            };
            span.say("porthouse.outcome", outcome);
            false
        });
    }

    /// The puddle is lost, and its sockets with it.
    pub(crate) fn abandon(&mut self) {
        self.entries.clear();
    }
}

/// For what the switchboard was asked something, until it asks the control plane.
#[derive(Debug, Default)]
pub(crate) struct Causes(Vec<(Subject, Cause)>);

#[derive(Debug, PartialEq, Eq)]
enum Subject {
    Key(PolicyKey),
    Step(RoomId, ClientId),
    /// From where, and by what call.
    SignIn(IpAddr, &'static str),
}

impl Causes {
    /// A puddle asks this.
    pub(crate) fn heard(&mut self, what: &Question, cause: Option<Cause>) {
        let Some(cause) = cause.filter(|_| self.0.len() < CAUSES_MAX) else {
            return;
        };
        let subject = match what {
            Question::Resolve { key, .. } => Subject::Key(key.clone()),
            Question::Verify(what) => Subject::Step(what.room, what.client),
            Question::SignIn { by, address } => Subject::SignIn(*address, sign_in(by)),
        };
        self.0.push((subject, cause));
    }

    /// The span of a request to the control plane: a part of the entry that it is
    /// made for first, or one of its own.
    pub(crate) fn asks(&mut self, action: &Action, tracer: &Tracer) -> Option<Span> {
        if !tracer.is_on() {
            return None;
        }
        let (method, subjects) = match action {
            Action::Resolve { keys, .. } => {
                let subjects = keys.iter().cloned().map(Subject::Key).collect();
                ("porthouse.node.v1.PolicyFeedService/Resolve", subjects)
            }
            Action::Verify { what, .. } => {
                let subjects = vec![Subject::Step(what.room, what.client)];
                (verify(&what.proof), subjects)
            }
            Action::SignIn { by, address, .. } => {
                let method = sign_in(by);
                (method, vec![Subject::SignIn(*address, method)])
            }
            Action::Tell { .. }
            | Action::OpenWatch { .. }
            | Action::Acknowledge { .. }
            | Action::Complete { .. } => return None,
        };
        let place = self.0.iter().position(|(of, _)| subjects.contains(of));
        let cause = place.map(|place| self.0.remove(place).1);
        let mut span = match cause {
            Some(cause) => cause.part(method, Kind::Client),
            None => tracer.begin(method, Kind::Client)?,
        };
        call::names(&mut span, method);
        if let Action::Resolve { keys, .. } = action {
            span.say("porthouse.keys", keys.len() as u64);
        }
        Some(span)
    }

    /// What was not asked at once is known, or asked later for others too.
    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }
}

/// What a step of an entry is asked by.
const fn verify(proof: &Proof) -> &'static str {
    match proof {
        Proof::Password(_) => "porthouse.node.v1.PolicyFeedService/VerifyRoomPassword",
        Proof::SecondFactor(_) | Proof::RoomCode(_) | Proof::Hook { .. } => {
            "porthouse.node.v1.PolicyFeedService/VerifyStep"
        }
    }
}

/// What a sign-in is asked by.
const fn sign_in(by: &SignInBy) -> &'static str {
    match by {
        SignInBy::Password { .. } | SignInBy::Jwt(_) => {
            "porthouse.node.v1.PolicyFeedService/OpenSession"
        }
        SignInBy::Code { .. } => "porthouse.node.v1.PolicyFeedService/CompleteSession",
        SignInBy::Ticket(_) => "porthouse.node.v1.PolicyFeedService/RedeemTicket",
    }
}

/// A request has its answer, or none: the log says why.
pub(crate) fn answered(span: &mut Span, event: &Event) {
    let unanswered = matches!(
        event,
        Event::Resolved { found: None, .. }
            | Event::Verified { verdict: None, .. }
            | Event::SignedIn { verdict: None, .. }
    );
    if unanswered {
        span.fail("_OTHER");
    } else {
        span.say("rpc.response.status_code", call::name(Code::Ok));
    }
}

/// The span of a page's call until it is answered, in the words of OpenTelemetry
/// ([semantic conventions](https://opentelemetry.io/docs/specs/semconv/http/http-spans/)).
/// Dropped before that, it was cut.
#[derive(Debug)]
pub(crate) struct PageCall(Option<Span>);

impl PageCall {
    /// It begins; there is no span of what is nowhere here.
    pub(crate) fn begun(tracer: &Tracer, head: &Parts) -> Self {
        Self(page_call(tracer, head))
    }

    /// For what is part of it.
    pub(crate) const fn span(&self) -> Option<&Span> {
        self.0.as_ref()
    }

    /// It is answered.
    pub(crate) fn answered(mut self, status: u16) {
        if let Some(mut span) = self.0.take() {
            span.say("http.response.status_code", u64::from(status));
            if status >= 500 {
                span.fail("_OTHER");
            }
        }
    }
}

impl Drop for PageCall {
    fn drop(&mut self) {
        if let Some(span) = &mut self.0 {
            span.fail("cut");
        }
    }
}

fn page_call(tracer: &Tracer, head: &Parts) -> Option<Span> {
    if !tracer.is_on() {
        return None;
    }
    let mut routes = ROUTES.into_iter();
    let route = routes.find(|route| *route == head.uri.path())?;
    let mut methods = METHODS.into_iter();
    let method = methods.find(|method| *method == head.method.as_str())?;
    let mut span = tracer.begin(format!("{method} {route}"), Kind::Server)?;
    span.say("http.request.method", method);
    span.say("http.route", route);
    span.say("url.path", route);
    span.say("url.scheme", "http");
    Some(span)
}
