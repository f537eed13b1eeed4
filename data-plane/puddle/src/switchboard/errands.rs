//! Questions that only one socket has: verifications and sign-ins, each a request of
//! its own. Owns who waits for which; never a verdict, and a secret only until
//! it is sent.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use porthouse_model::Time;

use super::SwitchboardSettings;
use super::action::Action;
use super::event::RequestId;
use super::resolves::Asker;
use crate::input::PuddleId;

/// All errands of a node.
#[derive(Debug)]
pub(super) struct Errands {
    waiting: VecDeque<(Time, Asker, Action)>,
    under_way: BTreeMap<RequestId, (Time, Asker)>,
    waiting_max: usize,
    under_way_max: usize,
    time_max: Duration,
}

impl Errands {
    pub(super) const fn new(settings: &SwitchboardSettings) -> Self {
        Self {
            waiting: VecDeque::new(),
            under_way: BTreeMap::new(),
            waiting_max: settings.questions_max,
            under_way_max: settings.errands_max,
            time_max: settings.request_time_max,
        }
    }

    /// Takes a question, as the action that asks it; not if as many wait as may.
    #[must_use]
    pub(super) fn ask(&mut self, now: Time, asker: Asker, action: Action) -> bool {
        let taken = self.waiting.len() < self.waiting_max;
        if taken {
            self.waiting.push_back((now + self.time_max, asker, action));
        }
        taken
    }

    /// The next to put out; call it until `None`.
    pub(super) fn next(&mut self, now: Time) -> Option<Action> {
        if self.under_way.len() >= self.under_way_max {
            return None;
        }
        let (_, asker, action) = self.waiting.pop_front()?;
        let request = match &action {
            Action::Verify { request, .. } | Action::SignIn { request, .. } => *request,
            Action::Tell { .. }
            | Action::OpenWatch { .. }
            | Action::Resolve { .. }
            | Action::Acknowledge { .. }
            | Action::Complete { .. } => unreachable!("an errand is a verification or a sign-in"),
        };
        self.under_way.insert(request, (now + self.time_max, asker));
        Some(action)
    }

    /// It has ended; `None`: it was given up before.
    pub(super) fn landed(&mut self, request: RequestId) -> Option<Asker> {
        self.under_way.remove(&request).map(|(_, asker)| asker)
    }

    /// Who has waited for too long, and waits no more.
    pub(super) fn expire(&mut self, now: Time) -> Vec<Asker> {
        let mut expired = Vec::new();
        while self
            .waiting
            .front()
            .is_some_and(|(until, ..)| *until <= now)
        {
            expired.extend(self.waiting.pop_front().map(|(_, asker, _)| asker));
        }
        while self
            .under_way
            .values()
            .next()
            .is_some_and(|(until, _)| *until <= now)
        {
            expired.extend(self.under_way.pop_first().map(|(_, (_, asker))| asker));
        }
        expired
    }

    /// Gives up what was sent: its verdict would be of another log.
    pub(super) fn give_up(&mut self) -> Vec<Asker> {
        std::mem::take(&mut self.under_way)
            .into_values()
            .map(|(_, asker)| asker)
            .collect()
    }

    /// A puddle asks no more.
    pub(super) fn forget(&mut self, puddle: PuddleId) {
        self.waiting
            .retain(|(_, asker, _)| asker.puddle != Some(puddle));
        self.under_way
            .retain(|_, (_, asker)| asker.puddle != Some(puddle));
    }

    /// When [`Self::expire`] is due.
    pub(super) fn deadline(&self) -> Option<Time> {
        let waiting = self.waiting.front().map(|(until, ..)| *until);
        let under_way = self.under_way.values().next().map(|(until, _)| *until);
        waiting.into_iter().chain(under_way).min()
    }

    pub(super) fn check(&self) {
        assert!(self.waiting.len() <= self.waiting_max);
        assert!(self.under_way.len() <= self.under_way_max);
    }
}
