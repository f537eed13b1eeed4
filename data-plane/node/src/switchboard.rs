//! The switchboard's thread: what puddles say, what the control plane answers
//! and what backends call for comes in, and what the switchboard makes of it goes
//! out. Decides nothing but when the node has ended.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use porthouse_model::{ChangeItem, Time};
use porthouse_puddle::{
    Action, CallId, CallResult, Event, PuddleId, Settings, Switchboard, ToPuddle,
};
use rtrb::Producer;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::bridge::Bridge;
use crate::clock::Clock;
use crate::error::NodeError;
use crate::following::Following;
use crate::live::Called;
use crate::own::{Readiness, Sign};
use crate::policy::Control;
use crate::policy::client::Replicas;
use crate::ring::Wake;
use crate::shell::{Said, Told};
use crate::spans::Causes;

/// Revisions, orders and the like under way to one puddle, beside answers to its
/// questions, before calls and the watch have to wait for it.
const UNDER_WAY_MAX: usize = 2_048;
/// What one event may make of these, at the most.
const AT_ONCE_MAX: usize = 64;
/// How often a puddle that is behind is looked at again.
const BEHIND_EVERY: Duration = Duration::from_millis(1);
/// What puddles said that is taken at once.
const HEARD_MAX: usize = 256;
/// How often the switchboard is told the wall clock.
const WALL_EVERY: Duration = Duration::from_secs(1);
/// How long the puddles may take to end once they were told to.
const END_TIME_MAX: Duration = Duration::from_secs(2);

/// Answers that may be on their way to a puddle: of the control plane, and of the
/// store.
pub(crate) const fn answers_max(settings: &Settings) -> usize {
    settings.questions_max + settings.store.requests_max
}

/// What a puddle's inbox must hold: an answer to each question it may have, and
/// the rest.
pub(crate) const fn inbox_slots(settings: &Settings) -> usize {
    answers_max(settings) + UNDER_WAY_MAX
}

/// What a puddle may have said that was not heard: a question for each it may
/// have, a reply or an acknowledgement for each thing told, and its last words.
pub(crate) const fn voice_slots(settings: &Settings) -> usize {
    answers_max(settings) + inbox_slots(settings) + AT_ONCE_MAX
}

/// The way to one puddle.
#[derive(Debug)]
pub(crate) struct Line {
    inbox: Producer<Told>,
    wake: Arc<Wake>,
    answers_max: usize,
    /// It has drained.
    emptied: bool,
}

impl Line {
    pub(crate) const fn new(inbox: Producer<Told>, wake: Arc<Wake>, answers_max: usize) -> Self {
        Self {
            inbox,
            wake,
            answers_max,
            emptied: false,
        }
    }

    fn has_room(&self) -> bool {
        self.inbox.slots() >= self.answers_max + AT_ONCE_MAX
    }

    fn tell(&mut self, told: Told) {
        if let Err(rtrb::PushError::Full(told)) = self.inbox.push(told) {
            // A call that is not carried out ends by its time.
            let order = matches!(told, Told::Message(ToPuddle::Ordered { .. }));
            assert!(
                order,
                "answers are bounded by questions, and the watch waits for room"
            );
        }
        self.wake.wake();
    }
}

/// The switchboard and all it is joined to.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) board: Switchboard,
    pub(crate) clock: Clock,
    pub(crate) lines: Vec<Line>,
    pub(crate) heard: mpsc::Receiver<(PuddleId, Said)>,
    pub(crate) control: Control,
    pub(crate) bridge: Bridge,
    pub(crate) calls: mpsc::Receiver<Called>,
    pub(crate) completions: HashMap<CallId, oneshot::Sender<CallResult>>,
    pub(crate) following: Following,
    /// Says once until when every socket is to be closed.
    pub(crate) drain: oneshot::Receiver<Time>,
    pub(crate) sign: Arc<Sign>,
    pub(crate) causes: Causes,
}

impl Desk {
    /// Runs until the node has drained, or cannot go on; then every puddle is
    /// told to stop, and once all have ended the node leaves the control plane.
    pub(crate) async fn run(mut self) -> Result<(), NodeError> {
        let outcome = self.work().await;
        for line in &mut self.lines {
            line.tell(Told::Stop);
        }
        let ended = timeout(END_TIME_MAX, self.puddles_ended()).await;
        self.control.leave().await;
        outcome.and(ended.map_err(|_| NodeError::Stuck))
    }

    /// A puddle has its voice for as long as it has a socket.
    async fn puddles_ended(&mut self) {
        while self.heard.recv().await.is_some() {}
    }

