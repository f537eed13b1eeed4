//! The call under way: who makes it, from where, and which names it gives. What
//! the audit log says of a write comes from here, so that no call is left out for
//! having forgotten to say it. Holds no secret: a name is what parsed as one.

use std::cell::RefCell;

use http::{Extensions, HeaderMap};
use porthouse_api::control::v1 as wire;
use tonic::transport::server::TcpConnectInfo;

use crate::identity::chance;

use super::keys::CallersKey;

/// The most bytes of a request's identity that a caller gives.
const REQUEST_ID_BYTES_MAX: usize = 64;
/// The most bytes of names that are kept of a call.
const NAMES_BYTES_MAX: usize = 1024;

tokio::task_local! {
    static CALL: Call;
}

/// A call.
pub(super) struct Call {
    actor: String,
    action: String,
    address: String,
    request_id: String,
    names: RefCell<String>,
}

impl Call {
    /// The call to this path.
    pub(super) fn new(path: &str, headers: &HeaderMap, extensions: &Extensions) -> Self {
        let peer = extensions.get::<TcpConnectInfo>();
        let peer = peer.and_then(TcpConnectInfo::remote_addr);
        let given = headers.get("x-request-id").and_then(|id| id.to_str().ok());
        let given = given.filter(|id| (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()));
        Self {
            actor: extensions
                .get::<CallersKey>()
                .map(actor)
                .unwrap_or_default(),
            action: action(path),
            address: peer.map(|peer| peer.ip().to_string()).unwrap_or_default(),
            request_id: given.map_or_else(|| chance::identity().to_string(), str::to_owned),
            names: RefCell::default(),
        }
    }

    /// Answers it.
    pub(super) async fn answered<T>(self, answer: impl Future<Output = T>) -> T {
        CALL.scope(self, answer).await
    }

    /// What it did, or tried.
    pub(super) fn event(&self, outcome: &str) -> wire::AuditEvent {
        wire::AuditEvent {
            actor: self.actor.clone(),
            action: self.action.clone(),
            target: self.names.borrow().clone(),
            outcome: outcome.to_owned(),
            address: self.address.clone(),
            request_id: self.request_id.clone(),
            ..wire::AuditEvent::default()
        }
    }
}

/// Notes a name that the call gives.
pub(super) fn names(field: &str, name: &str) {
    // Outside of a call there is nobody to note it of.
    let _ = CALL.try_with(|call| {
        let mut names = call.names.borrow_mut();
        if names.len() + field.len() + name.len() + 2 <= NAMES_BYTES_MAX {
            if !names.is_empty() {
                names.push(' ');
            }
            names.push_str(field);
            names.push('=');
            names.push_str(name);
        }
    });
}

/// What the call under way did, or tried; none outside of a call.
pub(super) fn event(outcome: &str) -> Option<wire::AuditEvent> {
    CALL.try_with(|call| call.event(outcome)).ok()
}

pub(super) fn actor(key: &CallersKey) -> String {
    format!("apiKeys/{}", key.id)
}

/// `UserService.CreateUser` of `/porthouse.control.v1.UserService/CreateUser`.
fn action(path: &str) -> String {
    let (service, method) = path.rsplit_once('/').unwrap_or(("", path));
    let service = service.rsplit('.').next().unwrap_or(service);
    format!("{service}.{method}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: &str) -> Call {
        let mut headers = HeaderMap::new();
        headers.insert("x-request-id", id.parse().expect("a header"));
        let path = "/porthouse.control.v1.UserService/CreateUser";
        Call::new(path, &headers, &Extensions::new())
    }

    #[tokio::test]
    async fn a_call_is_told_by_its_path_its_request_and_its_names() {
        let event = call("a request")
            .answered(async {
                names("user_id", "sana");
                names("room", "rooms/lobby");
                event("OK").expect("a call")
            })
            .await;
        assert_eq!(event.action, "UserService.CreateUser");
        assert_eq!(event.target, "user_id=sana room=rooms/lobby");
        assert_eq!(event.request_id, "a request");
        assert!(super::event("OK").is_none(), "no call is under way");
    }

    #[tokio::test]
    async fn what_a_call_gives_is_bounded() {
        let long = "r".repeat(REQUEST_ID_BYTES_MAX + 1);
        let event = call(&long)
            .answered(async {
                for _ in 0..100 {
                    names("field", &"n".repeat(100));
                }
                event("OK").expect("a call")
            })
            .await;
        assert_ne!(event.request_id, long);
        assert!(event.target.len() <= NAMES_BYTES_MAX);
    }
}
