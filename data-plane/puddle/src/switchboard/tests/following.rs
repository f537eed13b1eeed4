//! The log: followed without a gap, opened anew when it is silent, told to all,
//! acknowledged by the slowest.

use core::time::Duration;

use porthouse_model::{Change, Revision};

use super::rig::{Rig, acknowledged, told};
use crate::input::PuddleId;
use crate::seed::Seed;
use crate::switchboard::{Chain, Event, Position, SwitchboardSettings, WatchEnd, WatchId};

#[test]
fn puddles_begin_at_the_head_of_the_log() {
    let mut rig = Rig::new(SwitchboardSettings::new(2, Seed(7)));
    rig.position = Position {
        revision: Revision(5),
        chain: Chain::from_bytes([5; 32]),
    };
    let actions = rig.settle();
    assert_eq!(rig.opening(&actions), None);
    rig.open();
    assert_eq!(told(&rig.settle()), [(0, "resync", 5), (1, "resync", 5)]);
    rig.change();
    assert_eq!(told(&rig.settle()), [(0, "changed", 6), (1, "changed", 6)]);
}

#[test]
fn only_word_of_what_was_told_is_fresh() {
    let mut rig = Rig::watching();
    rig.change();
    rig.settle();
    rig.progress();
    assert_eq!(told(&rig.settle()), [(0, "fresh", 1), (1, "fresh", 1)]);
    let head = Position::START;
    rig.handle(Event::Progress {
        watch: rig.watch,
        head,
    });
    assert_eq!(told(&rig.settle()), [], "an older head is no word");
}

#[test]
fn a_silent_watch_is_opened_anew_from_its_place() {
    let mut rig = Rig::watching();
    rig.change();
    rig.settle();
    rig.pass(Duration::from_millis(2_999));
    assert!(rig.board.is_watching());
    rig.pass(Duration::from_millis(1));
    let silent = rig.watch;
    rig.progress();
    assert!(!rig.board.is_watching());
    assert_eq!(
        told(&rig.settle()),
        [],
        "what was said before a long silence is not fresh"
    );
    let actions = rig.pass_to_deadline();
    assert_eq!(rig.opening(&actions), Some(rig.position));
    let opened = rig.watch;
    assert!(opened > silent);
    rig.watch = silent;
    rig.open();
    assert!(!rig.board.is_watching(), "a late word of an earlier watch");
    rig.watch = opened;
    rig.open();
    assert_eq!(told(&rig.settle()), [(0, "fresh", 1), (1, "fresh", 1)]);
}

#[test]
fn an_opening_that_is_not_answered_is_tried_again_at_most_five_seconds_apart() {
    let mut rig = Rig::new(SwitchboardSettings::new(1, Seed(7)));
    let actions = rig.settle();
    rig.opening(&actions);
    let mut spans = Vec::new();
    for _ in 0..12 {
        let before = rig.now;
        rig.handle(Event::WatchLost {
            watch: rig.watch,
            reason: WatchEnd::Retry,
        });
        let actions = rig.pass_to_deadline();
        rig.opening(&actions);
        spans.push(rig.now.since(before));
    }
    assert!(spans[0] < Duration::from_millis(101));
    assert!(spans.iter().all(|span| *span <= Duration::from_secs(5)));
    assert!(spans[11] >= Duration::from_millis(2_500));
    spans.dedup();
    assert_eq!(spans.len(), 12, "jittered");
}

#[test]
fn a_gap_or_another_chain_is_asked_anew() {
    let next = Position::START.then(&[7]);
    let skipped = next.then(&[7]);
    let forged = Position {
        chain: Chain::from_bytes([9; 32]),
        ..next
    };
    for wrong in [skipped, forged] {
        let mut rig = Rig::watching();
        let change = Change {
            revision: wrong.revision,
            items: Vec::new(),
        };
        let chain = wrong.chain;
        rig.handle(Event::Changed {
            watch: rig.watch,
            change,
            payload: vec![7],
            chain,
        });
        assert_eq!(told(&rig.settle()), []);
        let actions = rig.pass_to_deadline();
        assert_eq!(rig.opening(&actions), None);
        rig.position = wrong;
        rig.open();
        let revision = wrong.revision.0;
        assert_eq!(
            told(&rig.settle()),
            [(0, "resync", revision), (1, "resync", revision)]
        );
    }
}

#[test]
fn a_head_of_another_history_is_asked_anew() {
    let mut rig = Rig::watching();
    rig.change();
    let head = Position {
        revision: Revision(1),
        chain: Chain::from_bytes([9; 32]),
    };
    rig.handle(Event::Progress {
        watch: rig.watch,
        head,
    });
    let actions = rig.pass_to_deadline();
    assert_eq!(rig.opening(&actions), None);
}

