//! What a `prompt` or an `input` holds: texts, items, or the numbers of tokens.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::tool::Tool;

/// The shape of a `prompt` or `input`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Input {
    /// How many texts or items.
    pub(super) count: usize,
    /// Whether a part of it is the numbers of tokens, which say a text without showing it.
    pub(super) tokens: bool,
    /// Whether it is an object: as a `prompt` the name of one that the provider keeps.
    pub(super) object: bool,
    /// The names of tools that items bring with them, what a search for tools has found.
    pub(super) offered: BTreeSet<String>,
    /// Whether it is one such number.
    number: bool,
}

impl Input {
    const TEXT: Self = Self {
        count: 1,
        tokens: false,
        object: false,
        offered: BTreeSet::new(),
        number: false,
    };
    const NUMBER: Self = Self {
        count: 1,
        tokens: true,
        object: false,
        offered: BTreeSet::new(),
        number: true,
    };

    /// So many texts or items.
    pub(super) fn texts(count: usize) -> Self {
        Self {
            count,
            ..Self::default()
        }
    }
}

impl<'de> Deserialize<'de> for Input {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Shape)
    }
}

struct Shape;

impl<'de> Visitor<'de> for Shape {
    type Value = Input;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text, or a list of texts, items or tokens")
    }

    fn visit_str<E>(self, _: &str) -> Result<Input, E> {
        Ok(Input::TEXT)
    }

    fn visit_unit<E>(self) -> Result<Input, E> {
        Ok(Input::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Input, E> {
        Ok(Input::NUMBER)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Input, E> {
        Ok(Input::NUMBER)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Input, E> {
        Ok(Input::NUMBER)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Input, A::Error> {
        let mut item = Input {
            object: true,
            ..Input::TEXT
        };
        while let Some(key) = map.next_key::<String>()? {
            if key == "tools" {
                match serde_json::from_value::<Option<Vec<Tool>>>(map.next_value()?) {
                    Ok(tools) => tools
                        .into_iter()
                        .flatten()
                        .for_each(|tool| tool.add_to(&mut item.offered)),
                    Err(_) => _ = item.offered.insert(UNREAD.to_owned()),
                }
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(item)
    }

    /// A list of numbers is one text in tokens; a list of such lists is several.
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Input, A::Error> {
        let mut whole = Input::default();
        let mut numbers = false;
        while let Some(element) = list.next_element::<Input>()? {
            whole.tokens |= element.tokens;
            whole.count += usize::from(!element.number);
            numbers |= element.number;
            whole.offered.extend(element.offered);
        }
        whole.count += usize::from(numbers);
        Ok(whole)
    }
}

/// Tools in an item that is none known.
const UNREAD: &str = "tool_search_output";
