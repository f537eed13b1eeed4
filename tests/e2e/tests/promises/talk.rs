//! Messages arrive byte for byte (P1), in order and once (P2), whatever their
//! size, kind and wire form. Never changes a rule while people talk.

use porthouse_api::control::v1::{MessageRules, Room, RoomRules};
use porthouse_api::live::v1::ListRoomsRequest;
use porthouse_e2e::house::House;
use porthouse_e2e::multiplexed::Multiplexed;
use porthouse_e2e::raw::Raw;
use porthouse_e2e::wait::within;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

/// The room's limit: past the lengths that RFC 6455 writes in 1, 2 and 8 bytes.
const BYTES_MAX: usize = 70_000;
/// Every size up to here is tried.
const EVERY_SIZE_MAX: usize = 1_100;
/// Between larger ones.
const STRIDE_BYTES: usize = 1_013;

#[tokio::test]
async fn three_sockets_on_two_puddles_talk_in_every_size_byte_for_byte() {
    let house = house_with_room(BYTES_MAX).await;
    let mut sockets = house.sockets_on_both_puddles("hall", None, 3).await;
    for (turn, size) in sizes().into_iter().enumerate() {
        let from = turn % sockets.len();
        for message in [text(size), binary(size)] {
            sockets[from].say(message.clone()).await;
            for (at, socket) in sockets.iter_mut().enumerate() {
                if at != from {
                    hears(socket, &message).await;
                }
            }
        }
    }
    drop(sockets);
    house.close().await;
}

#[tokio::test]
async fn raw_and_multiplexed_sockets_hear_each_other_in_every_size() {
    let house = house_with_room(BYTES_MAX).await;
    let mut raw = house.sockets_on_both_puddles("hall", None, 2).await;
    let mut speaker = house.multiplexed().await;
    let mut listener = house.multiplexed().await;
    speaker.join("hall").await;
    listener.join("hall").await;
    for size in sizes() {
        for message in [text(size), binary(size)] {
            let header = json!({"op": "send", "room": "hall"});
            speaker.say_line(&header, message.clone()).await;
            assert_eq!(listener.message("hall").await, message, "{size} bytes");
            for socket in &mut raw {
                hears(socket, &message).await;
            }
        }
    }
    for (turn, size) in sizes().into_iter().enumerate() {
        let from = turn % raw.len();
        let message = if turn % 2 == 0 {
            text(size)
        } else {
            binary(size)
        };
        raw[from].say(message.clone()).await;
        assert_eq!(speaker.message("hall").await, message, "{size} bytes");
        assert_eq!(listener.message("hall").await, message, "{size} bytes");
        for (at, socket) in raw.iter_mut().enumerate() {
            if at != from {
                hears(socket, &message).await;
            }
        }
    }
    drop((raw, speaker, listener));
    house.close().await;
}

#[tokio::test]
async fn messages_of_one_sender_arrive_in_order_and_once() {
    const MESSAGES: u32 = 2_000;
    let house = house_with_room(BYTES_MAX).await;
    let mut sockets = house.sockets_on_both_puddles("hall", None, 3).await;
    let mut speaker = sockets.pop().expect("there are three");
    let speaking = tokio::spawn(async move {
        for number in 0..MESSAGES {
            speaker.say(Message::text(number.to_string())).await;
        }
        speaker
    });
    let listening = sockets.into_iter().map(|mut socket| {
        tokio::spawn(async move {
            for number in 0..MESSAGES {
                assert_eq!(socket.next().await, Message::text(number.to_string()));
            }
            socket
        })
    });
    for listener in listening.collect::<Vec<_>>() {
        listener.await.expect("it hears all in order");
    }
    drop(speaking.await.expect("it is heard"));
    house.close().await;
}

