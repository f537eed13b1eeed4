//! Compiles `proto/` into Rust without a system `protoc`, and keeps its
//! descriptors for reflection.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use prost_types::field_descriptor_proto::Type;
use prost_types::{FieldDescriptorProto, FileDescriptorSet};
use tonic_prost_build::Config;

/// Fields that hold what nobody but their receiver may see.
const SECRET_FIELDS: [&str; 9] = [
    "password",
    "secret",
    "token",
    "code",
    "recovery_codes",
    "challenge",
    "ticket",
    "device_mark",
    "jwt",
];

fn main() -> Result<(), Box<dyn Error>> {
    // Where it runs, not where it was compiled: a target directory may be moved or shared.
    let here = env::var_os("CARGO_MANIFEST_DIR").ok_or("CARGO_MANIFEST_DIR is set by cargo")?;
    let root = Path::new(&here).join("../../proto");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is set by cargo")?);
    println!("cargo:rerun-if-changed={}", root.display());

    let mut files = Vec::new();
    find_protos(&root, &mut files)?;
    files.sort();
    let mut compiler = protox::Compiler::new([&root])?;
    compiler
        .include_source_info(true)
        .include_imports(true)
        .open_files(&files)?;
    fs::write(
        out.join("porthouse.bin"),
        compiler.encode_file_descriptor_set(),
    )?;

    let set = compiler.file_descriptor_set();
    let secret = secret_messages(&set);
    let hidden: String = secret.iter().map(|name| hide(name)).collect();
    fs::write(out.join("secret.rs"), hidden)?;

    let mut config = Config::new();
    config.skip_debug(&secret);
    // Changes are cloned to many watchers, and messages carry payloads.
    config.bytes([".porthouse.node.v1.Change", ".porthouse.live.v1"]);
    tonic_prost_build::configure()
        .emit_rerun_if_changed(false)
        .include_file("porthouse.rs")
        .compile_fds_with_config(set, config)?;
    Ok(())
}

/// The full names of messages that hold a secret, which are never shown.
fn secret_messages(set: &FileDescriptorSet) -> Vec<String> {
    let mut names = Vec::new();
    for file in &set.file {
        for message in &file.message_type {
            let holds = |field: &FieldDescriptorProto| {
                SECRET_FIELDS.contains(&field.name()) && field.r#type() != Type::Message
            };
            if message.field.iter().any(holds) {
                names.push(format!(".{}.{}", file.package(), message.name()));
            }
        }
    }
    names
}

/// `.porthouse.control.v1.Name` as `hide!(control::v1::Name);`.
fn hide(name: &str) -> String {
    let path = name.replacen(".porthouse.", "", 1).replace('.', "::");
    format!("hide!({path});\n")
}

fn find_protos(directory: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            find_protos(&path, found)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "proto")
        {
            found.push(path);
        }
    }
    Ok(())
}
