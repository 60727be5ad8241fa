//! The phone system's own API: people to ring, numbers to dial, calls and recordings to judge.

use std::{collections::HashMap, thread};

use anyhow::{Context, bail};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{demo::Demo, http::Client};

pub struct Api {
    client: Client,
}

/// Somebody who can be rung: the name and password of his phone.
#[derive(Clone)]
pub struct Agent {
    pub username: String,
    pub password: String,
}

/// What the list of calls says of one.
#[derive(Clone, Debug)]
pub struct Listed {
    pub id: String,
    pub talking_seconds: u64,
    pub recorded: bool,
    pub ended: bool,
}

pub fn basic(demo: &Demo) -> String {
    format!(
        "Basic {}",
        STANDARD.encode(format!(
            "{}:{}",
            demo.cloudtalk.key_id, demo.cloudtalk.key_secret
        ))
    )
}

impl Api {
    pub fn new(demo: &Demo) -> anyhow::Result<Self> {
        Ok(Self {
            client: Client::new(&demo.cloudtalk.base_url, &basic(demo))?,
        })
    }

    fn ask(&mut self, method: &str, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let body = body.map(|body| body.to_string());
        let answer = self.client.request(method, path, body.as_deref())?;
        if !(200..300).contains(&answer.status) {
            bail!(
                "{method} {path}: {} {}",
                answer.status,
                String::from_utf8_lossy(&answer.body)
            );
        }
        let value: Value = serde_json::from_slice(&answer.body)
            .with_context(|| format!("{method} {path}: not JSON"))?;
        Ok(value["responseData"].clone())
    }

    /// The id of the group of this name.
    pub fn group(&mut self, name: &str) -> anyhow::Result<i64> {
        let groups = self.ask("GET", "groups/index.json?limit=1000", None)?;
        let groups = groups["data"].as_array().cloned().unwrap_or_default();
        let found = groups
            .iter()
            .map(|item| &item["Group"])
            .find(|group| group["internal_name"] == name);
        let id = found.and_then(|group| group["id"].as_str()?.parse().ok());
        id.with_context(|| format!("there is no group {name}"))
    }

    /// Makes a number ring a group without a menu before it.
    pub fn route_to_group(&mut self, e164: &str, group: i64) -> anyhow::Result<()> {
        let numbers = self.ask("GET", "numbers/index.json?limit=1000", None)?;
        let numbers = numbers["data"].as_array().cloned().unwrap_or_default();
        let found = numbers
            .iter()
            .map(|item| &item["CallNumber"])
            .find(|number| number["caller_id_e164"] == e164);
        let id = found
            .and_then(|number| number["id"].as_str())
            .with_context(|| format!("there is no number {e164}"))?;
        self.ask(
            "POST",
            &format!("numbers/edit/{id}.json"),
            Some(json!({"connected_to": 0, "source_id": group})),
        )?;
        Ok(())
    }

    /// Adds an agent with this password to a group; the id of the agent.
    fn add_agent(&mut self, place: usize, password: &str, group: i64) -> anyhow::Result<i64> {
        let agent = json!({
            "email": format!("load.{place}@bench.example"),
            "firstname": "Load",
            "lastname": format!("Number {place}"),
            "pass": password,
        });
        let added = self.ask("PUT", "agents/add.json", Some(agent))?;
        let id = added["data"]["id"]
            .as_i64()
            .context("no id came back for a new agent")?;
        self.ask(
            "PUT",
            "groups/add.json",
            Some(json!({"group_id": group, "agent_id": id})),
        )?;
        Ok(id)
    }

    /// The agents that earlier steps added.
    pub fn agents(&mut self, password: &str) -> anyhow::Result<Vec<Agent>> {
        let mut found = Vec::new();
        for page in 1.. {
            let agents = self.ask(
                "GET",
                &format!("agents/index.json?limit=1000&page={page}"),
                None,
            )?;
            let data = agents["data"].as_array().cloned().unwrap_or_default();
            for agent in data.iter().map(|item| &item["Agent"]) {
                let ours = agent["email"]
                    .as_str()
                    .is_some_and(|email| email.ends_with("@bench.example"));
                if let (true, Some(username)) = (ours, agent["name"].as_str()) {
                    found.push(Agent {
                        username: username.to_owned(),
                        password: password.to_owned(),
                    });
                }
            }
            if page >= agents["pageCount"].as_u64().unwrap_or(1) {
                break;
            }
        }
        Ok(found)
    }

    /// How many of the agents that earlier steps added are switched off.
    pub fn agents_offline(&mut self) -> anyhow::Result<usize> {
        let agents = self.ask("GET", "agents/index.json?limit=1000", None)?;
        let data = agents["data"].as_array().cloned().unwrap_or_default();
        Ok(data
            .iter()
            .filter(|item| item["Agent"]["availability_status"] == "offline")
            .count())
    }

    /// An edit that changes nothing, after which the queues have read the company anew.
    pub fn nudge(&mut self) -> anyhow::Result<()> {
        let agents = self.ask("GET", "agents/index.json?limit=1", None)?;
        let agent = &agents["data"][0]["Agent"];
        let id = agent["id"].as_str().context("there is no agent")?;
        let same = json!({"firstname": agent["firstname"], "lastname": agent["lastname"], "email": agent["email"]});
        self.ask("POST", &format!("agents/edit/{id}.json"), Some(same))?;
        Ok(())
    }

    /// Calls by their caller's number, newest first, as many as asked.
    pub fn calls(&mut self, at_least: usize) -> anyhow::Result<HashMap<String, Listed>> {
        let mut found = HashMap::new();
        for page in 1..=at_least.div_ceil(1000).max(1) {
            let calls = self.ask(
                "GET",
                &format!("calls/index.json?limit=1000&page={page}"),
                None,
            )?;
            for item in calls["data"].as_array().cloned().unwrap_or_default() {
                let cdr = &item["Cdr"];
                let (Some(id), Some(external)) =
                    (cdr["id"].as_str(), cdr["public_external"].as_str())
                else {
                    continue;
                };
                let listed = Listed {
                    id: id.to_owned(),
                    talking_seconds: cdr["talking_time"]
                        .as_str()
                        .and_then(|text| text.parse().ok())
                        .unwrap_or(0),
                    recorded: cdr["recorded"].as_bool().unwrap_or(false),
                    ended: cdr.get("ended_at").is_some(),
                };
                found.entry(external.to_owned()).or_insert(listed);
            }
        }
        Ok(found)
    }

    pub fn recording(&mut self, id: &str) -> anyhow::Result<Vec<u8>> {
        let path = format!("calls/recording/{id}.json");
        let answer = self.client.request("GET", &path, None)?;
        if answer.status != 200 {
            bail!(
                "GET {path}: {} {}",
                answer.status,
                String::from_utf8_lossy(&answer.body)
            );
        }
        Ok(answer.body)
    }
}

/// Adds agents until there are so many, a few at a time: each costs the server a slow password hash.
pub fn populate(demo: &Demo, password: &str, group: i64, wanted: usize) -> anyhow::Result<usize> {
    let have = Api::new(demo)?.agents(password)?.len();
    let places: Vec<usize> = (have..wanted).collect();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                let mine: Vec<usize> = places.iter().copied().skip(worker).step_by(4).collect();
                scope.spawn(move || -> anyhow::Result<()> {
                    let mut api = Api::new(demo)?;
                    for place in mine {
                        api.add_agent(place, password, group)?;
                    }
                    Ok(())
                })
            })
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().expect("a worker does not panic"))
    })?;
    Ok(places.len())
}
