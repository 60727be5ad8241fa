//! Query strings.

use std::collections::HashMap;

use serde_json::Value;
use store::directory::Page;

use crate::form;

const DEFAULT_LIMIT: u64 = 30;
const MAX_LIMIT: u64 = 1000;

/// The query of a request. Of a key that comes twice the last wins.
#[derive(Debug, Default)]
pub(crate) struct QueryString {
    values: HashMap<String, String>,
    raw: String,
}

impl QueryString {
    pub(crate) fn parse(raw: Option<&str>) -> Self {
        let raw = raw.unwrap_or_default();
        let mut values = HashMap::new();
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            values.insert(form::decode(key.as_bytes()), form::decode(value.as_bytes()));
        }
        Self {
            values,
            raw: raw.to_owned(),
        }
    }

    /// The value without outer blanks; an empty one is none.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.values
            .get(name)
            .map(|value| value.trim())
            .filter(|value| !value.is_empty())
    }

    /// An id or count. What is no number matches nothing, as an id that nobody has.
    pub(crate) fn id(&self, name: &str) -> Option<i64> {
        self.get(name).map(|value| value.parse().unwrap_or(-1))
    }

    /// A phone number as filters compare it, in any spelling.
    pub(crate) fn number(&self, name: &str) -> Option<String> {
        let text = self.get(name)?;
        Some(
            model::PhoneNumber::parse(text)
                .map_or_else(|_| text.to_owned(), |number| number.as_str().to_owned()),
        )
    }

    /// Names in `tags[]=a&tags[]=b` or `tags=a`.
    pub(crate) fn names(&self, name: &str) -> Vec<String> {
        let Ok(Value::Object(mut tree)) = form::parse(self.raw.as_bytes()) else {
            return Vec::new();
        };
        match tree.swap_remove(name) {
            Some(Value::Array(items)) => items
                .iter()
                .filter_map(|item| item.as_str().map(str::to_owned))
                .collect(),
            Some(Value::String(text)) => vec![text],
            _ => Vec::new(),
        }
    }

    pub(crate) fn page(&self) -> Page {
        let limit = match self.get("limit").map(str::parse::<i128>) {
            None | Some(Err(_)) => DEFAULT_LIMIT,
            Some(Ok(limit)) => {
                u64::try_from(limit.clamp(1, i128::from(MAX_LIMIT))).unwrap_or(MAX_LIMIT)
            }
        };
        let number = self
            .get("page")
            .and_then(|page| page.parse().ok())
            .unwrap_or(1);
        Page {
            limit,
            number: Ord::clamp(number, 1, u64::from(u32::MAX)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paging_is_forced_into_its_bounds() {
        for (query, limit, number) in [
            ("", 30, 1),
            ("limit=10&page=2", 10, 2),
            ("limit=5000&page=0", 1000, 1),
            ("limit=0", 1, 1),
            ("limit=-3&page=-1", 1, 1),
            ("limit=x&page=x", 30, 1),
            ("limit=1&limit=2", 2, 1),
        ] {
            assert_eq!(
                QueryString::parse(Some(query)).page(),
                Page { limit, number },
                "{query}"
            );
        }
    }

    #[test]
    fn an_unescaped_plus_is_no_part_of_a_number() {
        for query in ["n=+421200000001", "n=%2B421200000001", "n=421200000001"] {
            assert_eq!(
                QueryString::parse(Some(query)).number("n").as_deref(),
                Some("+421200000001"),
                "{query}"
            );
        }
    }
}
