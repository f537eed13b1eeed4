//! Promises of the shelf: bounded, in order, and to each only what is theirs;
//! against a plain list of everything that was ever said.

use porthouse_model::{ClientId, MessageKind};
use porthouse_rules::Hearing;
use proptest::prelude::*;

use super::*;
use crate::home::Stand;

fn client(number: u8) -> ClientId {
    ClientId::from_bytes([number; 16])
}

fn second(seconds: u64) -> Time {
    Time::ZERO + Duration::from_secs(seconds)
}

fn said(offset: u64, from: u8, to: &[u8], except: &[u8]) -> Arc<Placed> {
    let clients = |named: &[u8]| named.iter().map(|number| client(*number)).collect();
    Arc::new(Placed {
        message: Arc::new(RoomMessage {
            room: "ledger".parse().expect("a name"),
            room_id: None,
            from: Some(client(from)),
            kind: MessageKind::Binary,
            payload: offset.to_be_bytes().into(),
            to: clients(to),
            except: clients(except),
        }),
        stand: Stand { epoch: 1, offset },
        speaker: None,
    })
}

const fn keeping(messages_max: usize, directed: bool) -> Retention {
    Retention {
        messages_max,
        age_max: Duration::from_secs(100),
        directed,
    }
}

const ALL: PageLimits = PageLimits {
    messages_max: usize::MAX,
    bytes_max: usize::MAX,
};

fn viewer(number: u8) -> Viewer {
    Viewer {
        client: client(number),
        since: 0,
        hearing: Hearing::Named,
    }
}

fn since(shelf: &Shelf, offset: u64, end: u64, who: u8) -> Option<Vec<Arc<Placed>>> {
    let is_theirs = |placed: &Placed| viewer(who).may_see(placed);
    shelf.since(offset, end, is_theirs, usize::MAX)
}

fn offsets(page: &Page) -> Vec<u64> {
    page.messages.iter().map(|placed| placed.offset()).collect()
}

fn after(offset: u64) -> Range {
    Range {
        after: Some(offset),
        ..Range::default()
    }
}

#[test]
fn the_last_messages_are_kept_and_none_too_old() {
    let mut shelf = Shelf::default();
    for offset in 1..=5 {
        shelf.put(
            second(offset * 10),
            &said(offset, 1, &[], &[]),
            &keeping(3, false),
        );
        shelf.check();
    }
    let page = shelf.read(after(2), 0, 5, viewer(2), ALL);
    assert_eq!(
        (offsets(&page), page.complete, page.through),
        (vec![3, 4, 5], true, 5)
    );
    let page = shelf.read(after(1), 0, 5, viewer(2), ALL);
    assert!(!page.complete, "the second is gone");
    shelf.trim(second(141), &keeping(3, false));
    let page = shelf.read(after(4), 0, 5, viewer(2), ALL);
    assert_eq!((offsets(&page), page.complete), (vec![5], true));
}

#[test]
fn a_page_is_bounded_and_says_how_far_it_goes() {
    let mut shelf = Shelf::default();
    for offset in 1..=10 {
        shelf.put(second(0), &said(offset, 1, &[], &[]), &keeping(100, false));
    }
    let few = PageLimits {
        messages_max: 4,
        bytes_max: 1_000,
    };
    let page = shelf.read(after(0), 0, 10, viewer(2), few);
    assert_eq!(
        (offsets(&page), page.through, page.complete),
        (vec![1, 2, 3, 4], 4, true)
    );
    let page = shelf.read(after(8), 0, 10, viewer(2), few);
    assert_eq!(
        (offsets(&page), page.through, page.complete),
        (vec![9, 10], 10, true)
    );
    let last = Range {
        last: Some(3),
        ..Range::default()
    };
    let page = shelf.read(last, 0, 10, viewer(2), few);
    assert_eq!((offsets(&page), page.complete), (vec![8, 9, 10], true));
    let more = Range {
        last: Some(30),
        before: Some(8),
        ..Range::default()
    };
    let page = shelf.read(more, 0, 10, viewer(2), few);
    assert_eq!((offsets(&page), page.complete), (vec![4, 5, 6, 7], false));
    let bytes = PageLimits {
        messages_max: 100,
        bytes_max: 1,
    };
    let page = shelf.read(after(0), 0, 10, viewer(2), bytes);
    assert_eq!(offsets(&page), [1], "one comes whatever it has");
}

