//! Pages of live.v1's lists: how long one is, and the token by which the next
//! begins after its last entry. A token is text of ours that only we read.

use porthouse_model::{ClientId, RoomName};
use porthouse_puddle::{PuddleId, SocketId};
use tonic::Status;

use super::status;

const SIZE_DEFAULT: usize = 100;
const SIZE_MAX: usize = 1_000;

/// How many entries a page has.
pub(super) fn size(asked: i32) -> Result<usize, Status> {
    match usize::try_from(asked) {
        Ok(0) => Ok(SIZE_DEFAULT),
        Ok(size) => Ok(size.min(SIZE_MAX)),
        Err(_) => Err(status::bad_field("page_size", &"not below 0")),
    }
}

pub(super) fn token_of_room(name: &RoomName) -> String {
    name.to_string()
}

pub(super) fn room_after(token: &str) -> Result<Option<RoomName>, Status> {
    after(token, |token| token.parse().ok())
}

pub(super) fn token_of_client(client: ClientId) -> String {
    client.to_string()
}

pub(super) fn client_after(token: &str) -> Result<Option<ClientId>, Status> {
    after(token, |token| token.parse().ok())
}

pub(super) fn token_of_socket(puddle: PuddleId, socket: SocketId) -> String {
    format!("{}-{}-{}", puddle.0, socket.slot, socket.generation)
}

pub(super) fn socket_after(token: &str) -> Result<Option<(PuddleId, SocketId)>, Status> {
    after(token, |token| {
        let (puddle, socket) = token.split_once('-')?;
        let (slot, generation) = socket.split_once('-')?;
        let puddle = PuddleId(puddle.parse().ok()?);
        let (slot, generation) = (slot.parse().ok()?, generation.parse().ok()?);
        Some((puddle, SocketId { slot, generation }))
    })
}

fn after<T>(token: &str, read: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Status> {
    if token.is_empty() {
        return Ok(None);
    }
    let place = read(token);
    let place = place.ok_or_else(|| status::bad_field("page_token", &"as a page gave it out"))?;
    Ok(Some(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_goes_on_where_the_last_one_ended() {
        let place = (
            PuddleId(3),
            SocketId {
                slot: 17,
                generation: 2,
            },
        );
        let token = token_of_socket(place.0, place.1);
        assert_eq!(socket_after(&token).unwrap(), Some(place));
        let name: RoomName = "chat:1-2".parse().unwrap();
        assert_eq!(room_after(&token_of_room(&name)).unwrap(), Some(name));
        let client = ClientId::from_bytes([7; 16]);
        assert_eq!(
            client_after(&token_of_client(client)).unwrap(),
            Some(client)
        );
        assert_eq!(room_after("").unwrap(), None);
    }

    #[test]
    fn a_token_of_somebody_elses_is_refused() {
        for token in ["3", "3-1", "a-b-c", "999-1-1"] {
            assert!(socket_after(token).is_err(), "{token}");
        }
        assert!(room_after("a b").is_err());
    }

    #[test]
    fn a_page_has_a_size_by_default_and_a_limit() {
        assert_eq!(size(0).unwrap(), SIZE_DEFAULT);
        assert_eq!(size(7).unwrap(), 7);
        assert_eq!(size(i32::MAX).unwrap(), SIZE_MAX);
        assert!(size(-1).is_err());
    }
}
