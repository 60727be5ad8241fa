//! As little HTTP/1.1 as a measuring client needs: one kept connection, bodies by length or in chunks.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::Duration,
};

use anyhow::{Context, bail};

/// No answer of a healthy server takes this long.
const PATIENCE: Duration = Duration::from_secs(60);
const LARGEST: u64 = 256 << 20;

/// A kept connection to one server.
pub struct Client {
    host: String,
    base_path: String,
    headers: String,
    stream: Option<BufReader<TcpStream>>,
}

pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Client {
    /// For a base such as `http://127.0.0.1:8080/api`, with the value of its `Authorization`.
    pub fn new(base: &str, authorization: &str) -> anyhow::Result<Self> {
        let rest = base
            .strip_prefix("http://")
            .with_context(|| format!("{base} is not a plain http URL"))?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let path = path.trim_end_matches('/');
        let base_path = if path.is_empty() {
            String::new()
        } else {
            format!("/{path}")
        };
        let headers = format!(
            "Host: {host}\r\nAuthorization: {authorization}\r\nAccept: application/json\r\nUser-Agent: trunkline-bench\r\n"
        );
        Ok(Self {
            host: host.to_owned(),
            base_path,
            headers,
            stream: None,
        })
    }

    pub fn request(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&str>,
    ) -> anyhow::Result<Answer> {
        // The server may have closed a connection that rested; that is no failure, and a second attempt opens another.
        if self.stream.is_some()
            && let Ok(answer) = self.attempt(method, path, body)
        {
            return Ok(answer);
        }
        self.stream = None;
        self.attempt(method, path, body)
            .with_context(|| format!("{method} {path}"))
    }

    fn attempt(&mut self, method: &str, path: &str, body: Option<&str>) -> anyhow::Result<Answer> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(&self.host)
                    .with_context(|| format!("{} can't be reached", self.host))?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                BufReader::with_capacity(64 << 10, stream)
            }
        };
        let mut text = format!(
            "{method} {}/{path} HTTP/1.1\r\n{}",
            self.base_path, self.headers
        );
        match body {
            Some(body) => text.push_str(&format!(
                "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )),
            None => text.push_str("\r\n"),
        }
        stream.get_mut().write_all(text.as_bytes())?;
        let (answer, keep) = read_answer(&mut stream)?;
        self.stream = keep.then_some(stream);
        Ok(answer)
    }
}

fn read_answer(stream: &mut impl BufRead) -> anyhow::Result<(Answer, bool)> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|word| word.parse().ok())
        .with_context(|| format!("not an HTTP answer: {line:?}"))?;
    let (mut length, mut chunked, mut keep) = (0u64, false, true);
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            bail!("the answer ended in its headers");
        }
        let header = line.trim_end();
        if header.is_empty() {
            break;
        }
        let Some((name, value)) = header.split_once(':') else {
            continue;
        };
        match (name.to_ascii_lowercase().as_str(), value.trim()) {
            ("content-length", value) => length = value.parse()?,
            ("transfer-encoding", value) => chunked = value.eq_ignore_ascii_case("chunked"),
            ("connection", value) => keep = !value.eq_ignore_ascii_case("close"),
            _ => {}
        }
    }
    if length > LARGEST {
        bail!("an answer of {length} bytes");
    }
    let mut body = Vec::new();
    if chunked {
        read_chunks(stream, &mut body)?;
    } else {
        stream.take(length).read_to_end(&mut body)?;
        if body.len() as u64 != length {
            bail!("the answer ended early");
        }
    }
    Ok((Answer { status, body }, keep))
}

fn read_chunks(stream: &mut impl BufRead, body: &mut Vec<u8>) -> anyhow::Result<()> {
    let mut line = String::new();
    loop {
        line.clear();
        stream.read_line(&mut line)?;
        let size = line.trim().split(';').next().unwrap_or_default();
        let size =
            u64::from_str_radix(size, 16).with_context(|| format!("not a chunk: {line:?}"))?;
        if body.len() as u64 + size > LARGEST {
            bail!("an answer above {LARGEST} bytes");
        }
        stream.take(size).read_to_end(body)?;
        line.clear();
        stream.read_line(&mut line)?;
        if size == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_by_length_and_in_chunks_are_read_whole() {
        let plain = b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello".as_slice();
        let (answer, keep) = read_answer(&mut BufReader::new(plain)).unwrap();
        assert_eq!(
            (answer.status, answer.body.as_slice(), keep),
            (201, b"hello".as_slice(), true)
        );
        let chunks = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nConnection: close\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n".as_slice();
        let (answer, keep) = read_answer(&mut BufReader::new(chunks)).unwrap();
        assert_eq!((answer.body.as_slice(), keep), (b"hello".as_slice(), false));
    }

    #[test]
    fn an_answer_cut_short_is_an_error() {
        let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello".as_slice();
        assert!(read_answer(&mut BufReader::new(cut)).is_err());
    }
}
