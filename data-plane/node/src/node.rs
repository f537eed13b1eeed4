//! A node, assembled: its threads started, its drain ordered, its end awaited.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use porthouse_api::live::v1::live_service_server::LiveServiceServer;
use porthouse_model::{MESSAGE_BYTES_LIMIT, Time};
use porthouse_process::operators::{self, Operators, Plane};
use porthouse_puddle::{BlackBox, PuddleId, Seed, Switchboard, SwitchboardSettings};
use rtrb::RingBuffer;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};

use crate::black_box::Bell;
use crate::bridge::{Bridge, StoreSign, nats};
use crate::clock::Clock;
use crate::error::{NodeError, StartError};
use crate::follow::Followers;
use crate::following::Following;
use crate::grpc::{self, Grpc};
use crate::listen;
use crate::live::guard::GuardedLive;
use crate::live::{Called, Live};
use crate::operators::Shown;
use crate::own::Sign;
use crate::own::front::Front;
use crate::own::session::Sessions;
use crate::policy::Control;
use crate::policy::client::{Replicas, asking};
use crate::policy::kept_out::KeptOut;
use crate::policy::seen::Seen;
use crate::policy::watch::About;
use crate::refusals::Refusals;
use crate::ring::{Peers, Wake};
use crate::settings::{PUDDLES_MAX, Settings, TRUSTED_PROXIES_MAX};
use crate::shell::{Io, Said};
use crate::socket::Sockets;
use crate::spans::{Causes, Spans};
use crate::switchboard::{self, Desk, Line};
use crate::tally::Tally;
use crate::thread::{Recorder, Thread};

/// Room in a call for what is not the message.
const CALL_OVERHEAD_BYTES: usize = 64 * 1024;

/// A running node. Dropped without [`Self::shutdown`] it ends at once.
#[derive(Debug)]
pub struct Node {
    ws: SocketAddr,
    live: Live,
    grpc: Option<Grpc>,
    shown: Arc<Shown>,
    operators: Option<Operators>,
    clock: Clock,
    drain: oneshot::Sender<Time>,
    ended: oneshot::Receiver<Result<(), NodeError>>,
}

