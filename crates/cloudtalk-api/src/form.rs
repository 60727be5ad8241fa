//! Form bodies with PHP-style bracket keys: `ContactNumber[0][public_number]=%2B421…`.
//!
//! The result is the tree that the same data has as JSON, with every leaf a string.

use percent_encoding::percent_decode;
use serde_json::{Map, Value};

/// PHP's own limit is 1000; a contact has far fewer.
const MAX_PAIRS: usize = 5000;
const MAX_DEPTH: usize = 16;

/// Why a form is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FormError {
    #[error("more than {MAX_PAIRS} fields")]
    TooMany,
    #[error("fields nested deeper than {MAX_DEPTH}")]
    TooDeep,
}

/// Reads `application/x-www-form-urlencoded`.
pub(crate) fn parse(body: &[u8]) -> Result<Value, FormError> {
    let mut tree = Tree::default();
    for pair in body
        .split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
    {
        let split = pair.iter().position(|byte| *byte == b'=');
        let (key, value) = match split {
            Some(place) => (&pair[..place], &pair[place + 1..]),
            None => (pair, &[][..]),
        };
        tree.insert(&decode(key), decode(value))?;
    }
    Ok(tree.finish())
}

/// `+` is a space here, and bytes that are no UTF-8 become replacement characters.
pub(crate) fn decode(text: &[u8]) -> String {
    let spaced: Vec<u8> = text
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    percent_decode(&spaced).decode_utf8_lossy().into_owned()
}

/// A tree under construction: objects only, turned into arrays at the end where the keys allow.
#[derive(Default)]
pub(crate) struct Tree {
    root: Map<String, Value>,
    pairs: usize,
}

impl Tree {
    pub(crate) fn insert(&mut self, key: &str, value: String) -> Result<(), FormError> {
        self.pairs += 1;
        if self.pairs > MAX_PAIRS {
            return Err(FormError::TooMany);
        }
        let path = segments(key);
        if path[0].is_empty() {
            return Ok(());
        }
        if path.len() > MAX_DEPTH {
            return Err(FormError::TooDeep);
        }
        let mut node = &mut self.root;
        let Some((last, parents)) = path.split_last() else {
            return Ok(());
        };
        for segment in parents {
            let name = name_in(node, segment);
            let child = node
                .entry(name)
                .or_insert_with(|| Value::Object(Map::new()));
            if !child.is_object() {
                // `a=1&a[b]=2`: the later one wins, as in PHP.
                *child = Value::Object(Map::new());
            }
            let Value::Object(map) = child else {
                return Ok(());
            };
            node = map;
        }
        let name = name_in(node, last);
        node.insert(name, Value::String(value));
        Ok(())
    }

    pub(crate) fn finish(self) -> Value {
        arrays(Value::Object(self.root))
    }
}

/// `a[b][]` is `a`, `b` and an empty segment. A key whose brackets don't close is one name.
fn segments(key: &str) -> Vec<&str> {
    let Some(open) = key.find('[') else {
        return vec![key];
    };
    let (head, mut rest) = key.split_at(open);
    if head.is_empty() {
        return vec![key];
    }
    let mut path = vec![head];
    while !rest.is_empty() {
        let Some(inner) = rest.strip_prefix('[') else {
            return vec![key];
        };
        let Some(close) = inner.find(']') else {
            return vec![key];
        };
        path.push(&inner[..close]);
        rest = &inner[close + 1..];
    }
    path
}

/// An empty segment appends.
fn name_in(node: &Map<String, Value>, segment: &str) -> String {
    if !segment.is_empty() {
        return segment.to_owned();
    }
    let highest = node.keys().filter_map(|key| key.parse::<u64>().ok()).max();
    highest
        .map_or(0, |highest| highest.saturating_add(1))
        .to_string()
}

/// Objects whose keys are 0, 1, 2… become arrays.
fn arrays(value: Value) -> Value {
    let Value::Object(map) = value else {
        return value;
    };
    let numbered =
        !map.is_empty() && (0..map.len()).all(|place| map.contains_key(&place.to_string()));
    if !numbered {
        return Value::Object(
            map.into_iter()
                .map(|(key, value)| (key, arrays(value)))
                .collect(),
        );
    }
    let mut map = map;
    Value::Array(
        (0..map.len())
            .filter_map(|place| map.swap_remove(&place.to_string()).map(arrays))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn tree(body: &str) -> Value {
        parse(body.as_bytes()).expect("a form")
    }

    #[test]
    fn brackets_make_the_tree_that_json_would() {
        assert_eq!(
            tree(
                "name=Ann+Ray&ContactNumber[0][public_number]=%2B421900111222&ContactsTag[0][name]=vip&ContactsTag[1][name]=new"
            ),
            json!({
                "name": "Ann Ray",
                "ContactNumber": [{"public_number": "+421900111222"}],
                "ContactsTag": [{"name": "vip"}, {"name": "new"}],
            })
        );
    }

    #[test]
    fn a_list_of_commands_is_an_array_at_the_top() {
        assert_eq!(
            tree("0[action]=add_contact&0[command_id]=1&0[data][name]=Ann"),
            json!([{"action": "add_contact", "command_id": "1", "data": {"name": "Ann"}}])
        );
    }

    #[test]
    fn only_contiguous_numbers_from_zero_are_an_array() {
        assert_eq!(tree("a[1]=x&a[0]=y"), json!({"a": ["y", "x"]}));
        assert_eq!(tree("a[1]=x"), json!({"a": {"1": "x"}}));
        assert_eq!(tree("a[0]=x&a[k]=y"), json!({"a": {"0": "x", "k": "y"}}));
        assert_eq!(tree("a[00]=x"), json!({"a": {"00": "x"}}));
    }

    #[test]
    fn empty_brackets_append() {
        assert_eq!(tree("tags[]=a&tags[]=b"), json!({"tags": ["a", "b"]}));
        assert_eq!(tree("tags%5B%5D=a"), json!({"tags": ["a"]}));
    }

    #[test]
    fn odd_keys_do_no_harm() {
        assert_eq!(tree(""), json!({}));
        assert_eq!(tree("&&a&=b&"), json!({"a": ""}));
        assert_eq!(
            tree("a[=1&a]=2&a[b]c=3&[x]=4"),
            json!({"a[": "1", "a]": "2", "a[b]c": "3", "[x]": "4"})
        );
        assert_eq!(tree("a=1&a[b]=2"), json!({"a": {"b": "2"}}));
        assert_eq!(tree("a[b]=2&a=1"), json!({"a": "1"}));
        assert_eq!(
            tree("a[18446744073709551615]=x&a[]=y"),
            json!({"a": {"18446744073709551615": "y"}})
        );
    }

    #[test]
    fn depth_and_size_have_an_end() {
        let deep = format!("a{}=1", "[b]".repeat(MAX_DEPTH));
        assert_eq!(parse(deep.as_bytes()), Err(FormError::TooDeep));
        assert_eq!(
            parse("a=1&".repeat(MAX_PAIRS + 1).as_bytes()),
            Err(FormError::TooMany)
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(body in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&body);
        }

        #[test]
        fn any_bracket_soup_is_read_without_a_panic(body in r"[ab0-3\[\]=&%+]{0,80}") {
            let _ = parse(body.as_bytes());
        }
    }
}
