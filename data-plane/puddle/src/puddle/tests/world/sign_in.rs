//! How the control plane of these tests answers who signs in.

use std::sync::Arc;

use porthouse_model::{Revision, Session, TokenHash, UnixTime};

use super::{HOUR, World};
use crate::{DeviceMark, Secret, SignInBy, SignInVerdict};

impl World {
    /// A challenge is the user's name.
    pub(super) fn signed_in(&self, by: SignInBy) -> SignInVerdict {
        if let Some(delay) = self.busy {
            return SignInVerdict::Later(delay);
        }
        let (name, right) = match &by {
            SignInBy::Password {
                username, password, ..
            } => (username.to_string(), password.expose() == self.password),
            // In these tests a user's name is one.
            SignInBy::Jwt(jwt) => (jwt.expose().to_owned(), true),
            SignInBy::Code {
                challenge, code, ..
            } => {
                let challenge = challenge.expose().to_owned();
                (challenge, code.expose() == self.code)
            }
            SignInBy::Ticket(shown) => {
                let made = self.tickets.get(&shown.ticket).copied();
                let (page, path, user) = made.unwrap_or_default();
                let right = page == shown.origin.as_deref() && path == shown.path;
                (format!("user{user}"), right)
            }
        };
        let device_mark = match &by {
            SignInBy::Password { device, .. } | SignInBy::Code { device, .. } => {
                (*device == DeviceMark::Wanted).then(|| Secret::new("phd_new".into()))
            }
            SignInBy::Jwt(_) | SignInBy::Ticket(_) => None,
        };
        let named = |(_, session): &(&TokenHash, &Session)| session.username.as_str() == name;
        match (self.sessions.iter().find(named), by) {
            (Some((_, session)), SignInBy::Password { .. } | SignInBy::Jwt(_))
                if right && self.enrolled =>
            {
                SignInVerdict::CodeNeeded {
                    challenge: Secret::new(session.username.to_string()),
                    expires: UnixTime::from_millis(HOUR + 300_000),
                }
            }
            (Some((token, session)), _) if right => SignInVerdict::Right {
                session: Arc::new(session.clone()),
                token: *token,
                revision: Revision(self.revision),
                device_mark,
            },
            (Some(_), _)
            | (None, SignInBy::Password { .. } | SignInBy::Jwt(_) | SignInBy::Ticket(_)) => {
                SignInVerdict::Wrong
            }
            (None, SignInBy::Code { .. }) => SignInVerdict::Gone,
        }
    }
}