#[tokio::test]
async fn a_sender_names_who_hears_it() {
    let house = house_with_room(BYTES_MAX).await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = house.multiplexed().await;
        let id = client.join("hall").await;
        clients.push((id, client));
    }
    let ids: Vec<String> = clients.iter().map(|(id, _)| id.clone()).collect();
    let mut say = async |fields: serde_json::Value, text: &str| {
        let (_, speaker): &mut (String, Multiplexed) = &mut clients[0];
        let reply = speaker.ask_with("send", fields, Message::text(text)).await;
        assert_eq!(reply["op"], "receipt", "{reply}");
        assert_eq!(reply["level"], "accepted");
    };
    say(json!({"room": "hall", "to": [ids[1]]}), "to the first").await;
    say(
        json!({"room": "hall", "except": [ids[1], ids[2]]}),
        "to the last",
    )
    .await;
    say(json!({"room": "hall"}), "to all").await;
    for (client, heard) in [
        (1, ["to the first", "to all"].as_slice()),
        (2, ["to all"].as_slice()),
        (3, ["to the last", "to all"].as_slice()),
    ] {
        for text in heard {
            let (_, client) = &mut clients[client];
            assert_eq!(client.message("hall").await, Message::text(*text));
        }
    }
    drop(clients);
    house.close().await;
}

#[tokio::test]
async fn a_transient_room_lives_from_its_first_socket_to_its_last() {
    let house = House::start().await;
    let mut sockets = house.sockets_on_both_puddles("nowhere", None, 2).await;
    sockets[0].say(Message::text("anybody?")).await;
    hears(&mut sockets[1], &Message::text("anybody?")).await;
    let mut live = house.backend().live();
    let listed = live.list_rooms(ListRoomsRequest::default()).await;
    let rooms = listed.expect("rooms are listed").into_inner().rooms;
    assert_eq!(rooms.len(), 1);
    assert!(!rooms[0].persistent);
    drop(sockets);
    let ended = async { while !house.backend().sockets_in("nowhere").await.is_empty() {} };
    within("the room's end", ended).await;
    house.close().await;
}

async fn house_with_room(bytes_max: usize) -> House {
    let house = House::start().await;
    let messages = MessageRules {
        bytes_max: Some(u32::try_from(bytes_max).expect("it is small")),
        ..Default::default()
    };
    let rules = RoomRules {
        messages: Some(messages),
        ..Default::default()
    };
    let room = Room {
        rules: Some(rules),
        ..Default::default()
    };
    let revision = house.backend().make_room("hall", room).await;
    house.backend().applied(revision).await;
    house
}

async fn hears(socket: &mut Raw, message: &Message) {
    let heard = socket.next().await;
    // Not the messages themselves: a failure is to be read.
    assert!(
        heard == *message,
        "{} bytes of {} came as {} of {}",
        message.len(),
        kind(message),
        heard.len(),
        kind(&heard)
    );
}

fn kind(message: &Message) -> &'static str {
    if message.is_text() { "text" } else { "binary" }
}

/// Every small size, what RFC 6455 and buffers turn at, and some up to the limit.
fn sizes() -> Vec<usize> {
    let turning = [4_096, 8_192, 16_384, 32_768, 65_535, 65_536, BYTES_MAX];
    let near = |size: usize| (size - 2)..=(size + 2).min(BYTES_MAX);
    let mut sizes: Vec<usize> = (0..=EVERY_SIZE_MAX)
        .chain(turning.into_iter().flat_map(near))
        .chain((EVERY_SIZE_MAX..BYTES_MAX).step_by(STRIDE_BYTES))
        .collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

/// Text of so many bytes, with newlines and characters of 1 to 4 bytes.
fn text(bytes: usize) -> Message {
    const PIECE: &str = "a\n{\"op\":\"send\"}\u{0}é€😀";
    let mut text = PIECE.repeat(bytes / PIECE.len());
    while text.len() < bytes {
        text.push(char::from(
            b'a' + u8::try_from(text.len() % 26).expect("below 26"),
        ));
    }
    Message::text(text)
}

/// So many bytes of every value.
fn binary(bytes: usize) -> Message {
    let all = (0..bytes).map(|at| u8::try_from((at * 31 + bytes) % 256).expect("below 256"));
    Message::binary(all.collect::<Vec<u8>>())
}
