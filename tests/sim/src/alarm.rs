//! Listens to the core's own words: an `error!` there means a bug, and fails the run. Hears
//! nothing else.

use std::cell::RefCell;
use std::fmt::Write;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

thread_local! {
    static HEARD: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The listener, to be set once.
#[derive(Debug)]
pub(crate) struct Alarm;

impl Alarm {
    /// Listens from here on; once more is no harm.
    pub(crate) fn set() {
        let _ = tracing::subscriber::set_global_default(Self);
    }

    /// What was heard on this thread since it was asked last.
    pub(crate) fn heard() -> Option<String> {
        HEARD.take()
    }
}

impl Subscriber for Alarm {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut words = Words(String::new());
        event.record(&mut words);
        HEARD.set(Some(words.0));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn core::fmt::Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}
