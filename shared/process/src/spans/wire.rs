//! Spans as OTLP has them. Translates; decides nothing.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as WireValue;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use super::{Ended, Kind, SpanSettings, Value};

/// Of a span in a trace that is taken.
const SAMPLED: u32 = 1;

/// Whose spans they are.
pub(super) fn resource(settings: &SpanSettings) -> Resource {
    let mut attributes = vec![
        attribute("service.name", settings.service.into()),
        attribute("service.namespace", "porthouse".into()),
        attribute("service.version", env!("CARGO_PKG_VERSION").into()),
    ];
    if let Some(instance) = &settings.instance {
        attributes.push(attribute("service.instance.id", instance.clone().into()));
    }
    Resource {
        attributes,
        ..Resource::default()
    }
}

/// Some of them, to be sent at once.
pub(super) fn request(
    resource: &Resource,
    spans: impl Iterator<Item = Ended>,
) -> ExportTraceServiceRequest {
    let scope = InstrumentationScope {
        name: "porthouse".to_owned(),
        ..InstrumentationScope::default()
    };
    let spans = ScopeSpans {
        scope: Some(scope),
        spans: spans.map(span).collect(),
        ..ScopeSpans::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource.clone()),
            scope_spans: vec![spans],
            ..ResourceSpans::default()
        }],
    }
}

fn span(ended: Ended) -> Span {
    let began = nanos(ended.began);
    let took = ended.took.unwrap_or_default();
    let status = ended.failed.then(|| Status {
        code: StatusCode::Error.into(),
        ..Status::default()
    });
    Span {
        trace_id: ended.context.trace.to_vec(),
        span_id: ended.context.span.to_vec(),
        parent_span_id: ended.parent.map(Vec::from).unwrap_or_default(),
        flags: SAMPLED,
        name: ended.name.into_owned(),
        kind: kind(ended.kind).into(),
        start_time_unix_nano: began,
        end_time_unix_nano: began.saturating_add(whole(took)),
        attributes: ended
            .attributes
            .into_iter()
            .map(|(key, value)| attribute(key, value))
            .collect(),
        status,
        ..Span::default()
    }
}

const fn kind(kind: Kind) -> SpanKind {
    match kind {
        Kind::Internal => SpanKind::Internal,
        Kind::Server => SpanKind::Server,
        Kind::Client => SpanKind::Client,
    }
}

fn attribute(key: &str, value: Value) -> KeyValue {
    let value = match value {
        Value::Text(text) => WireValue::StringValue(text.into_owned()),
        Value::Number(number) => WireValue::IntValue(number),
    };
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn nanos(time: SystemTime) -> u64 {
    whole(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn whole(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
