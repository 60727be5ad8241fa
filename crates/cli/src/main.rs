//! `membrane`: the gateway's command line, for agents and people.
//!
//! It speaks HTTP to a gateway and nothing else: it knows no database, no connector and no secret of an app. What it
//! keeps is a login, in `~/.membrane`. Start at [`app::Cli`], which lists the commands; each has its file under
//! `commands/`. `settings` decides where to and as whom, `session` gets the token, `http` does the call,
//! `output` prints.

mod app;
mod argv;
mod commands;
mod credentials;
mod error;
mod http;
mod input;
mod json_text;
mod jwt;
mod output;
mod pkce;
mod project;
mod secret;
mod session;
mod settings;

use std::process::ExitCode;

fn main() -> ExitCode {
    app::main(
        std::env::args_os()
            .map(|word| word.to_string_lossy().into_owned())
            .collect(),
    )
}