    async fn work(&mut self) -> Result<(), NodeError> {
        let mut wall = interval(WALL_EVERY);
        wall.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut heard = Vec::with_capacity(HEARD_MAX);
        let mut until = None;
        while !self.has_drained(until) {
            let due = [self.settle(), until].into_iter().flatten().min();
            let keeps_up = self.lines.iter().all(Line::has_room);
            let nap = self.nap(due, keeps_up);
            tokio::select! {
                _ = wall.tick() => {
                    self.happened(Event::Wall(Clock::wall()));
                    self.let_go();
                }
                count = self.heard.recv_many(&mut heard, HEARD_MAX) => {
                    if count == 0 {
                        // No puddle is left.
                        return Err(NodeError::Broken);
                    }
                    for (puddle, said) in heard.drain(..) {
                        self.hear(puddle, said)?;
                    }
                }
                event = self.control.next(keeps_up) => self.happened(event),
                (puddle, request, answer) = self.bridge.next() => {
                    self.line(puddle).tell(Told::Bridged { request, answer });
                }
                Some(called) = self.calls.recv(), if keeps_up => self.called(called),
                drain = &mut self.drain, if until.is_none() => {
                    until = Some(self.begin_drain(drain.ok()));
                }
                () = sleep(nap) => {}
            }
        }
        Ok(())
    }

    fn happened(&mut self, event: Event) {
        if matches!(event, Event::WatchOpened { .. }) {
            self.sign.opened();
        }
        let keys_changed = revokes_a_key(&event);
        self.board.handle(self.clock.now(), event);
        if keys_changed {
            self.following.keys_changed();
        }
    }

    /// Puddles need not give what nobody reads any more.
    fn let_go(&mut self) {
        if !self.lines.iter().all(Line::has_room) {
            return;
        }
        for follow in self.following.take_over() {
            for line in &mut self.lines {
                line.tell(Told::Unfollow(Arc::clone(&follow)));
            }
        }
    }

    /// Who starts a node and forgets it wants no drain.
    fn begin_drain(&mut self, until: Option<Time>) -> Time {
        let until = until.unwrap_or_else(|| self.clock.now());
        self.sign.show(Readiness::Draining);
        self.happened(Event::Drain { until });
        until
    }

    fn has_drained(&self, until: Option<Time>) -> bool {
        until.is_some_and(|until| {
            self.lines.iter().all(|line| line.emptied) || until <= self.clock.now()
        })
    }

    fn nap(&self, due: Option<Time>, keeps_up: bool) -> Duration {
        let nap = due.map_or(WALL_EVERY, |due| due.since(self.clock.now()));
        if keeps_up { nap } else { nap.min(BEHIND_EVERY) }
    }

    fn hear(&mut self, puddle: PuddleId, said: Said) -> Result<(), NodeError> {
        match said {
            Said::Asked {
                question,
                what,
                cause,
            } => {
                self.causes.heard(&what, cause);
                self.happened(Event::Asked {
                    puddle,
                    question,
                    what,
                });
            }
            Said::Bridge {
                request,
                room,
                what,
            } => self.bridge.ask(puddle, request, room, what),
            Said::Applied { revision } => self.happened(Event::Applied { puddle, revision }),
            Said::Replied { order, reply } => {
                self.happened(Event::Replied {
                    puddle,
                    order,
                    reply,
                });
            }
            Said::Restarted { inbox, peers } => {
                // What it is told from here on goes to the fresh one.
                self.settle();
                self.line(puddle).inbox = inbox;
                self.bridge.restarted(puddle);
                for (other, ends) in peers {
                    self.line(other).tell(Told::Restarted { puddle, ends });
                }
                for follow in self.following.interrupted() {
                    self.lines[usize::from(puddle.0)].tell(Told::Follow(Arc::clone(follow)));
                }
                self.happened(Event::PuddleRestarted { puddle });
            }
            Said::Emptied => self.line(puddle).emptied = true,
            Said::Broken => return Err(NodeError::Broken),
        }
        Ok(())
    }

    fn called(&mut self, called: Called) {
        match called {
            Called::Made { call, what, answer } => {
                self.completions.insert(call, answer);
                self.following.called(call, &what);
                self.happened(Event::Called { call, what });
            }
            Called::Dropped { call } => {
                self.completions.remove(&call);
                self.following.dropped(call);
                self.happened(Event::CallDropped { call });
            }
            Called::Follow(follow) => {
                self.following.begin(&follow);
                for line in &mut self.lines {
                    line.tell(Told::Follow(Arc::clone(&follow)));
                }
            }
        }
    }

