//! What permessage-deflate would cost and save: one compression of a message for
//! all who hear it, without context from one message to the next, against a write
//! of more bytes to each. Measures; offers nothing.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use porthouse_load::{cores, to_float};
use rustix::time::{ClockId, clock_gettime};

use crate::record::{Record, Row};
use crate::table::Figures;

/// Payloads that are tried, in bytes.
const SIZES: [usize; 3] = [128, 1_024, 16 * 1_024];
/// Sockets that are written to by turns, each with a thread that reads.
const SOCKETS: usize = 8;
/// Work of one run: so many bytes go through it.
const RUN_BYTES: usize = 32 << 20;
/// What ends a deflated message and is not sent (RFC 7692).
const TAIL_BYTES: usize = 4;
/// A slow link: 10 Mbit/s, in bytes a millisecond.
const LINK_BYTES_A_MS: f64 = 1_250.0;

/// How often it is measured.
#[derive(clap::Args)]
pub(crate) struct Deflate {
    /// Pairs of runs; the median counts.
    #[arg(long, default_value_t = 7)]
    pairs: usize,
    /// Write all of it there as JSON too.
    #[arg(long, value_name = "FILE")]
    json: Option<std::path::PathBuf>,
}

pub(crate) fn run(wanted: &Deflate) -> anyhow::Result<()> {
    let mut record = Record::begin("deflate", "payload");
    cores::pin(cores::SERVER)?;
    let mut far = Far::start()?;
    for size in SIZES {
        let plain = payload(size);
        for level in [1, 6] {
            let deflated = deflate(&mut compressor(level), &plain)?;
            let name = format!("{size} B JSON, level {level}");
            let bytes = [to_float(deflated.len() as u64)];
            record.row(Row::alone(&name, "deflated to", "bytes", &bytes));
            let (mut work, mut writes) = (Vec::new(), Vec::new());
            for _ in 0..wanted.pairs {
                let pack = packing(&plain, level)?;
                let open = unpacking(&deflated, size)?;
                let (less, more) = (far.writing(&deflated)?, far.writing(&plain)?);
                work.push((pack, open));
                writes.push((less, more));
            }
            let what = "once for all, beside what each client pays to inflate it";
            record.row(Row::new(&name, what, "us", &work));
            record.row(Row::new(
                &name,
                "a write of it, beside one of the plain",
                "us",
                &writes,
            ));
            let median = |figures: Vec<f64>| Figures::new(figures).median();
            let (less, more): (Vec<f64>, Vec<f64>) = writes.into_iter().unzip();
            let gained = median(more) - median(less);
            let pack = median(work.into_iter().map(|(pack, _)| pack).collect());
            // What gains nothing has no such number.
            let from = if gained > 0.0 {
                pack / gained
            } else {
                f64::NAN
            };
            let what = "receivers from which the server itself gains; none: it never does";
            record.row(Row::alone(&name, what, "sockets", &[from]));
            let saved = to_float((size - deflated.len().min(size)) as u64) / LINK_BYTES_A_MS;
            let what = "saved on a link of 10 Mbit/s";
            record.row(Row::alone(&name, what, "ms", &[saved]));
        }
    }
    record.write(wanted.json.as_deref())
}

/// JSON as a game or a chat says it: names that come again, figures that do not.
fn payload(bytes: usize) -> Vec<u8> {
    let mut text = String::from("[");
    let mut number = 7_u32;
    while text.len() < bytes {
        // A generator of chance is not needed for figures that merely differ.
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (x, y) = (number >> 20, (number >> 8) & 0xfff);
        let _infallible = write!(
            text,
            "{{\"id\":\"player-{}\",\"x\":{x}.{},\"y\":{y}.5,\"state\":\"walking\"}},",
            number % 997,
            number % 10
        );
    }
    text.truncate(bytes - 2);
    text += "\"]";
    text.into_bytes()
}

/// Raw deflate with a window of 32 KiB.
fn compressor(level: u32) -> Compress {
    Compress::new(Compression::new(level), false)
}

/// A message as it would be sent.
fn deflate(compressor: &mut Compress, plain: &[u8]) -> anyhow::Result<Vec<u8>> {
    compressor.reset();
    let mut deflated = Vec::with_capacity(plain.len() + 64);
    compressor.compress_vec(plain, &mut deflated, FlushCompress::Sync)?;
    ensure!(compressor.total_in() == plain.len() as u64, "it was cut");
    deflated.truncate(deflated.len().saturating_sub(TAIL_BYTES));
    Ok(deflated)
}

/// Microseconds to deflate it once.
fn packing(plain: &[u8], level: u32) -> anyhow::Result<f64> {
    let mut compressor = compressor(level);
    timed(RUN_BYTES / 4 / plain.len(), || {
        std::hint::black_box(deflate(&mut compressor, plain)?);
        Ok(())
    })
}

/// Microseconds to inflate it once.
fn unpacking(deflated: &[u8], size: usize) -> anyhow::Result<f64> {
    let whole = [deflated, &[0, 0, 0xff, 0xff]].concat();
    let mut decompressor = Decompress::new(false);
    timed(RUN_BYTES / 4 / size, || {
        decompressor.reset(false);
        let mut plain = Vec::with_capacity(size + 64);
        decompressor.decompress_vec(&whole, &mut plain, FlushDecompress::Sync)?;
        ensure!(plain.len() == size, "it came out another");
        std::hint::black_box(plain);
        Ok(())
    })
}

/// CPU of this thread for one of so many, in microseconds.
fn timed(count: usize, mut one: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let began = own_cpu();
    for _ in 0..count {
        one()?;
    }
    let used = own_cpu().saturating_sub(began);
    Ok(used.as_secs_f64() * 1e6 / to_float(count as u64))
}

fn own_cpu() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// Sockets whose far ends read all.
struct Far(Vec<TcpStream>);

impl Far {
    fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let mut near = Vec::new();
        for _ in 0..SOCKETS {
            let stream = TcpStream::connect(listener.local_addr()?)?;
            stream.set_nodelay(true)?;
            near.push(stream);
            let (mut far, _) = listener.accept()?;
            // It ends when its socket does.
            let _reader = thread::spawn(move || {
                cores::pin(cores::CLIENT)?;
                let mut scratch = vec![0; 256 * 1024];
                while far.read(&mut scratch)? > 0 {}
                std::io::Result::Ok(())
            });
        }
        Ok(Self(near))
    }

    /// Microseconds of a write of so much.
    fn writing(&mut self, bytes: &[u8]) -> anyhow::Result<f64> {
        let count = (RUN_BYTES / bytes.len()).min(40_000);
        let mut turns = (0..self.0.len()).cycle();
        timed(count, || {
            let turn = turns.next().context("there are sockets")?;
            Ok(self.0[turn].write_all(bytes)?)
        })
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        for stream in &self.0 {
            // Gone already is as good.
            let _gone = stream.shutdown(Shutdown::Both);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_deflated_comes_out_again() {
        for size in SIZES {
            let plain = payload(size);
            assert_eq!(plain.len(), size);
            let deflated = deflate(&mut compressor(1), &plain).expect("it fits");
            assert!(deflated.len() < size);
            assert!(unpacking(&deflated, size).is_ok(), "{size}");
        }
    }
}
