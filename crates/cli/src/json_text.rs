//! JSON kept as text. Answers are re-indented or squeezed without going through numbers and maps, so that a large
//! integer, a duplicate member or an escape arrives at the reader exactly as the server wrote it.

use serde::de::IgnoredAny;

/// Whether the whole text is one JSON value.
pub fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Re-indents valid JSON by two spaces; `None` when it is not JSON.
pub fn pretty(text: &str) -> Option<String> {
    if !is_json(text) {
        return None;
    }
    let mut out = String::with_capacity(text.len() * 2);
    let mut depth = 0usize;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => copy_string(&mut chars, &mut out),
            '{' | '[' => {
                out.push(c);
                while chars.peek().is_some_and(char::is_ascii_whitespace) {
                    chars.next();
                }
                match chars.peek() {
                    Some(&close @ ('}' | ']')) => {
                        chars.next();
                        out.push(close);
                    }
                    _ => {
                        depth += 1;
                        line(&mut out, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => out.push(c),
        }
    }
    Some(out)
}

fn line(out: &mut String, depth: usize) {
    out.push('\n');
    for _ in 0..depth {
        out.push_str("  ");
    }
}

/// The opening quote was just read; copies up to and with the closing one.
fn copy_string(chars: &mut impl Iterator<Item = char>, out: &mut String) {
    out.push('"');
    let mut escaped = false;
    for c in chars {
        out.push(c);
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indents_without_touching_the_values() {
        let text = r#"{"n":12345678901234567890123,"s":"a\"{,}:[","e":[],"o":{ },"l":[1.0,2e3,{"x":null}]}"#;
        let shown = pretty(text).unwrap();
        assert_eq!(
            shown,
            "{\n  \"n\": 12345678901234567890123,\n  \"s\": \"a\\\"{,}:[\",\n  \"e\": [],\n  \"o\": {},\n  \"l\": [\n    \
             1.0,\n    2e3,\n    {\n      \"x\": null\n    }\n  ]\n}"
        );
        assert_eq!(pretty(&shown).unwrap(), shown);
    }

    #[test]
    fn what_is_not_json_stays_what_it_is() {
        for text in ["", "{", "{a:1}", "1 2", "RIFF", "nul"] {
            assert_eq!(pretty(text), None, "{text}");
        }
        assert_eq!(pretty(" 5 ").unwrap(), "5");
    }
}
