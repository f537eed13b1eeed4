//! A server under test: its process, and its room.

use std::ops::ControlFlow;
use std::time::Duration;

use porthouse_load::crowd::Crowd;
use porthouse_load::house::House;
use porthouse_load::opening;
use porthouse_load::process::{Process, Started};
use porthouse_load::raw::Raw;
use porthouse_load::speech::{Part, Speech, Who};
use porthouse_load::talk::{self, Edge, Outcome, Plan};
use porthouse_load::target::Target;
use porthouse_load::to_float;
use rustix::process::{Pid, Signal, kill_process};

/// Sockets that come in at one time: some peers refuse more.
const AT_ONCE: usize = 32;
/// Sockets that come before memory is looked at, and pay for what all share.
const FIRST_SOCKETS: usize = 100;
/// How often it is looked at while they come.
const IDLE_STEPS: usize = 5;

/// What can be asked of a server, whatever is spoken to it.
pub(crate) trait Subject {
    /// Opens its room: one speaks, so many listen.
    fn open(&mut self, listeners: usize) -> anyhow::Result<()>;
    /// Closes its room.
    fn close(&mut self);
    /// Runs a plan in its room.
    fn talk(&mut self, plan: &Plan) -> anyhow::Result<Told>;
    /// Bytes of user memory that so many idle sockets take, by steps.
    fn idle(&mut self, sockets: usize) -> anyhow::Result<Vec<Idle>>;
    /// Takes it off its core until it is woken.
    fn sleep(&self);
    /// Has it go on.
    fn wake(&self);
}

/// What a run told.
pub(crate) struct Told {
    pub(crate) outcome: Outcome,
    /// CPU time of the server.
    pub(crate) cpu: Duration,
}

/// What idle sockets take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Idle {
    pub(crate) sockets: usize,
    pub(crate) bytes: u64,
}

/// Runs a plan in a crowd, and reads what it costs a process.
pub(crate) fn told<S: Speech>(
    crowd: &mut Crowd<S>,
    process: Process,
    plan: &Plan,
) -> anyhow::Result<Told> {
    let mut cpu = [Duration::ZERO; 2];
    let read = |edge| {
        cpu[usize::from(edge == Edge::Over)] = process.cpu()?;
        Ok(())
    };
    let outcome = talk::talk(crowd, plan, read, &mut |_| ControlFlow::Continue(()))?;
    let cpu = cpu[1].saturating_sub(cpu[0]);
    Ok(Told { outcome, cpu })
}

impl Told {
    /// CPU of the server a delivery, in microseconds.
    pub(crate) fn cpu_a_delivery(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / to_float(self.outcome.deliveries)
    }

    /// The 99th percentile, in milliseconds.
    pub(crate) fn p99(&self) -> f64 {
        milliseconds(self.outcome.latency.percentile(99.0))
    }

    /// The median, in milliseconds.
    pub(crate) fn p50(&self) -> f64 {
        milliseconds(self.outcome.latency.percentile(50.0))
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// What holds a server alive.
pub(crate) enum Held {
    /// Porthouse, which must not sleep: it would take itself for cut off.
    House(Box<House>),
    /// A peer.
    Peer {
        started: Started,
        /// What its configuration lies in.
        _directory: tempfile::TempDir,
    },
}

impl Held {
    /// The process that was started.
    fn process(&self) -> Process {
        match self {
            Self::House(house) => house.process(),
            Self::Peer { started, .. } => started.process(),
        }
    }
}

/// A server and how it is spoken to.
pub(crate) struct Running<S: Speech> {
    held: Held,
    /// The process that does the work.
    process: Process,
    target: Target,
    speech: S,
    crowd: Option<Crowd<S>>,
}

/// Porthouse, with one puddle.
pub(crate) fn porthouse(program: &std::path::Path) -> anyhow::Result<Running<Raw>> {
    let house = House::start(program, 1)?;
    let target = Target::at(house.ws());
    let held = Held::House(Box::new(house));
    Ok(Running::new(held, target, Raw::in_room("bench")))
}

impl<S: Speech> Running<S> {
    pub(crate) fn new(held: Held, target: Target, speech: S) -> Self {
        Self {
            process: held.process(),
            held,
            target,
            speech,
            crowd: None,
        }
    }

    /// Its first child does the work.
    pub(crate) fn by_its_child(mut self) -> anyhow::Result<Self> {
        let child = self.process.child();
        self.process = child.ok_or_else(|| anyhow::anyhow!("it has no child"))?;
        Ok(self)
    }

    fn signal(&self, signal: Signal) {
        if let Held::Peer { .. } = self.held
            && let Ok(number) = i32::try_from(self.process.number())
            && let Some(pid) = Pid::from_raw(number)
        {
            // One that is gone is found out by the next run.
            let _gone = kill_process(pid, signal);
        }
    }
}

impl<S: Speech + Clone> Running<S> {
    fn come(&self, everybody: &[Who]) -> anyhow::Result<Crowd<S>> {
        let speech = self.speech.clone();
        let mut watch = |_| ControlFlow::Continue(());
        let (crowd, opened) = opening::open(&self.target, speech, everybody, AT_ONCE, &mut watch)?;
        opened.all()?;
        Ok(crowd)
    }
}

impl<S: Speech + Clone> Subject for Running<S> {
    fn open(&mut self, listeners: usize) -> anyhow::Result<()> {
        let crowd = self.come(&talk::everybody(1, listeners, 0))?;
        self.crowd = Some(crowd);
        Ok(())
    }

    fn close(&mut self) {
        self.crowd = None;
    }

    fn talk(&mut self, plan: &Plan) -> anyhow::Result<Told> {
        let crowd = self.crowd.as_mut();
        let crowd = crowd.ok_or_else(|| anyhow::anyhow!("its room is closed"))?;
        told(crowd, self.process, plan)
    }

    fn idle(&mut self, sockets: usize) -> anyhow::Result<Vec<Idle>> {
        let listens = Who {
            room: 0,
            part: Part::Listens,
        };
        let _first = self.come(&vec![listens; FIRST_SOCKETS])?;
        let before = self.process.memory_bytes()?;
        let (mut crowds, mut steps) = (Vec::new(), Vec::new());
        let mut inside = 0;
        for step in 1..=IDLE_STEPS {
            let wanted = sockets * step / IDLE_STEPS;
            crowds.push(self.come(&vec![listens; wanted - inside])?);
            inside = wanted;
            let bytes = self.process.memory_bytes()?.saturating_sub(before);
            steps.push(Idle {
                sockets: inside,
                bytes,
            });
        }
        Ok(steps)
    }

    fn sleep(&self) {
        self.signal(Signal::STOP);
    }

    fn wake(&self) {
        self.signal(Signal::CONT);
    }
}

impl<S: Speech> Drop for Running<S> {
    fn drop(&mut self) {
        // One that sleeps does not hear that it shall end.
        self.signal(Signal::CONT);
    }
}
