//! Spans: what a process did, from when to when, and because of what; a sample of
//! it, for a collector of OpenTelemetry.
//!
//! Owns which are taken and that taking one never waits: an ended span goes into a
//! bounded queue, and is dropped and counted where that is full. A [`Tracer`] that is
//! off gives none, for one branch. Never holds what a client said, a name, an address
//! or a secret: what a span says of itself is static text, numbers and ids.

pub mod call;
mod context;
mod settings;
mod wire;
mod export;

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;
use tokio::time::Instant;

use context::Context;
pub use export::{Exporting, SpansError};
pub use settings::{BadSpanSetting, Ratio, SpanEndpoint, SpanHeaders, SpanSettings};

/// Ended spans that wait to be exported; past it, they are dropped.
const QUEUE_SPANS_MAX: usize = 4_096;
/// Spans that callers have taken in a second and chance would not; past it, chance
/// decides, so that no caller makes of one in a hundred all.
const FORCED_PER_SECOND_MAX: u32 = 100;
/// What one span says of itself; past it, it says no more.
const ATTRIBUTES_MAX: usize = 16;

tokio::task_local! {
    /// What the task at work does it for.
    static CURRENT: Cause;
}

/// Takes spans, or none. All copies are one.
#[derive(Clone, Debug, Default)]
pub struct Tracer(Option<Arc<Sampling>>);

/// What a tracer that is on works with.
#[derive(Debug)]
struct Sampling {
    ratio: Ratio,
    queue: mpsc::Sender<Ended>,
    counts: Arc<Counts>,
    forced: Mutex<Forced>,
}

/// Spans that are taken as their callers have it, and chance would not.
#[derive(Debug)]
struct Forced {
    /// From when on they are counted: a second.
    since: Instant,
    count: u32,
}

/// What became of spans.
#[derive(Debug, Default)]
struct Counts {
    exported: AtomicU64,
    dropped: AtomicU64,
}

/// A span that others are part of, wherever they are done.
#[derive(Clone, Debug)]
pub struct Cause {
    sampling: Arc<Sampling>,
    context: Context,
}

/// On which side of a call it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// On none.
    Internal,
    /// It answers.
    Server,
    /// It asks.
    Client,
}

/// A value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text.
    Text(Cow<'static, str>),
    /// A number.
    Number(i64),
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// Something under way, in a sampled trace. It ends when it is dropped.
#[derive(Debug)]
pub struct Span {
    sampling: Arc<Sampling>,
    ended: Option<Ended>,
    /// For its length: a clock that is set changes none.
    since: Instant,
}

/// A span as it is exported.
#[derive(Debug)]
struct Ended {
    context: Context,
    parent: Option<[u8; 8]>,
    name: Cow<'static, str>,
    kind: Kind,
    began: SystemTime,
    /// `None`: when it is dropped.
    took: Option<Duration>,
    attributes: Vec<(&'static str, Value)>,
    failed: bool,
}

impl Forced {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            count: 0,
        }
    }
}

impl Sampling {
    /// Whether one more is taken; one that is not is a dropped one.
    fn may_be_forced(&self) -> bool {
        let mut forced = self.forced.lock().unwrap_or_else(PoisonError::into_inner);
        if forced.since.elapsed() >= Duration::from_secs(1) {
            *forced = Forced::new();
        }
        let may = forced.count < FORCED_PER_SECOND_MAX;
        if may {
            forced.count += 1;
        } else {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
        may
    }
}

impl Tracer {
    /// Takes spans as it is set, and has them exported by a thread of its own; none
    /// where the ratio is 0.
    ///
    /// # Errors
    /// When nothing can be exported so.
    pub fn start(settings: SpanSettings) -> Result<(Self, Exporting), SpansError> {
        if settings.ratio.is_zero() {
            return Ok((Self::default(), Exporting::nothing()));
        }
        let (queue, ended) = mpsc::channel(QUEUE_SPANS_MAX);
        let counts = Arc::new(Counts::default());
        let ratio = settings.ratio;
        let exporting = export::start(settings, ended, Arc::clone(&counts))?;
        let sampling = Sampling {
            ratio,
            queue,
            counts,
            forced: Mutex::new(Forced::new()),
        };
        Ok((Self(Some(Arc::new(sampling))), exporting))
    }

    /// Whether any are taken.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Of what is done very often, one of how many is to be taken; `None`: nothing.
    #[must_use]
    pub fn one_in(&self) -> Option<u32> {
        self.0.as_ref().map(|sampling| sampling.ratio.one_in())
    }

