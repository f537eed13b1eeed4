//! What backends say in rooms, one message or many: requests read, results told.

use std::sync::Arc;

use futures_util::future::join_all;
use porthouse_api::live::v1;
use porthouse_model::{ClientId, MessageKind, RoomName};
use porthouse_puddle::{Call, CallResult, Publish};
use tonic::Status;
use tonic_types::StatusExt;

use super::{Live, room_name, status};

/// Clients named in `to` or in `except`.
const RECEIVERS_MAX: usize = 256;
/// Messages of one call.
const MESSAGES_MAX: usize = 256;

impl Live {
    /// One message.
    pub(super) async fn say(
        &self,
        request: v1::PublishRequest,
    ) -> Result<v1::PublishResponse, Status> {
        let publish = Arc::new(publish(request)?);
        let room = publish.room.clone();
        let result = self.call(Call::Publish(publish)).await;
        self.published(&result, &room)
    }

    /// Many, in their order: nothing is carried out if one cannot be read.
    pub(super) async fn say_all(
        &self,
        request: v1::BatchPublishRequest,
    ) -> Result<v1::BatchPublishResponse, Status> {
        if !(1..=MESSAGES_MAX).contains(&request.requests.len()) {
            return Err(status::bad_field("requests", &"1 to 256 messages"));
        }
        let read = request.requests.into_iter().map(publish);
        let read: Vec<Publish> = read.collect::<Result<_, _>>()?;
        // Each is handed over before any is waited for, so that their order stands.
        let calls: Vec<_> = read
            .into_iter()
            .map(|publish| {
                (
                    publish.room.clone(),
                    self.begin(Call::Publish(Arc::new(publish))),
                )
            })
            .collect();
        let results = join_all(calls.into_iter().map(async |(room, call)| {
            let result = call.end().await;
            outcome(self.published(&result, &room))
        }));
        Ok(v1::BatchPublishResponse {
            results: results.await,
        })
    }

    fn published(
        &self,
        result: &CallResult,
        room: &RoomName,
    ) -> Result<v1::PublishResponse, Status> {
        published(result).ok_or_else(|| self.told(result, room))
    }
}

fn outcome(published: Result<v1::PublishResponse, Status>) -> v1::BatchPublishResult {
    use v1::batch_publish_result::Outcome;
    let outcome = match published {
        Ok(published) => Outcome::Published(published),
        Err(status) => Outcome::Failure(failure(&status)),
    };
    v1::BatchPublishResult {
        outcome: Some(outcome),
    }
}

fn failure(status: &Status) -> v1::PublishFailure {
    let info = status.get_details_error_info();
    let retry = status.get_details_retry_info();
    let delay = retry.and_then(|retry| retry.retry_delay);
    let about = |name: &str| {
        let told = info.as_ref().and_then(|info| info.metadata.get(name));
        told.cloned().unwrap_or_default()
    };
    v1::PublishFailure {
        code: i32::from(status.code()),
        message: status.message().to_owned(),
        rule: about("rule"),
        refusal_id: about("refusal_id"),
        reason: info
            .as_ref()
            .map(|info| info.reason.clone())
            .unwrap_or_default(),
        retry_delay: delay.and_then(|delay| delay.try_into().ok()),
    }
}

const fn published(result: &CallResult) -> Option<v1::PublishResponse> {
    match *result {
        CallResult::Published { receivers } => Some(v1::PublishResponse {
            receivers,
            epoch: None,
            offset: None,
        }),
        CallResult::Placed {
            receivers,
            epoch,
            offset,
        } => Some(v1::PublishResponse {
            receivers,
            epoch: Some(epoch),
            offset: Some(offset),
        }),
        CallResult::Key(_)
        | CallResult::NotLive
        | CallResult::Refused(_)
        | CallResult::Purged { .. }
        | CallResult::Rooms { .. }
        | CallResult::Sockets { .. }
        | CallResult::Kicked { .. }
        | CallResult::Present(_)
        | CallResult::Waiting(_)
        | CallResult::Moved(_)
        | CallResult::Decided { .. }
        | CallResult::TooMany
        | CallResult::Recalled(_)
        | CallResult::Foreseen(_)
        | CallResult::Unavailable => None,
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
        room: room_name("room", &request.room)?,
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
}
