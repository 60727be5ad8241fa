//! The operator's way into the running server: a Unix socket in the data folder, open to its owner only.
//!
//! One JSON object a line each way: `{"command":"bans.list"}` brings `{"ok":…}` or `{"error":"…"}`. What a command
//! needs besides its name are further members of the same object.

use std::{
    io::{BufRead, BufReader, Write},
    net::IpAddr,
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Value, json};
use sip::{Filter, Message, SipStack, Trace, TraceInfo};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt},
    net::UnixListener,
    sync::{Semaphore, mpsc},
};

mod trunks;

pub use trunks::Carriers;

/// The socket's name in the data folder.
const SOCKET: &str = "control.sock";
/// Longest line taken: a carrier's price list fits.
const LINE: u64 = 8 * 1024 * 1024;
/// Operators served at once.
const CONNECTIONS: usize = 16;

/// What the commands work on.
pub struct Control {
    pub sip: SipStack,
    pub carriers: Carriers,
    /// Takes the limit of a drain; the one who reads it drains and ends the server.
    pub drain: mpsc::Sender<Duration>,
    /// The limit when the command names none.
    pub drain_within: Duration,
}

/// The open socket. Dropping it takes the socket away.
pub struct Listening {
    path: PathBuf,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Serves operators from now on. The data folder must be this server's alone.
///
/// # Errors
/// When the socket can't be made.
pub fn listen(data: &Path, control: Control) -> anyhow::Result<Listening> {
    let path = data.join(SOCKET);
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path)
        .with_context(|| format!("the control socket {} can't be made", path.display()))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    let task = tokio::spawn(serve(listener, Arc::new(control)));
    Ok(Listening { path, task })
}

