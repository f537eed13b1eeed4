//! What a change of rules would do to sockets that are inside, as nodes say it of
//! their own. Rehearsed changes only; asks, and adds nothing up.

use std::time::Duration;

use porthouse_api::control::v1 as wire;
use porthouse_api::node::v1::{self, watch_answer, watch_question::What};
use porthouse_model::ChangeItem;
use tokio::time::{Instant, sleep};

use super::Api;
use super::error::ApiError;

/// How long nodes may take to count, all in all.
const COUNT_TIME_MAX: Duration = Duration::from_secs(3);
/// How long nodes that lack something are given to learn it.
const LEARN_TIME: Duration = Duration::from_millis(100);

impl Api {
    /// Has every node count. Where one must know something first, it is asked
    /// again when it has had time to.
    async fn impact(&self, item: &ChangeItem) -> Result<wire::Impact, ApiError> {
        let until = Instant::now() + COUNT_TIME_MAX;
        loop {
            let question = v1::ForeseeQuestion {
                item: Some(item.into()),
            };
            let left = until.saturating_duration_since(Instant::now());
            let asked = self.asking.ask(What::Foresee(question), left, |_| false);
            let heard = asked.await.map_err(ApiError::from)?;
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
            impact.silent.sort_unstable();
            let unsure = impact.nodes.iter().any(|node| node.unsure > 0);
            if !unsure || Instant::now() + LEARN_TIME >= until {
                return Ok(impact);
            }
            sleep(LEARN_TIME).await;
        }
    }
}

impl Api {
    /// The same of what nodes would be told, if a write is only rehearsed.
    pub(super) async fn impact_of(
        &self,
        would_be: Option<ChangeItem>,
    ) -> Result<Option<wire::Impact>, ApiError> {
        match would_be {
            Some(item) => self.impact(&item).await.map(Some),
            None => Ok(None),
        }
    }
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
