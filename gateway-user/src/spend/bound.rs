//! How much a call can make a model read and write at most.
//!
//! Every token of a text stands for a byte of it at least, so the bytes of a body bound the tokens of what stands in it. What a call
//! only names, such as a picture by its address, an earlier answer or a tool that the provider runs, can be as long as the model
//! can hold, and so can pictures, sound, films and documents that stand in it, whose files may be smaller than what a model reads of them.
//! Both are looked for as the provider reads them, behind every escape.

#[cfg(test)]
mod tests;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Price;

/// What a call makes a model read and write at most, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Read.
    pub input: u64,
    /// Written.
    pub output: u64,
}

/// Whether a body names content that does not stand in it, and whether it asks for caching.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outside {
    /// Something it names is read beside it.
    pub named: bool,
    /// It has parts of it cached for long.
    pub caches: bool,
}

impl Bound {
    /// The bound of a call with this body. `limit` is the longest answer it asks for, of `answers` answers.
    #[must_use]
    pub fn of(price: &Price, body: &[u8], limit: Option<u64>, answers: u64) -> (Self, Outside) {
        let outside = Outside::of(body);
        let context = price.context.unwrap_or(UNKNOWN_CONTEXT);
        let said = (body.len() as u64).saturating_add(UNSAID);
        let input = if outside.named {
            context
        } else {
            said.min(context)
        };
        let longest = limit.or(price.longest).unwrap_or(context);
        let output = if price.writes() {
            longest.saturating_mul(answers.max(1))
        } else {
            0
        };
        (Self { input, output }, outside)
    }
}

impl Bound {
    /// That of an answer in a conversation which the provider keeps.
    #[must_use]
    pub fn whole(price: &Price) -> Self {
        let input = price.context.unwrap_or(UNKNOWN_CONTEXT);
        Self {
            input,
            output: price.longest.unwrap_or(input),
        }
    }
}

impl Outside {
    /// Looks through a body; one that is no JSON names nothing that a provider could read.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        let body = serde_json::from_slice::<Body>(body);
        body.map_or_else(|_| Self::default(), |Body(found)| found)
    }

    fn or(self, other: Self) -> Self {
        Self {
            named: self.named | other.named,
            caches: self.caches | other.caches,
        }
    }
}

impl<'de> Deserialize<'de> for Outside {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Names { top: false })
    }
}

struct Body(Outside);

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let found = deserializer.deserialize_any(Names { top: true });
        found.map(Self)
    }
}

struct Names {
    /// What is read is the body itself.
    top: bool,
}

