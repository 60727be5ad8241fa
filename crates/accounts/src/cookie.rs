//! The names and attributes of our cookies.

/// The session cookie on plain HTTP. Over HTTPS it carries the `__Host-` prefix, so that no sibling
/// domain can set it.
pub const SESSION_COOKIE: &str = "trunkline_session";

/// How cookies are set: `Secure` exactly when the public address is HTTPS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CookiePolicy {
    pub secure: bool,
}

impl CookiePolicy {
    /// The full name of a cookie under this policy.
    #[must_use]
    pub fn name(self, base: &str) -> String {
        if self.secure {
            format!("__Host-{base}")
        } else {
            base.to_owned()
        }
    }

    /// A `Set-Cookie` value for a cookie that ends with the browser, or after `max_age` seconds.
    #[must_use]
    pub fn set(self, base: &str, value: &str, max_age: Option<i64>) -> String {
        let name = self.name(base);
        let age = max_age
            .map(|seconds| format!("; Max-Age={seconds}"))
            .unwrap_or_default();
        let secure = if self.secure { "; Secure" } else { "" };
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}")
    }

    /// Finds a cookie in the value of a `Cookie` header.
    #[must_use]
    pub fn find(self, base: &str, header: &str) -> Option<String> {
        let name = self.name(base);
        header.split(';').find_map(|pair| {
            let (key, value) = pair.trim().split_once('=')?;
            (key == name && !value.is_empty()).then(|| value.to_owned())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_takes_the_host_prefix_and_secure() {
        let policy = CookiePolicy { secure: true };
        let set = policy.set("a", "1", Some(60));
        assert_eq!(
            set,
            "__Host-a=1; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=60"
        );
        assert_eq!(policy.find("a", "a=evil; __Host-a=1"), Some("1".into()));
        assert_eq!(policy.find("a", "a=evil"), None);
    }
}
