//! When the server closes which socket, while others may talk.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::crowd::Crowd;
use crate::frames::Goodbye;
use crate::speech::{Part, Speech};
use crate::{Watch, to_float};

/// How long the crowd is waited for between two looks at the clock.
const WAIT_MAX: Duration = Duration::from_millis(1);

/// A socket that was closed.
#[derive(Clone, Copy, Debug)]
pub struct Closed {
    /// Its room's number, as it came in.
    pub room: usize,
    /// When its close frame came.
    pub at: Instant,
    /// How.
    pub goodbye: Goodbye,
}

/// What was seen while sockets were closed.
#[derive(Debug, Default)]
pub struct Closings {
    /// Each that listened and was closed, in order.
    pub closed: Vec<Closed>,
    /// Messages that came to listeners meanwhile.
    pub deliveries: u64,
}

/// What is said while sockets are closed.
#[derive(Clone, Copy, Debug)]
pub struct Traffic {
    /// Messages a second of everybody who speaks; 0: nothing is said.
    pub rate: f64,
    /// Each message's payload.
    pub payload_bytes: usize,
}

/// Watches until all who listen were closed, or a time is over.
///
/// # Errors
/// When one who speaks is closed, or the watch ends it.
pub fn watch<S: Speech>(
    crowd: &mut Crowd<S>,
    traffic: Traffic,
    time_max: Duration,
    watch: Watch<'_>,
) -> anyhow::Result<Closings> {
    crowd.start_anew();
    let has = |part| move |member: &&crate::crowd::Member<S::Meter>| member.who.part == part;
    let listeners = crowd.members.iter().filter(has(Part::Listens)).count();
    let speaker = crowd
        .members
        .iter()
        .position(|member| member.who.part == Part::Speaks);
    let payload = vec![b'x'; traffic.payload_bytes];
    let words = speaker.map(|number| crowd.speech.message(crowd.members[number].who, &payload));
    let mut seen_so_far = Closings::default();
    let (began, mut said) = (Instant::now(), 0_u64);
    while seen_so_far.closed.len() < listeners && began.elapsed() < time_max {
        if let (Some(number), Some(words)) = (speaker, &words) {
            while traffic.rate > 0.0
                && to_float(said) / traffic.rate <= began.elapsed().as_secs_f64()
            {
                if !crowd.is_held(number) {
                    crowd.say(number, words)?;
                }
                said += 1;
            }
        }
        crowd.wait(WAIT_MAX, |_, member, seen| {
            let at = Instant::now();
            match (member.who.part, seen.closed) {
                (Part::Listens, Some(goodbye)) => seen_so_far.closed.push(Closed {
                    room: member.who.room,
                    at,
                    goodbye,
                }),
                (_, Some(goodbye)) => bail!("one who should stay was closed: {goodbye}"),
                (Part::Listens, None) => seen_so_far.deliveries += seen.messages,
                (Part::Speaks | Part::Echoes | Part::Stalls, None) => {}
            }
            Ok(())
        })?;
        let share = to_float(seen_so_far.closed.len() as u64) / to_float(listeners.max(1) as u64);
        if watch(share) == ControlFlow::Break(()) {
            bail!("stopped");
        }
    }
    Ok(seen_so_far)
}
