//! Places for work of which little may go on at once: so many in all, and so many
//! for each asker, so that one who asks without end has others' places never.
//! Nobody waits here; whoever finds none is told to come back.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

/// The places.
#[derive(Debug)]
pub(super) struct Places {
    all_max: usize,
    each_max: usize,
    taken: Mutex<Taken>,
}

/// Who has how many. Whoever has none is not in it, so that it is never longer
/// than there are places.
#[derive(Debug, Default)]
struct Taken {
    all: usize,
    of: HashMap<Uuid, usize>,
}

/// A place, given back when dropped.
#[derive(Debug)]
pub(super) struct Place<'a> {
    places: &'a Places,
    of: Uuid,
}

impl Places {
    /// So many in all, and so many for each.
    pub(super) fn new(all_max: usize, each_max: usize) -> Self {
        Self {
            all_max,
            each_max,
            taken: Mutex::default(),
        }
    }

    /// A place for this asker; `None` when it has all that it may, or nobody may
    /// have more.
    pub(super) fn take(&self, asker: Uuid) -> Option<Place<'_>> {
        let mut taken = self.taken();
        let own = taken.of.get(&asker).copied().unwrap_or(0);
        if taken.all >= self.all_max || own >= self.each_max {
            return None;
        }
        taken.all += 1;
        taken.of.insert(asker, own + 1);
        Some(Place {
            places: self,
            of: asker,
        })
    }

    /// Nothing panics while it is held, and counts are whole at each moment.
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all -= 1;
        if let Some(own) = taken.of.get_mut(&self.of) {
            *own -= 1;
            if *own == 0 {
                taken.of.remove(&self.of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GREEDY: Uuid = Uuid::from_u128(1);
    const MODEST: Uuid = Uuid::from_u128(2);

    #[test]
    fn who_takes_all_it_may_leaves_places_for_others() {
        let places = Places::new(4, 3);
        let taken: Vec<_> = std::iter::from_fn(|| places.take(GREEDY)).collect();
        assert_eq!(taken.len(), 3);
        let other = places.take(MODEST);
        assert!(other.is_some());
        assert!(places.take(MODEST).is_none(), "that was the last of all");
        drop(taken);
        assert!(places.take(MODEST).is_some());
    }

    #[test]
    fn who_has_no_place_any_more_is_forgotten() {
        let places = Places::new(2, 2);
        for asker in 0..10_000 {
            let place = places.take(Uuid::from_u128(asker));
            assert!(place.is_some(), "{asker}");
        }
        let taken = places.taken();
        assert_eq!((taken.all, taken.of.len()), (0, 0));
    }
}
