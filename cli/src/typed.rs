//! A secret that a person types without its being shown, or that is piped in.
//!
//! Owns that the terminal shows again what is typed, however the typing ends: at
//! the line's end, or because the future is dropped, which is what a signal does.
//! Reads no byte behind the line, and leaves none of it in memory.

use std::io::{IsTerminal as _, Stdin, Write as _};
use std::thread;

use anyhow::{Context, bail, ensure};
use rustix::io::Errno;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use tokio::sync::oneshot;
use zeroize::{Zeroize as _, Zeroizing};

use crate::secret::Secret;

/// The most bytes of a line.
const LINE_BYTES_MAX: usize = 4096;

/// The next line of standard input; of a terminal it is asked for.
///
/// # Errors
/// When it is empty, too long or no text, or the terminal would show it.
pub(crate) async fn line(what: &str) -> anyhow::Result<Secret> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        return read(&input);
    }
    let hidden = Hidden::begin()?;
    eprint!("{what}: ");
    std::io::stderr().flush()?;
    // A thread, for nobody waits for it when the person does not go on.
    let (told, typed) = oneshot::channel();
    thread::spawn(move || told.send(read(&input)));
    let line = typed.await.context("nothing was read");
    drop(hidden);
    eprintln!();
    line?
}

/// Reads to the end of the line, byte by byte: what is behind it is the next
/// secret, or somebody else's.
fn read(input: &Stdin) -> anyhow::Result<Secret> {
    // Never longer, so it is never moved and left behind.
    let mut line = Zeroizing::new(Vec::with_capacity(LINE_BYTES_MAX));
    loop {
        let mut byte = Zeroizing::new([0_u8; 1]);
        match rustix::io::read(input, &mut *byte) {
            Ok(0) => break,
            Ok(_) if *byte == *b"\n" => break,
            Ok(_) => {
                ensure!(
                    line.len() < LINE_BYTES_MAX,
                    "it is longer than {LINE_BYTES_MAX} bytes"
                );
                line.push(byte[0]);
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error).context("standard input cannot be read"),
        }
    }
    while line.last() == Some(&b'\r') {
        line.pop();
    }
    if line.is_empty() {
        bail!("the line is empty");
    }
    match String::from_utf8(std::mem::take(&mut *line)) {
        Ok(line) => Ok(Secret::from(line)),
        Err(error) => {
            error.into_bytes().zeroize();
            bail!("it is not UTF-8")
        }
    }
}

/// A terminal that does not show what is typed, for as long as this lives.
struct Hidden {
    before: Termios,
}

impl Hidden {
    fn begin() -> anyhow::Result<Self> {
        const SHOWS: &str = "this terminal would show what is typed: pipe it in";
        let input = std::io::stdin();
        let before = tcgetattr(&input).context(SHOWS)?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        // These would stop or end the process with the terminal as it is now. What
        // asks it to end (Ctrl-C) is heard.
        for key in [SpecialCodeIndex::VSUSP, SpecialCodeIndex::VQUIT] {
            hidden.special_codes[key] = 0;
        }
        tcsetattr(&input, OptionalActions::Flush, &hidden).context(SHOWS)?;
        Ok(Self { before })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // The terminal may be gone.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, &self.before);
    }
}