impl<'de> Visitor<'de> for Names {
    type Value = Outside;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Outside, A::Error> {
        let mut found = Outside::default();
        let mut item = Item::default();
        let (mut input, mut address) = (Outside::default(), false);
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            item.has(&key);
            match &*key {
                "type" => {
                    let kind = map.next_value::<serde_json::Value>()?;
                    item.kind = kind.as_str().map(str::to_owned);
                }
                key if NAMELESS.contains(&key)
                    || (self.top && NAMELESS_IN_BODIES.contains(&key)) =>
                {
                    map.next_value::<IgnoredAny>()?;
                }
                // Whether it is that of a call may be told behind it.
                "input" if !self.top => input = map.next_value()?,
                // So may whether it is where a result was found.
                "url" => address = !map.next_value::<serde_json::Value>()?.is_null(),
                "functionResponse" | "function_response" => {
                    found = found.or(without(map.next_value()?, "response"));
                }
                "toolResult" => {
                    let mut value = map.next_value::<serde_json::Value>()?;
                    if let Some(parts) = value["content"].as_array_mut() {
                        let told = parts.iter_mut().map(|part| without(part.take(), "json"));
                        found = told.fold(found, Outside::or);
                    }
                    found = found.or(within(&value));
                }
                // Members of a document as Cohere has it are its text.
                "document" => {
                    let value = map.next_value::<serde_json::Value>()?;
                    if !value["data"].is_object() {
                        found = found.or(within(&value));
                    }
                }
                "annotations" | "citations" => {
                    let mut value = map.next_value::<serde_json::Value>()?;
                    if let Some(notes) = value.as_array_mut() {
                        notes.retain(|note| !is_citation(note));
                    }
                    found = found.or(within(&value));
                }
                "ttl" => {
                    found.caches = true;
                    map.next_value::<IgnoredAny>()?;
                }
                key if NAMES.contains(&key) => {
                    found.named |= !matches!(
                        map.next_value::<serde_json::Value>()?,
                        serde_json::Value::Null
                    );
                }
                "tools" => found.named |= hosted(&map.next_value::<serde_json::Value>()?),
                "encrypted_content" => {
                    item.sealed = map.next_value::<Option<IgnoredAny>>()?.is_some();
                }
                // A text, or one that is kept.
                "prompt" | "audio" => {
                    let value = map.next_value::<serde_json::Value>()?;
                    found.named |= !value["id"].is_null();
                    found = found.or(within(&value));
                }
                "model" | "models" => {
                    found.named |= online(&map.next_value::<serde_json::Value>()?);
                }
                _ => found = found.or(map.next_value()?),
            }
        }
        found.named |= item.is_elsewhere() || (address && !item.is_result());
        Ok(if item.is_call() {
            found
        } else {
            found.or(input)
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Outside, A::Error> {
        let mut found = Outside::default();
        while let Some(element) = list.next_element::<Outside>()? {
            found = found.or(element);
        }
        Ok(found)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Outside, E> {
        Ok(Outside::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Outside, E> {
        Ok(Outside::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Outside, E> {
        Ok(Outside::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Outside, E> {
        Ok(Outside::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Outside, E> {
        Ok(Outside::default())
    }

    fn visit_unit<E>(self) -> Result<Outside, E> {
        Ok(Outside::default())
    }
}

/// What an object is, by its members.
#[derive(Default)]
struct Item {
    kind: Option<String>,
    id: bool,
    /// A thought in full, for the provider alone.
    sealed: bool,
    data: bool,
    media: bool,
    /// It says something of its own.
    says: bool,
}

impl Item {
    /// Whether it is a call of a tool, whose input only that reads.
    fn is_call(&self) -> bool {
        let kind = self.kind.as_deref();
        kind.is_some_and(|kind| ["tool_use", "server_tool_use", "mcp_tool_use"].contains(&kind))
    }

    /// Whether it is what a search or a fetch of the provider has brought, which stands in it.
    fn is_result(&self) -> bool {
        let kind = self.kind.as_deref();
        kind.is_some_and(|kind| ["web_search_result", "web_fetch_result"].contains(&kind))
    }

    fn has(&mut self, key: &str) {
        match key {
            "type" => {}
            "id" => self.id = true,
            "data" => (self.data, self.says) = (true, true),
            "media_type" => self.media = true,
            _ => self.says = true,
        }
    }

    /// Whether what it stands for is not its text.
    fn is_elsewhere(&self) -> bool {
        match self.kind.as_deref() {
            Some("item_reference") => true,
            Some("reasoning") => self.id && !self.sealed,
            Some("base64") => self.data,
            Some("text") => false,
            _ => (self.data && self.media) || (self.id && !self.says),
        }
    }
}

/// The same of a value that has been read.
fn within(value: &serde_json::Value) -> Outside {
    Outside::deserialize(value).unwrap_or(Outside {
        named: true,
        caches: true,
    })
}

/// The same without a member that only says something.
fn without(mut value: serde_json::Value, member: &str) -> Outside {
    if let Some(members) = value.as_object_mut() {
        members.remove(member);
    }
    within(&value)
}

/// Whether a note at a text says where it comes from, which nobody reads once more.
fn is_citation(note: &serde_json::Value) -> bool {
    let kind = note["type"].as_str();
    kind.is_some_and(|kind| CITATIONS.contains(&kind))
}

/// Whether one of the tools is run by the provider, which reads what it brings.
fn hosted(tools: &serde_json::Value) -> bool {
    // Google's servers read one for a list.
    let one = tools.is_object().then_some(tools);
    let tools = tools.as_array().map(Vec::as_slice).unwrap_or_default();
    tools.iter().chain(one).any(|tool| {
        let kind = tool["type"].as_str().unwrap_or("function");
        let declares = [
            "functionDeclarations",
            "function_declarations",
            "toolSpec",
            "cachePoint",
        ];
        let functions = |key: &String| declares.contains(&key.as_str());
        let google = tool.get("type").is_none() && tool.get("name").is_none();
        let others = tool
            .as_object()
            .is_some_and(|tool| !tool.keys().all(functions));
        !["function", "custom"].contains(&kind) || (google && others)
    })
}

/// Whether one of the models is asked for with OpenRouter's search of the web.
fn online(models: &serde_json::Value) -> bool {
    let listed = models.as_array().map(Vec::as_slice).unwrap_or_default();
    let named = listed.iter().chain([models]);
    named
        .filter_map(serde_json::Value::as_str)
        .any(|model| model.ends_with(":online"))
}

/// Members that name what is read beside a body, or hold what no text is.
const NAMES: &[&str] = &[
    "image_url",
    "document_url",
    "file_url",
    "file_id",
    "previous_response_id",
    "conversation",
    "container",
    "agent_id",
    "mcp_servers",
    "plugins",
    "web_search_options",
    "variables",
    "cachedContent",
    "cached_content",
    "fileData",
    "file_data",
    "s3Location",
    "bytes",
    "inlineData",
    "inline_data",
    "images",
    "input_audio",
    "audio_url",
    "video_url",
];

/// Members that name nothing, whatever stands below them: schemas, which describe, and calls of tools, which only tools read.
const NAMELESS: &[&str] = &[
    "parameters",
    "parametersJsonSchema",
    "parameters_json_schema",
    "input_schema",
    "inputSchema",
    "schema",
    "json_schema",
    "responseSchema",
    "response_schema",
    "responseJsonSchema",
    "response_json_schema",
    "arguments",
    "functionCall",
    "function_call",
    "toolUse",
];
/// The same of a body itself: notes of who sends it, Ollama's schema, Cohere's documents and what its tools returned, whose members are text.
const NAMELESS_IN_BODIES: &[&str] = &["metadata", "format", "documents", "tool_results"];

const CITATIONS: &[&str] = &[
    "url_citation",
    "file_citation",
    "container_file_citation",
    "file_path",
    "web_search_result_location",
];

/// Tokens that providers put around what a call says.
const UNSAID: u64 = 1024;

/// No model holds more.
const UNKNOWN_CONTEXT: u64 = 2_000_000;
