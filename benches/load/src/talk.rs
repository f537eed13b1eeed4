//! Rooms in which one speaks and the others count, at a pace: so many messages
//! under way (closed loop), or so many a second whoever is behind (open loop). In
//! an open loop a latency is counted from when a message was due, so that a server
//! that stalls is charged for what had to wait.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::time::{ClockId, clock_gettime};

use crate::crowd::Crowd;
use crate::latency::Latency;
use crate::room::{Room, UNDER_WAY_MAX};
use crate::speech::{Part, Speech, Who};
use crate::{Watch, to_float};

/// How long nothing may come while something is under way.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// How long a run waits at most between two looks at the clock.
const WAIT_MAX: Duration = Duration::from_millis(50);
/// What the kernel's wait rounds up; what is due sooner is waited for awake.
const WAIT_STEP: Duration = Duration::from_millis(1);
/// The part of a run that is not counted, at its beginning, and its bound.
const WARM_PART: u32 = 10;
const WARM_TIME_MAX: Duration = Duration::from_millis(500);
/// Messages that are written at once.
const BATCH_MAX: u64 = 1_024;

/// How fast it is spoken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// So many messages under way in each room.
    Window(usize),
    /// So many messages a second, in all rooms together.
    Rate(f64),
}

/// A run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How fast.
    pub pace: Pace,
    /// How long.
    pub span: Duration,
    /// Each message's payload.
    pub payload_bytes: usize,
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Messages that came to a listener.
    pub deliveries: u64,
    /// Messages said.
    pub messages: u64,
    /// How long that took.
    pub took: Duration,
    /// Of each delivery, from when its message was due.
    pub latency: Latency,
    /// CPU time of this thread: near `took`, it was the client that was measured.
    pub client_cpu: Duration,
    /// What was due and not said, as too much was under way.
    pub held_back: u64,
}

impl Outcome {
    /// Deliveries a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        to_float(self.deliveries) / self.took.as_secs_f64()
    }

    /// The part of a core that the client took, 0 to 1.
    #[must_use]
    pub fn client_share(&self) -> f64 {
        self.client_cpu.as_secs_f64() / self.took.as_secs_f64()
    }
}

/// Everybody of so many rooms: one speaks, so many listen, and so many stall.
#[must_use]
pub fn everybody(rooms: usize, listeners: usize, stalled: usize) -> Vec<Who> {
    let seat = |room, part| Who { room, part };
    (0..rooms)
        .flat_map(|room| {
            std::iter::once(seat(room, Part::Speaks))
                .chain((0..listeners).map(move |_| seat(room, Part::Listens)))
                .chain((0..stalled).map(move |_| seat(room, Part::Stalls)))
        })
        .collect()
}

/// Everybody of rooms that return what is said, one in each.
#[must_use]
pub fn echoing(rooms: usize) -> Vec<Who> {
    let part = Part::Echoes;
    (0..rooms).map(|room| Who { room, part }).collect()
}

/// Runs a plan. `begun` is called when what is counted begins, and `over` when it
/// ends, for who reads the server's CPU there.
///
/// # Errors
/// When a socket is closed, nothing comes any more, or the watch ends it.
pub fn talk<S: Speech>(
    crowd: &mut Crowd<S>,
    plan: &Plan,
    mut edge: impl FnMut(Edge) -> anyhow::Result<()>,
    watch: Watch<'_>,
) -> anyhow::Result<Outcome> {
    let warm = (plan.span / WARM_PART).min(WARM_TIME_MAX);
    let mut talk = Talk::new(crowd, plan)?;
    talk.until(warm, &mut |_| ControlFlow::Continue(()))?;
    talk.latency.clear();
    let before = (talk.deliveries, talk.messages, talk.held_back, own_cpu());
    edge(Edge::Begun)?;
    let began = talk.began.elapsed();
    talk.until(warm + plan.span, watch)?;
    let took = talk.began.elapsed().saturating_sub(began);
    edge(Edge::Over)?;
    let outcome = Outcome {
        deliveries: talk.deliveries - before.0,
        messages: talk.messages - before.1,
        held_back: talk.held_back - before.2,
        took,
        latency: talk.latency.clone(),
        client_cpu: own_cpu().saturating_sub(before.3),
    };
    talk.finish()?;
    Ok(outcome)
}

/// The ends of what is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// It begins.
    Begun,
    /// It ends.
    Over,
}

/// CPU time of the calling thread.
fn own_cpu() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// A run under way.
struct Talk<'a, S: Speech> {
    crowd: &'a mut Crowd<S>,
    rooms: Vec<Room>,
    /// What each room's speaker says, and nothing else.
    words: Vec<Vec<u8>>,
    pace: Pace,
    began: Instant,
    /// Rooms in which there is something to say.
    turns: Vec<usize>,
    messages: u64,
    deliveries: u64,
    held_back: u64,
    latency: Latency,
    last_heard: Duration,
}

