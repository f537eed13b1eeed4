//! live.v1: what backends ask of live rooms. Translates calls for the
//! switchboard and its results back; decides nothing about rooms.

pub(crate) mod guard;
mod status;
mod page;
mod publishing;
mod subscribing;
mod waiting;
mod moving;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use porthouse_api::live::v1;
use porthouse_api::live::v1::live_service_server::LiveService;
use porthouse_model::RoomName;
use porthouse_process::spans::Tracer;
use porthouse_puddle::{
    Call, CallId, CallResult, Cause, ListedClient, ListedRoom, ListedSocket, PuddleId, WireForm,
};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tonic::{Request, Response, Status};

use crate::follow::Follow;
use crate::refusals::Refusals;

/// The longest a client that is put out of a room is kept out.
const KICK_BLOCK_MAX: Duration = Duration::from_hours(7 * 24);

/// What a call says to the switchboard's thread.
#[derive(Debug)]
pub(crate) enum Called {
    /// It is made, and waits for its result.
    Made {
        call: CallId,
        what: Call,
        answer: oneshot::Sender<CallResult>,
    },
    /// Nobody waits for it any more.
    Dropped { call: CallId },
    /// A backend follows rooms.
    Follow(Arc<Follow>),
}

/// The service, at any number of gRPC servers; all copies are one.
#[derive(Clone, Debug)]
pub struct Live {
    calls: mpsc::Sender<Called>,
    next: Arc<AtomicU64>,
    refusals: Arc<Refusals>,
    /// Places for backends that follow rooms.
    streams: Arc<Semaphore>,
    puddles: u32,
    spans: Tracer,
}

impl Live {
    pub(crate) fn new(calls: mpsc::Sender<Called>, puddles: u8, streams_max: usize) -> Self {
        Self {
            calls,
            next: Arc::new(AtomicU64::new(0)),
            streams: Arc::new(Semaphore::new(streams_max)),
            puddles: puddles.into(),
            refusals: Arc::new(Refusals::new()),
            spans: Tracer::default(),
        }
    }

    /// The same, of whose calls spans are taken.
    pub(crate) fn with_spans(mut self, spans: Tracer) -> Self {
        self.spans = spans;
        self
    }

    /// What the node has refused beside its puddles.
    pub(crate) const fn refusals(&self) -> &Arc<Refusals> {
        &self.refusals
    }

    /// What a result means that is not the one asked for. A refusal is kept.
    fn told(&self, result: &CallResult, room: &RoomName) -> Status {
        let id = match result {
            CallResult::Refused(refused) => {
                let cause = Cause::Refused(*refused);
                Some(self.refusals.keep(cause, Some(room), None))
            }
            CallResult::Key(_)
            | CallResult::NotLive
            | CallResult::Published { .. }
            | CallResult::Placed { .. }
            | CallResult::Purged { .. }
            | CallResult::Rooms { .. }
            | CallResult::Sockets { .. }
            | CallResult::Kicked { .. }
            | CallResult::Present(_)
            | CallResult::Waiting(_)
            | CallResult::Recalled(_)
            | CallResult::Foreseen(_)
            | CallResult::Moved(_)
            | CallResult::Decided { .. }
            | CallResult::TooMany
            | CallResult::Unavailable => None,
        };
        status::refused(result, id)
    }

    fn name(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) async fn call(&self, what: Call) -> CallResult {
        self.begin(what).end().await
    }

    /// Hands a call over; what it comes to is waited for by [`Begun::end`].
    fn begin(&self, what: Call) -> Begun {
        let call = CallId(self.name());
        let (answer, result) = oneshot::channel();
        match self.calls.try_send(Called::Made { call, what, answer }) {
            Ok(()) => Begun::UnderWay(Waiting {
                call,
                calls: self.calls.clone(),
                result,
                answered: false,
            }),
            Err(mpsc::error::TrySendError::Full(_)) => Begun::Over(CallResult::TooMany),
            Err(mpsc::error::TrySendError::Closed(_)) => Begun::Over(CallResult::Unavailable),
        }
    }
}

/// A call that was handed over, or could not be.
enum Begun {
    UnderWay(Waiting),
    Over(CallResult),
}

impl Begun {
    async fn end(self) -> CallResult {
        match self {
            Self::UnderWay(mut waiting) => {
                let result = (&mut waiting.result).await;
                waiting.answered = true;
                result.unwrap_or(CallResult::Unavailable)
            }
            Self::Over(result) => result,
        }
    }
}

