//! The command line as a whole: the list of commands, the flags all share, and how a run ends.

use crate::argv;
use crate::commands::{
    act, action, action_run_log, agent_session, connect, connection, connection_request,
    credentials, external_app, integration, login, logout, open, request, search, status, token,
    workspace,
};
use crate::error::{CliError, Result};
use crate::output::Printer;
use crate::session::Session;
use crate::settings::GlobalFlags;
use clap::builder::styling::{AnsiColor, Styles};
use clap::error::ErrorKind;
use clap::{Args, Command, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use std::process::ExitCode;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const PATH: &str = "\
The way to an app, step by step:
  membrane login --tenant --clientName=claude             sign in; without a browser: login complete <code>
  membrane connection ensure \"https://www.cloudtalk.io/\"  find or make the connection; note its id
  membrane connection get <id> --wait                     until it is READY; show uiUrl to the person if there is one
  membrane action list --connectionId=<id> --intent \"send a text message\"
  membrane action run send-sms --connectionId=<id> --input '{\"recipient\": \"+421900000001\", …}'
  membrane request <id> /path/of/the/app                  when no action does it

Every command takes --json for machine-readable output and --help for examples.
Exit codes: 0 done, 1 the gateway or this machine said no, 2 the command line is wrong.";

/// Reach any app through an authorised connection
#[derive(Debug, Parser)]
#[command(name = "membrane", version, styles = STYLES, after_help = PATH, max_term_width = 110,
    disable_help_subcommand = true, arg_required_else_help = true, infer_long_args = false)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Commands,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Print the gateway's answer as JSON; errors too
    #[arg(long, global = true)]
    pub json: bool,
    /// Act in this workspace instead of the default one
    #[arg(long = "workspaceKey", global = true, value_name = "KEY")]
    pub workspace_key: Option<String>,
    /// Act for this tenant instead of the default one
    #[arg(long = "tenantKey", global = true, value_name = "KEY")]
    pub tenant_key: Option<String>,
    /// Gateway to talk to; remembered after login
    #[arg(long = "apiUri", global = true, value_name = "URL")]
    pub api_uri: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Commands {
    Login(login::LoginArgs),
    /// Sign out: end the login at the gateway and forget it here
    Logout,
    /// Show who is logged in, where, and for which workspace and tenant
    Status,
    Open(open::OpenArgs),
    Search(search::SearchArgs),
    Connect(connect::ConnectArgs),
    /// Find, make, watch and change connections
    #[command(subcommand)]
    Connection(connection::ConnectionCommand),
    /// Invitations for a person to connect an app
    #[command(name = "connection-request", subcommand)]
    ConnectionRequest(connection_request::ConnectionRequestCommand),
    /// Find, run and change actions
    #[command(subcommand)]
    Action(action::ActionCommand),
    Act(act::ActArgs),
    /// Records of what actions did
    #[command(name = "action-run-log", subcommand)]
    ActionRunLog(action_run_log::ActionRunLogCommand),
    Request(request::RequestArgs),
    /// The apps this workspace uses
    #[command(subcommand)]
    Integration(integration::IntegrationCommand),
    /// The catalogue of apps
    #[command(name = "external-app", subcommand)]
    ExternalApp(external_app::ExternalAppCommand),
    /// Background sessions that build connections and actions
    #[command(name = "agent-session", subcommand)]
    AgentSession(agent_session::AgentSessionCommand),
    Credentials(credentials::CredentialsArgs),
    Token(token::TokenArgs),
    /// Keep a workspace's elements as files
    #[command(subcommand)]
    Workspace(workspace::WorkspaceCommand),
    #[command(hide = true)]
    Init(workspace::InitArgs),
    #[command(hide = true)]
    Pull,
    #[command(hide = true)]
    Push,
    #[command(hide = true)]
    Diff,
}

