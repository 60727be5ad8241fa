//! The one place where the published command line says two things with one word.
//!
//! `--json` asks for machine-readable output everywhere; on `request` it also carries a JSON body. Here the word is
//! told apart before the parser sees it: a following word that is JSON is the body, anything else stays a positional.

use crate::json_text;

/// The hidden flag that stands for `--json BODY` on `request`.
pub const BODY_FLAG: &str = "--jsonBody";

/// Flags that take the next word as their value, before or on `request`.
const TAKES_VALUE: &[&str] = &[
    "-X",
    "--method",
    "-H",
    "--header",
    "-d",
    "--data",
    "--query",
    "--pathParam",
    "--path-param",
    "--output",
    "-o",
    "--workspaceKey",
    "--workspace-key",
    "--tenantKey",
    "--tenant-key",
    "--apiUri",
    "--api-uri",
];

/// The words to parse, and what to try when they do not fit.
#[derive(Debug, PartialEq, Eq)]
pub struct Prepared {
    pub words: Vec<String>,
    /// Here a bare number, `true`, `false` or `null` after `--json` was a positional after all (an id may be all digits).
    pub instead: Option<Vec<String>>,
    /// Looked like a JSON body but is none; named when the line does not parse.
    pub broken_json: Option<String>,
}

pub fn prepare(words: Vec<String>) -> Prepared {
    let Some(start) = request_at(&words) else {
        return Prepared {
            words,
            instead: None,
            broken_json: None,
        };
    };
    let (main, broken_json, scalar) = rewrite(&words, start, true);
    let instead = scalar.then(|| rewrite(&words, start, false).0);
    Prepared {
        words: main,
        instead,
        broken_json,
    }
}

/// Where `request` stands, if that is the command.
fn request_at(words: &[String]) -> Option<usize> {
    let mut index = 1;
    while let Some(word) = words.get(index) {
        match word.as_str() {
            "request" => return Some(index),
            flag if TAKES_VALUE.contains(&flag) => index += 2,
            flag if flag.starts_with('-') && flag != "--" => index += 1,
            _ => return None,
        }
    }
    None
}

fn rewrite(
    words: &[String],
    start: usize,
    scalars_are_bodies: bool,
) -> (Vec<String>, Option<String>, bool) {
    let mut out = words[..=start].to_vec();
    let (mut broken, mut scalar) = (None, false);
    let mut rest = words[start + 1..].iter();
    while let Some(word) = rest.next() {
        if word == "--" {
            out.push(word.clone());
            out.extend(rest.cloned());
            break;
        }
        if let Some(value) = word.strip_prefix("--json=") {
            out.push(format!("{BODY_FLAG}={value}"));
        } else if word == "--json" {
            let next = rest.clone().next();
            match next {
                Some(text) if json_text::is_json(text) => {
                    let bare = !text.trim_start().starts_with(['{', '[', '"']);
                    scalar |= bare;
                    if bare && !scalars_are_bodies {
                        out.push(word.clone());
                    } else {
                        out.push(format!("{BODY_FLAG}={text}"));
                        rest.next();
                    }
                }
                other => {
                    broken = broken.or_else(|| {
                        other
                            .filter(|text| text.starts_with(['{', '[', '"']))
                            .cloned()
                    });
                    out.push(word.clone());
                }
            }
        } else {
            out.push(word.clone());
            if TAKES_VALUE.contains(&word.as_str()) {
                out.extend(rest.next().cloned());
            }
        }
    }
    (out, broken, scalar)
}

/// Whether `--json` was given as the output switch, for errors of lines that did not parse.
pub fn wants_json(words: &[String]) -> bool {
    words
        .iter()
        .take_while(|word| *word != "--")
        .any(|word| word == "--json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> Vec<String> {
        line.split(' ').map(|word| word.replace('_', " ")).collect()
    }

    fn rewritten(line: &str) -> String {
        prepare(split(line)).words.join(" ")
    }

    #[test]
    fn json_on_request_is_body_or_switch() {
        for (line, expected) in [
            (
                "m request c /p --json {\"a\":1}",
                "m request c /p --jsonBody={\"a\":1}",
            ),
            (
                "m request c --json {\"a\":1} /p --json",
                "m request c --jsonBody={\"a\":1} /p --json",
            ),
            ("m request --json c /p", "m request --json c /p"),
            ("m request c /p --json", "m request c /p --json"),
            ("m request c /p --json=[1]", "m request c /p --jsonBody=[1]"),
            (
                "m request c /p --json -X POST",
                "m request c /p --json -X POST",
            ),
            ("m request c /p -d --json {}", "m request c /p -d --json {}"),
            ("m request c /p -- --json {}", "m request c /p -- --json {}"),
            ("m --json request c /p", "m --json request c /p"),
            (
                "m --tenantKey request request c /p --json {}",
                "m --tenantKey request request c /p --jsonBody={}",
            ),
            (
                "m action run request --json {}",
                "m action run request --json {}",
            ),
        ] {
            assert_eq!(rewritten(line), expected, "{line}");
        }
    }

    #[test]
    fn a_word_of_digits_may_be_an_id() {
        let prepared = prepare(split("m request --json 123456789012345678901234 /p"));
        assert_eq!(
            prepared.words.join(" "),
            "m request --jsonBody=123456789012345678901234 /p"
        );
        assert_eq!(
            prepared.instead.unwrap().join(" "),
            "m request --json 123456789012345678901234 /p"
        );
    }

    #[test]
    fn a_broken_body_is_remembered() {
        assert_eq!(
            prepare(split("m request c /p --json {a:1}"))
                .broken_json
                .as_deref(),
            Some("{a:1}")
        );
        assert_eq!(prepare(split("m request c /p --json /x")).broken_json, None);
    }
}