impl<'a, S: Speech> Talk<'a, S> {
    fn new(crowd: &'a mut Crowd<S>, plan: &Plan) -> anyhow::Result<Self> {
        crowd.start_anew();
        let payload = vec![b'x'; plan.payload_bytes];
        let count = crowd.members.iter().map(|member| member.who.room + 1).max();
        let count = count.context("there is nobody to talk")?;
        let under_way = match plan.pace {
            Pace::Window(window) => window,
            Pace::Rate(_) => UNDER_WAY_MAX / count.min(1_024),
        };
        let mut rooms: Vec<Option<Room>> = std::iter::repeat_with(|| None).take(count).collect();
        for (number, member) in crowd.members.iter().enumerate() {
            if matches!(member.who.part, Part::Speaks | Part::Echoes) {
                rooms[member.who.room] = Some(Room::new(number, under_way));
            }
        }
        let rooms: Option<Vec<Room>> = rooms.into_iter().collect();
        let mut rooms = rooms.context("a room has nobody who speaks")?;
        for member in &crowd.members {
            if matches!(member.who.part, Part::Listens | Part::Echoes) {
                rooms[member.who.room].listened_to();
            }
        }
        let words = rooms.iter().map(|room| {
            let who = crowd.members[room.speaker].who;
            crowd.speech.message(who, &payload)
        });
        Ok(Self {
            words: words.collect(),
            turns: (0..rooms.len()).collect(),
            crowd,
            rooms,
            pace: plan.pace,
            began: Instant::now(),
            messages: 0,
            deliveries: 0,
            held_back: 0,
            latency: Latency::default(),
            last_heard: Duration::ZERO,
        })
    }

    /// Goes on until a time since it began.
    fn until(&mut self, end: Duration, watch: Watch<'_>) -> anyhow::Result<()> {
        let from = self.began.elapsed();
        let mut told = from;
        loop {
            let now = self.began.elapsed();
            if now >= end {
                return Ok(());
            }
            if now > told + WAIT_MAX {
                told = now;
                let done = now.saturating_sub(from).as_secs_f64();
                let share = done / end.saturating_sub(from).as_secs_f64();
                if watch(share) == ControlFlow::Break(()) {
                    bail!("stopped");
                }
            }
            let wait = match self.pace {
                Pace::Window(window) => {
                    self.fill(window, now)?;
                    WAIT_MAX
                }
                Pace::Rate(rate) => self.say_what_is_due(rate, now)?,
            };
            self.listen(wait.min(end.saturating_sub(now)))?;
        }
    }

    /// Says in each room whose turn it is as much as its window has space for.
    fn fill(&mut self, window: usize, now: Duration) -> anyhow::Result<()> {
        let mut turns = std::mem::take(&mut self.turns);
        for room in turns.drain(..) {
            let space = (window as u64).saturating_sub(self.rooms[room].under_way());
            if space > 0 {
                self.say(room, space, now)?;
            }
        }
        // Given back empty, for its memory.
        self.turns = turns;
        Ok(())
    }

    /// Says what is due, room after room. Answers how long nothing more is.
    fn say_what_is_due(&mut self, rate: f64, now: Duration) -> anyhow::Result<Duration> {
        self.turns.clear();
        loop {
            let number = self.messages + self.held_back;
            let due = Duration::from_secs_f64(to_float(number) / rate);
            if due > now {
                let left = due.saturating_sub(now);
                return Ok(left.saturating_sub(WAIT_STEP).min(WAIT_MAX));
            }
            let room = usize::try_from(number % self.rooms.len() as u64)?;
            let speaker = self.rooms[room].speaker;
            if self.rooms[room].space() == 0 || self.crowd.is_held(speaker) {
                self.held_back += 1;
            } else {
                self.say(room, 1, due)?;
            }
        }
    }

    /// Says so many messages in one write.
    fn say(&mut self, room: usize, count: u64, due: Duration) -> anyhow::Result<()> {
        let (words, state) = (&self.words[room], &mut self.rooms[room]);
        let speaker = state.speaker;
        let count = count.min(state.space()).min(BATCH_MAX);
        for _ in 0..count {
            state.said(due);
        }
        self.messages += count;
        if count == 1 {
            return self.crowd.say(speaker, words);
        }
        let bytes = words.repeat(usize::try_from(count)?);
        self.crowd.say(speaker, &bytes)
    }

    /// Counts what comes, for a time at most.
    fn listen(&mut self, time_max: Duration) -> anyhow::Result<()> {
        let (rooms, turns, latency) = (&mut self.rooms, &mut self.turns, &mut self.latency);
        let (deliveries, last_heard) = (&mut self.deliveries, &mut self.last_heard);
        let (began, waits_for_all) = (self.began, matches!(self.pace, Pace::Window(_)));
        self.crowd.wait(time_max, |_, member, seen| {
            if let Some(goodbye) = seen.closed {
                bail!("the server closed a socket: {goodbye}");
            }
            let counts = matches!(member.who.part, Part::Listens | Part::Echoes);
            if seen.messages == 0 || !counts {
                return Ok(());
            }
            let now = began.elapsed();
            *last_heard = now;
            *deliveries += seen.messages;
            let room = member.who.room;
            let before = member.heard - seen.messages;
            if rooms[room].heard(before, member.heard, now, latency)? && waits_for_all {
                turns.push(room);
            }
            Ok(())
        })?;
        let now = self.began.elapsed();
        let silent = now.saturating_sub(self.last_heard);
        if silent > SILENCE_MAX && self.rooms.iter().any(|room| room.under_way() > 0) {
            bail!("nothing came for {SILENCE_MAX:?}");
        }
        Ok(())
    }

    /// Waits until everybody has all that was said.
    fn finish(&mut self) -> anyhow::Result<()> {
        self.last_heard = self.began.elapsed();
        while self.rooms.iter().any(|room| room.under_way() > 0) {
            self.listen(WAIT_MAX)?;
        }
        Ok(())
    }
}