    /// Ends the switchboard's turn, and says when the next one is due.
    fn settle(&mut self) -> Option<Time> {
        let mut actions = Vec::new();
        let deadline = self.board.settle(self.clock.now(), &mut actions);
        for action in actions {
            self.act(action);
        }
        self.causes.forget();
        deadline.map(|deadline| deadline.at)
    }

    fn act(&mut self, action: Action) {
        let span = self.causes.asks(&action, self.control.spans());
        match action {
            Action::Tell { puddle, message } => self.line(puddle).tell(Told::Message(message)),
            Action::OpenWatch { watch, from } => self.control.open_watch(watch, from),
            Action::Resolve {
                request,
                keys,
                min_revision,
            } => {
                self.control.request(span, async move |to: Arc<Replicas>| {
                    to.resolve(request, keys, min_revision).await
                });
            }
            Action::Verify { request, what } => {
                self.control.request(span, async move |to: Arc<Replicas>| {
                    to.verify(request, *what).await
                });
            }
            Action::SignIn {
                request,
                by,
                address,
            } => {
                self.control.request(span, async move |to: Arc<Replicas>| {
                    to.sign_in(request, by, address).await
                });
            }
            Action::Acknowledge { revision } => self.control.acknowledge(revision),
            Action::Complete { call, result } => {
                self.following.completed(call, &result);
                if let Some(answer) = self.completions.remove(&call) {
                    // Whoever called may have left meanwhile.
                    let _ = answer.send(result);
                }
            }
        }
    }

    fn line(&mut self, puddle: PuddleId) -> &mut Line {
        &mut self.lines[usize::from(puddle.0)]
    }
}

/// Whether some API key is no more by this.
fn revokes_a_key(event: &Event) -> bool {
    let Event::Changed { change, .. } = event else {
        return false;
    };
    let mut items = change.items.iter();
    items.any(|item| matches!(item, ChangeItem::ApiKeyGone(_)))
}

#[cfg(test)]
mod tests {
    use porthouse_puddle::{Call, QuestionId, Seed, SwitchboardSettings};
    use rtrb::{Consumer, RingBuffer};
    use tokio::task::JoinHandle;
    use tokio::time::Instant;

    use super::*;
    use crate::policy::watch::About;
    use crate::ring::Ends;
    use crate::settings::ApiKeySecret;
    use crate::shell::Voice;

    const WAIT_MAX: Duration = Duration::from_secs(20);
    const QUESTIONS_MAX: usize = 2;

    /// A running switchboard of two puddles whose control plane is away, as
    /// puddles and backends see it.
    struct Running {
        voice: Voice,
        inboxes: Vec<Consumer<Told>>,
        calls: mpsc::Sender<Called>,
        drain: Option<oneshot::Sender<Time>>,
        sign: Arc<Sign>,
        clock: Clock,
        ended: JoinHandle<Result<(), NodeError>>,
    }

    fn away() -> Control {
        let (name, listen) = ("node".parse().unwrap(), "127.0.0.1:0".parse().unwrap());
        let key = ApiKeySecret::new("phk_key".to_owned());
        let nowhere = "http://127.0.0.1:1".to_owned();
        let settings = crate::Settings::new(name, listen, nowhere, key);
        let about = About {
            node: "node".to_owned(),
            incarnation: [1; 16],
            listeners: Vec::new(),
            tallies: Vec::new(),
            seen: crate::policy::seen::Seen::of(2),
            live: crate::live::Live::new(mpsc::channel(1).0, 1, 1),
        };
        Control::new(Replicas::new(&settings, WAIT_MAX).unwrap(), about)
    }

