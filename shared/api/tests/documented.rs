//! Each call by which something is written is in the document of what admins do,
//! where an end-to-end test types it. Whether a call writes is told by its name.

use porthouse_api::FILE_DESCRIPTOR_SET;
use prost::Message as _;

const DOCUMENT: &str = include_str!("../../../docs/admin.md");
/// How calls begin that write nothing.
const READS: [&str; 7] = [
    "Get",
    "List",
    "Watch",
    "Verify",
    "Wait",
    "Explain",
    "Subscribe",
];

#[test]
fn every_call_that_writes_is_in_the_admin_document() {
    let files = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("our own");
    let mut missing = Vec::new();
    for package in ["control.v1", "live.v1"] {
        let full = format!("porthouse.{package}");
        let files = files.file.iter().filter(|file| file.package() == full);
        for service in files.flat_map(|file| &file.service) {
            for method in &service.method {
                let name = method.name();
                let typed = format!("call {package}.{}/{name} ", service.name());
                if !READS.iter().any(|read| name.starts_with(read)) && !DOCUMENT.contains(&typed) {
                    missing.push(typed);
                }
            }
        }
    }
    assert!(missing.is_empty(), "docs/admin.md types no {missing:#?}");
}
