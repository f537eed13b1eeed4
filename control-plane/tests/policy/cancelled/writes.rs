//! Every call of control.v1 and node.v1 that writes, and what must be there before it. Each is made
//! for a name that nothing else has.

use futures_util::future::BoxFuture;
use porthouse_api::control::v1 as control;
use prost_types::FieldMask;
use tonic::Status;

use super::{Here, Scene};

pub(crate) type Call = BoxFuture<'static, Result<(), Status>>;
/// Makes the call, as often as it is asked to.
pub(crate) type Ready = Box<dyn Fn(Here) -> Call + Send>;

/// A call that writes.
pub(crate) struct Write {
    pub(crate) method: &'static str,
    /// Makes what the call needs, and the call ready.
    pub(crate) ready: for<'a> fn(&'a Scene, String) -> BoxFuture<'a, Ready>,
}

const PASSWORD: &str = "correct horse";

macro_rules! writes {
    ($($client:ident . $method:ident |$scene:pat_param, $name:pat_param| $request:expr;)*) => {
        &[$(Write {
            method: stringify!($method),
            ready: |$scene, $name| Box::pin(async move {
                let request = $request;
                let ready: Ready = Box::new(move |here| {
                    let request = request.clone();
                    Box::pin(async move {
                        let made = $client::new(here).$method(request).await;
                        made.map(drop)
                    })
                });
                ready
            }),
        }),*]
    };
}

mod users;
mod sessions;
mod rooms;
mod nodes;

pub(crate) use nodes::OF_NODES;
pub(crate) use rooms::OF_ROOMS;
pub(crate) use sessions::OF_SESSIONS;
pub(crate) use users::OF_USERS;

fn mask(path: &str) -> FieldMask {
    FieldMask {
        paths: vec![path.to_owned()],
    }
}

async fn user(scene: &Scene, name: &str) -> String {
    let request = control::CreateUserRequest {
        user_id: name.to_owned(),
        password: PASSWORD.into(),
        ..Default::default()
    };
    let made = scene.plane.users().create_user(request).await;
    let made = made.expect("a user").into_inner();
    made.user.expect("it").name
}
