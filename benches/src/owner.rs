//! Who keeps the rooms of a private Porthouse: rules for names that begin alike,
//! and keys for further nodes. Makes; removes nothing, as all of it ends with the
//! server.

use anyhow::{Context as _, ensure};
use porthouse_api::control::v1 as control;
use porthouse_api::control::v1::api_key_service_client::ApiKeyServiceClient;
use porthouse_api::control::v1::policy_service_client::PolicyServiceClient;
use porthouse_api::control::v1::room_template_service_client::RoomTemplateServiceClient;
use porthouse_load::house::House;
use tokio::runtime::{Builder, Runtime};
use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};

/// How long all nodes may take to apply what was written, in seconds.
const APPLIED_SECONDS_MAX: i64 = 30;

/// The owner of a Porthouse.
pub(crate) struct Owner {
    runtime: Runtime,
    endpoint: Endpoint,
    key: MetadataValue<Ascii>,
}

impl Owner {
    pub(crate) fn of(house: &House) -> anyhow::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let mut key: MetadataValue<Ascii> = format!("Bearer {}", house.admin_key())
            .parse()
            .context("the admin key is none")?;
        key.set_sensitive(true);
        let endpoint = Endpoint::from_shared(format!("http://{}", house.grpc()))?;
        Ok(Self {
            runtime,
            endpoint,
            key,
        })
    }

    /// Has all rooms whose names begin so go by some rules, before it returns.
    pub(crate) fn rules(&self, beginning: &str, rules: control::RoomRules) -> anyhow::Result<()> {
        let request = self.by_key(control::CreateRoomTemplateRequest {
            room_template_id: format!("{beginning}*"),
            room_template: Some(control::RoomTemplate {
                rules: Some(rules),
                ..Default::default()
            }),
            ..Default::default()
        });
        let mut templates = RoomTemplateServiceClient::new(self.channel());
        let made = self
            .runtime
            .block_on(templates.create_room_template(request));
        let made = made.with_context(|| format!("the rules of {beginning}* are not made"))?;
        let request = self.by_key(control::WaitAppliedRequest {
            revision: made.into_inner().revision,
            timeout: Some(prost_types::Duration {
                seconds: APPLIED_SECONDS_MAX,
                nanos: 0,
            }),
        });
        let mut policy = PolicyServiceClient::new(self.channel());
        let answer = self.runtime.block_on(policy.wait_applied(request))?;
        ensure!(
            answer.into_inner().applied,
            "the node has not applied the rules of {beginning}*"
        );
        Ok(())
    }

    /// Makes a key for nodes.
    pub(crate) fn node_key(&self) -> anyhow::Result<String> {
        let request = self.by_key(control::CreateApiKeyRequest {
            api_key: Some(control::ApiKey {
                display_name: "benchmark".to_owned(),
                scopes: vec!["node".to_owned()],
                ..Default::default()
            }),
            ..Default::default()
        });
        let mut keys = ApiKeyServiceClient::new(self.channel());
        let made = self.runtime.block_on(keys.create_api_key(request));
        Ok(made
            .context("a key for nodes is not made")?
            .into_inner()
            .secret)
    }

    /// One for each call: between two of them nobody looks after a connection.
    fn channel(&self) -> Channel {
        let _inside = self.runtime.enter();
        self.endpoint.connect_lazy()
    }

    fn by_key<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let key = self.key.clone();
        request.metadata_mut().insert("authorization", key);
        request
    }
}
