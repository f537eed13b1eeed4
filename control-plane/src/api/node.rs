//! `NodeService`: shows what nodes said of themselves. Decides nothing about them.

use futures_util::FutureExt;
use porthouse_api::control::v1 as wire;
use porthouse_api::node::RULES_KNOWN;
use porthouse_model::NodeName;
use tonic::{Request, Response, Status};

use crate::store::nodes::{self, NodeRow};

use super::error::{ApiError, Kind};
use super::{Api, Write, page, resource_name, time};

#[tonic::async_trait]
impl wire::node_service_server::NodeService for Api {
    async fn get_node(
        &self,
        request: Request<wire::GetNodeRequest>,
    ) -> Result<Response<wire::GetNodeResponse>, Status> {
        let name = resource_name::node("name", &request.into_inner().name)?;
        let row = self
            .read(move |c| {
                async move { nodes::by_name(c, &name).await?.ok_or_else(|| absent(&name)) }.boxed()
            })
            .await?;
        Ok(Response::new(wire::GetNodeResponse {
            node: Some(to_wire(row)),
        }))
    }

    async fn list_nodes(
        &self,
        request: Request<wire::ListNodesRequest>,
    ) -> Result<Response<wire::ListNodesResponse>, Status> {
        const LISTING: &str = "nodes";
        let request = request.into_inner();
        let asked = page::read::<String>(request.page_size, &request.page_token, LISTING)?;
        let read = asked.clone();
        let rows = self
            .read(move |c| {
                async move {
                    let after = read.after.as_deref().unwrap_or_default();
                    Ok(nodes::page(c, after, read.rows()).await?)
                }
                .boxed()
            })
            .await?;
        let (rows, next_page_token) = page::cut(rows, &asked, LISTING, |row| row.name.clone());
        let nodes = rows.into_iter().map(to_wire).collect();
        Ok(Response::new(wire::ListNodesResponse {
            nodes,
            next_page_token,
        }))
    }

    async fn delete_node(
        &self,
        request: Request<wire::DeleteNodeRequest>,
    ) -> Result<Response<wire::DeleteNodeResponse>, Status> {
        let name = resource_name::node("name", &request.into_inner().name)?;
        self.write(Write::Keep, move |c| {
            async move {
                let deleted = nodes::delete(c, &name).await?;
                if deleted { Ok(()) } else { Err(absent(&name)) }
            }
            .boxed()
        })
        .await?;
        Ok(Response::new(wire::DeleteNodeResponse {}))
    }
}

fn absent(name: &NodeName) -> ApiError {
    ApiError::Absent(Kind::Node, format!("nodes/{name}"))
}

fn to_wire(row: NodeRow) -> wire::Node {
    wire::Node {
        name: format!("nodes/{}", row.name),
        version: row.version,
        listeners: row.listeners,
        puddles: u32::try_from(row.puddles).unwrap_or(0),
        sockets: u64::try_from(row.sockets).unwrap_or(0),
        applied_revision: row.applied_revision,
        lease_expire_time: Some(time::to_wire(row.lease_until)),
        until: row.until.map(time::to_wire),
        start_time: Some(time::to_wire(row.start_time)),
        is_outdated: row.rules_known < i64::from(RULES_KNOWN),
    }
}
