//! A move from one room to another, as backends ask for it: translation alone.

use porthouse_api::live::v1;
use porthouse_puddle::{Call, CallResult, Moved, MovedSocket, PuddleId};
use tonic::Status;

use super::{room_name, status, wire_form};

pub(super) fn call(request: &v1::MoveRequest) -> Result<Call, Status> {
    let client = request.client.parse();
    let client = client.map_err(|bad| status::bad_field("client", &bad))?;
    let from = room_name("room", &request.room)?;
    let to = room_name("target_room", &request.target_room).map_err(|_| bad_target())?;
    if from == to {
        return Err(bad_target());
    }
    Ok(Call::Move { client, from, to })
}

fn bad_target() -> Status {
    status::bad_field("target_room", &"another room, named `rooms/{room}`")
}

pub(super) fn moved(result: &CallResult) -> Result<v1::MoveResponse, Status> {
    let CallResult::Moved(moved) = result else {
        return Err(status::of(result));
    };
    if moved.is_empty() {
        return Err(status::nobody_inside());
    }
    let sockets = moved.iter().copied().map(moved_socket).collect();
    Ok(v1::MoveResponse { sockets })
}

fn moved_socket((puddle, moved): (PuddleId, MovedSocket)) -> v1::MovedSocket {
    let (outcome, refused) = match moved.became {
        Moved::Inside => (v1::MoveOutcome::Inside, None),
        Moved::Entering => (v1::MoveOutcome::Entering, None),
        Moved::Refused(refusal) => (v1::MoveOutcome::Refused, Some(refusal)),
        Moved::ThereBefore => (v1::MoveOutcome::ThereBefore, None),
        Moved::PutOut => (v1::MoveOutcome::PutOut, None),
    };
    v1::MovedSocket {
        puddle: u32::from(puddle.0),
        wire_form: wire_form(moved.wire_form).into(),
        outcome: outcome.into(),
        rule: refused
            .map(|refusal| refusal.refused().rule().to_owned())
            .unwrap_or_default(),
        needed: refused
            .map(|refusal| refusal.refused().needed().to_owned())
            .unwrap_or_default(),
        refusal_id: refused
            .map(|refusal| refusal.id.to_string())
            .unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use porthouse_model::{Denial, RefusalId, Refused};
    use porthouse_puddle::WireForm;
    use tonic::Code;

    use super::*;

    #[test]
    fn a_move_leads_to_another_room() {
        let request = |target_room: &str| v1::MoveRequest {
            client: "00000000-0000-0000-0000-000000000001".to_owned(),
            room: "rooms/hall".to_owned(),
            target_room: target_room.to_owned(),
        };
        assert!(call(&request("rooms/den")).is_ok());
        for wrong in ["", "den", "rooms/hall"] {
            let refused = call(&request(wrong)).expect_err("it is no other room");
            assert_eq!(refused.code(), Code::InvalidArgument);
            assert!(refused.message().starts_with("`target_room`"));
        }
    }

    #[test]
    fn who_is_refused_is_told_by_which_rule() {
        let socket = MovedSocket {
            wire_form: WireForm::Raw,
            became: Moved::Refused(Denial::of(Refused::UserRequired).named(RefusalId(0xab))),
        };
        let result = CallResult::Moved(vec![(PuddleId(1), socket)]);
        let response = moved(&result).expect("one was moved");
        assert_eq!(response.sockets[0].rule, "connection.user_required");
        assert_eq!(response.sockets[0].refusal_id, "00000000000000ab");
        let nobody = moved(&CallResult::Moved(Vec::new())).expect_err("nobody was");
        assert_eq!(nobody.code(), Code::NotFound);
    }
}
