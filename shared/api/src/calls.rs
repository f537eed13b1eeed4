//! The names of all calls that `proto/` has, so that what anybody may ask for is
//! told from what somebody made up. Knows nothing else of them.

use std::sync::LazyLock;

use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet, ServiceDescriptorProto};

use crate::FILE_DESCRIPTOR_SET;

static CALLS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let files = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("our own descriptors");
    let mut calls: Vec<String> = files.file.iter().flat_map(of_file).collect();
    calls.sort_unstable();
    calls
});

/// Every call, such as `porthouse.control.v1.UserService/CreateUser`, in order.
#[must_use]
pub fn calls() -> &'static [String] {
    &CALLS
}

/// The place among [`calls`] of the one at this path, which begins with `/`; `None`:
/// there is no such call.
#[must_use]
pub fn call_of(path: &str) -> Option<usize> {
    let name = path.strip_prefix('/')?;
    CALLS.binary_search_by(|call| call.as_str().cmp(name)).ok()
}

/// The name of the one at this path.
#[must_use]
pub fn call_named(path: &str) -> Option<&'static str> {
    call_of(path).map(|call| CALLS[call].as_str())
}

fn of_file(file: &FileDescriptorProto) -> impl Iterator<Item = String> {
    let services = file.service.iter();
    services.flat_map(|service| of_service(file.package(), service))
}

fn of_service(package: &str, service: &ServiceDescriptorProto) -> impl Iterator<Item = String> {
    let methods = service.method.iter();
    methods.map(move |method| format!("{package}.{}/{}", service.name(), method.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_known_by_its_path_and_what_is_made_up_is_not() {
        for path in [
            "/porthouse.control.v1.UserService/CreateUser",
            "/porthouse.node.v1.PolicyFeedService/Watch",
            "/porthouse.live.v1.LiveService/Publish",
        ] {
            let call = call_of(path).expect("a call of ours");
            assert_eq!(calls()[call], path[1..]);
            assert_eq!(call_named(path), Some(&path[1..]));
        }
        for path in [
            "",
            "/",
            "porthouse.control.v1.UserService/CreateUser",
            "/porthouse.control.v1.UserService/CreateUser/",
            "/porthouse.control.v1.UserService/Made_up",
        ] {
            assert_eq!(call_of(path), None, "{path}");
        }
    }
}
