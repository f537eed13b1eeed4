//! Who waits to be let in, as backends see it and decide: translation alone.

use porthouse_api::live::v1;
use porthouse_puddle::{Call, CallResult, Decision, ListedWaiting};
use tonic::Status;

use super::{room_name, status};

pub(super) fn listed(result: &CallResult) -> Result<v1::ListWaitingResponse, Status> {
    let CallResult::Waiting(waiting) = result else {
        return Err(status::of(result));
    };
    let clients = waiting.iter().map(waiting_client).collect();
    Ok(v1::ListWaitingResponse { clients })
}

pub(super) fn decide(request: &v1::DecideWaitingRequest) -> Result<Call, Status> {
    let client = request.client.parse();
    let decision = match request.decision() {
        v1::WaitingDecision::Admit => Decision::Admit,
        v1::WaitingDecision::Refuse => Decision::Refuse,
        v1::WaitingDecision::Unspecified => {
            return Err(status::bad_field("decision", &"either admit or refuse"));
        }
    };
    Ok(Call::DecideWaiting {
        room: room_name("room", &request.room)?,
        client: client.map_err(|bad| status::bad_field("client", &bad))?,
        decision,
    })
}

pub(super) fn decided(result: &CallResult) -> Result<v1::DecideWaitingResponse, Status> {
    let CallResult::Decided { sockets } = *result else {
        return Err(status::of(result));
    };
    if sockets == 0 {
        return Err(status::nobody_waits());
    }
    Ok(v1::DecideWaitingResponse { sockets })
}

fn waiting_client(one: &ListedWaiting) -> v1::WaitingClient {
    let user = one.username.as_ref().map(|user| format!("users/{user}"));
    v1::WaitingClient {
        client: one.client.to_string(),
        user: user.unwrap_or_default(),
        sockets: one.sockets,
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[test]
    fn a_decision_must_be_one() {
        let request = v1::DecideWaitingRequest {
            room: "rooms/vault".to_owned(),
            client: "00000000-0000-0000-0000-000000000001".to_owned(),
            decision: 0,
        };
        let unspecified = decide(&request).expect_err("nothing was decided");
        assert_eq!(unspecified.code(), Code::InvalidArgument);
        assert!(unspecified.message().starts_with("`decision`"));
        let admit = v1::DecideWaitingRequest {
            decision: v1::WaitingDecision::Admit.into(),
            ..request
        };
        assert!(decide(&admit).is_ok());
    }

    #[test]
    fn nobody_waiting_is_not_found() {
        let nobody = decided(&CallResult::Decided { sockets: 0 }).expect_err("nobody waits");
        assert_eq!(nobody.code(), Code::NotFound);
        let late = decided(&CallResult::Unavailable).expect_err("no answer");
        assert_eq!(late.code(), Code::Unavailable);
    }
}
