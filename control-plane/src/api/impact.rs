//! What a change of rules would do to sockets that are inside, as nodes say it of
//! their own. Rehearsed changes only; asks, and adds nothing up.

use std::time::Duration;

use porthouse_api::control::v1 as wire;
use porthouse_api::node::v1::{self, watch_answer, watch_question::What};
use porthouse_model::ChangeItem;
use tokio::time::{Instant, sleep};

use crate::policy::asking::Heard;

use super::Api;
use super::error::ApiError;

/// How long nodes may take to count, all in all.
const COUNT_TIME_MAX: Duration = Duration::from_secs(3);
/// How long nodes that lack something are given to learn it.
const LEARN_TIME: Duration = Duration::from_millis(100);

impl Api {
    /// What nodes would be told if a write is only rehearsed, as they count it.
    pub(super) async fn impact_of(
        &self,
        would_be: Option<ChangeItem>,
    ) -> Result<Option<wire::Impact>, ApiError> {
        match would_be {
            Some(item) => self.impact(&item).await.map(Some),
            None => Ok(None),
        }
    }

    /// What these changes would do that one write would make.
    pub(super) async fn impact_of_all(
        &self,
        would_be: Vec<ChangeItem>,
    ) -> Result<wire::Impact, ApiError> {
        match deciding(would_be) {
            Some(item) => self.impact(&item).await,
            None => Ok(wire::Impact::default()),
        }
    }

    /// Has every node count. Where one must know something first, it is asked
    /// again when it has had time to.
    async fn impact(&self, item: &ChangeItem) -> Result<wire::Impact, ApiError> {
        let until = Instant::now() + COUNT_TIME_MAX;
        let mut impact = wire::Impact::default();
        loop {
            let question = v1::ForeseeQuestion {
                item: Some(item.into()),
            };
            let left = until.saturating_duration_since(Instant::now());
            let asked = self.asking.ask(What::Foresee(question), left, |_| false);
            impact = kept(impact, said(asked.await.map_err(ApiError::from)?));
            let unsure = impact.nodes.iter().any(|node| node.unsure > 0);
            if !unsure || Instant::now() + LEARN_TIME >= until {
                return Ok(impact);
            }
            sleep(LEARN_TIME).await;
        }
    }
}

/// The one of a write's changes by which sockets leave or are asked: the others of
/// it come with that one. A room that is gone takes its members and blocks along,
/// and a block or a membership changes what its room says of having some.
fn deciding(would_be: Vec<ChangeItem>) -> Option<ChangeItem> {
    let rank = |item: &ChangeItem| match item {
        ChangeItem::RoomGone { .. } | ChangeItem::TemplateGone { .. } => Some(0),
        ChangeItem::Template(_) => Some(1),
        ChangeItem::Block(_) | ChangeItem::DeviceToken(..) => Some(2),
        ChangeItem::Member(_) | ChangeItem::MemberGone { .. } => Some(3),
        ChangeItem::Room(_) => Some(4),
        ChangeItem::Session(_)
        | ChangeItem::BlockGone { .. }
        | ChangeItem::SessionGone(_)
        | ChangeItem::UserGone(_)
        | ChangeItem::ApiKeyGone(_)
        | ChangeItem::Endpoint(_)
        | ChangeItem::EndpointGone(_) => None,
    };
    let ranked = would_be.into_iter();
    let ranked = ranked.filter_map(|item| Some((rank(&item)?, item)));
    ranked.min_by_key(|(rank, _)| *rank).map(|(_, item)| item)
}

/// What nodes said to one question.
fn said(heard: Heard) -> wire::Impact {
    let mut impact = wire::Impact {
        nodes: Vec::new(),
        silent: heard.silent.iter().map(|node| named(node)).collect(),
    };
    for (node, answer) in heard.answers {
        match answer.what {
            Some(watch_answer::What::Foreseen(foreseen)) => {
                impact.nodes.push(counted(&node, foreseen));
            }
            // It could not count.
            Some(watch_answer::What::Recalled(_)) | None => {
                impact.silent.push(named(&node));
            }
        }
    }
    impact
}

/// What was said now; and by nodes that were silent this time, for they may have
/// been left less of it, what they said before.
fn kept(before: wire::Impact, mut now: wire::Impact) -> wire::Impact {
    for node in before.nodes {
        if let Some(at) = now.silent.iter().position(|name| *name == node.name) {
            now.silent.swap_remove(at);
            now.nodes.push(node);
        }
    }
    now.nodes.sort_by(|one, other| one.name.cmp(&other.name));
    now.silent.sort_unstable();
    now
}

fn named(node: &str) -> String {
    format!("nodes/{node}")
}

fn counted(node: &str, foreseen: v1::Foreseen) -> wire::NodeImpact {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    wire::NodeImpact {
        name: named(node),
        leaving: number(foreseen.leaving),
        asked: number(foreseen.asked),
        unsure: number(foreseen.unsure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(nodes: &[(&str, u64, u64)], silent: &[&str]) -> wire::Impact {
        let answer = |&(node, leaving, unsure): &(&str, u64, u64)| {
            let foreseen = v1::Foreseen {
                leaving,
                unsure,
                ..v1::Foreseen::default()
            };
            let what = Some(watch_answer::What::Foreseen(foreseen));
            let answer = v1::WatchAnswer {
                what,
                ..v1::WatchAnswer::default()
            };
            (node.to_owned(), answer)
        };
        said(Heard {
            answers: nodes.iter().map(answer).collect(),
            silent: silent.iter().map(|&node| node.to_owned()).collect(),
        })
    }

    #[test]
    fn a_node_that_is_asked_again_and_has_no_time_left_is_told_as_it_counted() {
        let first = answers(&[("a", 3, 0), ("c", 1, 2)], &["b"]);
        let nothing = answers(&[], &["a", "b", "c"]);
        let told = kept(kept(wire::Impact::default(), first.clone()), nothing);
        assert_eq!(told, first);
        // What it says anew counts, and a node that is gone is gone.
        let later = answers(&[("b", 5, 0), ("c", 4, 0)], &[]);
        assert_eq!(kept(told, later.clone()), later);
    }
}
