//! `trunkline search`: how well action search works on labelled intents.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use anstream::println;
use anyhow::Context as _;
use clap::{Parser, Subcommand};
use connector::search::{
    Meaning, Words,
    eval::{Embed, Figures, LabelledIntent, RawAction, Report, evaluate_with},
    search_hybrid,
};
use serde::de::DeserializeOwned;

use crate::config::SearchModel;

#[derive(Debug, Parser)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure recall and latency on labelled intents
    Eval(EvalArgs),
}

#[derive(Debug, clap::Args)]
struct EvalArgs {
    /// Actions, one JSON object a line: id, app, key, name, description, method, path, parameters
    actions: PathBuf,
    /// Intents, one JSON object a line: id, app, kind, intent, expected
    intents: PathBuf,
    /// A workspace's own words, in the form of `PUT /search/settings`
    #[arg(long, value_name = "FILE")]
    words: Option<PathBuf>,
    /// What takes part beside words: bundled, none, or a folder with a static embedding model
    /// (tokenizer.json, model.safetensors)
    #[arg(long, value_name = "MODEL", default_value = "bundled")]
    embedding: SearchModel,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Also print each intent without a right action in the first five, on stderr
    #[arg(long)]
    misses: bool,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Command::Eval(args) = args.command;
    let actions: Vec<RawAction> = read_lines(&args.actions)?;
    let intents: Vec<LabelledIntent> = read_lines(&args.intents)?;
    let words = args.words.as_deref().map(read_words).transpose()?;
    let start = Instant::now();
    let clock = || start.elapsed();
    let model = match &args.embedding {
        SearchModel::Folder(folder) => Some(crate::embedding::read_model(folder)?),
        SearchModel::None | SearchModel::Bundled => None,
    };
    let embed = model
        .as_ref()
        .map(|model| move |text: &str| model.embed(text));
    let report = evaluate_with(
        &actions,
        &intents,
        clock,
        embed.as_ref().map(|embed| embed as &Embed<'_>),
        &mut |indexes, intent, limit| {
            let meant = model.as_ref().map(|model| model.embed(intent));
            let meaning = match &meant {
                Some(vector) => Meaning::Vector(vector),
                None if args.embedding == SearchModel::None => Meaning::Words,
                None => Meaning::Bundled,
            };
            search_hybrid(indexes, intent, words.as_ref(), meaning, limit)
        },
    );
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print_table(&report);
    }
    if args.misses {
        print_misses(&report);
    }
    Ok(ExitCode::SUCCESS)
}

fn read_words(path: &Path) -> anyhow::Result<Words> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
    Ok(Words::read(&text))
}

fn read_lines<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Vec<T>> {
    let shown = path.display();
    let file = File::open(path).with_context(|| format!("can't open {shown}"))?;
    let mut items = Vec::new();
    for (at, line) in BufReader::new(file).lines().enumerate() {
        let line = line.with_context(|| format!("can't read {shown}"))?;
        if !line.trim().is_empty() {
            items.push(
                serde_json::from_str(&line).with_context(|| format!("{shown}, line {}", at + 1))?,
            );
        }
    }
    Ok(items)
}

fn print_table(report: &Report) {
    let row = |name: &str, figures: &Figures| {
        println!(
            "{name:<16} {:>5}  {:>8.3}  {:>8.3}  {:>6.3}",
            figures.count, figures.first, figures.fifth, figures.mrr
        );
    };
    println!(
        "{:<16} {:>5}  {:>8}  {:>8}  {:>6}",
        "", "count", "recall@1", "recall@5", "MRR"
    );
    row("inside one app", &report.app);
    row("over all apps", &report.all);
    for (kind, figures) in &report.kinds {
        row(&format!("  kind {kind}"), figures);
    }
    for (app, figures) in &report.apps {
        row(&format!("  app {app}"), figures);
    }
    let negatives = report.negatives;
    println!(
        "nothing fits: {} intents, {} found nothing, {} said that nothing fits well (and {:.1} % of the others)",
        negatives.count,
        negatives.nothing,
        negatives.doubted,
        report.doubted * 100.0
    );
    println!(
        "latency: p50 {:.3} ms, p99 {:.3} ms",
        report.latency_ms.p50, report.latency_ms.p99
    );
}

#[expect(clippy::print_stderr, reason = "asked for, next to the table")]
fn print_misses(report: &Report) {
    for miss in &report.misses {
        eprintln!(
            "{}\n  wanted {}\n  found  {}",
            miss.intent,
            miss.expected.join(", "),
            miss.found.join(", ")
        );
    }
}
