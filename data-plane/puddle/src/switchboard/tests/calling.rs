//! Backends' calls: asked of every puddle, answered once, bounded.

use core::time::Duration;
use std::sync::Arc;

use porthouse_model::{
    ApiKey, Change, ChangeItem, ClientId, MessageKind, PolicyKey, Refused, Resolved, Revision,
    UnixTime,
};

use super::rig::{Rig, completed};
use crate::input::{Command, OrderId, Publish, PuddleId, SocketId};
use crate::output::{ListedRoom, ListedSocket, Reply, WireForm};
use crate::policy::tests::model::{api_key_id, name, token};
use crate::switchboard::{
    Action, Call, CallId, CallResult, Event, Position, RequestId, Snapshot, ToPuddle,
};

fn publish() -> Call {
    Call::Publish(Arc::new(Publish {
        room: name("lobby"),
        kind: MessageKind::Text,
        payload: Box::from(*b"hello"),
        to: Vec::new(),
        except: Vec::new(),
    }))
}

fn orders(actions: &[Action]) -> Vec<(u8, OrderId, &Command)> {
    let orders = actions.iter().filter_map(|action| match action {
        Action::Tell {
            puddle,
            message: ToPuddle::Ordered { order, command },
        } => Some((puddle.0, *order, command)),
        _ => None,
    });
    orders.collect()
}

fn reply(rig: &mut Rig, puddle: u8, order: OrderId, reply: Reply) {
    rig.handle(Event::Replied {
        puddle: PuddleId(puddle),
        order,
        reply,
    });
}

/// Calls, lets two puddles reply, and answers the result.
fn merged(what: Call, replies: [Reply; 2]) -> CallResult {
    let mut rig = Rig::watching();
    rig.call(1, what);
    let actions = rig.settle();
    let order = orders(&actions)[0].1;
    for (puddle, said) in (0..).zip(replies) {
        assert_eq!(completed(rig.settle()), []);
        reply(&mut rig, puddle, order, said);
    }
    let mut results = completed(rig.settle());
    assert_eq!(results.len(), 1);
    results.remove(0).1
}

#[test]
fn a_message_is_counted_over_all_puddles() {
    let published = |receivers| Reply::Published { receivers };
    let result = |replies| merged(publish(), replies);
    assert_eq!(
        result([published(Some(2)), published(Some(3))]),
        CallResult::Published { receivers: 5 }
    );
    assert_eq!(
        result([published(None), published(Some(0))]),
        CallResult::Published { receivers: 0 }
    );
    assert_eq!(
        result([published(None), published(None)]),
        CallResult::NotLive
    );
    let refused = || Reply::Refused(Refused::TextRefused);
    assert_eq!(
        result([published(None), refused()]),
        CallResult::Refused(Refused::TextRefused)
    );
    assert_eq!(
        result([refused(), published(Some(1))]),
        CallResult::Published { receivers: 1 }
    );
}

fn listed(text: &str, sockets: u64) -> ListedRoom {
    ListedRoom {
        name: name(text),
        persistent: false,
        sockets,
    }
}

#[test]
fn rooms_are_listed_once_in_order_and_paged() {
    let list = || Call::ListRooms {
        after: None,
        rooms_max: 2,
    };
    let some = merged(
        list(),
        [
            Reply::Rooms(vec![listed("a", 1), listed("c", 1)]),
            Reply::Rooms(vec![listed("a", 2)]),
        ],
    );
    let rooms = vec![listed("a", 3), listed("c", 1)];
    assert_eq!(some, CallResult::Rooms { rooms, more: false });
    let more = merged(
        list(),
        [
            Reply::Rooms(vec![listed("b", 1), listed("c", 1)]),
            Reply::Rooms(vec![listed("a", 2)]),
        ],
    );
    let rooms = vec![listed("a", 2), listed("b", 1)];
    assert_eq!(more, CallResult::Rooms { rooms, more: true });
}

fn socket(slot: u32) -> ListedSocket {
    ListedSocket {
        socket: SocketId {
            slot,
            generation: 0,
        },
        client: ClientId::from_bytes([1; 16]),
        username: None,
        wire_form: WireForm::Raw,
    }
}

