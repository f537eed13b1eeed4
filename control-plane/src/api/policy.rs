//! `PolicyService`: says how far policy has come. The waiting itself is
//! `policy::applied`'s.

use std::time::Duration;

use futures_util::FutureExt;
use porthouse_api::control::v1 as wire;
use porthouse_model::Revision;
use tonic::{Request, Response, Status};

use crate::policy::applied::WaitError;
use crate::store::log;
use crate::store::nodes::NodeRow;

use super::error::ApiError;
use super::{Api, revision_to_wire, time};

/// How long to wait unless asked.
const WAIT_DEFAULT: Duration = Duration::from_secs(10);
/// The longest to wait.
const WAIT_MAX: Duration = Duration::from_mins(1);

#[tonic::async_trait]
impl wire::policy_service_server::PolicyService for Api {
    async fn wait_applied(
        &self,
        request: Request<wire::WaitAppliedRequest>,
    ) -> Result<Response<wire::WaitAppliedResponse>, Status> {
        let request = request.into_inner();
        let revision = u64::try_from(request.revision)
            .map(Revision)
            .map_err(|_| ApiError::field("revision", "0 or more"))?;
        let time_max = request.timeout.map_or(Ok(WAIT_DEFAULT), |span| {
            time::span("timeout", span, Duration::ZERO, WAIT_MAX)
        })?;
        let behind = self
            .applied
            .wait(revision, time_max)
            .await
            .map_err(ApiError::from)?;
        Ok(Response::new(wire::WaitAppliedResponse {
            applied: behind.is_empty(),
            pending: behind.iter().map(pending_to_wire).collect(),
        }))
    }

    async fn get_revision(
        &self,
        _: Request<wire::GetRevisionRequest>,
    ) -> Result<Response<wire::GetRevisionResponse>, Status> {
        let head = self
            .read(|c| async move { Ok(log::head(c).await?) }.boxed())
            .await?;
        Ok(Response::new(wire::GetRevisionResponse {
            revision: revision_to_wire(Some(head)),
        }))
    }

    async fn explain(
        &self,
        request: Request<wire::ExplainRequest>,
    ) -> Result<Response<wire::ExplainResponse>, Status> {
        use wire::explain_request::About;
        let about = request.into_inner().about;
        let answer = match about.ok_or_else(|| ApiError::field("about", "one of its fields"))? {
            About::Case(case) => self.explain_case(case).await?,
            About::RefusalId(id) => self.explain_refusal(&id).await?,
        };
        Ok(Response::new(answer))
    }
}

impl From<WaitError> for ApiError {
    fn from(error: WaitError) -> Self {
        match error {
            WaitError::Future { head } => {
                let rule = format!("a revision that was given; the highest is {}", head.0);
                Self::field("revision", rule)
            }
            WaitError::Busy => Self::WaitersBusy,
            WaitError::Store(error) => error.into(),
        }
    }
}

fn pending_to_wire(node: &NodeRow) -> wire::PendingNode {
    wire::PendingNode {
        name: format!("nodes/{}", node.name),
        applied_revision: node.applied_revision,
        until: node.until.map(time::to_wire),
    }
}
