//! Where puddles' black boxes go: files of a directory, a bounded number of each
//! kind. Owns the way on which an operator asks a puddle's thread for one; never
//! what is in a box.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use porthouse_model::UnixTime;
use porthouse_puddle::{BlackBox, End, PuddleId};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::ring::Wake;

/// Files of each kind; past it the oldest of them is removed.
const FILES_MAX: usize = 8;
/// How long a puddle's thread may take to answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);
const ENDING: &str = ".blackbox";

/// Black boxes, as a node is to have them.
#[derive(Clone, Debug)]
pub struct BlackBoxes {
    /// What each puddle's box may keep, in bytes.
    pub bytes: usize,
    /// Where they are put.
    pub directory: PathBuf,
}

impl BlackBoxes {
    /// Makes the directory, for its owner alone, if there is none.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)
    }

    /// Puts a box into a file that only its owner may read, and removes what is
    /// one too many. Answers where it is.
    pub(crate) fn put(&self, puddle: PuddleId, end: &End, bytes: &[u8]) -> io::Result<PathBuf> {
        self.put_at(Clock::wall(), puddle, end, bytes)
    }

    fn put_at(
        &self,
        at: UnixTime,
        puddle: PuddleId,
        end: &End,
        bytes: &[u8],
    ) -> io::Result<PathBuf> {
        let why = kind(end);
        let name = format!("{:013}-puddle-{}-{why}{ENDING}", at.as_millis(), puddle.0);
        let path = self.directory.join(name);
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        if let Err(error) = file.write_all(bytes) {
            // A part of a box cannot be read.
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        self.remove_oldest(why)?;
        Ok(path)
    }

    fn remove_oldest(&self, why: &str) -> io::Result<()> {
        let ending = format!("-{why}{ENDING}");
        let mut ours: Vec<PathBuf> = fs::read_dir(&self.directory)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| is_ours(path, &ending))
            .collect();
        // Their names begin with the time, in digits of one number.
        ours.sort();
        let surplus = ours.len().saturating_sub(FILES_MAX);
        ours.iter().take(surplus).try_for_each(fs::remove_file)
    }
}

fn is_ours(path: &Path, ending: &str) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.and_then(|name| name.strip_suffix(ending))
        .and_then(|name| name.split_once("-puddle-"))
        .is_some_and(|(time, puddle)| {
            let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            digits(time) && digits(puddle)
        })
}

const fn kind(end: &End) -> &'static str {
    match end {
        End::Asked => "asked",
        End::Panicked(_) => "panic",
    }
}

/// On which an operator asks a puddle's thread for something, and it is seen once
/// a turn: a plain load.
#[derive(Debug)]
pub(crate) struct Bell {
    rung: AtomicBool,
    wants: Mutex<Wants>,
    wake: Arc<Wake>,
}

/// What an operator wants of a puddle.
#[derive(Debug)]
struct Wants {
    /// Its box, to be sent here; `None` where it keeps none.
    dump: Option<oneshot::Sender<Option<Vec<u8>>>>,
    /// That it panics: in builds for tests alone.
    #[cfg(debug_assertions)]
    panic: bool,
}

impl Bell {
    pub(crate) const fn new(wake: Arc<Wake>) -> Self {
        Self {
            rung: AtomicBool::new(false),
            wants: Mutex::new(Wants {
                dump: None,
                #[cfg(debug_assertions)]
                panic: false,
            }),
            wake,
        }
    }

    /// Whether anybody wants anything; for the puddle's thread.
    pub(crate) fn is_rung(&self) -> bool {
        self.rung.load(Ordering::Relaxed)
    }

    /// Gives what is wanted.
    pub(crate) fn answer(&self, black_box: &BlackBox) {
        self.rung.store(false, Ordering::Relaxed);
        if let Some(asker) = self.wants().dump.take() {
            // Who asked may have gone.
            let _ = asker.send(black_box.dump(&End::Asked));
        }
    }

    /// Whether the puddle is to panic; not twice for one wish.
    #[cfg(debug_assertions)]
    pub(crate) fn breaks(&self) -> bool {
        std::mem::take(&mut self.wants().panic)
    }

    /// What the puddle's box holds now; nothing where it does not answer, or has
    /// none.
    pub(crate) async fn dump(&self) -> Option<Vec<u8>> {
        let (asker, answer) = oneshot::channel();
        self.ring(|wants| wants.dump = Some(asker));
        timeout(ANSWER_TIME_MAX, answer).await.ok()?.ok()?
    }

    /// Has the puddle panic, by its own assertion.
    #[cfg(debug_assertions)]
    pub(crate) fn break_puddle(&self) {
        self.ring(|wants| wants.panic = true);
    }

    fn ring(&self, want: impl FnOnce(&mut Wants)) {
        want(&mut self.wants());
        self.rung.store(true, Ordering::Release);
        self.wake.wake();
    }

    fn wants(&self) -> std::sync::MutexGuard<'_, Wants> {
        self.wants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn boxes_are_their_owners_alone_and_the_oldest_of_a_kind_give_way() {
        let directory = std::env::temp_dir().join(format!("porthouse-box-{}", std::process::id()));
        let boxes = BlackBoxes {
            bytes: 1,
            directory: directory.join("boxes"),
        };
        boxes.prepare().expect("a directory");
        let panicked = End::Panicked("so".to_owned());
        let first = boxes.put_at(UnixTime::from_millis(1), PuddleId(0), &panicked, b"x");
        let first = first.expect("a file");
        fs::write(boxes.directory.join("notes-asked.blackbox"), b"mine").expect("a file");
        for at in 2..20 {
            let put = boxes.put_at(UnixTime::from_millis(at), PuddleId(1), &End::Asked, b"x");
            let mode = fs::metadata(put.expect("a file"))
                .expect("it is there")
                .permissions();
            assert_eq!(mode.mode() & 0o777, 0o600);
        }
        assert!(first.exists(), "those asked for take no place of a panic's");
        let left = fs::read_dir(&boxes.directory).expect("a directory").count();
        assert_eq!(left, FILES_MAX + 2);
        fs::remove_dir_all(directory).expect("it is ours");
    }
}
