//! The rings between threads: one for each ordered pair of puddles, one from
//! the switchboard to each puddle, and how a sleeping puddle is woken. Owns no
//! rule about what may be in a ring: credits and limits of the core see to it
//! that everything fits, which is asserted here.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use porthouse_puddle::{Hop, PuddleId};
use rtrb::{Consumer, Producer, RingBuffer};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};

/// Wakes a puddle's thread that sleeps in `epoll_wait`; costs a load while it
/// is awake.
#[derive(Debug)]
pub(crate) struct Wake {
    event: OwnedFd,
    asleep: AtomicBool,
}

impl Wake {
    pub(crate) fn new() -> io::Result<Arc<Self>> {
        let event = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Arc::new(Self {
            event,
            asleep: AtomicBool::new(false),
        }))
    }

    /// Something was pushed into a ring of the sleeper. The fence pairs with
    /// that of [`Self::doze`]: either the sleeper sees what was pushed, or it is
    /// seen to sleep.
    pub(crate) fn wake(&self) {
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::AcqRel) {
            // It can only fail when the counter is full, and then it is awake.
            let _ = rustix::io::write(&self.event, &1u64.to_ne_bytes());
        }
    }

    /// From here on the thread is woken. Its rings are to be looked at once more
    /// before it sleeps.
    pub(crate) fn doze(&self) {
        self.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// The thread is awake by itself.
    pub(crate) fn rise(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }

    /// Takes back what [`Self::wake`] wrote.
    pub(crate) fn clear(&self) {
        // Nothing to read means nothing to clear.
        let _ = rustix::io::read(&self.event, &mut [0; 8]);
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

/// One puddle's ends of the two rings it shares with another.
#[derive(Debug)]
pub(crate) struct Ends {
    to: Producer<Hop>,
    from: Consumer<Hop>,
}

impl Ends {
    /// Both rings between two puddles, empty: the ends of the one and those of
    /// the other.
    pub(crate) fn pair(slots: usize) -> (Self, Self) {
        let (to_other, from_one) = RingBuffer::new(slots);
        let (to_one, from_other) = RingBuffer::new(slots);
        let one = Self {
            to: to_other,
            from: from_other,
        };
        (
            one,
            Self {
                to: to_one,
                from: from_one,
            },
        )
    }
}

/// All the other puddles, as one puddle's thread reaches them.
#[derive(Debug)]
pub(crate) struct Peers {
    /// By puddle; the own place is empty.
    ends: Vec<Option<Ends>>,
    wakes: Vec<Arc<Wake>>,
    /// Told something since they were last woken: a bit each.
    told: u64,
}

impl Peers {
    pub(crate) const fn new(ends: Vec<Option<Ends>>, wakes: Vec<Arc<Wake>>) -> Self {
        Self {
            ends,
            wakes,
            told: 0,
        }
    }

    /// Every puddle's peers, by puddle.
    pub(crate) fn mesh(wakes: &[Arc<Wake>], slots: usize) -> Vec<Self> {
        let mut meshed: Vec<Vec<Option<Ends>>> = Vec::with_capacity(wakes.len());
        for _ in wakes {
            let mut own = Vec::with_capacity(wakes.len());
            for earlier in &mut meshed {
                let (ours, theirs) = Ends::pair(slots);
                own.push(Some(ours));
                earlier.push(Some(theirs));
            }
            own.push(None);
            meshed.push(own);
        }
        meshed
            .into_iter()
            .map(|ends| Self::new(ends, wakes.to_vec()))
            .collect()
    }

    /// Pushes a hop; its receiver is woken by [`Self::wake_told`].
    pub(crate) fn tell(&mut self, to: PuddleId, hop: Hop) {
        let ends = self.ends[usize::from(to.0)]
            .as_mut()
            .expect("a puddle does not hop to itself");
        assert!(
            ends.to.push(hop).is_ok(),
            "credits keep a ring from overflowing"
        );
        self.told |= 1 << to.0;
    }

    /// Wakes those who were told something.
    pub(crate) fn wake_told(&mut self) {
        let mut told = std::mem::take(&mut self.told);
        while told != 0 {
            let puddle = told.trailing_zeros();
            told &= told - 1;
            self.wakes[puddle as usize].wake();
        }
    }

    /// The next hop from any of them.
    pub(crate) fn pop(&mut self) -> Option<(PuddleId, Hop)> {
        self.ends.iter_mut().zip(0..).find_map(|(ends, puddle)| {
            let hop = ends.as_mut()?.from.pop().ok()?;
            Some((PuddleId(puddle), hop))
        })
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.ends.iter().flatten().all(|ends| ends.from.is_empty())
    }

    /// Another puddle began anew: what was under way is gone with the old rings.
    pub(crate) fn replace(&mut self, puddle: PuddleId, ends: Ends) {
        self.ends[usize::from(puddle.0)] = Some(ends);
    }

    /// This puddle begins anew: its peers on new rings, and the ends that the
    /// others are to replace theirs with.
    pub(crate) fn renew(&mut self, slots: usize) -> Vec<(PuddleId, Ends)> {
        let mut given = Vec::new();
        for (ends, puddle) in self.ends.iter_mut().zip(0..) {
            if let Some(ends) = ends {
                let (ours, theirs) = Ends::pair(slots);
                *ends = ours;
                given.push((PuddleId(puddle), theirs));
            }
        }
        self.told = 0;
        given
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    const SLOTS: usize = 8;

    fn credit(hops: u32) -> Hop {
        Hop::Credit { hops, bytes: 0 }
    }

    fn popped(peers: &mut Peers) -> Option<(u8, u32)> {
        match peers.pop() {
            Some((from, Hop::Credit { hops, .. })) => Some((from.0, hops)),
            Some((_, hop)) => panic!("{hop:?} was not told"),
            None => None,
        }
    }

    fn is_woken(wake: &Wake) -> bool {
        let mut fds = [PollFd::new(wake, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).unwrap() == 1
    }

    fn three() -> (Vec<Arc<Wake>>, Vec<Peers>) {
        let wakes: Vec<_> = (0..3).map(|_| Wake::new().unwrap()).collect();
        let mesh = Peers::mesh(&wakes, SLOTS);
        (wakes, mesh)
    }

    #[test]
    fn each_puddle_hears_what_it_was_told_in_order() {
        let (_wakes, mut mesh) = three();
        mesh[0].tell(PuddleId(2), credit(1));
        mesh[0].tell(PuddleId(2), credit(2));
        mesh[1].tell(PuddleId(2), credit(3));
        assert!(mesh[0].is_silent() && mesh[1].is_silent() && !mesh[2].is_silent());
        let heard: Vec<_> = std::iter::from_fn(|| popped(&mut mesh[2])).collect();
        assert_eq!(heard, [(0, 1), (0, 2), (1, 3)]);
    }

    #[test]
    fn only_a_sleeper_that_was_told_something_is_woken() {
        let (wakes, mut mesh) = three();
        mesh[0].tell(PuddleId(1), credit(1));
        mesh[0].wake_told();
        assert!(!is_woken(&wakes[1]), "it was awake");
        wakes[1].doze();
        wakes[2].doze();
        mesh[0].tell(PuddleId(1), credit(2));
        mesh[0].wake_told();
        assert!(is_woken(&wakes[1]) && !is_woken(&wakes[2]));
        wakes[1].clear();
        assert!(!is_woken(&wakes[1]));
    }

    #[test]
    fn a_puddle_that_begins_anew_hears_nothing_of_its_old_life() {
        let (_wakes, mut mesh) = three();
        mesh[1].tell(PuddleId(0), credit(1));
        mesh[0].tell(PuddleId(1), credit(2));
        for (puddle, ends) in mesh[0].renew(SLOTS) {
            mesh[usize::from(puddle.0)].replace(PuddleId(0), ends);
        }
        assert!(mesh.iter().all(Peers::is_silent));
        mesh[1].tell(PuddleId(0), credit(3));
        assert_eq!(popped(&mut mesh[0]), Some((1, 3)));
    }
}