    /// The first span of a trace; none, unless chance takes it.
    #[must_use]
    pub fn begin(&self, name: impl Into<Cow<'static, str>>, kind: Kind) -> Option<Span> {
        let sampling = self.0.as_ref()?;
        let context = Context::drawn();
        let taken = sampling.ratio.takes(&context);
        taken.then(|| Span::new(sampling, context, None, (name.into(), kind)))
    }

    /// The first span of a trace that is taken whatever chance says.
    #[must_use]
    pub fn take(&self, name: impl Into<Cow<'static, str>>, kind: Kind) -> Option<Span> {
        let sampling = self.0.as_ref()?;
        let named = (name.into(), kind);
        Some(Span::new(sampling, Context::drawn(), None, named))
    }

    /// A span that goes on from what a caller says (`traceparent`), which decides
    /// whether it is taken, up to 100 a second that chance would not take; of a caller that says nothing, chance does.
    #[must_use]
    pub fn answer(
        &self,
        traceparent: Option<&str>,
        name: impl Into<Cow<'static, str>>,
        kind: Kind,
    ) -> Option<Span> {
        let sampling = self.0.as_ref()?;
        let Some((caller, sampled)) = traceparent.and_then(context::parse) else {
            return self.begin(name, kind);
        };
        let named = (name.into(), kind);
        let taken = sampled && (sampling.ratio.takes(&caller) || sampling.may_be_forced());
        taken.then(|| Span::new(sampling, caller.child(), Some(caller.span), named))
    }

