//! Regular expressions as they are written: none makes it panic, and one that is
//! taken can be asked.
#![no_main]

use porthouse_fuzz::formats::asked;
use porthouse_model::Format;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    asked(Format::Expression(text.as_ref().into()), b"hello");
});
