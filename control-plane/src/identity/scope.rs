//! What a key may call: the scopes, and which of them each call needs. Knows
//! calls by their path, and no key.

use std::fmt;
use std::str::FromStr;

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    /// All of control.v1 and live.v1.
    Admin,
    /// Users, their passwords, sessions and device tokens.
    Users,
    /// Sessions and device tokens.
    Sessions,
    /// Sessions of users who need show nothing: who has it is everybody.
    Impersonate,
    /// Rooms and their members.
    Rooms,
    /// Live rooms, at a node.
    Live,
    /// What nodes ask, and nothing else.
    Node,
}

impl Scope {
    /// Every scope.
    pub(crate) const ALL: [Self; 7] = [
        Self::Admin,
        Self::Users,
        Self::Sessions,
        Self::Impersonate,
        Self::Rooms,
        Self::Live,
        Self::Node,
    ];

    /// As it is written.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Users => "users",
            Self::Sessions => "sessions",
            Self::Impersonate => "impersonate",
            Self::Rooms => "rooms",
            Self::Live => "live",
            Self::Node => "node",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Not a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadScope;

impl fmt::Display for BadScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = Scope::ALL.map(Scope::as_str).join(", ");
        write!(f, "the scopes are {all}")
    }
}

impl FromStr for Scope {
    type Err = BadScope;

    fn from_str(text: &str) -> Result<Self, BadScope> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.as_str() == text)
            .ok_or(BadScope)
    }
}

/// What a call asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nothing.
    Open,
    /// A key with one of these scopes.
    AnyOf(&'static [Scope]),
}

/// What the call at a path (`/package.Service/Method`) asks. A call nobody has
/// heard of asks for the most.
pub(crate) fn access(path: &str) -> Access {
    if path == "/porthouse.control.v1.SessionService/CreateUserSession" {
        return Access::AnyOf(&[Scope::Impersonate, Scope::Admin]);
    }
    let service = path
        .trim_start_matches('/')
        .split('/')
        .next()
        .unwrap_or_default();
    match service {
        "grpc.health.v1.Health"
        | "grpc.reflection.v1.ServerReflection"
        | "grpc.reflection.v1alpha.ServerReflection" => Access::Open,
        "porthouse.control.v1.UserService" | "porthouse.control.v1.SecondFactorService" => {
            Access::AnyOf(&[Scope::Users, Scope::Admin])
        }
        "porthouse.control.v1.SessionService" | "porthouse.control.v1.DeviceTokenService" => {
            Access::AnyOf(&[Scope::Sessions, Scope::Users, Scope::Admin])
        }
        "porthouse.control.v1.RoomService"
        | "porthouse.control.v1.RoomDoorService"
        | "porthouse.control.v1.RoomTemplateService"
        | "porthouse.control.v1.MemberService"
        | "porthouse.control.v1.MemberGroupService"
        | "porthouse.control.v1.BlockService"
        | "porthouse.control.v1.EndpointService" => Access::AnyOf(&[Scope::Rooms, Scope::Admin]),
        "porthouse.control.v1.PolicyService" => {
            Access::AnyOf(&[Scope::Rooms, Scope::Users, Scope::Sessions, Scope::Admin])
        }
        "porthouse.node.v1.PolicyFeedService" => Access::AnyOf(&[Scope::Node]),
        "porthouse.live.v1.LiveService" => Access::AnyOf(&[Scope::Live, Scope::Admin]),
        _ => Access::AnyOf(&[Scope::Admin]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_read_as_it_is_written() {
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(scope));
        }
        for text in ["", "Admin", "admin ", "root"] {
            assert_eq!(text.parse::<Scope>(), Err(BadScope), "{text}");
        }
    }

    #[test]
    fn only_health_and_reflection_are_open() {
        assert_eq!(access("/grpc.health.v1.Health/Check"), Access::Open);
        assert_eq!(
            access("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"),
            Access::Open
        );
        for path in ["", "/", "/unheard.Of/Call", "/grpc.health.v1.Healthy/Check"] {
            assert_eq!(access(path), Access::AnyOf(&[Scope::Admin]), "{path}");
        }
    }

    #[test]
    fn who_signs_users_in_by_their_passwords_does_not_without_them() {
        let of = |call: &str| access(&format!("/porthouse.control.v1.SessionService/{call}"));
        let Access::AnyOf(scopes) = of("CreateUserSession") else {
            panic!("it is open")
        };
        assert_eq!(scopes, [Scope::Impersonate, Scope::Admin]);
        let Access::AnyOf(scopes) = of("CreateSession") else {
            panic!("it is open")
        };
        assert!(!scopes.contains(&Scope::Impersonate));
    }

    #[test]
    fn a_nodes_key_opens_nothing_of_backends_and_no_backends_key_a_nodes() {
        for service in [
            "User",
            "Session",
            "DeviceToken",
            "Room",
            "RoomTemplate",
            "Member",
            "Block",
            "ApiKey",
            "Node",
            "Policy",
            "Issuer",
            "Guard",
            "Secret",
        ] {
            let path = format!("/porthouse.control.v1.{service}Service/Call");
            let Access::AnyOf(scopes) = access(&path) else {
                panic!("{path} is open")
            };
            assert!(!scopes.contains(&Scope::Node), "{path}");
        }
        assert_eq!(
            access("/porthouse.node.v1.PolicyFeedService/Watch"),
            Access::AnyOf(&[Scope::Node])
        );
    }
}
