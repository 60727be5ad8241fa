//! The one-request web server a browser comes back to (RFC 8252 §7.3).

use crate::error::{CliError, Result};
use crate::output::clean;
use anyhow::Context as _;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};
use url::Url;

pub struct Loopback {
    listener: TcpListener,
    address: SocketAddr,
}

const PATH: &str = "/callback";
/// A request line and the headers of any browser fit well into this.
const MAX_REQUEST: usize = 16 * 1024;

impl Loopback {
    pub fn bind() -> Result<Self> {
        let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(Self {
                address: listener.local_addr()?,
                listener,
            })
        });
        let hint = "use `membrane login --tenant --non-interactive`";
        bound
            .context("could not listen for the browser")
            .map_err(|error| CliError::local("no_listener", error).hint(hint))
    }

    pub fn redirect_uri(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// Serves until the browser brings a code that belongs to `state`. What else knocks gets an answer and is forgotten:
    /// browsers ask for icons, and other programs of this machine may try the port.
    pub fn wait_for_code(&self, state: &str, limit: Duration) -> Result<String> {
        let end = Instant::now() + limit;
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    if let Some(outcome) = serve(stream, state) {
                        return outcome;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if Instant::now() >= end {
                        return Err(CliError::local(
                            "login_timed_out",
                            anyhow::Error::msg("nobody signed in within 5 minutes"),
                        )
                        .hint("run `membrane login --tenant` again"));
                    }
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(error) => {
                    let error =
                        anyhow::Error::new(error).context("could not listen for the browser");
                    return Err(CliError::local("no_listener", error));
                }
            }
        }
    }
}

/// `None`: that was not the answer we wait for.
fn serve(mut stream: TcpStream, state: &str) -> Option<Result<String>> {
    let target = read_target(&mut stream).ok()?;
    let url = Url::parse("http://127.0.0.1").ok()?.join(&target).ok()?;
    if url.path() != PATH {
        answer(
            &mut stream,
            "404 Not Found",
            "Nothing here",
            "This address only waits for a sign-in.",
        );
        return None;
    }
    let value = |name: &str| {
        url.query_pairs()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    };
    if value("state").as_deref() != Some(state) {
        answer(
            &mut stream,
            "400 Bad Request",
            "Not this sign-in",
            "This answer belongs to another sign-in. Start again from your terminal.",
        );
        return None;
    }
    if let Some(error) = value("error") {
        answer(
            &mut stream,
            "200 OK",
            "Not signed in",
            "The sign-in was refused. You can close this page.",
        );
        let why = value("error_description").unwrap_or(error);
        return Some(Err(CliError::local(
            "login_refused",
            anyhow::Error::msg(clean(&format!("the sign-in was refused: {why}"))),
        )));
    }
    let code = value("code").filter(|code| !code.is_empty());
    let Some(code) = code else {
        answer(
            &mut stream,
            "400 Bad Request",
            "No code",
            "The gateway's answer holds no code. Start again from your terminal.",
        );
        return None;
    };
    answer(
        &mut stream,
        "200 OK",
        "You are signed in",
        "You can close this page and go back to your terminal.",
    );
    Some(Ok(code))
}

/// The target of `GET <target> HTTP/1.1`, headers read and dropped.
fn read_target(stream: &mut TcpStream) -> io::Result<String> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.set_write_timeout(Some(Duration::from_secs(2)))?;
    let (mut request, mut piece) = (Vec::new(), [0; 1024]);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let count = stream.read(&mut piece)?;
        if count == 0 || request.len() + count > MAX_REQUEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        request.extend_from_slice(&piece[..count]);
    }
    let text = String::from_utf8_lossy(&request);
    let mut words = text.split_whitespace();
    match (words.next(), words.next()) {
        (Some("GET"), Some(target)) if target.starts_with('/') => Ok(target.to_owned()),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Nothing from the request goes into the page.
fn answer(stream: &mut TcpStream, status: &str, title: &str, text: &str) {
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>:root{{color-scheme:light dark}}body{{font:1.1rem/1.5 system-ui,sans-serif;\
         max-width:32rem;margin:20vh auto;padding:0 1rem;text-align:center}}</style><h1>{title}</h1><p>{text}</p></html>"
    );
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\ncache-control: no-store\r\n\
         referrer-policy: no-referrer\r\nconnection: close\r\n\r\n",
        page.len()
    );
    // The browser gone: the code arrived all the same.
    let _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(page.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(address: SocketAddr, target: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn only_the_answer_to_our_question_counts() {
        let server = Loopback::bind().unwrap();
        let address = server.address;
        assert!(address.ip().is_loopback());
        let browser = std::thread::spawn(move || {
            let icon = get(address, "/favicon.ico");
            let forged = get(address, "/callback?code=evil&state=guess");
            let good = get(address, "/callback?code=c%2B1&state=s1");
            (icon, forged, good)
        });
        let code = server.wait_for_code("s1", Duration::from_secs(20)).unwrap();
        assert_eq!(code, "c+1");
        let (icon, forged, good) = browser.join().unwrap();
        assert!(icon.starts_with("HTTP/1.1 404"));
        assert!(forged.starts_with("HTTP/1.1 400") && !forged.contains("evil"));
        assert!(good.contains("You are signed in"));
    }

    #[test]
    fn a_refusal_ends_the_wait_with_its_reason() {
        let server = Loopback::bind().unwrap();
        let address = server.address;
        let browser = std::thread::spawn(move || {
            get(
                address,
                "/callback?error=access_denied&error_description=No&state=s",
            )
        });
        let error = server
            .wait_for_code("s", Duration::from_secs(20))
            .unwrap_err();
        assert_eq!(error.message(), "the sign-in was refused: No");
        browser.join().unwrap();
    }

    #[test]
    fn the_wait_ends() {
        let error = Loopback::bind()
            .unwrap()
            .wait_for_code("s", Duration::ZERO)
            .unwrap_err();
        assert_eq!(error.exit_code(), 1);
    }
}
