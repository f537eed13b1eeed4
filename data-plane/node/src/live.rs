//! live.v1: what backends ask of live rooms. Translates calls for the
//! switchboard and its results back; decides nothing about rooms.

pub(crate) mod guard;
mod status;
mod page;
mod waiting;
mod moving;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use porthouse_api::live::v1;
use porthouse_api::live::v1::live_service_server::LiveService;
use porthouse_model::{ClientId, MessageKind, RoomName};
use porthouse_puddle::{
    Call, CallId, CallResult, Cause, ListedClient, ListedRoom, ListedSocket, Publish, PuddleId,
    WireForm,
};
use tokio::sync::{mpsc, oneshot};
use tonic::{Request, Response, Status};

use crate::refusals::Refusals;

/// Clients named in `to` or in `except`.
const RECEIVERS_MAX: usize = 256;

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
}

/// The service, at any number of gRPC servers; all copies are one.
#[derive(Clone, Debug)]
pub struct Live {
    calls: mpsc::Sender<Called>,
    next: Arc<AtomicU64>,
    refusals: Arc<Refusals>,
}

impl Live {
    pub(crate) fn new(calls: mpsc::Sender<Called>) -> Self {
        Self {
            calls,
            next: Arc::new(AtomicU64::new(0)),
            refusals: Arc::new(Refusals::new()),
        }
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

    pub(crate) async fn call(&self, what: Call) -> CallResult {
        let call = CallId(self.next.fetch_add(1, Ordering::Relaxed));
        let (answer, result) = oneshot::channel();
        match self.calls.try_send(Called::Made { call, what, answer }) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => return CallResult::TooMany,
            Err(mpsc::error::TrySendError::Closed(_)) => return CallResult::Unavailable,
        }
        let mut waiting = Waiting {
            call,
            calls: &self.calls,
            answered: false,
        };
        let result = result.await.unwrap_or(CallResult::Unavailable);
        waiting.answered = true;
        result
    }
}

/// A call that says so when nobody waits for it any more.
struct Waiting<'a> {
    call: CallId,
    calls: &'a mpsc::Sender<Called>,
    answered: bool,
}

impl Drop for Waiting<'_> {
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
        let publish = Arc::new(publish(request.into_inner())?);
        let room = publish.room.clone();
        let result = self.call(Call::Publish(publish)).await;
        let response = match result {
            CallResult::Published { receivers } => v1::PublishResponse {
                receivers,
                ..Default::default()
            },
            CallResult::Placed {
                receivers,
                epoch,
                offset,
            } => v1::PublishResponse {
                receivers,
                epoch: Some(epoch),
                offset: Some(offset),
            },
            other @ (CallResult::Key(_)
            | CallResult::NotLive
            | CallResult::Refused(_)
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
            | CallResult::Unavailable) => return Err(self.told(&other, &room)),
        };
        Ok(Response::new(response))
    }

    async fn purge(
        &self,
        request: Request<v1::PurgeRequest>,
    ) -> Result<Response<v1::PurgeResponse>, Status> {
        let v1::PurgeRequest { room, through } = request.into_inner();
        let room = room_name(&room)?;
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
        let room = room_name(&request.room)?;
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
        let room = room_name(&request.room)?;
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
        let room = room_name(&request.into_inner().room)?;
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
            name => Some(room_name(name)?),
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

fn publish(request: v1::PublishRequest) -> Result<Publish, Status> {
    use v1::publish_request::Message;
    let (kind, payload) = match request.message {
        Some(Message::Text(text)) => (MessageKind::Text, text.into_bytes().into_boxed_slice()),
        Some(Message::Binary(bytes)) => (MessageKind::Binary, Box::from(&*bytes)),
        None => return Err(status::bad_field("message", &"either `text` or `binary`")),
    };
    Ok(Publish {
        room: room_name(&request.room)?,
        kind,
        payload,
        to: clients("to", &request.to)?,
        except: clients("except", &request.except)?,
    })
}

fn clients(field: &'static str, named: &[String]) -> Result<Vec<ClientId>, Status> {
    if named.len() > RECEIVERS_MAX {
        return Err(status::bad_field(field, &"at most 256 clients"));
    }
    let clients = named.iter().map(|client| client.parse());
    clients
        .collect::<Result<_, _>>()
        .map_err(|bad| status::bad_field(field, &bad))
}

fn room_name(resource: &str) -> Result<RoomName, Status> {
    let name = resource.strip_prefix("rooms/");
    let name = name.ok_or_else(|| status::bad_field("room", &"a room is named `rooms/{room}`"))?;
    name.parse().map_err(|bad| status::bad_field("room", &bad))
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
    use tonic::Code;

    use super::*;

    fn asked() -> v1::PublishRequest {
        v1::PublishRequest {
            room: "rooms/lobby".to_owned(),
            message: Some(v1::publish_request::Message::Text("hello".to_owned())),
            ..Default::default()
        }
    }

    #[test]
    fn a_publish_is_taken_as_it_is() {
        let publish = publish(asked()).expect("it is complete");
        assert_eq!(publish.room.as_str(), "lobby");
        assert_eq!(
            (publish.kind, &*publish.payload),
            (MessageKind::Text, &b"hello"[..])
        );
    }

    #[test]
    fn what_cannot_be_published_names_the_field() {
        let bare = v1::PublishRequest {
            room: "lobby".to_owned(),
            ..asked()
        };
        let empty = v1::PublishRequest {
            message: None,
            ..asked()
        };
        let nobody = v1::PublishRequest {
            to: vec!["ada".to_owned()],
            ..asked()
        };
        let crowd = v1::PublishRequest {
            except: vec![String::new(); 257],
            ..asked()
        };
        for (request, field) in [
            (bare, "room"),
            (empty, "message"),
            (nobody, "to"),
            (crowd, "except"),
        ] {
            let status = publish(request).expect_err("it is not complete");
            assert_eq!(status.code(), Code::InvalidArgument);
            assert!(
                status.message().starts_with(&format!("`{field}`")),
                "{status:?}"
            );
        }
    }

    #[tokio::test]
    async fn more_calls_than_fit_are_refused_and_none_is_forgotten() {
        let (calls, mut called) = mpsc::channel(1);
        let live = Live::new(calls);
        let kick = Call::Kick {
            client: ClientId::from_bytes([1; 16]),
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