#[test]
fn sockets_are_listed_by_puddle_and_go_on_where_the_page_ended() {
    let list = |after| Call::ListSockets {
        room: name("lobby"),
        after,
        sockets_max: 2,
    };
    let page = merged(
        list(None),
        [
            Reply::Sockets(vec![socket(1)]),
            Reply::Sockets(vec![socket(0), socket(1)]),
        ],
    );
    let sockets = vec![(PuddleId(0), socket(1)), (PuddleId(1), socket(0))];
    assert_eq!(
        page,
        CallResult::Sockets {
            sockets,
            more: true
        }
    );

    let mut rig = Rig::watching();
    rig.call(
        1,
        list(Some((
            PuddleId(1),
            SocketId {
                slot: 0,
                generation: 0,
            },
        ))),
    );
    let actions = rig.settle();
    let [(puddle, order, Command::ListSockets { after, .. })] = orders(&actions)[..] else {
        panic!("one puddle is asked");
    };
    assert_eq!((puddle, after.map(|socket| socket.slot)), (1, Some(0)));
    reply(&mut rig, 1, order, Reply::Sockets(vec![socket(1)]));
    let sockets = vec![(PuddleId(1), socket(1))];
    assert_eq!(
        completed(rig.settle()),
        [(
            1,
            CallResult::Sockets {
                sockets,
                more: false
            }
        )]
    );

    rig.call(
        2,
        list(Some((
            PuddleId(9),
            SocketId {
                slot: 0,
                generation: 0,
            },
        ))),
    );
    let sockets = Vec::new();
    assert_eq!(
        completed(rig.settle()),
        [(
            2,
            CallResult::Sockets {
                sockets,
                more: false
            }
        )]
    );
}

#[test]
fn a_kick_is_summed() {
    let kick = Call::Kick {
        client: ClientId::from_bytes([1; 16]),
        room: None,
        block: None,
    };
    let result = merged(
        kick,
        [Reply::Kicked { sockets: 1 }, Reply::Kicked { sockets: 2 }],
    );
    assert_eq!(result, CallResult::Kicked { sockets: 3 });
}

#[test]
fn a_call_ends_in_time_and_once() {
    let mut rig = Rig::watching();
    rig.call(1, publish());
    let actions = rig.settle();
    let order = orders(&actions)[0].1;
    reply(&mut rig, 0, order, Reply::Published { receivers: Some(1) });
    reply(&mut rig, 0, order, Reply::Published { receivers: Some(1) });
    rig.pass(Duration::from_secs(5));
    assert_eq!(completed(rig.settle()), [(1, CallResult::Unavailable)]);
    reply(&mut rig, 1, order, Reply::Published { receivers: Some(1) });
    assert_eq!(completed(rig.settle()), []);
}

#[test]
fn a_puddle_that_began_anew_is_not_waited_for() {
    let mut rig = Rig::watching();
    rig.call(1, publish());
    let actions = rig.settle();
    let order = orders(&actions)[0].1;
    reply(&mut rig, 0, order, Reply::Published { receivers: Some(1) });
    rig.handle(Event::PuddleRestarted {
        puddle: PuddleId(1),
    });
    assert_eq!(
        completed(rig.settle()),
        [(1, CallResult::Published { receivers: 1 })]
    );
}

#[test]
fn so_many_calls_are_under_way_and_no_more() {
    let mut rig = Rig::watching_with(|settings| settings.calls_max = 2);
    for call in 1..=3 {
        rig.call(call, publish());
    }
    assert_eq!(completed(rig.settle()), [(3, CallResult::TooMany)]);
    rig.handle(Event::CallDropped { call: CallId(1) });
    rig.call(4, publish());
    assert_eq!(completed(rig.settle()), []);
}

fn api_key(expires: Option<u64>) -> ApiKey {
    ApiKey {
        id: api_key_id(1),
        scopes: vec!["live".to_owned()],
        expires: expires.map(UnixTime::from_millis),
    }
}

