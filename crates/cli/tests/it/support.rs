//! A home folder, a gateway that answers as told, and the binary between them.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

pub const TOKEN: &str = "eyJ.token-that-must-not-leak.sig";

pub struct Bench {
    pub server: MockServer,
    pub home: tempfile::TempDir,
    pub env: Vec<(&'static str, String)>,
}

pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    pub raw: Vec<u8>,
}

impl Bench {
    /// Logged in through the environment.
    pub async fn new() -> Self {
        let mut bench = Self::logged_out().await;
        bench.env.push(("MEMBRANE_ACCESS_TOKEN", TOKEN.into()));
        bench
    }

    pub async fn logged_out() -> Self {
        let server = MockServer::start().await;
        let env = vec![("MEMBRANE_API_URI", format!("{}/membrane", server.uri()))];
        Self {
            server,
            home: tempfile::tempdir().unwrap(),
            env,
        }
    }

    pub async fn answers(&self, verb: &str, at: &str, status: u16, body: Value) {
        self.answers_with(verb, at, ResponseTemplate::new(status).set_body_json(body))
            .await;
    }

    pub async fn answers_with(&self, verb: &str, at: &str, template: ResponseTemplate) {
        Mock::given(method(verb))
            .and(path(format!("/membrane{at}")))
            .respond_with(template)
            .mount(&self.server)
            .await;
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_membrane"));
        command
            .args(args)
            .current_dir(self.home.path())
            .env_clear()
            .env("HOME", self.home.path())
            .stdin(Stdio::null());
        for (name, value) in &self.env {
            command.env(name, value);
        }
        command
    }

    /// Waits for the binary on another thread: the server must go on answering.
    pub async fn run(&self, args: &[&str]) -> Ran {
        let mut command = self.command(args);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap();
        ran(output)
    }

    pub async fn requests(&self) -> Vec<Request> {
        self.server.received_requests().await.unwrap()
    }

    /// The only request that arrived, as `VERB path?query`.
    pub async fn one_line(&self) -> String {
        let requests = self.requests().await;
        assert_eq!(requests.len(), 1, "{requests:?}");
        line(&requests[0])
    }

    pub async fn one_body(&self) -> Value {
        serde_json::from_slice(&self.requests().await[0].body).unwrap()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub fn login_file(&self) -> Value {
        serde_json::from_str(
            &std::fs::read_to_string(self.file(".membrane/credentials.json")).unwrap(),
        )
        .unwrap()
    }
}

pub fn line(request: &Request) -> String {
    let query = request
        .url
        .query()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    format!(
        "{} {}{query}",
        request.method,
        request.url.path().trim_start_matches("/membrane")
    )
}

fn ran(output: Output) -> Ran {
    let ran = Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        raw: output.stdout,
    };
    for text in [&ran.stdout, &ran.stderr] {
        assert!(
            !text.contains("token-that-must-not-leak"),
            "a token was printed: {text}"
        );
        assert!(!text.contains("\u{1b}["), "colour into a pipe: {text}");
    }
    ran
}

impl Ran {
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(
            self.code, 0,
            "stdout: {}\nstderr: {}",
            self.stdout, self.stderr
        );
        self
    }

    #[track_caller]
    pub fn fails(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "stdout: {}\nstderr: {}",
            self.stdout, self.stderr
        );
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }

    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(
            self.stderr.contains(text),
            "no {text:?} in: {}",
            self.stderr
        );
        self
    }
}

#[cfg(unix)]
pub fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

pub fn connection(state: &str) -> Value {
    json!({"id": "con1", "name": "CloudTalk", "key": "cloudtalk", "state": state})
}
