//! Where to go after signing in: somewhere on this site, or home.

use url::Url;

/// The path as given when it stays on this site, `/` otherwise.
///
/// Browsers read `//host`, `/\host` and paths with tabs or line ends inside as other sites, so the string
/// has to be plain before a parser is even asked.
pub(crate) fn same_site(base: &Url, path: &str) -> String {
    let plain = path.starts_with('/')
        && !path.starts_with("//")
        && path.len() <= 8000
        && path
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let stays = plain
        && base
            .join(path)
            .is_ok_and(|url| url.origin() == base.origin());
    if stays {
        path.to_owned()
    } else {
        "/".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_site_are_followed() {
        let base = Url::parse("https://phone.example.test").expect("url");
        for good in [
            "/",
            "/calls?x=1",
            "/membrane/oauth/authorize?redirect_uri=http%3A%2F%2F127.0.0.1%3A1%2Fcb",
        ] {
            assert_eq!(same_site(&base, good), good);
        }
        for bad in [
            "",
            "https://evil.test/",
            "//evil.test",
            "/\\evil.test",
            "\\/evil.test",
            "/\t/evil.test",
            "/\n/evil.test",
            " //evil.test",
            "javascript:alert(1)",
            "evil.test",
            "/a\r\nSet-Cookie: x=1",
            "/\u{2215}\u{2215}evil.test",
        ] {
            assert_eq!(same_site(&base, bad), "/", "{bad:?}");
        }
    }
}
