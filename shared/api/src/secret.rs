//! Messages that hold a password, a token or a secret, as they are shown: by their
//! names alone. Which they are is told from their fields when this crate is built.

use core::fmt;

macro_rules! hide {
    ($($message:ident)::+) => {
        impl fmt::Debug for crate::$($message)::+ {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($($message)::+), "(…)"))
            }
        }
    };
}

include!(concat!(env!("OUT_DIR"), "/secret.rs"));

#[cfg(test)]
mod tests {
    use crate::control::v1::{
        BeginTotpResponse, ConfirmTotpResponse, CreateApiKeyResponse, CreateSessionResponse,
        CreateUserRequest,
    };
    use crate::node::v1::{CompleteSessionRequest, OpenSessionRequest, SecondFactorProof};

    #[test]
    fn no_message_shows_a_secret() {
        let secret = || "hunter2hunter2".to_owned();
        let shown = format!(
            "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
            CreateUserRequest {
                password: secret(),
                ..CreateUserRequest::default()
            },
            CreateSessionResponse {
                token: secret(),
                ..CreateSessionResponse::default()
            },
            CreateApiKeyResponse {
                secret: secret(),
                ..CreateApiKeyResponse::default()
            },
            OpenSessionRequest {
                password: secret(),
                ..OpenSessionRequest::default()
            },
            BeginTotpResponse {
                otpauth_uri: secret(),
                ..BeginTotpResponse::default()
            },
            ConfirmTotpResponse {
                recovery_codes: vec![secret()],
                ..ConfirmTotpResponse::default()
            },
            SecondFactorProof { code: secret() },
            CompleteSessionRequest {
                challenge: secret(),
                code: secret(),
                ..CompleteSessionRequest::default()
            },
        );
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
