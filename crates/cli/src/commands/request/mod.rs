//! `membrane request`: anything an app's API offers, through the connection.
//!
//! Everything goes by the path form, `{METHOD} /connections/{id}/proxy/{path}`: it carries any body byte for byte and
//! any answer as a stream. (The gateway's JSON form, `POST /connections/{id}/request`, has no place for raw bytes.)

mod answer;
mod target;

use crate::error::{CliError, Result};
use crate::http::Method;
use crate::input::{header, json_argument, pair, read_named, selector};
use crate::json_text;
use crate::session::Session;
use clap::Args;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  membrane request con_123 /agents/index.json
  membrane request con_123 /calls/index.json --query limit=5 --query status=missed --json
  membrane request con_123 /contacts/add.json -X PUT --json '{\"name\": \"Ada Example\"}'
  membrane request con_123 /contacts/show/{id}.json --pathParam id=17
  membrane request con_123 /calls/recording/1.json --output call.wav
  membrane request con_123 /upload -X POST -H \"Content-Type: audio/wav\" -d @greeting.wav

--json followed by JSON sends it as the body, with its content type. --json alone prints
{status, headers, data} instead of the bare answer. Both may be given.

-d sends JSON as JSON and other text as text; -d @FILE sends a file, -d @- standard input. With --rawData
the text goes as it is: nothing is guessed and a leading @ is just an @.

Exit code 1 when the app answers outside 2xx; its answer is printed all the same.";

/// Send a request to the app's own API, with the connection's credential added
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct RequestArgs {
    /// Id or key of the connection
    #[arg(value_name = "CONNECTION_ID", value_parser = selector)]
    connection: String,
    /// Path below the app's base address; {name} is filled by --pathParam
    #[arg(value_parser = selector)]
    path: String,
    /// GET, POST, PUT, PATCH or DELETE
    #[arg(short = 'X', long, default_value = "GET", ignore_case = true, hide_possible_values = true,
        value_parser = ["GET", "POST", "PUT", "PATCH", "DELETE"])]
    method: String,
    /// Header to send along, repeatable
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// Body; @FILE or @- reads it
    #[arg(short, long, value_name = "BODY", allow_hyphen_values = true)]
    data: Option<String>,
    /// Send the body as it is, without any processing
    // A value is accepted too, for those who read it as another way to give the body.
    #[arg(long = "rawData", value_name = "BODY", num_args = 0..=1, require_equals = true, default_missing_value = "", hide_default_value = true)]
    raw_data: Option<String>,
    /// The body of `--json BODY`; see `argv`.
    #[arg(
        long = "jsonBody",
        hide = true,
        conflicts_with = "data",
        allow_hyphen_values = true
    )]
    json_body: Option<String>,
    /// Query parameter, repeatable
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair, allow_hyphen_values = true)]
    query: Vec<(String, String)>,
    /// Value for a {name} in the path, repeatable
    #[arg(long = "pathParam", value_name = "NAME=VALUE", value_parser = pair, allow_hyphen_values = true)]
    path_params: Vec<(String, String)>,
    /// Write the answer's body to a file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Headers that belong to the exchange with the gateway; what a person puts there would not arrive.
const NOT_OURS_TO_SEND: &[&str] = &[
    "authorization",
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
];

pub fn run(session: &Session, args: RequestArgs) -> Result<()> {
    let target =
        target::proxy_target(&args.connection, &args.path, &args.path_params, &args.query)?;
    if let Some((name, _)) = args
        .headers
        .iter()
        .find(|(name, _)| NOT_OURS_TO_SEND.contains(&name.to_ascii_lowercase().as_str()))
    {
        return Err(CliError::usage(format!(
            "the header {name} cannot be set: it belongs to the exchange with the gateway"
        ))
        .hint("the gateway adds the connection's own credential by itself"));
    }
    let body = Body::from_args(&args)?;
    let method = Method::from_bytes(args.method.to_ascii_uppercase().as_bytes())
        .expect("one of the five allowed words");
    if body.is_some() && method == Method::GET {
        session.printer.warning(
            "a body is sent with GET; add -X POST, PUT or PATCH if the app shall store it",
        );
    }
    let has_type = args
        .headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let token = session.token()?;
    let received = session.http()?.open(
        method,
        &target,
        |mut request| {
            for (name, value) in &args.headers {
                request = request.header(name, value);
            }
            match body {
                None => request,
                Some(Body {
                    bytes,
                    content_type: Some(kind),
                }) if !has_type => request.header("content-type", kind).body(bytes),
                Some(Body { bytes, .. }) => request.body(bytes),
            }
        },
        token,
    )?;
    answer::print(session, received, args.output.as_deref())
}

struct Body {
    bytes: Vec<u8>,
    content_type: Option<&'static str>,
}

const JSON: &str = "application/json";

impl Body {
    fn from_args(args: &RequestArgs) -> Result<Option<Self>> {
        if let Some(json) = &args.json_body {
            if args.raw_data.is_some() {
                return Err(
                    CliError::usage("--json BODY and --rawData exclude each other")
                        .hint("use -d BODY --rawData"),
                );
            }
            let text = json_argument("--json", json)?;
            return Ok(Some(Self {
                bytes: text.into_bytes(),
                content_type: Some(JSON),
            }));
        }
        match (args.data.as_deref(), args.raw_data.as_deref()) {
            (None, None) => Ok(None),
            (None, Some("")) => Err(CliError::usage(
                "--rawData says how to send a body, but there is none",
            )
            .hint("give the body with -d")),
            (Some(_), Some(text)) if !text.is_empty() => {
                Err(CliError::usage("there are two bodies: -d and --rawData=…"))
            }
            (Some(text), Some(_)) | (None, Some(text)) => Ok(Some(Self {
                bytes: text.into(),
                content_type: None,
            })),
            (Some(text), None) => Self::processed(text).map(Some),
        }
    }

    /// `@FILE` is read; what is JSON says so; the rest is text when it is text.
    fn processed(text: &str) -> Result<Self> {
        let bytes = match text.strip_prefix('@') {
            None => text.as_bytes().to_vec(),
            Some(name) => read_named(name)
                .map_err(|error| error.hint("add --rawData to send text that begins with @"))?,
        };
        let content_type = match std::str::from_utf8(&bytes) {
            Ok(text) if json_text::is_json(text) => JSON,
            Ok(_) => "text/plain; charset=utf-8",
            Err(_) => "application/octet-stream",
        };
        Ok(Self {
            bytes,
            content_type: Some(content_type),
        })
    }
}
