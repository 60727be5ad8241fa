//! `trunkline trunk`: the carriers of this installation.

use std::{io::Read, path::PathBuf, process::ExitCode};

use anstream::println;
use anyhow::Context;
use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::ConfigArgs;
use crate::control::Operator;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show all trunks and whether they work
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Show one trunk: settings, state and its latest changes
    Show {
        name: String,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Add a trunk
    Add {
        /// What it is called, without spaces
        name: String,
        /// Only this company uses it (name or id); all do otherwise
        #[arg(long)]
        company: Option<String>,
        #[command(flatten)]
        settings: Box<SettingsArgs>,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Change what is named, and leave the rest as it is
    Change {
        name: String,
        #[command(flatten)]
        settings: Box<SettingsArgs>,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Remove a trunk; calls that run through it go on
    Remove {
        name: String,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Try a trunk now: registered or answering, or why not and what to do
    Test {
        name: String,
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Replace a trunk's price list: lines of prefix,price per minute[,step in seconds]
    Prices {
        name: String,
        /// The list; - reads stdin
        file: PathBuf,
        #[command(flatten)]
        config: ConfigArgs,
    },
}

/// What may be said of a trunk. Each flag is one member of its settings.
#[derive(Debug, clap::Args)]
struct SettingsArgs {
    /// The carrier's host[:port]
    #[arg(long, value_name = "HOST")]
    server: Option<String>,
    /// udp, tcp or tls [default: as the carrier's DNS says, else udp]
    #[arg(long, value_parser = ["udp", "tcp", "tls"])]
    transport: Option<String>,
    /// Send everything here instead
    #[arg(long, value_name = "HOST")]
    outbound_proxy: Option<String>,
    /// Our user at the carrier
    #[arg(long)]
    username: Option<String>,
    /// The user of digests where it differs
    #[arg(long)]
    auth_username: Option<String>,
    /// File with the password; - reads stdin
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Register with the carrier
    #[arg(long)]
    register: Option<bool>,
    /// The domain of From
    #[arg(long)]
    domain: Option<String>,
    /// Networks its calls come from
    #[arg(long = "source", value_name = "CIDR")]
    sources: Vec<String>,
    /// How it writes numbers, both ways
    #[arg(long, value_parser = ["plus", "digits", "double_zero", "national"])]
    numbers: Option<String>,
    /// Whose national numbers it uses, such as SK
    #[arg(long)]
    country: Option<String>,
    /// Believe what it says about callers
    #[arg(long)]
    trusted: Option<bool>,
    /// Whether it takes outgoing calls
    #[arg(long)]
    outbound: Option<bool>,
    /// Whether it takes emergency calls
    #[arg(long)]
    emergency: Option<bool>,
    /// Outgoing calls at once
    #[arg(long, value_name = "N")]
    max_calls: Option<u32>,
    /// Outgoing calls begun within a second
    #[arg(long, value_name = "N")]
    max_per_second: Option<u32>,
    /// Minutes of outgoing talk in a day
    #[arg(long, value_name = "N")]
    max_minutes: Option<u32>,
    /// Destinations it may be used for
    #[arg(long = "allow", value_name = "PREFIX")]
    allowed: Vec<String>,
    /// Destinations it may not be used for
    #[arg(long = "deny", value_name = "PREFIX")]
    denied: Vec<String>,
    /// Seconds between OPTIONS requests; 0 asks none
    #[arg(long, value_name = "SECONDS")]
    keep_alive: Option<u32>,
    /// Use it or leave it alone
    #[arg(long)]
    enabled: Option<bool>,
    /// Further settings as JSON (docs/carriers.md names them all)
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::List { json, config } => {
            let trunks = ask(&config, &json!({"command": "trunk.list"}))?;
            if json {
                println!("{trunks:#}");
            } else {
                list(trunks.as_array().map(Vec::as_slice).unwrap_or_default());
            }
        }
        Command::Show { name, config } => {
            let trunk = ask(&config, &json!({"command": "trunk.show", "name": name}))?;
            println!("{trunk:#}");
        }
        Command::Add {
            name,
            company,
            settings,
            config,
        } => {
            let mut request = json!({"command": "trunk.add", "name": name, "settings": {}});
            if let Some(company) = company {
                request["company"] = company.into();
            }
            settings.put_into(&mut request)?;
            ask(&config, &request)?;
            println!("added {name}; trunkline trunk test {name} tries it");
        }
        Command::Change {
            name,
            settings,
            config,
        } => {
            let known = ask(&config, &json!({"command": "trunk.show", "name": name}))?;
            let mut request =
                json!({"command": "trunk.change", "name": name, "settings": known["settings"]});
            settings.put_into(&mut request)?;
            ask(&config, &request)?;
            println!("changed {name}");
        }
        Command::Remove { name, config } => {
            ask(&config, &json!({"command": "trunk.remove", "name": name}))?;
            println!("removed {name}");
        }
        Command::Test { name, json, config } => {
            let report = ask(&config, &json!({"command": "trunk.test", "name": name}))?;
            if json {
                println!("{report:#}");
            } else {
                told(&name, &report);
            }
            if report["ok"] != Value::Bool(true) {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Prices { name, file, config } => {
            let list = read(&file)?;
            let request = json!({"command": "trunk.prices", "name": name, "list": list});
            let reply = ask(&config, &request)?;
            println!("{} prices", reply["prices"]);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn ask(config: &ConfigArgs, request: &Value) -> anyhow::Result<Value> {
    Operator::reach(&config.load()?.data)?.ask(request)
}

fn read(file: &PathBuf) -> anyhow::Result<String> {
    if file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    std::fs::read_to_string(file).with_context(|| format!("{} can't be read", file.display()))
}

impl SettingsArgs {
    /// Writes what was given over what the request's settings say.
    fn put_into(self, request: &mut Value) -> anyhow::Result<()> {
        if let Some(file) = &self.settings {
            let further: Map<String, Value> = serde_json::from_str(&read(file)?)
                .with_context(|| format!("{} is not a JSON object", file.display()))?;
            if let Some(settings) = request["settings"].as_object_mut() {
                settings.extend(further);
            }
        }
        let settings = &mut request["settings"];
        for (name, value) in [
            ("server", self.server),
            ("transport", self.transport),
            ("outbound_proxy", self.outbound_proxy),
            ("username", self.username),
            ("auth_username", self.auth_username),
            ("domain", self.domain),
            ("country", self.country),
        ] {
            if let Some(value) = value {
                settings[name] = value.into();
            }
        }
        for (name, value) in [
            ("trusted", self.trusted),
            ("outbound", self.outbound),
            ("emergency", self.emergency),
        ] {
            if let Some(value) = value {
                settings[name] = value.into();
            }
        }
        if let Some(register) = self.register {
            settings["register"] = if register { json!({}) } else { Value::Null };
        }
        if let Some(style) = self.numbers {
            settings["numbers_out"]["style"] = style.clone().into();
            settings["numbers_in"]["style"] = style.into();
        }
        if let Some(seconds) = self.keep_alive {
            settings["keep_alive_seconds"] = seconds.into();
        }
        if !self.sources.is_empty() {
            settings["sources"] = self.sources.into();
        }
        for (name, value) in [
            ("concurrent", self.max_calls),
            ("per_second", self.max_per_second),
            ("minutes_per_day", self.max_minutes),
        ] {
            if let Some(value) = value {
                settings["limits"][name] = value.into();
            }
        }
        for (name, prefixes) in [("allowed", self.allowed), ("denied", self.denied)] {
            if !prefixes.is_empty() {
                settings["limits"][name] = prefixes.into();
            }
        }
        if let Some(file) = &self.password_file {
            request["password"] = read(file)?.trim_end_matches(['\r', '\n']).into();
        }
        if let Some(enabled) = self.enabled {
            request["enabled"] = enabled.into();
        }
        Ok(())
    }
}

fn list(trunks: &[Value]) {
    if trunks.is_empty() {
        println!("there are no trunks; trunkline trunk add makes one");
    }
    for trunk in trunks {
        let word = |name: &str| trunk[name].as_str().unwrap_or("all companies").to_owned();
        println!(
            "{:<20} {:<12} {:<28} {:<20} {} calls  {}",
            word("name"),
            word("state"),
            word("server"),
            word("company"),
            trunk["calls"],
            word("detail"),
        );
    }
}

fn told(name: &str, report: &Value) {
    for step in report["steps"].as_array().into_iter().flatten() {
        let mark = if step["ok"] == Value::Bool(true) {
            "ok  "
        } else {
            "FAIL"
        };
        let word = |name: &str| step[name].as_str().unwrap_or_default().to_owned();
        println!("{mark} {:<9} {}", word("step"), word("found"));
        if let Some(hint) = step["hint"].as_str() {
            println!("     hint: {hint}");
        }
    }
    if report["ok"] == Value::Bool(true) {
        println!("{name} works");
    } else {
        println!("{name} does not work");
    }
}