/// Asks for the key, and gives this answer at revision 0.
fn key_answered(rig: &mut Rig, call: u64, found: Resolved) -> Vec<(u64, CallResult)> {
    rig.call(call, Call::Key { hash: token(1) });
    let actions = rig.settle();
    let request = actions.iter().find_map(|action| match action {
        Action::Resolve { request, keys, .. } => {
            assert_eq!(keys[..], [PolicyKey::ApiKey(token(1))]);
            Some(*request)
        }
        _ => None,
    });
    let request = request.expect("the key is asked for");
    rig.call(call + 1, Call::Key { hash: token(1) });
    let revision = rig.board.position().expect("followed").revision;
    let found = Some(Snapshot {
        revision,
        found: vec![found],
    });
    rig.handle(Event::Resolved { request, found });
    completed(rig.settle())
}

#[test]
fn an_api_key_is_asked_for_once_and_known_until_it_ends() {
    let mut rig = Rig::watching();
    let known = CallResult::Key(Some(Arc::new(api_key(None))));
    let results = key_answered(&mut rig, 1, Resolved::ApiKey(api_key(None)));
    assert_eq!(results, [(1, known.clone()), (2, known.clone())]);
    rig.call(3, Call::Key { hash: token(1) });
    assert_eq!(completed(rig.settle()), [(3, known)]);

    let payload = vec![1];
    let Position { revision, chain } = rig.position.then(&payload);
    let change = Change {
        revision,
        items: vec![ChangeItem::ApiKeyGone(api_key_id(1))],
    };
    rig.handle(Event::Changed {
        watch: rig.watch,
        change,
        payload,
        chain,
    });
    rig.call(4, Call::Key { hash: token(1) });
    assert_eq!(completed(rig.settle()), [(4, CallResult::Key(None))]);
}

#[test]
fn an_answer_read_before_a_key_ended_does_not_revive_it() {
    let mut rig = Rig::watching();
    rig.call(1, Call::Key { hash: token(1) });
    rig.settle();
    let payload = vec![1];
    let Position { revision, chain } = rig.position.then(&payload);
    let change = Change {
        revision,
        items: vec![ChangeItem::ApiKeyGone(api_key_id(1))],
    };
    rig.handle(Event::Changed {
        watch: rig.watch,
        change,
        payload,
        chain,
    });
    let found = Some(Snapshot {
        revision: Revision(0),
        found: vec![Resolved::ApiKey(api_key(None))],
    });
    rig.handle(Event::Resolved {
        request: RequestId(0),
        found,
    });
    let actions = rig.settle();
    assert!(actions.iter().any(|action| matches!(
        action,
        Action::Resolve {
            min_revision: Revision(1),
            ..
        }
    )));
    let found = Some(Snapshot {
        revision: Revision(1),
        found: vec![Resolved::Absent],
    });
    rig.handle(Event::Resolved {
        request: RequestId(1),
        found,
    });
    assert_eq!(completed(rig.settle()), [(1, CallResult::Key(None))]);
}

#[test]
fn an_expired_api_key_opens_nothing() {
    let mut rig = Rig::watching();
    rig.handle(Event::Wall(UnixTime::from_millis(9)));
    let results = key_answered(&mut rig, 1, Resolved::ApiKey(api_key(Some(10))));
    assert!(matches!(results[0].1, CallResult::Key(Some(_))));
    // By the process's clock: the wall clock may go back.
    rig.pass(Duration::from_millis(1));
    rig.handle(Event::Wall(UnixTime::from_millis(2)));
    rig.call(9, Call::Key { hash: token(1) });
    assert_eq!(completed(rig.settle()), [(9, CallResult::Key(None))]);
}

#[test]
fn knowledge_of_a_key_that_is_too_old_is_asked_for_anew() {
    let mut rig = Rig::watching();
    key_answered(&mut rig, 1, Resolved::ApiKey(api_key(None)));
    rig.pass(Duration::from_secs(901));
    rig.call(3, Call::Key { hash: token(1) });
    assert_eq!(completed(rig.settle()), []);
    rig.pass(Duration::from_secs(5));
    assert_eq!(completed(rig.settle()), [(3, CallResult::Unavailable)]);
}