/// A call that says so when nobody waits for it any more.
struct Waiting {
    call: CallId,
    calls: mpsc::Sender<Called>,
    result: oneshot::Receiver<CallResult>,
    answered: bool,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.answered {
            // If that cannot be said now, the call ends by its time.
            let _ = self.calls.try_send(Called::Dropped { call: self.call });
        }
    }
}

#[tonic::async_trait]
impl LiveService for Live {
    async fn publish(
        &self,
        request: Request<v1::PublishRequest>,
    ) -> Result<Response<v1::PublishResponse>, Status> {
        self.say(request.into_inner()).await.map(Response::new)
    }

    async fn batch_publish(
        &self,
        request: Request<v1::BatchPublishRequest>,
    ) -> Result<Response<v1::BatchPublishResponse>, Status> {
        self.say_all(request.into_inner()).await.map(Response::new)
    }

    type SubscribeStream = subscribing::Told;

    async fn subscribe(
        &self,
        request: Request<v1::SubscribeRequest>,
    ) -> Result<Response<subscribing::Told>, Status> {
        self.follow(request).await.map(Response::new)
    }

    async fn purge(
        &self,
        request: Request<v1::PurgeRequest>,
    ) -> Result<Response<v1::PurgeResponse>, Status> {
        let v1::PurgeRequest { room, through } = request.into_inner();
        let room = room_name("room", &room)?;
        let purge = Call::Purge {
            room: room.clone(),
            through,
        };
        let result = self.call(purge).await;
        let CallResult::Purged { messages } = result else {
            return Err(self.told(&result, &room));
        };
        Ok(Response::new(v1::PurgeResponse { messages }))
    }

    async fn list_rooms(
        &self,
        request: Request<v1::ListRoomsRequest>,
    ) -> Result<Response<v1::ListRoomsResponse>, Status> {
        let request = request.into_inner();
        let after = page::room_after(&request.page_token)?;
        let rooms_max = page::size(request.page_size)?;
        let result = self.call(Call::ListRooms { after, rooms_max }).await;
        let CallResult::Rooms { rooms, more } = result else {
            return Err(status::of(&result));
        };
        let last = rooms.last().filter(|_| more);
        Ok(Response::new(v1::ListRoomsResponse {
            next_page_token: last
                .map(|room| page::token_of_room(&room.name))
                .unwrap_or_default(),
            rooms: rooms.iter().map(live_room).collect(),
        }))
    }

    async fn list_sockets(
        &self,
        request: Request<v1::ListSocketsRequest>,
    ) -> Result<Response<v1::ListSocketsResponse>, Status> {
        let request = request.into_inner();
        let room = room_name("room", &request.room)?;
        let after = page::socket_after(&request.page_token)?;
        let sockets_max = page::size(request.page_size)?;
        let result = self
            .call(Call::ListSockets {
                room,
                after,
                sockets_max,
            })
            .await;
        let CallResult::Sockets { sockets, more } = result else {
            return Err(status::of(&result));
        };
        let last = sockets.last().filter(|_| more);
        let next = last.map(|(puddle, listed)| page::token_of_socket(*puddle, listed.socket));
        Ok(Response::new(v1::ListSocketsResponse {
            next_page_token: next.unwrap_or_default(),
            sockets: sockets.iter().map(live_socket).collect(),
        }))
    }