    /// Notes that something was not taken that would have been, as it was too much.
    pub fn note_dropped(&self) {
        if let Some(sampling) = &self.0 {
            sampling.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many spans were exported, and how many dropped; `None`: none is taken.
    #[must_use]
    pub fn counts(&self) -> Option<(u64, u64)> {
        let counts = &self.0.as_ref()?.counts;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Some((read(&counts.exported), read(&counts.dropped)))
    }
}

impl Span {
    #[expect(
        clippy::disallowed_methods,
        reason = "a span is of the wall clock, and nothing is decided by it"
    )]
    fn new(
        sampling: &Arc<Sampling>,
        context: Context,
        parent: Option<[u8; 8]>,
        (name, kind): (Cow<'static, str>, Kind),
    ) -> Self {
        let ended = Ended {
            context,
            parent,
            name,
            kind,
            began: SystemTime::now(),
            took: None,
            attributes: Vec::new(),
            failed: false,
        };
        Self {
            sampling: Arc::clone(sampling),
            ended: Some(ended),
            since: Instant::now(),
        }
    }

    fn inner(&self) -> &Ended {
        self.ended
            .as_ref()
            .expect("it is there until it is dropped")
    }

    fn inner_mut(&mut self) -> &mut Ended {
        self.ended
            .as_mut()
            .expect("it is there until it is dropped")
    }

    /// What others need to know to be part of it.
    #[must_use]
    pub fn cause(&self) -> Cause {
        Cause {
            sampling: Arc::clone(&self.sampling),
            context: self.inner().context,
        }
    }

    /// Says something of it.
    pub fn say(&mut self, key: &'static str, value: impl Into<Value>) {
        let attributes = &mut self.inner_mut().attributes;
        if attributes.len() < ATTRIBUTES_MAX {
            attributes.push((key, value.into()));
        }
    }

    /// It came to nothing, for want of this.
    pub fn fail(&mut self, error: &'static str) {
        self.say("error.type", error);
        self.inner_mut().failed = true;
    }

    /// When it was, where that is not from when it was made to when it is dropped.
    pub fn lasted(&mut self, began: SystemTime, took: Duration) {
        let ended = self.inner_mut();
        ended.began = began;
        ended.took = Some(took);
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        let Some(mut ended) = self.ended.take() else {
            return;
        };
        if ended.took.is_none() {
            ended.took = Some(self.since.elapsed());
        }
        if self.sampling.queue.try_send(ended).is_err() {
            self.sampling.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Cause {
    /// A part of it.
    #[must_use]
    pub fn part(&self, name: impl Into<Cow<'static, str>>, kind: Kind) -> Span {
        let named = (name.into(), kind);
        let (parent, context) = (self.context.span, self.context.child());
        Span::new(&self.sampling, context, Some(parent), named)
    }
}

/// Does something as a part of this span, where there is one.
pub async fn within<F: Future>(span: Option<&Span>, work: F) -> F::Output {
    match span {
        None => work.await,
        Some(span) => CURRENT.scope(span.cause(), work).await,
    }
}

/// A part of what the task at work does; none, where no span is taken of that.
#[must_use]
pub fn part(name: impl Into<Cow<'static, str>>, kind: Kind) -> Option<Span> {
    CURRENT.try_with(|cause| cause.part(name, kind)).ok()
}

/// What is told to whom the task at work asks (`traceparent`), where a span is taken
/// of that.
#[must_use]
pub fn traceparent() -> Option<String> {
    CURRENT.try_with(|cause| cause.context.traceparent()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn tracer(ratio: &str, slots: usize) -> (Tracer, mpsc::Receiver<Ended>) {
        let (queue, ended) = mpsc::channel(slots);
        let sampling = Sampling {
            ratio: ratio.parse().expect("a ratio"),
            queue,
            counts: Arc::default(),
            forced: Mutex::new(Forced::new()),
        };
        (Tracer(Some(Arc::new(sampling))), ended)
    }

    #[test]
    fn a_tracer_that_is_off_gives_no_span() {
        let off = Tracer::default();
        assert!(off.begin("a", Kind::Internal).is_none());
        assert!(off.take("a", Kind::Internal).is_none());
        let caller = Context::drawn().traceparent();
        assert!(off.answer(Some(&caller), "a", Kind::Server).is_none());
        assert_eq!((off.one_in(), off.counts()), (None, None));
    }

    #[test]
    fn who_calls_decides_whether_a_span_is_taken() {
        let (tracer, mut ended) = tracer("0.000001", 4);
        let caller = Context::drawn();
        let said = caller.traceparent();
        drop(tracer.answer(Some(&said), "a", Kind::Server));
        let span = ended.try_recv().expect("its caller is sampled");
        assert_eq!(span.context.trace, caller.trace);
        assert_eq!(span.parent, Some(caller.span));
        let unsampled = format!("{}00", &said[..said.len() - 2]);
        assert!(tracer.answer(Some(&unsampled), "a", Kind::Server).is_none());
    }

    #[test]
    fn no_caller_has_all_taken_of_what_chance_takes_little_of() {
        let many = FORCED_PER_SECOND_MAX + 50;
        let (tracer, mut ended) = tracer("1e-9", 1_000);
        let began = Instant::now();
        for _ in 0..many {
            let said = Context::drawn().traceparent();
            drop(tracer.answer(Some(&said), "a", Kind::Server));
        }
        let seconds = u32::try_from(began.elapsed().as_secs()).expect("few") + 1;
        let mut taken = 0;
        while ended.try_recv().is_ok() {
            taken += 1;
        }
        assert!(taken >= FORCED_PER_SECOND_MAX.min(many));
        assert!(taken < many || seconds > 1, "{taken} in {seconds} s");
        let (_, dropped) = tracer.counts().expect("it is on");
        assert_eq!(dropped, u64::from(many - taken));
    }

    #[test]
    fn a_spans_length_is_not_of_the_wall_clock() {
        let (tracer, mut ended) = tracer("1", 1);
        let mut span = tracer.begin("a", Kind::Internal).expect("all are taken");
        // As if the clock had been set back an hour since.
        span.inner_mut().began += Duration::from_hours(1);
        let since = span.since;
        while since.elapsed().is_zero() {
            std::hint::spin_loop();
        }
        drop(span);
        let took = ended.try_recv().expect("it ended").took;
        assert!(took.is_some_and(|took| !took.is_zero() && took < Duration::from_hours(1)));
    }

    #[test]
    fn a_full_queue_drops_and_counts_and_never_waits() {
        let (tracer, _ended) = tracer("1", 2);
        for _ in 0..5 {
            drop(tracer.begin("a", Kind::Internal));
        }
        assert_eq!(tracer.counts(), Some((0, 3)));
    }

    #[tokio::test]
    async fn what_a_task_does_is_part_of_its_span() {
        let (tracer, mut ended) = tracer("1", 4);
        assert!(part("a", Kind::Internal).is_none() && traceparent().is_none());
        let span = tracer.begin("whole", Kind::Server);
        within(span.as_ref(), async {
            let part = part("part", Kind::Client).expect("of a span");
            let said = within(Some(&part), async { traceparent() }).await;
            assert_eq!(said, Some(part.inner().context.traceparent()));
        })
        .await;
        drop(span);
        let (part, whole) = (ended.try_recv(), ended.try_recv());
        let (part, whole) = (part.expect("it ended"), whole.expect("it ended"));
        assert_eq!(part.parent, Some(whole.context.span));
        assert_eq!(part.context.trace, whole.context.trace);
        assert_eq!((whole.parent, whole.name.as_ref()), (None, "whole"));
    }

    #[test]
    fn a_span_says_so_much_and_no_more() {
        let (tracer, mut ended) = tracer("1", 4);
        let mut span = tracer.begin("a", Kind::Internal).expect("all are taken");
        for number in 0..100_u64 {
            span.say("number", number);
        }
        drop(span);
        let span = ended.try_recv().expect("it ended");
        assert_eq!(span.attributes.len(), ATTRIBUTES_MAX);
    }
}
