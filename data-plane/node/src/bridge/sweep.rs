//! What the store has of rooms that were deleted while nobody was there to have it
//! forgotten: looked for when the node starts, and now and then. The control plane
//! says which were deleted; what it does not know stays.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use porthouse_api::node::v1::FindDeletedRoomsRequest;
use porthouse_model::RoomId;
use tokio::time::sleep;

use super::nats::{Nats, room_of};
use crate::policy::client::Replicas;

/// How often it is looked.
const EVERY: Duration = Duration::from_hours(1);
/// When it could not be: the store or the control plane is away.
const AGAIN: Duration = Duration::from_secs(10);
/// Rooms asked about at once.
const ROOMS_MAX: usize = 1_000;
/// Subjects looked at in one sweep; the next goes on where it stopped.
const SUBJECTS_MAX: usize = 4_000_000;

/// Sweeps for as long as the node runs.
pub(super) async fn run(store: Arc<Nats>, replicas: Arc<Replicas>) {
    let mut from = 0;
    loop {
        let pause = match sweep(&store, &replicas, from).await {
            Some(swept) => {
                if swept.rooms > 0 {
                    let rooms = swept.rooms;
                    tracing::info!(rooms, "the store has forgotten rooms that were deleted");
                }
                from = swept.next;
                EVERY
            }
            None => AGAIN,
        };
        sleep(pause).await;
    }
}

/// What came of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Swept {
    /// Of how many rooms all was forgotten.
    rooms: usize,
    /// The subject at which the next one begins; 0: all were looked at.
    next: usize,
}

/// Sweeps subjects from this one on; `None`: not all that it should.
async fn sweep(store: &Nats, replicas: &Replicas, from: usize) -> Option<Swept> {
    let subjects = store.subjects().await?;
    let subjects = subjects.map(|subject| subject.ok().map(|(subject, _)| subject));
    let forget = |rooms| forget(store, replicas, rooms);
    walk(subjects, (from, SUBJECTS_MAX), forget).await
}

/// Goes through so many subjects, which the store lists in order, from one on.
/// Where some before it are gone meanwhile, others are passed over until the next
/// round.
async fn walk<F>(
    subjects: impl Stream<Item = Option<String>>,
    (from, subjects_max): (usize, usize),
    mut forget: impl FnMut(BTreeSet<RoomId>) -> F,
) -> Option<Swept>
where
    F: Future<Output = Option<usize>>,
{
    let mut subjects = std::pin::pin!(subjects.skip(from));
    let (mut rooms, mut seen, mut forgotten) = (BTreeSet::new(), 0, 0);
    let mut next = 0;
    while let Some(subject) = subjects.next().await {
        if seen == subjects_max {
            next = from + seen;
            break;
        }
        rooms.extend(room_of(&subject?));
        if rooms.len() == ROOMS_MAX {
            forgotten += forget(std::mem::take(&mut rooms)).await?;
        }
        seen += 1;
    }
    forgotten += forget(rooms).await?;
    Some(Swept {
        rooms: forgotten,
        next,
    })
}

/// Has the store forget those of some rooms that were deleted.
async fn forget(store: &Nats, replicas: &Replicas, rooms: BTreeSet<RoomId>) -> Option<usize> {
    if rooms.is_empty() {
        return Some(0);
    }
    let room_ids = rooms.iter().map(|id| id.as_bytes().to_vec()).collect();
    let request = replicas.request(FindDeletedRoomsRequest { room_ids });
    let answer = replicas.feed().find_deleted_rooms(request).await.ok()?;
    let mut forgotten = 0;
    for id in answer.into_inner().room_ids {
        let id = RoomId::from_bytes(id.try_into().ok()?);
        if rooms.contains(&id) {
            store.forget_all_of(id).await?;
            forgotten += 1;
        }
    }
    Some(forgotten)
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use futures_util::stream;

    use super::*;

    /// Subjects of so many rooms, two each.
    fn subjects(rooms: u128) -> impl Stream<Item = Option<String>> {
        let subject = |number: u128| {
            let (room, part) = (number / 2, number % 2);
            Some(format!("porthouse.history.{room:032x}.{part}"))
        };
        stream::iter((0..rooms * 2).map(subject))
    }

    #[tokio::test]
    async fn a_sweep_goes_on_where_the_one_before_it_stopped() {
        let mut all = BTreeSet::new();
        let (mut from, mut sweeps) = (0, 0);
        loop {
            let part = walk(subjects(10), (from, 7), |rooms: BTreeSet<RoomId>| {
                all.extend(rooms);
                ready(Some(0))
            });
            let swept = part.await.expect("nobody is away");
            sweeps += 1;
            from = swept.next;
            if from == 0 {
                break;
            }
        }
        assert_eq!((all.len(), sweeps), (10, 3));
        let exact = walk(subjects(5), (3, 7), |_| ready(Some(1))).await;
        assert_eq!(exact, Some(Swept { rooms: 1, next: 0 }), "they all fit");
    }

    #[tokio::test]
    async fn a_sweep_that_is_cut_off_is_none() {
        let cut = stream::iter([None]);
        assert_eq!(walk(cut, (0, 7), |_| ready(Some(0))).await, None);
        let away = walk(subjects(1), (0, 7), |_| ready(None)).await;
        assert_eq!(away, None);
    }

    #[tokio::test]
    async fn rooms_are_asked_about_by_so_many() {
        let mut asked = Vec::new();
        let rooms = ROOMS_MAX as u128 * 2 + 1;
        let walked = walk(
            subjects(rooms),
            (0, SUBJECTS_MAX),
            |rooms: BTreeSet<RoomId>| {
                asked.push(rooms.len());
                ready(Some(0))
            },
        );
        walked.await.expect("nobody is away");
        // The second subject of a room may come behind the first of it.
        assert_eq!(asked, [ROOMS_MAX, ROOMS_MAX, 3]);
    }
}