    async fn get_presence(
        &self,
        request: Request<v1::GetPresenceRequest>,
    ) -> Result<Response<v1::GetPresenceResponse>, Status> {
        let request = request.into_inner();
        let room = room_name("room", &request.room)?;
        let after = page::client_after(&request.page_token)?;
        let clients_max = page::size(request.page_size)?;
        let call = Call::ListPresent {
            room,
            after,
            clients_max,
        };
        let result = self.call(call).await;
        let CallResult::Present(listed) = result else {
            return Err(status::of(&result));
        };
        let last = listed.present.last().filter(|_| listed.more);
        let next = last.map(|one| page::token_of_client(one.client));
        Ok(Response::new(v1::GetPresenceResponse {
            count: listed.clients,
            clients: listed.present.iter().map(present_client).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn r#move(
        &self,
        request: Request<v1::MoveRequest>,
    ) -> Result<Response<v1::MoveResponse>, Status> {
        let call = moving::call(&request.into_inner())?;
        let result = self.call(call).await;
        moving::moved(&result).map(Response::new)
    }

    async fn list_waiting(
        &self,
        request: Request<v1::ListWaitingRequest>,
    ) -> Result<Response<v1::ListWaitingResponse>, Status> {
        let room = room_name("room", &request.into_inner().room)?;
        let result = self.call(Call::ListWaiting { room }).await;
        waiting::listed(&result).map(Response::new)
    }

    async fn decide_waiting(
        &self,
        request: Request<v1::DecideWaitingRequest>,
    ) -> Result<Response<v1::DecideWaitingResponse>, Status> {
        let call = waiting::decide(&request.into_inner())?;
        let result = self.call(call).await;
        waiting::decided(&result).map(Response::new)
    }

    async fn kick(
        &self,
        request: Request<v1::KickRequest>,
    ) -> Result<Response<v1::KickResponse>, Status> {
        let request = request.into_inner();
        let client = request
            .client
            .parse()
            .map_err(|bad| status::bad_field("client", &bad))?;
        let room = match request.room.as_str() {
            "" => None,
            name => Some(room_name("room", name)?),
        };
        let block = kick_block(request.rejoin_allowed, request.block_duration)?;
        let kick = Call::Kick {
            client,
            room,
            block,
        };
        let result = self.call(kick).await;
        let CallResult::Kicked { sockets } = result else {
            return Err(status::of(&result));
        };
        Ok(Response::new(v1::KickResponse { sockets }))
    }
}

/// How long a client that is put out may not come back; `None`: as is set.
fn kick_block(
    rejoin_allowed: bool,
    duration: Option<prost_types::Duration>,
) -> Result<Option<Duration>, Status> {
    match (rejoin_allowed, duration) {
        (true, None) => Ok(Some(Duration::ZERO)),
        (true, Some(_)) => {
            let rule = "unset where rejoining is allowed";
            Err(status::bad_field("block_duration", &rule))
        }
        (false, None) => Ok(None),
        (false, Some(span)) => match Duration::try_from(span) {
            Ok(span) if span <= KICK_BLOCK_MAX => Ok(Some(span)),
            Ok(_) | Err(_) => {
                let rule = "0 to 7 days";
                Err(status::bad_field("block_duration", &rule))
            }
        },
    }
}

fn room_name(field: &'static str, resource: &str) -> Result<RoomName, Status> {
    let name = resource.strip_prefix("rooms/");
    let name = name.ok_or_else(|| status::bad_field(field, &"a room is named `rooms/{room}`"))?;
    name.parse().map_err(|bad| status::bad_field(field, &bad))
}

fn live_room(room: &ListedRoom) -> v1::LiveRoom {
    v1::LiveRoom {
        name: format!("rooms/{}", room.name),
        persistent: room.persistent,
        sockets: room.sockets,
    }
}

fn present_client(one: &ListedClient) -> v1::PresentClient {
    let user = one.username.as_ref().map(|user| format!("users/{user}"));
    v1::PresentClient {
        client: one.client.to_string(),
        user: user.unwrap_or_default(),
        raw_sockets: one.raw,
        multiplexed_sockets: one.multiplexed,
        event_streams: one.event_streams,
    }
}

const fn wire_form(form: WireForm) -> v1::WireForm {
    match form {
        WireForm::Raw => v1::WireForm::Raw,
        WireForm::Multiplexed => v1::WireForm::Multiplexed,
        WireForm::EventStream => v1::WireForm::EventStream,
    }
}

fn live_socket((puddle, listed): &(PuddleId, ListedSocket)) -> v1::LiveSocket {
    let user = listed.username.as_ref().map(|user| format!("users/{user}"));
    v1::LiveSocket {
        client: listed.client.to_string(),
        user: user.unwrap_or_default(),
        wire_form: wire_form(listed.wire_form).into(),
        puddle: u32::from(puddle.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn more_calls_than_fit_are_refused_and_none_is_forgotten() {
        let (calls, mut called) = mpsc::channel(1);
        let live = Live::new(calls, 1, 1);
        let kick = Call::Kick {
            client: porthouse_model::ClientId::from_bytes([1; 16]),
            room: None,
            block: None,
        };
        let second = tokio::spawn({
            let (live, kick) = (live.clone(), kick.clone());
            async move { live.call(kick).await }
        });
        let Some(Called::Made { call, .. }) = called.recv().await else {
            panic!("a call")
        };
        second.abort();
        assert!(second.await.is_err());
        let dropped = called.recv().await;
        assert!(matches!(dropped, Some(Called::Dropped { call: gone }) if gone == call));
        let _third = tokio::spawn({
            let (live, kick) = (live.clone(), kick.clone());
            async move { live.call(kick).await }
        });
        tokio::task::yield_now().await;
        assert_eq!(live.call(kick).await, CallResult::TooMany);
    }
}
