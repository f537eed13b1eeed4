//! A backend follows rooms: its request, and the stream that answers it. Ends
//! with the key it was opened by.

use std::collections::{BTreeSet, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, stream};
use porthouse_api::live::v1;
use porthouse_api::live::v1::subscribe_response::Event;
use porthouse_model::{MessageKind, RoomName, TokenHash};
use porthouse_puddle::RoomMessage;
use tokio::sync::mpsc;
use tokio::time::{Interval, interval, timeout};
use tonic::{Request, Status};

use super::{Called, Live, room_name, status};
use crate::follow::{Between, Follow, Heard};

/// Rooms that one stream follows.
const ROOMS_MAX: usize = 256;
/// How long the puddles may take to give what is said.
const BEGIN_TIME_MAX: Duration = Duration::from_secs(5);
/// How often it is looked whether the key still stands, beside whenever some
/// key is revoked: a key ends by the clock, too.
const KEY_EVERY: Duration = Duration::from_secs(1);

/// The key by which a call was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct ByKey(pub(super) TokenHash);

/// What a backend is told.
pub(super) type Told = Pin<Box<dyn Stream<Item = Result<v1::SubscribeResponse, Status>> + Send>>;

impl Live {
    /// Begins once each puddle gives what is said there.
    pub(super) async fn follow(
        &self,
        request: Request<v1::SubscribeRequest>,
    ) -> Result<Told, Status> {
        let key = request.extensions().get::<ByKey>().copied();
        let ByKey(key) = key.ok_or_else(status::unauthenticated)?;
        let rooms = rooms(&request.into_inner())?;
        let place = Arc::clone(&self.streams).try_acquire_owned();
        let place = place.map_err(|_| status::too_many_streams())?;
        let (follow, heard, between) = Follow::new(self.name(), rooms, place);
        let called = Called::Follow(Arc::new(follow));
        self.calls.try_send(called).map_err(|full| match full {
            mpsc::error::TrySendError::Full(_) => status::too_many_calls(),
            mpsc::error::TrySendError::Closed(_) => status::no_answer(),
        })?;
        let all = timeout(BEGIN_TIME_MAX, between.puddles.acquire_many(self.puddles)).await;
        all.map_err(|_| status::no_answer())?
            .map_err(|_| status::no_answer())?
            .forget();
        let listening = Listening {
            live: self.clone(),
            key,
            look: interval(KEY_EVERY),
            heard,
            between,
            ready: VecDeque::from([Event::Started(v1::SubscriptionStarted {})]),
            over: false,
        };
        let told = stream::unfold(listening, async |mut listening| {
            let next = listening.next().await?;
            Some((next, listening))
        });
        Ok(Box::pin(told))
    }
}

fn rooms(request: &v1::SubscribeRequest) -> Result<Box<[RoomName]>, Status> {
    if !(1..=ROOMS_MAX).contains(&request.rooms.len()) {
        return Err(status::bad_field("rooms", &"1 to 256 rooms"));
    }
    let rooms = request.rooms.iter().map(|room| room_name("rooms", room));
    let rooms: BTreeSet<RoomName> = rooms.collect::<Result<_, _>>()?;
    Ok(rooms.into_iter().collect())
}

/// A stream that is read.
struct Listening {
    live: Live,
    key: TokenHash,
    look: Interval,
    heard: mpsc::Receiver<Heard>,
    between: Arc<Between>,
    /// What is told next.
    ready: VecDeque<Event>,
    over: bool,
}

impl Listening {
    /// What is told next; the last is why it ends.
    async fn next(&mut self) -> Option<Result<v1::SubscribeResponse, Status>> {
        while !self.over {
            if let Some(event) = self.ready.pop_front() {
                return Some(Ok(v1::SubscribeResponse { event: Some(event) }));
            }
            tokio::select! {
                biased;
                () = self.between.keys_changed.notified() => self.look.reset_immediately(),
                _ = self.look.tick() => {
                    if let Err(why) = self.live.still_may(self.key).await {
                        self.over = true;
                        return Some(Err(why));
                    }
                    // What was missed just after this looked, in a room that is quiet since.
                    let missed = self.between.take_missed();
                    self.miss(missed);
                }
                heard = self.heard.recv() => {
                    let Some(heard) = heard else {
                        self.over = true;
                        return Some(Err(status::going_away()));
                    };
                    self.hear(heard);
                }
            }
        }
        None
    }

    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Said {
                message,
                place,
                missed,
            } => {
                self.between.taken(message.payload.len());
                self.miss(missed);
                self.ready.push_back(Event::Message(said(&message, place)));
            }
            Heard::Interrupted => self.ready.push_back(gap(0)),
        }
        if self.heard.is_empty() {
            let missed = self.between.take_missed();
            self.miss(missed);
        }
    }

    fn miss(&mut self, messages: u64) {
        if messages > 0 {
            self.ready.push_back(gap(messages));
        }
    }
}

const fn gap(messages: u64) -> Event {
    Event::Gap(v1::SubscriptionGap { messages })
}

fn said(message: &RoomMessage, place: Option<(u64, u64)>) -> v1::SaidMessage {
    use v1::said_message::Payload;
    let payload = match message.kind {
        // A text that is none was refused where it was said.
        MessageKind::Text => Payload::Text(String::from_utf8_lossy(&message.payload).into_owned()),
        MessageKind::Binary => Payload::Binary(message.payload.to_vec().into()),
    };
    v1::SaidMessage {
        room: format!("rooms/{}", message.room),
        payload: Some(payload),
        client: message
            .from
            .map(|from| from.to_string())
            .unwrap_or_default(),
        epoch: place.map(|(epoch, _)| epoch),
        offset: place.map(|(_, offset)| offset),
    }
}
