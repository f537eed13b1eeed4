//! A ticket in the URL opens a socket of the session it was made for, at the path
//! and for the page it was made for.

use core::time::Duration;

use porthouse_model::{Credential, CredentialKind, MessageKind};

use super::world::{Client, World, close_frame, members_only};

const PAGE: &str = "https://app.example.com";
const V1: &str = "Sec-WebSocket-Protocol: porthouse.v1";

fn ticket() -> Credential {
    Credential::new(CredentialKind::Ticket, [5; 32])
}

/// A user with a ticket for this path, of this page.
fn with_ticket(page: Option<&'static str>, path: &'static str) -> World {
    let mut world = World::new(1);
    let user = world.session(7);
    let room = world.room("club", members_only());
    world.members.push(porthouse_model::Member {
        room,
        user,
        role: porthouse_model::Role::MEMBER,
        expires: None,
        then: None,
    });
    world.tickets.insert(ticket().hash(), (page, path, 7));
    world
}

fn open(world: &mut World, path: &str, lines: &[&str]) -> Client {
    let target = format!("{path}?ticket={}", ticket().reveal());
    world.upgrade(0, &target, lines)
}

fn status(world: &mut World, client: Client) -> String {
    let head = String::from_utf8_lossy(&world.take(client)).into_owned();
    head["HTTP/1.1 ".len()..][..3].to_owned()
}

#[test]
fn a_ticket_opens_a_room_as_its_session_does() {
    let mut world = with_ticket(None, "/club");
    let ada = open(&mut world, "/club", &[]);
    assert_eq!(status(&mut world, ada), "101");
    let mut world = with_ticket(None, "/club");
    let encoded = open(&mut world, "/%63lub", &[]);
    assert_eq!(status(&mut world, encoded), "101", "the path has one form");
}

#[test]
fn a_ticket_signs_a_lobby_in() {
    let mut world = with_ticket(Some(PAGE), "/");
    let ada = open(&mut world, "/", &[V1, &format!("Origin: {PAGE}")]);
    let told = world.take_text(ada);
    assert!(
        told.contains("101 Switching") && told.contains(r#""op":"authenticated""#),
        "{told}"
    );
}

#[test]
fn a_ticket_of_another_path_or_page_opens_nothing() {
    let mut world = with_ticket(None, "/lobby");
    let other = open(&mut world, "/club", &[]);
    let told = world.take_text(other);
    assert!(
        told.starts_with("HTTP/1.1 401") && told.contains(r#""rule":"ticket""#),
        "{told}"
    );
    let mut world = with_ticket(Some(PAGE), "/club");
    let hidden = open(&mut world, "/club", &[]);
    assert_eq!(status(&mut world, hidden), "401");
    let page = open(&mut world, "/club", &["Origin: https://evil.example"]);
    let bytes = world.take(page);
    let (code, reason) = close_frame(&bytes);
    assert_eq!(code, 4114, "{reason}");
}

#[test]
fn who_is_to_wait_with_a_ticket_is_told_how_long() {
    let mut world = with_ticket(Some(PAGE), "/club");
    world.busy = Some(Duration::from_secs(90));
    let client = open(&mut world, "/club", &[]);
    let told = world.take_text(client);
    assert!(told.starts_with("HTTP/1.1 429"), "{told}");
    assert!(told.contains("\r\nRetry-After: 90\r\n"), "{told}");
    assert!(told.contains(r#""retry_after_ms":90000,"#), "{told}");
    let page = open(&mut world, "/club", &[&format!("Origin: {PAGE}")]);
    let bytes = world.take(page);
    let (code, reason) = close_frame(&bytes);
    assert_eq!(code, 4209, "{reason}");
    assert!(reason.contains("; retry after 90000ms; "), "{reason}");
}

#[test]
fn what_comes_before_the_verdict_is_the_first_frame() {
    let mut world = with_ticket(None, "/club");
    let listener = world.lobby_of(0, 7);
    world.line(listener, r#"{"op":"join","id":1,"room":"club"}"#);
    assert!(world.take_text(listener).contains("admitted"));
    let ada = open(&mut world, "/club", &[]);
    world.say(ada, MessageKind::Text, b"early");
    assert_eq!(status(&mut world, ada), "101");
    assert!(world.take_text(listener).contains("early"));
}

#[test]
fn while_nobody_can_say_whose_it_is_a_ticket_is_refused_retryably() {
    let mut world = with_ticket(None, "/club");
    world.away = true;
    let ada = open(&mut world, "/club", &[]);
    assert_eq!(status(&mut world, ada), "503");
}
