//! What many sockets begin and do not finish is bounded over all of them, and
//! what one of them may ask is less than all may.

use porthouse_model::{MessageKind, RoomRules};

use super::world::{Client, World, close_frame, frame};
use crate::wire::frame::client;
use crate::{Answer, Input, Output, QuestionId};

use MessageKind::Binary;

const KIB: usize = 1024;

/// A puddle that takes so little in that a few halves of messages are too much.
fn narrow() -> World {
    let mut world = World::with(1, |settings| settings.inbound_bytes_max = 64 * KIB);
    world.room("hall", RoomRules::default());
    world
}

/// The first bytes of a frame of 60 KiB.
fn begin(world: &mut World, client: Client, bytes: usize) {
    let mut whole = client::frame(true, client::BINARY, &vec![7; 60 * KIB]);
    whole.truncate(bytes);
    world.bytes(client, whole);
}

#[test]
fn whoever_holds_the_most_of_what_is_not_whole_goes_first() {
    let mut world = narrow();
    let clients = [(); 4].map(|()| world.raw(0, "hall"));
    for (client, kib) in clients.into_iter().zip([10, 30, 20]) {
        begin(&mut world, client, kib * KIB);
        assert_eq!(world.take(client), b"");
    }
    begin(&mut world, clients[3], 5 * KIB);
    let (code, reason) = close_frame(&world.take(clients[1]));
    assert_eq!(code, 4222);
    assert!(
        reason.starts_with("inbound_bytes_max; retry after 1000ms; "),
        "{reason}"
    );
    for client in [clients[0], clients[2], clients[3]] {
        assert_eq!(world.take(client), b"", "it stays");
    }
}

#[test]
fn fragments_count_and_whoever_finishes_what_is_short_is_spared() {
    let mut world = narrow();
    let (ada, ben) = (world.raw(0, "hall"), world.raw(0, "hall"));
    let hog = world.raw(0, "hall");
    let mut opcode = client::BINARY;
    for _ in 0..7 {
        let part = client::frame(false, opcode, &vec![7; 8 * KIB]);
        world.bytes(hog, part);
        opcode = client::CONTINUATION;
    }
    assert_eq!(world.take(hog), b"");
    begin(&mut world, ada, 9 * KIB);
    assert_eq!(close_frame(&world.take(hog)).0, 4222);
    let rest = client::frame(true, client::BINARY, &vec![7; 60 * KIB]);
    world.bytes(ada, rest[9 * KIB..].to_vec());
    assert_eq!(world.take(ben), frame(Binary, &vec![7; 60 * KIB]));
}

#[test]
fn one_socket_cannot_use_up_the_questions_of_all() {
    let mut world = World::with(1, |settings| {
        settings.questions_max = 8;
        settings.questions_per_socket_max = 4;
    });
    let (hasty, ada) = (world.lobby(0), world.lobby(0));
    for name in 0..16 {
        let join = format!(r#"{{"op":"join","room":"unheard-{name}","id":{name}}}"#);
        world.line_unanswered(hasty, &join);
        let leave = format!(r#"{{"op":"leave","room":"unheard-{name}"}}"#);
        world.line_unanswered(hasty, &leave);
    }
    let mut asked: Vec<QuestionId> = Vec::new();
    for output in world.settle_only(0) {
        if let Output::Ask { question, .. } = output {
            asked.push(question);
        }
    }
    assert_eq!(asked.len(), 4);
    let told = world.take_text(hasty);
    assert_eq!(told.matches(r#""code":4205"#).count(), 12, "{told}");
    world.line(ada, r#"{"op":"join","room":"lobby","id":1}"#);
    assert!(world.take_text(ada).contains(r#""op":"admitted""#));
    for question in asked {
        let answer = Answer::Unavailable;
        world.puddles[0].handle(world.now, Input::Answered { question, answer });
    }
    world.line(hasty, r#"{"op":"join","room":"other","id":99}"#);
    assert!(
        world
            .take_text(hasty)
            .contains(r#""op":"admitted","id":99"#)
    );
}
