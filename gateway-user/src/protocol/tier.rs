//! Tiers of service: answers that come sooner, and cost more than a list says of their model.
//!
//! In: a request's head and body, or what an answer says of itself. Out: a [`Tier`], whose factor is never below what the tier costs at any
//! model. Invariant: what could be read in two ways is taken for the dearest.
//! Sources: OpenAI's and Anthropic's lists of prices; the API references of OpenAI, Anthropic, Gemini, Vertex and Bedrock.

use http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;

/// How soon an answer comes, the dearest last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// As the list says, or for less.
    #[default]
    Usual,
    /// Ahead of others.
    Priority,
    /// By a faster service of the same model.
    Fast,
}

impl Tier {
    /// The one that a request asks for.
    #[must_use]
    pub fn asked(headers: Option<&HeaderMap>, body: &[u8]) -> Self {
        let values = HEADERS.iter().filter_map(|name| headers?.get(*name));
        let head = values.filter_map(|value| value.to_str().ok());
        let head = head.filter_map(named).max().unwrap_or_default();
        let body = match serde_json::from_slice::<Raw>(body) {
            Ok(raw) => raw.tier(),
            // Not JSON, or there twice: a server could heed either.
            Err(error) if error.is_data() => Self::Fast,
            Err(_) => Self::Usual,
        };
        head.max(body)
    }

    /// The one that an answer says it was; `None` where it says nothing that is known.
    #[must_use]
    pub fn told(said: &Value) -> Option<Self> {
        named(said.as_str().or(said["type"].as_str())?)
    }

    /// Anthropic's `speed`.
    #[must_use]
    pub fn of_speed(said: &Value) -> Option<Self> {
        let speed = said.as_str()?;
        Some(if speed.eq_ignore_ascii_case("fast") {
            Self::Fast
        } else {
            Self::Usual
        })
    }

    /// Tenths of the price that stands in a list.
    #[must_use]
    pub fn tenths(self) -> u64 {
        match self {
            Self::Usual => 10,
            Self::Priority => 25,
            Self::Fast => 60,
        }
    }
}

fn named(name: &str) -> Option<Tier> {
    let name = name.to_ascii_lowercase();
    if DEARER.contains(&&*name) {
        Some(Tier::Priority)
    } else {
        USUAL.contains(&&*name).then_some(Tier::Usual)
    }
}

/// serde refuses any of them twice.
#[derive(Deserialize)]
struct Raw {
    service_tier: Option<Value>,
    #[serde(rename = "serviceTier")]
    camel: Option<Value>,
    speed: Option<Value>,
    #[serde(rename = "performanceConfig")]
    performance: Option<Value>,
    /// What Bedrock hands to a model as it is.
    #[serde(rename = "additionalModelRequestFields")]
    additional: Option<Box<Raw>>,
}

impl Raw {
    fn tier(&self) -> Tier {
        let tiers = [&self.service_tier, &self.camel].into_iter().flatten();
        let latency = self.performance.as_ref().map(|config| &config["latency"]);
        let named = tiers.chain(latency).filter_map(Tier::told);
        let speed = self.speed.as_ref().and_then(Tier::of_speed);
        let inner = self.additional.as_ref().map(|inner| inner.tier());
        named.chain(speed).chain(inner).max().unwrap_or_default()
    }
}

const DEARER: &[&str] = &["priority", "fast", "optimized"];
const USUAL: &[&str] = &["default", "standard", "on_demand", "scale", "flex", "batch"];
/// Where Bedrock and Vertex are asked beside the body.
const HEADERS: &[&str] = &[
    "x-amzn-bedrock-service-tier",
    "x-amzn-bedrock-performanceconfig-latency",
    "x-vertex-ai-llm-shared-request-type",
];

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use http::HeaderValue;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_asks_for_a_tier_in_its_body_or_head() {
        for (body, tier) in [
            (r#"{"model":"m"}"#, Tier::Usual),
            (r#"{"service_tier":null}"#, Tier::Usual),
            (r#"{"service_tier":"auto","speed":"standard"}"#, Tier::Usual),
            (r#"{"service_tier":"flex"}"#, Tier::Usual),
            (r#"{"service_tier":"priority"}"#, Tier::Priority),
            (r#"{"service_ti\u0065r":"Priority"}"#, Tier::Priority),
            (r#"{"service_tier":"fast"}"#, Tier::Priority),
            (r#"{"serviceTier":{"type":"priority"}}"#, Tier::Priority),
            (
                r#"{"performanceConfig":{"latency":"optimized"}}"#,
                Tier::Priority,
            ),
            (r#"{"speed":"fast"}"#, Tier::Fast),
            (r#"{"speed":"fast","service_tier":"priority"}"#, Tier::Fast),
            (
                r#"{"additionalModelRequestFields":{"speed":"fast"}}"#,
                Tier::Fast,
            ),
            (
                r#"{"service_tier":"default","service_tier":"priority"}"#,
                Tier::Fast,
            ),
            (r#"{"messages":[{"service_tier":"priority"}]}"#, Tier::Usual),
            ("no json", Tier::Usual),
        ] {
            assert_eq!(Tier::asked(None, body.as_bytes()), tier, "{body}");
        }
        let name = "x-amzn-bedrock-service-tier";
        for (value, tier) in [("priority", Tier::Priority), ("flex", Tier::Usual)] {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_str(value).unwrap());
            assert_eq!(Tier::asked(Some(&headers), b"{}"), tier);
        }
    }

    #[test]
    fn an_answer_tells_the_tier_that_it_was_if_it_is_known() {
        for (said, tier) in [
            (json!("priority"), Some(Tier::Priority)),
            (json!("default"), Some(Tier::Usual)),
            (json!({"type": "priority"}), Some(Tier::Priority)),
            (json!("auto"), None),
            (json!(null), None),
        ] {
            assert_eq!(Tier::told(&said), tier, "{said}");
        }
        assert_eq!(Tier::of_speed(&json!("fast")), Some(Tier::Fast));
        assert_eq!(Tier::of_speed(&json!("standard")), Some(Tier::Usual));
        assert_eq!(Tier::of_speed(&Value::Null), None);
    }
}