impl Node {
    /// Starts a node: when this answers, connections are accepted. It is ready
    /// once it has heard the control plane, which it tries for as long as it
    /// runs.
    ///
    /// # Errors
    ///
    /// [`StartError`] names the setting to change.
    pub fn start(settings: &Settings) -> Result<Self, StartError> {
        prepare(settings)?;
        let (ws, listeners) = listen::bind(
            settings.listen,
            settings.puddles,
            settings.silence_time_max * 2,
        )
        .map_err(|source| StartError::Listen {
            address: settings.listen,
            setting: "listen",
            source,
        })?;
        let clock = Clock::start();
        let board = board(settings);
        let (calls, called) = mpsc::channel(board.calls_max);
        let live = live(settings, calls);
        let grpc = grpc(settings, &live)?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let inside = runtime.enter();
        let replicas = Replicas::new(settings, board.request_time_max)?;
        drop(inside);
        // On a thread of its own: the caller's may drive a runtime, and none can
        // be waited for inside another.
        let bridge = thread::scope(|scope| {
            let open = || runtime.block_on(Bridge::open(settings.nats.as_ref(), settings.puddles));
            let opened = scope.spawn(open).join();
            opened.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?;

        let sign = Arc::new(Sign::new());
        let (kept_out, writes) = KeptOut::new(Arc::clone(&replicas));
        runtime.spawn(writes);
        if let Some(sweeps) = bridge.swept(Arc::clone(&replicas)) {
            runtime.spawn(sweeps);
        }
        let ways = Ways::new(settings, &sign, (&replicas, &live), kept_out)?;
        let made = threads(settings, clock, &ways, listeners)?;
        let shown = Arc::new(shown(settings, &sign, &made, bridge.sign()));
        let operators = operators(settings, &shown)?;
        let about = About {
            node: settings.name.to_string(),
            incarnation: rand::random(),
            listeners: vec![ws.to_string()],
            tallies: made.tallies.clone(),
            seen: ways.seen,
            live: live.clone(),
        };
        let (drain, drains) = oneshot::channel();
        let desk = Desk {
            board: Switchboard::new(board, clock.now()),
            clock,
            lines: made.lines,
            heard: made.heard,
            control: Control::new(replicas, about),
            bridge,
            calls: called,
            completions: HashMap::new(),
            following: Following::default(),
            drain: drains,
            sign,
            causes: Causes::default(),
        };
        let ended = run(runtime, desk, made.threads)?;
        Ok(Self {
            ws,
            live,
            grpc,
            shown,
            operators,
            clock,
            drain,
            ended,
        })
    }

    /// Where sockets connect.
    #[must_use]
    pub const fn ws_addr(&self) -> SocketAddr {
        self.ws
    }

    /// Where live.v1 is served by a listener of the node's own, if it is.
    #[must_use]
    pub fn grpc_addr(&self) -> Option<SocketAddr> {
        self.grpc.as_ref().map(Grpc::address)
    }

    /// Where operators are answered, if they are.
    #[must_use]
    pub fn operators_addr(&self) -> Option<SocketAddr> {
        self.operators.as_ref().map(Operators::address)
    }

    /// What operators are shown of it, by a listener that is not the node's own.
    #[must_use]
    pub fn shown(&self) -> Arc<dyn Plane> {
        Arc::<Shown>::clone(&self.shown)
    }

    /// live.v1, to be served beside other services.
    #[must_use]
    pub fn live(&self) -> GuardedLive {
        live_server(self.live.clone())
    }

    /// Waits until the node ends by itself, which it does only when it cannot go
    /// on.
    pub async fn ended(&mut self) -> NodeError {
        match (&mut self.ended).await {
            Ok(Err(error)) => error,
            Ok(Ok(())) | Err(_) => NodeError::Broken,
        }
    }

    /// Drains the node and ends it: it is not ready any more, its sockets are
    /// told to come back elsewhere, and when all are closed, or after
    /// `time_max`, it leaves the control plane.
    ///
    /// # Errors
    ///
    /// [`NodeError`] when it could not go on before.
    pub async fn shutdown(self, time_max: Duration) -> Result<(), NodeError> {
        // It may have ended already; then that is answered.
        let _ = self.drain.send(self.clock.now() + time_max);
        let ended = self.ended.await;
        if let Some(grpc) = self.grpc {
            grpc.stop().await;
        }
        ended.unwrap_or(Err(NodeError::Broken))
    }
}

impl Settings {
    /// Whether a node would start on these, as far as that can be said without a
    /// listener, a connection or a place on the disk.
    ///
    /// # Errors
    ///
    /// [`StartError`] names the setting to change.
    pub fn check(&self) -> Result<(), StartError> {
        if !(1..=PUDDLES_MAX).contains(&self.puddles) {
            return Err(StartError::Puddles(self.puddles));
        }
        let proxies = self.trusted_proxies.len();
        if proxies > TRUSTED_PROXIES_MAX {
            return Err(StartError::TrustedProxies(proxies));
        }
        asking(self)?;
        grpc::server(self.grpc_tls.as_ref())?;
        if let Some(server) = &self.nats {
            nats::options(server)?;
        }
        Ok(())
    }
}

/// Checks all that is said, and makes what must be there on the disk.
fn prepare(settings: &Settings) -> Result<(), StartError> {
    settings.check()?;
    if let Some(boxes) = &settings.black_boxes {
        boxes.prepare().map_err(|source| StartError::BlackBoxes {
            directory: boxes.directory.display().to_string(),
            source,
        })?;
    }
    Ok(())
}

fn shown(
    settings: &Settings,
    sign: &Arc<Sign>,
    made: &Made,
    store: Option<Arc<StoreSign>>,
) -> Shown {
    Shown {
        node: settings.name.to_string(),
        sign: Arc::clone(sign),
        tallies: made.tallies.clone(),
        store,
        bells: made.bells.clone(),
        boxes: settings.black_boxes.clone(),
        asking: tokio::sync::Mutex::default(),
    }
}

fn operators(settings: &Settings, shown: &Arc<Shown>) -> Result<Option<Operators>, StartError> {
    let Some(address) = settings.operators else {
        return Ok(None);
    };
    let listener = TcpListener::bind(address).map_err(|source| StartError::Listen {
        address,
        setting: "operators",
        source,
    })?;
    let shown = operators::Shown {
        planes: vec![Arc::<Shown>::clone(shown)],
        spans: settings.spans.clone(),
    };
    Ok(Some(operators::start(listener, shown)?))
}

fn board(settings: &Settings) -> SwitchboardSettings {
    SwitchboardSettings::new(puddle_count(settings), Seed(rand::random()))
}

fn live(settings: &Settings, calls: mpsc::Sender<Called>) -> Live {
    let live = Live::new(calls, puddle_count(settings), settings.subscriptions_max);
    live.with_spans(settings.spans.clone())
}

fn grpc(settings: &Settings, live: &Live) -> Result<Option<Grpc>, StartError> {
    let start = |address| {
        let tls = settings.grpc_tls.as_ref();
        grpc::start(address, tls, live_server(live.clone()))
    };
    settings.grpc.map(start).transpose()
}

fn live_server(live: Live) -> GuardedLive {
    let bytes_max = MESSAGE_BYTES_LIMIT as usize + CALL_OVERHEAD_BYTES;
    let server = LiveServiceServer::new(live.clone());
    GuardedLive::new(live, server.max_decoding_message_size(bytes_max))
}

fn puddle_count(settings: &Settings) -> u8 {
    u8::try_from(settings.puddles).expect("checked at the start")
}

/// What all puddles' threads share.
struct Ways {
    sign: Arc<Sign>,
    front: Front,
    refusals: Arc<Refusals>,
    seen: Seen,
    kept_out: KeptOut,
}

impl Ways {
    fn new(
        settings: &Settings,
        sign: &Arc<Sign>,
        (replicas, live): (&Arc<Replicas>, &Live),
        kept_out: KeptOut,
    ) -> Result<Self, StartError> {
        Ok(Self {
            sign: Arc::clone(sign),
            front: Front::start(Sessions {
                control: Arc::clone(replicas),
                page_origins: settings.page_origins.clone(),
                refusals: Arc::clone(live.refusals()),
            })?,
            refusals: Arc::clone(live.refusals()),
            seen: Seen::of(settings.puddles),
            kept_out,
        })
    }
}

/// The puddles' threads, not yet running, and the ways to them.
struct Made {
    threads: Vec<Thread>,
    lines: Vec<Line>,
    heard: mpsc::Receiver<(PuddleId, Said)>,
    tallies: Vec<Arc<Tally>>,
    bells: Vec<Arc<Bell>>,
}

fn threads(
    settings: &Settings,
    clock: Clock,
    ways: &Ways,
    listeners: Vec<TcpListener>,
) -> Result<Made, StartError> {
    let wakes = listeners
        .iter()
        .map(|_| Wake::new())
        .collect::<Result<Vec<_>, _>>()?;
    let first = settings.puddle(PuddleId(0));
    let (voice, heard) = mpsc::channel(switchboard::voice_slots(&first) * listeners.len());
    let mesh = Peers::mesh(&wakes, first.hop_ring_slots() as usize);
    let mut made = Made {
        threads: Vec::new(),
        lines: Vec::new(),
        heard,
        tallies: Vec::new(),
        bells: Vec::new(),
    };
    for (((listener, peers), wake), puddle) in listeners.into_iter().zip(mesh).zip(wakes).zip(0..) {
        let puddle = PuddleId(puddle);
        let bell = Arc::new(Bell::new(Arc::clone(&wake)));
        made.bells.push(Arc::clone(&bell));
        let boxes = settings.black_boxes.clone();
        let spans = Spans::new(&settings.spans, puddle);
        let recorder = Recorder {
            black_box: BlackBox::new(boxes.as_ref().map_or(0, |boxes| boxes.bytes)),
            boxes,
            bell,
        };
        let settings = settings.puddle(puddle);
        let (inbox, told) = RingBuffer::new(switchboard::inbox_slots(&settings));
        let tally = Arc::new(Tally::default());
        let io = Io {
            puddle,
            sockets: Sockets::new(settings.sockets_max)?,
            peers,
            voice: voice.clone(),
            sign: Arc::clone(&ways.sign),
            front: ways.front.clone(),
            refusals: Arc::clone(&ways.refusals),
            seen: ways.seen.clone(),
            followers: Followers::default(),
            kept_out: ways.kept_out.clone(),
            now: clock.now(),
            writes: 0,
            spans,
        };
        made.lines.push(Line::new(
            inbox,
            Arc::clone(&wake),
            switchboard::answers_max(&settings),
        ));
        made.tallies.push(Arc::clone(&tally));
        made.threads.push(Thread::new(
            settings,
            clock,
            listener,
            wake,
            told,
            io,
            (tally, recorder),
        ));
    }
    Ok(made)
}

/// Starts the threads. What is answered tells how the node ended, once all of
/// them have.
fn run(
    runtime: Runtime,
    desk: Desk,
    puddles: Vec<Thread>,
) -> Result<oneshot::Receiver<Result<(), NodeError>>, StartError> {
    let (end, ended) = oneshot::channel();
    let mut running = Vec::with_capacity(puddles.len());
    for (puddle, number) in puddles.into_iter().zip(0..) {
        let name = format!("puddle-{number}");
        running.push(
            thread::Builder::new()
                .name(name)
                .spawn(move || puddle.run())?,
        );
    }
    thread::Builder::new()
        .name("switchboard".to_owned())
        .spawn(move || {
            let outcome = runtime.block_on(desk.run()).and_then(|()| {
                let whole = running.into_iter().all(|puddle| puddle.join().is_ok());
                whole.then_some(()).ok_or(NodeError::Broken)
            });
            // Nobody may be waiting.
            let _ = end.send(outcome);
        })?;
    Ok(ended)
}