#[test]
fn a_position_that_is_unknown_is_asked_anew() {
    let mut rig = Rig::watching();
    rig.change();
    rig.handle(Event::WatchLost {
        watch: rig.watch,
        reason: WatchEnd::Resync,
    });
    assert_eq!(rig.board.position(), None);
    let actions = rig.pass_to_deadline();
    assert_eq!(rig.opening(&actions), None);
}

#[test]
fn a_head_ahead_of_what_came_is_not_fresh() {
    let mut rig = Rig::watching();
    let head = rig.position.then(&[1]);
    rig.handle(Event::Progress {
        watch: rig.watch,
        head,
    });
    assert_eq!(told(&rig.settle()), []);
    let actions = rig.pass_to_deadline();
    assert_eq!(rig.opening(&actions), Some(rig.position));
}

#[test]
fn a_replica_that_is_behind_is_left() {
    let mut rig = Rig::watching();
    rig.change();
    rig.handle(Event::WatchLost {
        watch: rig.watch,
        reason: WatchEnd::Retry,
    });
    let actions = rig.pass_to_deadline();
    assert_eq!(rig.opening(&actions), Some(rig.position));
    rig.handle(Event::WatchOpened {
        watch: rig.watch,
        head: Position::START,
    });
    assert!(!rig.board.is_watching());
    let actions = rig.pass_to_deadline();
    assert_eq!(rig.opening(&actions), Some(rig.position));
}

#[test]
fn the_slowest_puddle_decides_what_is_acknowledged() {
    let mut rig = Rig::watching();
    rig.change();
    rig.change();
    rig.applied(0, 2);
    assert_eq!(acknowledged(&rig.settle()), [0_u64; 0]);
    rig.applied(1, 1);
    assert_eq!(acknowledged(&rig.settle()), [1]);
    rig.applied(1, 2);
    assert_eq!(acknowledged(&rig.settle()), [2]);
    rig.applied(0, 3);
    rig.applied(1, 3);
    assert_eq!(
        acknowledged(&rig.settle()),
        [0_u64; 0],
        "more than was told"
    );
}

#[test]
fn an_acknowledgement_is_said_again_on_the_next_stream() {
    let mut rig = Rig::watching();
    rig.applied(0, 0);
    rig.applied(1, 0);
    assert_eq!(acknowledged(&rig.settle()), [0]);
    rig.handle(Event::WatchLost {
        watch: rig.watch,
        reason: WatchEnd::Retry,
    });
    let actions = rig.pass_to_deadline();
    rig.opening(&actions);
    rig.open();
    assert_eq!(acknowledged(&rig.settle()), [0]);
}

#[test]
fn after_a_resync_what_was_settled_before_does_not_count() {
    let mut rig = Rig::watching();
    for puddle in 0..2 {
        rig.applied(puddle, 0);
    }
    rig.settle();
    rig.handle(Event::WatchLost {
        watch: rig.watch,
        reason: WatchEnd::Resync,
    });
    let actions = rig.pass_to_deadline();
    rig.opening(&actions);
    rig.position = Position {
        revision: Revision(9),
        chain: Chain::from_bytes([9; 32]),
    };
    rig.open();
    rig.applied(0, 9);
    rig.applied(1, 0);
    assert_eq!(acknowledged(&rig.settle()), [0_u64; 0]);
    rig.applied(1, 9);
    assert_eq!(acknowledged(&rig.settle()), [9]);
}

#[test]
fn a_puddle_that_began_anew_is_told_where_and_waited_for() {
    let mut rig = Rig::watching();
    rig.change();
    rig.applied(0, 1);
    rig.handle(Event::PuddleRestarted {
        puddle: PuddleId(0),
    });
    rig.applied(1, 1);
    let actions = rig.settle();
    assert!(told(&actions).ends_with(&[(0, "resync", 1)]));
    assert_eq!(acknowledged(&actions), [0_u64; 0]);
    rig.applied(0, 1);
    assert_eq!(acknowledged(&rig.settle()), [1]);
}

#[test]
fn a_drain_reaches_puddles_that_began_anew() {
    let mut rig = Rig::watching();
    rig.handle(Event::Drain { until: rig.now });
    assert_eq!(told(&rig.settle()), [(0, "drain", 0), (1, "drain", 0)]);
    rig.handle(Event::PuddleRestarted {
        puddle: PuddleId(1),
    });
    assert_eq!(told(&rig.settle()), [(1, "resync", 0), (1, "drain", 0)]);
}

#[test]
fn word_of_a_watch_that_was_never_asked_for_is_nothing() {
    let mut rig = Rig::watching();
    rig.watch = WatchId(99);
    rig.open();
    rig.change();
    rig.handle(Event::WatchLost {
        watch: rig.watch,
        reason: WatchEnd::Resync,
    });
    assert_eq!(told(&rig.settle()), []);
    assert!(rig.board.is_watching());
}