pub fn main(words: Vec<String>) -> ExitCode {
    let prepared = argv::prepare(words);
    // A `--json` whose body is broken was no wish for machine-readable output.
    let wants_json = argv::wants_json(&prepared.words) && prepared.broken_json.is_none();
    let outcome = match parse(prepared) {
        Ok(Some(cli)) => {
            let printer = Printer::new(cli.global.json);
            run(cli, printer).map_err(|error| (error, printer))
        }
        Ok(None) => Ok(()),
        Err(error) => Err((error, Printer::new(wants_json))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err((error, printer)) => {
            printer.error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

/// The parsed line; `None` when help or the version was asked for and printed.
fn parse(prepared: argv::Prepared) -> Result<Option<Cli>> {
    let first = match matches(&prepared.words) {
        Err(error)
            if prepared.instead.is_some() && error.kind() == ErrorKind::MissingRequiredArgument =>
        {
            prepared.instead.as_deref().map_or(Err(error), matches)
        }
        other => other,
    };
    match (first, prepared.broken_json) {
        (Ok(cli), _) => Ok(Some(cli)),
        (Err(error), _) if !error.use_stderr() => {
            // Help cut off by `| head` was read as far as somebody wanted.
            let _ = error.print();
            Ok(None)
        }
        (Err(error), Some(text)) if error.kind() == ErrorKind::UnknownArgument => {
            crate::input::json_argument("--json", &text)?;
            Err(usage(&error))
        }
        (Err(error), _) => Err(usage(&error)),
    }
}

fn matches(words: &[String]) -> Result<Cli, clap::Error> {
    let mut command = with_kebab_aliases(Cli::command());
    let matches = command.try_get_matches_from_mut(words)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// `--connection-id` for `--connectionId`: hands used to other tools type it. Not shown.
fn with_kebab_aliases(command: Command) -> Command {
    command
        .mut_args(|arg| match arg.get_long().map(kebab) {
            // Leaked once per flag: the parser wants names that live as long as the program, and so do these.
            Some(Some(alias)) => arg.alias(&*alias.leak()),
            _ => arg,
        })
        .mut_subcommands(with_kebab_aliases)
}

fn kebab(name: &str) -> Option<String> {
    name.contains(|c: char| c.is_ascii_uppercase()).then(|| {
        name.chars().fold(String::new(), |mut out, c| {
            if c.is_ascii_uppercase() {
                out.push('-');
            }
            out.push(c.to_ascii_lowercase());
            out
        })
    })
}

/// The parser's text without its own `error:` and with its last advice as ours.
fn usage(error: &clap::Error) -> CliError {
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let message = text
        .split("\n\nFor more information")
        .next()
        .unwrap_or(text)
        .trim_end();
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return CliError::usage(format!("a command is missing\n\n{message}"));
    }
    CliError::usage(message).hint("add --help to see examples")
}

fn run(cli: Cli, printer: Printer) -> Result<()> {
    let Global {
        workspace_key,
        tenant_key,
        api_uri,
        ..
    } = cli.global;
    let session = Session::new(
        GlobalFlags {
            api_uri,
            workspace_key,
            tenant_key,
        },
        printer,
    )?;
    let session = &session;
    match cli.command {
        Commands::Login(args) => login::run(session, args),
        Commands::Logout => logout::run(session),
        Commands::Status => status::run(session),
        Commands::Open(args) => open::run(session, &args),
        Commands::Search(args) => search::run(session, args),
        Commands::Connect(args) => connect::run(session, args),
        Commands::Connection(command) => connection::run(session, command),
        Commands::ConnectionRequest(command) => connection_request::run(session, command),
        Commands::Action(command) => action::run(session, command),
        Commands::Act(args) => act::run(session, args),
        Commands::ActionRunLog(command) => action_run_log::run(session, command),
        Commands::Request(args) => request::run(session, args),
        Commands::Integration(command) => integration::run(session, command),
        Commands::ExternalApp(command) => external_app::run(session, command),
        Commands::AgentSession(command) => agent_session::run(session, command),
        Commands::Credentials(args) => credentials::run(session, &args),
        Commands::Token(args) => token::run(session, &args),
        Commands::Workspace(command) => workspace::run(session, command),
        Commands::Init(args) => {
            workspace::run_old(session, workspace::WorkspaceCommand::Init(args))
        }
        Commands::Pull => workspace::run_old(session, workspace::WorkspaceCommand::Pull),
        Commands::Push => workspace::run_old(session, workspace::WorkspaceCommand::Push),
        Commands::Diff => workspace::run_old(session, workspace::WorkspaceCommand::Diff),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        with_kebab_aliases(Cli::command()).debug_assert();
    }

    #[test]
    fn kebab_spelling_is_understood() {
        let words = [
            "membrane",
            "action",
            "list",
            "--connection-id",
            "c1",
            "--tenant-key=t",
        ]
        .map(String::from);
        let cli = matches(&words).unwrap();
        assert_eq!(cli.global.tenant_key.as_deref(), Some("t"));
    }
}