#[test]
fn a_directed_message_is_shown_to_those_it_was_for_and_to_nobody_else() {
    let mut shelf = Shelf::default();
    shelf.put(second(0), &said(1, 1, &[2], &[]), &keeping(9, true));
    shelf.put(second(0), &said(2, 1, &[], &[3]), &keeping(9, true));
    let read = |number, since| {
        let who = Viewer {
            client: client(number),
            since,
            hearing: Hearing::Named,
        };
        offsets(&shelf.read(Range::default(), 0, 2, who, ALL))
    };
    assert_eq!(read(1, 0), vec![1, 2], "its sender");
    assert_eq!(read(2, 0), vec![1, 2], "one who is named");
    assert!(read(3, 0).is_empty(), "one who is excepted");
    assert_eq!(read(4, 0), vec![2], "another who was inside");
    assert!(read(4, 2).is_empty(), "came later, perhaps the excepted");
}

#[test]
fn what_is_not_kept_is_a_hole_only_for_those_it_was_for() {
    let mut shelf = Shelf::default();
    shelf.put(second(0), &said(1, 1, &[], &[]), &keeping(9, false));
    shelf.put(second(0), &said(2, 1, &[2], &[]), &keeping(9, false));
    shelf.put(second(0), &said(3, 1, &[], &[]), &keeping(9, false));
    let page = |number| shelf.read(after(0), 0, 3, viewer(number), ALL);
    assert_eq!((offsets(&page(4)), page(4).complete), (vec![1, 3], true));
    assert_eq!((offsets(&page(2)), page(2).complete), (vec![1, 3], false));
    assert!(since(&shelf, 0, 3, 4).is_some());
    assert!(since(&shelf, 0, 3, 2).is_none());
    assert!(since(&shelf, 2, 3, 2).is_some());
    assert!(since(&shelf, 4, 3, 2).is_none(), "an offset to come");
}

#[test]
fn what_is_purged_is_gone() {
    let mut shelf = Shelf::default();
    for offset in 1..=5 {
        shelf.put(second(0), &said(offset, 1, &[], &[]), &keeping(9, false));
    }
    assert_eq!(shelf.purge(3), 3);
    assert_eq!(shelf.purge(3), 0);
    shelf.check();
    assert_eq!(offsets(&shelf.read(after(0), 0, 5, viewer(2), ALL)), [4, 5]);
    assert!(since(&shelf, 2, 5, 2).is_none());
    assert!(since(&shelf, 3, 5, 2).is_some());
}

/// What happens to a shelf.
#[derive(Clone, Debug)]
enum Step {
    Say {
        from: u8,
        to: Vec<u8>,
        except: Vec<u8>,
    },
    Wait(u64),
    Purge(u64),
    Shrink(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let some = || {
        prop_oneof![
            3 => Just(Vec::new()),
            1 => prop::collection::btree_set(0..4_u8, 1..3).prop_map(|set| set.into_iter().collect()),
        ]
    };
    prop_oneof![
        8 => (0..4_u8, some(), some()).prop_map(|(from, to, except)| Step::Say { from, to, except }),
        2 => (0..60_u64).prop_map(Step::Wait),
        1 => (0..30_u64).prop_map(Step::Purge),
        1 => (0..4_000_usize).prop_map(Step::Shrink),
    ]
}

proptest! {
    /// Whatever was said, waited for and forgotten: whoever recovers gets exactly
    /// what was theirs to see, and a page never shows anything else.
    #[test]
    fn recovered_is_exact_or_not_claimed(
        steps in prop::collection::vec(step(), 1..40),
        messages_max in 0..8_usize,
        directed: bool,
        asked in 0..40_u64,
        who in 0..4_u8,
    ) {
        let retention = keeping(messages_max, directed);
        let (mut shelf, mut all, mut now) = (Shelf::default(), Vec::new(), 0);
        for step in steps {
            match step {
                Step::Say { from, to, except } => {
                    let placed = said(all.len() as u64 + 1, from, &to, &except);
                    shelf.put(second(now), &placed, &retention);
                    all.push(placed);
                }
                Step::Wait(seconds) => now += seconds,
                Step::Purge(through) => {
                    shelf.purge(through.min(all.len() as u64));
                }
                Step::Shrink(bytes) => shelf.shrink(bytes),
            }
            shelf.check();
        }
        let end = all.len() as u64;
        let theirs = |after: u64| -> Vec<u64> {
            let theirs = all.iter().filter(|placed| viewer(who).may_see(placed));
            theirs.map(|placed| placed.offset()).filter(|offset| *offset > after).collect()
        };
        if let Some(missed) = since(&shelf, asked, end, who) {
            let missed: Vec<u64> = missed.iter().map(|placed| placed.offset()).collect();
            prop_assert_eq!(missed, theirs(asked));
        }
        let page = shelf.read(after(asked), 0, end, viewer(who), ALL);
        let shown = offsets(&page);
        prop_assert!(shown.iter().all(|offset| theirs(asked).contains(offset)));
        prop_assert!(shown.is_sorted());
        if page.complete {
            prop_assert_eq!(shown, theirs(asked));
        }
    }
}
