//! Where a request goes: path parameters filled in and the query added, so that each value stays where it was put.

use crate::error::{CliError, Result};
use crate::http::UNRESERVED;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// What a written path may not hold as it is. `%` stays: the writer may have encoded something already.
/// A backslash would be read as a slash, and `#` would cut the path off.
const IN_PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The path and query below the gateway's base.
pub fn proxy_target(
    connection: &str,
    path: &str,
    params: &[(String, String)],
    query: &[(String, String)],
) -> Result<String> {
    let filled = fill(path, params)?;
    let (path, own_query) = match filled.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (filled.as_str(), None),
    };
    refuse_steps(path)?;
    let added = query
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)));
    let queries: Vec<_> = own_query
        .map(ToOwned::to_owned)
        .into_iter()
        .filter(|own| !own.is_empty())
        .chain(added)
        .collect();
    let mark = if queries.is_empty() { "" } else { "?" };
    let slash = if path.starts_with('/') { "" } else { "/" };
    if matches!(connection, "." | "..") {
        return Err(CliError::usage(format!(
            "`{connection}` is not a connection"
        )));
    }
    Ok(format!(
        "/connections/{}/proxy{slash}{path}{mark}{}",
        encode(connection),
        queries.join("&")
    ))
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

/// Puts each value, encoded, into its `{name}`. What stands around is kept, made safe for a URL.
fn fill(path: &str, params: &[(String, String)]) -> Result<String> {
    let (mut out, mut rest, mut used) = (String::new(), path, Vec::new());
    while let Some((before, after)) = rest.split_once('{') {
        out.extend(utf8_percent_encode(before, IN_PATH));
        let Some((name, tail)) = after.split_once('}') else {
            return Err(CliError::usage("a `{` in the path is not closed")
                .hint("a literal brace is written %7B"));
        };
        let Some((_, value)) = params.iter().find(|(given, _)| given == name) else {
            return Err(
                CliError::usage(format!("the path's {{{name}}} has no value"))
                    .hint(format!("give it with --pathParam {name}=…")),
            );
        };
        // A value must not become two segments, none, or a step to another place.
        if value.is_empty() || value == "." || value == ".." {
            return Err(
                CliError::usage(format!("--pathParam {name} cannot be `{value}`"))
                    .hint("it must fill one segment of the path"),
            );
        }
        out.push_str(&encode(value));
        used.push(name);
        rest = tail;
    }
    out.extend(utf8_percent_encode(rest, IN_PATH));
    for (index, (name, _)) in params.iter().enumerate() {
        if !used.contains(&name.as_str()) {
            return Err(CliError::usage(format!("the path has no {{{name}}}"))
                .hint(format!("write the path as /…/{{{name}}}")));
        }
        if params[..index].iter().any(|(earlier, _)| earlier == name) {
            return Err(CliError::usage(format!(
                "--pathParam {name} is given twice"
            )));
        }
    }
    Ok(out)
}

/// Every URL library resolves `..`, also when its dots are encoded: the request would leave the app's API, or the
/// gateway's proxy altogether.
fn refuse_steps(path: &str) -> Result<()> {
    let is_step = |segment: &str| {
        let plain = segment.to_ascii_lowercase().replace("%2e", ".");
        plain == "." || plain == ".."
    };
    if path.split('/').any(is_step) {
        return Err(
            CliError::usage("the path must not hold `.` or `..` as a segment")
                .hint("write the whole path from the app's base address"),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn target(path: &str, params: &[(&str, &str)], query: &[(&str, &str)]) -> Result<String> {
        proxy_target("c1", path, &pairs(params), &pairs(query))
    }

    #[test]
    fn a_value_stays_one_segment() {
        for (value, expected) in [
            ("17", "17"),
            ("a/b", "a%2Fb"),
            ("../x", "..%2Fx"),
            ("a?b#c&d", "a%3Fb%23c%26d"),
            ("%2e%2e", "%252e%252e"),
            ("č d", "%C4%8D%20d"),
            ("a\\b", "a%5Cb"),
        ] {
            let made = target("/contacts/{id}.json", &[("id", value)], &[]).unwrap();
            assert_eq!(
                made,
                format!("/connections/c1/proxy/contacts/{expected}.json")
            );
            // And a URL library leaves it there.
            let url = url::Url::parse(&format!("http://h/membrane{made}")).unwrap();
            assert_eq!(url.path(), format!("/membrane{made}"));
        }
        for value in ["", ".", ".."] {
            assert_eq!(
                target("/c/{id}", &[("id", value)], &[])
                    .unwrap_err()
                    .exit_code(),
                2,
                "{value}"
            );
        }
    }

    #[test]
    fn steps_out_of_the_app_are_refused() {
        for path in [
            "/../connections",
            "/a/./b",
            "/a/%2E%2e/b",
            "..",
            "/a/.%2e",
            "a/..",
        ] {
            assert_eq!(target(path, &[], &[]).unwrap_err().exit_code(), 2, "{path}");
        }
        assert!(target("/a/...", &[], &[]).is_ok());
        assert!(target("/a?next=../b", &[], &[]).is_ok());
        assert_eq!(
            target("/a\\..\\b", &[], &[]).unwrap(),
            "/connections/c1/proxy/a%5C..%5Cb"
        );
    }

    #[test]
    fn queries_are_joined_and_encoded() {
        let made = target(
            "/calls?a=1",
            &[],
            &[("q", "x y&z=1"), ("ids[]", "ž+"), ("e", "")],
        )
        .unwrap();
        assert_eq!(
            made,
            "/connections/c1/proxy/calls?a=1&q=x%20y%26z%3D1&ids%5B%5D=%C5%BE%2B&e="
        );
        assert_eq!(
            target("calls?", &[], &[]).unwrap(),
            "/connections/c1/proxy/calls"
        );
    }

    #[test]
    fn a_whole_address_is_passed_on_as_it_is() {
        let made = target("https://api.example.com//x?y=1", &[], &[("z", "2")]).unwrap();
        assert_eq!(
            made,
            "/connections/c1/proxy/https://api.example.com//x?y=1&z=2"
        );
    }

    #[test]
    fn parameters_and_placeholders_must_meet() {
        for (path, params) in [
            ("/{a}", &[][..]),
            ("/x", &[("a", "1")]),
            ("/{a", &[("a", "1")]),
            ("/{a}", &[("a", "1"), ("a", "2")]),
        ] {
            assert_eq!(
                target(path, params, &[]).unwrap_err().exit_code(),
                2,
                "{path}"
            );
        }
    }
}
