//! A revoked session closes its sockets, and `WaitApplied` does not answer before
//! (P7, P9). Never changes what a room allows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use porthouse_api::control::v1::RevokeAllSessionsRequest;
use porthouse_e2e::house::House;
use porthouse_e2e::multiplexed::{Multiplexed, Told};
use porthouse_e2e::raw::Raw;
use porthouse_e2e::wait::within;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

use crate::shapes::{assert_closed, for_users};

/// Messages said after the answer, that nobody revoked may hear.
const AFTERWARDS: u64 = 100;

#[tokio::test]
async fn a_revoked_session_closes_its_sockets_before_wait_applied_answers() {
    let house = House::start().await;
    let backend = house.backend();
    let ada = backend.signed_in_user("ada").await;
    let bob = backend.signed_in_user("bob").await;
    let revision = backend.make_room("hall", for_users()).await;
    backend.applied(revision).await;
    let victims = house
        .sockets_on_both_puddles("hall", Some(&ada.token), 3)
        .await;
    let mut victim = Multiplexed::open(house.ws(), Some(&ada.token)).await;
    victim.event("authenticated").await;
    victim.join("hall").await;
    let chatter = Chatter::start(&house, &bob.token).await;

    chatter.reaches(50).await;
    let revision = backend.revoke(&ada.session).await;
    let answer = backend.wait_applied(revision, 30).await;
    let said_before = chatter.said();
    assert!(answer.applied, "{answer:?}");
    chatter.reaches(said_before + AFTERWARDS).await;
    let said = chatter.stop().await;
    assert!(said >= said_before + AFTERWARDS);

    for mut socket in victims {
        let (messages, closed) = socket.rest().await;
        assert_closed(&closed, 4101, "session", "retry authenticate");
        heard_until(messages.iter().map(number), said_before);
    }
    let (lines, closed) = victim.rest().await;
    assert_closed(&closed, 4101, "session", "retry authenticate");
    let payloads = lines.iter().map(|line| match line {
        Told::Line { header, payload } if header["op"] == "message" => number(payload),
        other @ (Told::Line { .. } | Told::Closed(_)) => panic!("no message: {other:?}"),
    });
    heard_until(payloads, said_before);

    // Nor does it open anything any more.
    let refused = Raw::refused(house.ws(), "hall", Some(&ada.token)).await;
    assert_eq!(refused.status, 401, "{:?}", refused.body);
    house.close().await;
}

#[tokio::test]
async fn all_sessions_of_a_user_end_at_once_and_nobody_elses() {
    let house = House::start().await;
    let backend = house.backend();
    let first = backend.signed_in_user("ada").await;
    let second = backend.sign_in("ada", "the password of ada").await;
    let bob = backend.signed_in_user("bob").await;
    let mut sockets = Vec::new();
    for signed_in in [&first, &second] {
        sockets.push(Raw::enter(house.ws(), "hall", Some(&signed_in.token)).await);
    }
    let mut stranger = Raw::enter(house.ws(), "hall", Some(&bob.token)).await;
    let request = RevokeAllSessionsRequest {
        user: "users/ada".to_owned(),
    };
    let revoked = backend.sessions().revoke_all_sessions(request).await;
    let revoked = revoked.expect("they end").into_inner();
    assert_eq!(revoked.revoked_count, 2);
    backend.applied(revoked.revision).await;
    for mut socket in sockets {
        let closed = socket.closed().await;
        assert_closed(&closed, 4101, "session", "retry authenticate");
    }
    let mut friend = Raw::enter(house.ws(), "hall", None).await;
    friend.say(Message::text("still there?")).await;
    assert_eq!(stranger.next().await, Message::text("still there?"));
    drop((stranger, friend));
    house.close().await;
}

/// Somebody who counts aloud in the room without pause, and somebody who listens.
struct Chatter {
    said: Arc<AtomicU64>,
    stop: CancellationToken,
    talking: tokio::task::JoinHandle<()>,
}

impl Chatter {
    async fn start(house: &House, token: &str) -> Self {
        let mut speaker = Raw::enter(house.ws(), "hall", Some(token)).await;
        let mut listener = Raw::enter(house.ws(), "hall", Some(token)).await;
        let (said, stop) = (Arc::new(AtomicU64::new(0)), CancellationToken::new());
        let (counter, stopped) = (Arc::clone(&said), stop.clone());
        let talking = tokio::spawn(async move {
            while !stopped.is_cancelled() {
                // Counted before it is said: what the count does not name was not said yet.
                let number = counter.fetch_add(1, Ordering::SeqCst) + 1;
                let message = Message::text(number.to_string());
                speaker.say(message.clone()).await;
                assert_eq!(listener.next().await, message);
            }
        });
        Self {
            said,
            stop,
            talking,
        }
    }

    fn said(&self) -> u64 {
        self.said.load(Ordering::SeqCst)
    }

    async fn reaches(&self, number: u64) {
        let counting = async {
            while self.said() < number && !self.talking.is_finished() {
                tokio::task::yield_now().await;
            }
        };
        within("the chatter to go on", counting).await;
    }

    async fn stop(self) -> u64 {
        self.stop.cancel();
        self.talking.await.expect("nobody revoked it");
        self.said.load(Ordering::SeqCst)
    }
}

fn number(message: &Message) -> u64 {
    let text = message.to_text().expect("it counts in text");
    text.parse().expect("a number")
}

/// What was heard is the count without gaps, and nothing that was said after the
/// answer.
fn heard_until(numbers: impl Iterator<Item = u64>, last_max: u64) {
    let heard: Vec<u64> = numbers.collect();
    let (first, last) = (heard.first(), heard.last());
    assert!(
        last.is_some_and(|last| *last <= last_max),
        "{last:?} > {last_max}"
    );
    assert!(first.is_some_and(|first| {
        heard
            .iter()
            .copied()
            .eq(*first..*first + heard.len() as u64)
    }));
}