async fn serve(listener: UnixListener, control: Arc<Control>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let control = Arc::clone(&control);
                tokio::spawn(async move {
                    let (reading, mut writing) = stream.into_split();
                    let mut lines = tokio::io::BufReader::new(reading.take(LINE)).lines();
                    while let Ok(Some(line)) = lines.next_line().await {
                        let reply = match control.answer(&line).await {
                            Ok(value) => json!({ "ok": value }),
                            Err(error) => json!({ "error": error }),
                        };
                        if writing
                            .write_all(format!("{reply}\n").as_bytes())
                            .await
                            .is_err()
                        {
                            break;
                        }
                        lines.get_mut().get_mut().set_limit(LINE);
                    }
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "an operator's connection was not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

impl Control {
    async fn answer(&self, line: &str) -> Result<Value, String> {
        let request: Value =
            serde_json::from_str(line).map_err(|error| format!("no JSON: {error}"))?;
        match request["command"].as_str() {
            Some("bans.list") => Ok(self.bans()),
            Some("audio") => {
                let phone = &self.carriers.phone;
                Ok(json!({ "said": phone.punctuality(), "late": phone.is_late() }))
            }
            Some("bans.lift") => {
                let address: IpAddr = text(&request, "address")?
                    .parse()
                    .map_err(|_| "address: must be an IP address".to_owned())?;
                Ok(json!({ "lifted": self.sip.lift_ban(address) }))
            }
            Some("drain") => {
                let within = match request.get("seconds") {
                    None | Some(Value::Null) => self.drain_within,
                    Some(value) => Duration::from_secs(
                        value.as_u64().ok_or("seconds: must be a whole number")?,
                    ),
                };
                self.drain
                    .try_send(within)
                    .map_err(|_| "the server is draining already".to_owned())?;
                Ok(json!({ "within_seconds": within.as_secs() }))
            }
            Some("trace.start") => self.start_trace(&request),
            Some("trace.list") => Ok(self.traces()),
            Some("trace.show") => self.show_trace(&request),
            Some("trace.stop") => {
                let trace = self.sip.stop_trace(number(&request, "id")?);
                trace.map(|trace| told(&trace)).ok_or_else(no_trace)
            }
            Some("trace.call") => {
                let messages = self.sip.signalling(text(&request, "call")?);
                Ok(json!({ "messages": messages_json(&messages) }))
            }
            Some(other) => match self.carriers.answer(other, &request).await {
                Some(answer) => answer,
                None => Err(format!("no such command: {other}")),
            },
            None => Err("command: is missing".to_owned()),
        }
    }

    fn start_trace(&self, request: &Value) -> Result<Value, String> {
        let filter = match text(request, "by")? {
            "all" => Filter::All,
            "number" => Filter::Number(text(request, "value")?.to_owned()),
            "device" => Filter::Device(text(request, "value")?.to_owned()),
            "call" => Filter::Call(text(request, "value")?.to_owned()),
            _ => return Err("by: must be number, device, call or all".to_owned()),
        };
        let lasting = Duration::from_secs(number(request, "seconds")?);
        let started = self.sip.start_trace(filter, lasting);
        let id = started.map_err(|error| error.to_string())?;
        Ok(json!({ "id": id }))
    }

    fn traces(&self) -> Value {
        Value::Array(self.sip.traces().iter().map(info).collect())
    }

    fn show_trace(&self, request: &Value) -> Result<Value, String> {
        let skip = request["skip"].as_u64().unwrap_or(0);
        let trace = self.sip.trace(number(request, "id")?, skip);
        trace.map(|trace| told(&trace)).ok_or_else(no_trace)
    }

    fn bans(&self) -> Value {
        let bans = self.sip.bans();
        let all = bans.iter().map(|ban| {
            json!({
                "address": ban.source,
                "account": ban.account,
                "until": ban.until,
                "step": ban.step,
            })
        });
        Value::Array(all.collect())
    }
}

fn no_trace() -> String {
    "there is no such trace; `trunkline trace list` shows those there are".to_owned()
}

fn told(trace: &Trace) -> Value {
    let mut told = info(&trace.info);
    told["collected"] = messages_json(&trace.messages);
    told
}

fn info(info: &TraceInfo) -> Value {
    let (by, value) = match &info.filter {
        Filter::All => ("all", None),
        Filter::Number(number) => ("number", Some(number)),
        Filter::Device(device) => ("device", Some(device)),
        Filter::Call(call) => ("call", Some(call)),
    };
    json!({
        "id": info.id,
        "by": by,
        "value": value,
        "started_at": info.started_at,
        "until": info.until,
        "running": info.running,
        "messages": info.messages,
        "dropped": info.dropped,
    })
}

/// Octets as base64: a message need not be text.
fn messages_json(messages: &[Arc<Message>]) -> Value {
    let all = messages.iter().map(|message| {
        json!({
            "at": message.at,
            "sent": message.sent,
            "transport": message.transport,
            "local": message.local,
            "remote": message.remote,
            "octets": BASE64.encode(&message.octets),
        })
    });
    Value::Array(all.collect())
}

/// The operator's end of [`messages_json`].
///
/// # Errors
/// When the server speaks another version of this protocol.
pub fn messages_of(value: &Value) -> anyhow::Result<Vec<Message>> {
    let all = value.as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter()
        .map(|one| {
            Ok(Message {
                at: serde_json::from_value(one["at"].clone())?,
                sent: one["sent"].as_bool().unwrap_or_default(),
                transport: serde_json::from_value(one["transport"].clone())?,
                local: serde_json::from_value(one["local"].clone())?,
                remote: serde_json::from_value(one["remote"].clone())?,
                octets: BASE64
                    .decode(one["octets"].as_str().unwrap_or_default())?
                    .into(),
            })
        })
        .collect::<anyhow::Result<_>>()
        .context("the server runs another version of trunkline than this command")
}

fn number(request: &Value, name: &str) -> Result<u64, String> {
    request[name]
        .as_u64()
        .ok_or_else(|| format!("{name}: must be a whole number"))
}

fn text<'a>(request: &'a Value, name: &str) -> Result<&'a str, String> {
    request[name]
        .as_str()
        .ok_or_else(|| format!("{name}: must be a text"))
}

/// The operator's end of the socket.
pub struct Operator {
    stream: UnixStream,
}

impl Operator {
    /// Reaches the server that runs on a data folder.
    ///
    /// # Errors
    /// When none does, or its socket is not ours to open.
    pub fn reach(data: &Path) -> anyhow::Result<Self> {
        let path = data.join(SOCKET);
        let stream = UnixStream::connect(&path).with_context(|| {
            format!(
                "no server can be reached at {}; is it running, and is this its data folder (--data)?",
                path.display()
            )
        })?;
        Ok(Self { stream })
    }

    /// Asks for one command and waits for what it says.
    ///
    /// # Errors
    /// When the server refuses, or goes away.
    pub fn ask(&mut self, request: &Value) -> anyhow::Result<Value> {
        writeln!(self.stream, "{request}").context("the server went away")?;
        let mut line = String::new();
        BufReader::new(&self.stream)
            .read_line(&mut line)
            .context("the server went away")?;
        let mut reply: Value =
            serde_json::from_str(&line).context("the server said nothing of use")?;
        match reply["error"].as_str() {
            Some(error) => anyhow::bail!("the server says: {error}"),
            None => Ok(reply["ok"].take()),
        }
    }

    /// Waits until the server has ended.
    pub fn wait_for_the_end(&mut self) {
        let mut line = String::new();
        let _ = BufReader::new(&self.stream).read_line(&mut line);
    }
}