    async fn running(inbox_slots: usize) -> Running {
        let (voice, heard) = mpsc::channel(64);
        let (calls, called) = mpsc::channel(8);
        let (drain, drains) = oneshot::channel();
        let (clock, sign) = (Clock::start(), Arc::new(Sign::new()));
        let (mut lines, mut inboxes) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let (inbox, told) = RingBuffer::new(inbox_slots);
            lines.push(Line::new(inbox, Wake::new().unwrap(), QUESTIONS_MAX));
            inboxes.push(told);
        }
        let board = SwitchboardSettings {
            request_time_max: Duration::from_millis(50),
            ..SwitchboardSettings::new(2, Seed(1))
        };
        let desk = Desk {
            board: Switchboard::new(board, clock.now()),
            clock,
            lines,
            heard,
            control: away(),
            bridge: Bridge::open(None, 2).await.unwrap(),
            calls: called,
            completions: HashMap::new(),
            following: Following::default(),
            drain: drains,
            sign: Arc::clone(&sign),
            causes: Causes::default(),
        };
        Running {
            voice,
            inboxes,
            calls,
            drain: Some(drain),
            sign,
            clock,
            ended: tokio::spawn(desk.run()),
        }
    }

    impl Running {
        async fn say(&self, puddle: u8, said: Said) {
            self.voice.send((PuddleId(puddle), said)).await.unwrap();
        }

        async fn told(&mut self, puddle: usize) -> Told {
            let told = async {
                loop {
                    match self.inboxes[puddle].pop() {
                        Ok(told) => return told,
                        Err(_) => tokio::task::yield_now().await,
                    }
                }
            };
            timeout(WAIT_MAX, told).await.expect("it is told")
        }

        async fn list_rooms(&self, call: u64) -> oneshot::Receiver<CallResult> {
            let (answer, result) = oneshot::channel();
            let what = Call::ListRooms {
                after: None,
                rooms_max: 1,
            };
            let call = CallId(call);
            self.calls
                .send(Called::Made { call, what, answer })
                .await
                .unwrap();
            result
        }
    }

    #[tokio::test]
    async fn a_puddle_that_began_anew_is_told_by_its_new_inbox_and_others_get_new_rings() {
        let mut running = running(1_024).await;
        let (inbox, fresh) = RingBuffer::new(1_024);
        let peers = vec![(PuddleId(1), Ends::pair(8).1)];
        running.say(0, Said::Restarted { inbox, peers }).await;
        let told = running.told(1).await;
        assert!(matches!(
            told,
            Told::Restarted {
                puddle: PuddleId(0),
                ..
            }
        ));
        running.inboxes[0] = fresh;
        let _result = running.list_rooms(0).await;
        let told = running.told(0).await;
        assert!(matches!(told, Told::Message(ToPuddle::Ordered { .. })));
    }

    #[tokio::test]
    async fn a_puddle_that_is_broken_ends_all_of_them() {
        let mut running = running(1_024).await;
        running.say(1, Said::Broken).await;
        assert!(matches!(running.told(0).await, Told::Stop));
        drop(running.voice);
        let ended = timeout(WAIT_MAX, running.ended).await.unwrap().unwrap();
        assert_eq!(ended, Err(NodeError::Broken));
    }

    #[tokio::test]
    async fn a_drain_ends_once_every_puddle_is_empty() {
        let mut running = running(1_024).await;
        let until = running.clock.now() + WAIT_MAX;
        running.drain.take().unwrap().send(until).unwrap();
        for puddle in 0..2 {
            let told = running.told(puddle).await;
            assert!(matches!(told, Told::Message(ToPuddle::Drain { .. })));
        }
        assert_eq!(running.sign.read(), Readiness::Draining);
        running.say(0, Said::Emptied).await;
        assert!(!running.ended.is_finished());
        running.say(1, Said::Emptied).await;
        drop(running.voice);
        let ended = timeout(WAIT_MAX, running.ended).await.unwrap().unwrap();
        assert_eq!(ended, Ok(()));
    }

    #[tokio::test]
    async fn a_node_leaves_after_its_puddles_and_waits_for_them_within_bounds() {
        let mut running = running(1_024).await;
        let now = running.clock.now();
        let began = Instant::now();
        running.drain.take().unwrap().send(now).unwrap();
        assert!(matches!(running.told(0).await, Told::Stop));
        // Whoever holds the voice has not ended.
        let ended = timeout(WAIT_MAX, running.ended).await.unwrap().unwrap();
        assert_eq!(ended, Err(NodeError::Stuck));
        assert!(began.elapsed() >= END_TIME_MAX);
    }

    #[tokio::test]
    async fn calls_wait_while_a_puddle_is_behind() {
        let room = QUESTIONS_MAX + AT_ONCE_MAX;
        let mut running = running(room).await;
        drop(running.list_rooms(1).await);
        assert!(matches!(
            running.told(0).await,
            Told::Message(ToPuddle::Ordered { .. })
        ));
        // The other puddle has not looked, so there is less room than must be.
        let _waits = running.list_rooms(2).await;
        let question = QuestionId(1);
        let what = porthouse_puddle::Question::Resolve {
            key: porthouse_model::PolicyKey::Room("lobby".parse().unwrap()),
            min_revision: porthouse_model::Revision(0),
        };
        let cause = None;
        let asked = Said::Asked {
            question,
            what,
            cause,
        };
        running.say(0, asked).await;
        let told = running.told(0).await;
        assert!(
            matches!(told, Told::Message(ToPuddle::Answered { .. })),
            "{told:?}"
        );
        running.told(1).await;
        assert!(matches!(
            running.told(0).await,
            Told::Message(ToPuddle::Ordered { .. })
        ));
    }
}
