//! `docs/sequence.md` is what the code does: its diagram is drawn from every
//! step the exploration takes, and the document must hold it as it is.

use std::collections::{BTreeMap, BTreeSet};

use super::explored::{doors, explore};
use super::*;

/// The document that shows the diagram, as it was when this was compiled.
const DOCUMENT: &str = include_str!("../../../../docs/sequence.md");
/// The first doors of the exploration have every arrow.
const DOORS: usize = 6;
const BEGIN: &str = "```mermaid\n";
const END: &str = "```\n";

const fn state(state: Sequence) -> &'static str {
    match state {
        Sequence::Resolving(_) => "resolving",
        Sequence::Asking(_) => "asking",
        Sequence::Calling(_) => "calling",
        Sequence::Verifying(_) => "verifying",
        Sequence::Waiting(_) => "waiting",
        Sequence::Enlisting(_) => "enlisting",
        Sequence::Ready(_) => "ready",
        Sequence::Starting(_) => "starting",
    }
}

const fn event(event: Event) -> &'static str {
    match event {
        Event::Look => "look",
        Event::Answered(_) => "answered",
        Event::Called(_) => "called",
        Event::Judged(_, Verdict::Right(_)) => "right",
        Event::Judged(_, Verdict::Wrong) => "wrong",
        Event::Judged(_, Verdict::Gone) => "gone",
        Event::Judged(
            _,
            Verdict::NotEnrolled | Verdict::Later(_) | Verdict::Refused | Verdict::Away,
        ) => "turned away",
        Event::Unjudged(_) => "not judged",
        Event::Approved => "approved",
        Event::Declined => "declined",
        Event::Crowded => "crowded",
        Event::Enlisted => "enlisted",
        Event::Started => "started",
        Event::Unavailable => "unavailable",
        Event::Late => "late",
    }
}

/// Whether it is drawn. A look leads from anywhere to whatever a changed door
/// asks for: only where one is waited for is that an arrow.
const fn is_drawn(from: Sequence, happened: Event) -> bool {
    match happened {
        Event::Look | Event::Unavailable => {
            matches!(from, Sequence::Resolving(_) | Sequence::Starting(_))
        }
        Event::Answered(_)
        | Event::Called(_)
        | Event::Judged(..)
        | Event::Unjudged(_)
        | Event::Approved
        | Event::Declined
        | Event::Crowded
        | Event::Enlisted
        | Event::Started
        | Event::Late => true,
    }
}

/// The diagram. Refusals are one arrow a state, and what changes nothing is
/// none.
fn drawn() -> String {
    let mut arrows: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    explore(&doors()[..DOORS], |taken| {
        let (from, happened, step) = (taken.from, taken.event, taken.step);
        let stays = step.next.is_some_and(|next| state(next) == state(from));
        if stays || !is_drawn(from, happened) {
            return;
        }
        let to = match (step.action, step.next) {
            (Action::Admit(_), _) => "inside",
            (_, None) => "outside",
            (_, Some(next)) => state(next),
        };
        arrows
            .entry((state(from), to))
            .or_default()
            .insert(event(happened));
    });
    let mut diagram = "stateDiagram-v2\n    [*] --> resolving\n".to_owned();
    for ((from, to), events) in arrows {
        let events: Vec<&str> = events.into_iter().collect();
        diagram += &["    ", from, " --> ", to, ": ", &events.join(", "), "\n"].concat();
    }
    diagram.push_str("    inside --> [*]\n    outside --> [*]\n");
    diagram
}

#[test]
fn the_document_shows_what_the_code_does() {
    let (_, rest) = DOCUMENT.split_once(BEGIN).expect("a diagram");
    let (shown, _) = rest.split_once(END).expect("its end");
    let drawn = drawn();
    assert!(
        shown == drawn,
        "docs/sequence.md is out of date; its diagram is:\n{drawn}"
    );
}
