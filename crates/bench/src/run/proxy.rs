//! What the gateway's proxy adds to a request: the phone's own API, asked directly and through a connection.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::{Out, Server};
use crate::{
    api::basic,
    demo::Demo,
    http::{Answer, Client},
    process::Usage,
    stats::Samples,
};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    out: Out,
    /// Requests of each kind and number of connections.
    #[arg(long, default_value_t = 4_000)]
    requests: usize,
}

/// Rounds in which the kinds take turns, so that a busier moment of the machine meets both.
const ROUNDS: usize = 10;

pub fn run(args: &Args) -> anyhow::Result<()> {
    let demo = Demo::load(&args.server.data)?;
    let direct = Target {
        base: demo.cloudtalk.base_url.clone(),
        authorization: basic(&demo),
        path: String::new(),
    };
    let bearer = format!("Bearer {}", demo.membrane.token);
    let connection = connect(&demo, &bearer)?;
    let path = fitting_path(&direct)?;
    let direct = Target {
        path: path.clone(),
        ..direct
    };
    let proxied = Target {
        base: demo.membrane.api_uri.clone(),
        authorization: bearer,
        path: format!("connections/{connection}/proxy/{path}"),
    };
    let size = same_answer(&direct, &proxied)?;
    let mut result = json!({"path": path, "bytes": size});
    for connections in [1, 16] {
        let mut sums = [Sum::default(), Sum::default()];
        for round in 0..=ROUNDS {
            for (sum, target) in sums.iter_mut().zip([&direct, &proxied]) {
                let before = Usage::of(args.server.pid)?;
                let burst = burst(target, connections, args.requests / ROUNDS)?;
                // The first round warms both ways.
                if round > 0 {
                    sum.add(burst, Usage::of(args.server.pid)?.cpu - before.cpu);
                }
            }
        }
        let [direct, proxied] = &sums;
        result[format!("connections_{connections}")] = json!({
            "direct": direct.result(),
            "proxied": proxied.result(),
            "p50_added_us": proxied.took.median() - direct.took.median(),
        });
    }
    println!("{}", serde_json::to_string_pretty(&result)?);
    args.out.keep("proxy", &result)
}

#[derive(Clone)]
struct Target {
    base: String,
    authorization: String,
    path: String,
}

impl Target {
    fn client(&self) -> anyhow::Result<Client> {
        Client::new(&self.base, &self.authorization)
    }

    fn get(&self, client: &mut Client) -> anyhow::Result<Answer> {
        let answer = client.request("GET", &self.path, None)?;
        if answer.status != 200 {
            bail!(
                "GET {}: {} {}",
                self.path,
                answer.status,
                String::from_utf8_lossy(&answer.body)
            );
        }
        Ok(answer)
    }
}

/// Connects the gateway to the phone's own API with the demo's key.
fn connect(demo: &Demo, bearer: &str) -> anyhow::Result<String> {
    let mut client = Client::new(&demo.membrane.api_uri, bearer)?;
    let ask = |client: &mut Client,
               method: &str,
               path: &str,
               body: Option<Value>|
     -> anyhow::Result<Value> {
        let answer = client.request(method, path, body.map(|body| body.to_string()).as_deref())?;
        let text = String::from_utf8_lossy(&answer.body);
        if answer.status != 200 {
            bail!("{method} {path}: {} {text}", answer.status);
        }
        Ok(serde_json::from_str(&text)?)
    };
    let ensured = ask(
        &mut client,
        "POST",
        "connections/ensure",
        Some(json!({"appUrl": "https://www.cloudtalk.io/"})),
    )?;
    let id = ensured["id"]
        .as_str()
        .context("the connection has no id")?
        .to_owned();
    let input = json!({"keyId": demo.cloudtalk.key_id, "keySecret": demo.cloudtalk.key_secret, "baseUrl": demo.cloudtalk.base_url});
    ask(
        &mut client,
        "PATCH",
        &format!("connections/{id}"),
        Some(json!({ "input": input })),
    )?;
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let connection = ask(&mut client, "GET", &format!("connections/{id}"), None)?;
        match connection["state"].as_str() {
            Some("READY") => return Ok(id),
            state if Instant::now() > until => {
                bail!("the connection did not become READY, it is {state:?}: {connection}")
            }
            _ => thread::sleep(Duration::from_millis(200)),
        }
    }
}

/// A list of contacts whose answer is nearest to 0.9 KB.
fn fitting_path(direct: &Target) -> anyhow::Result<String> {
    let mut client = direct.client()?;
    let mut best: Option<(usize, String)> = None;
    for limit in 1..=20 {
        let path = format!("contacts/index.json?limit={limit}");
        let answer = Target {
            path: path.clone(),
            ..direct.clone()
        }
        .get(&mut client)?;
        let off = answer.body.len().abs_diff(900);
        if best.as_ref().is_none_or(|(least, _)| off < *least) {
            best = Some((off, path));
        }
    }
    best.map(|(_, path)| path).context("there are no contacts")
}

fn same_answer(direct: &Target, proxied: &Target) -> anyhow::Result<usize> {
    let straight = direct.get(&mut direct.client()?)?;
    let through = proxied.get(&mut proxied.client()?)?;
    if straight.body != through.body {
        bail!("the proxy's answer differs from the direct one");
    }
    Ok(straight.body.len())
}

#[derive(Default)]
struct Sum {
    took: Samples,
    seconds: f64,
    cpu: f64,
}

impl Sum {
    fn add(&mut self, (took, seconds): (Vec<f64>, f64), cpu: f64) {
        self.took.extend(took);
        self.seconds += seconds;
        self.cpu += cpu;
    }

    fn result(&self) -> Value {
        let count = self.took.len() as f64;
        json!({
            "p50_us": self.took.median(), "p99_us": self.took.percentile(0.99),
            "per_second": count / self.seconds, "server_cpu_us_each": self.cpu * 1e6 / count,
        })
    }
}

/// So many requests, each connection asking the next as soon as it has the last: microseconds of each, and seconds of all.
fn burst(target: &Target, connections: usize, requests: usize) -> anyhow::Result<(Vec<f64>, f64)> {
    let since = Instant::now();
    let each = requests / connections;
    let took = thread::scope(|scope| {
        let work = || -> anyhow::Result<Vec<f64>> {
            let mut client = target.client()?;
            target.get(&mut client)?;
            let mut took = Vec::with_capacity(each);
            for _ in 0..each {
                let since = Instant::now();
                target.get(&mut client)?;
                took.push(since.elapsed().as_secs_f64() * 1e6);
            }
            Ok(took)
        };
        let workers: Vec<_> = (0..connections).map(|_| scope.spawn(work)).collect();
        let mut all = Vec::new();
        for worker in workers {
            all.extend(worker.join().expect("a worker does not panic")?);
        }
        anyhow::Ok(all)
    })?;
    Ok((took, since.elapsed().as_secs_f64()))
}
