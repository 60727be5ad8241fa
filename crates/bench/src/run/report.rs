//! The table of a session.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Out;

#[derive(clap::Args)]
pub struct Args {
    /// The folder that the measurements wrote to.
    folder: PathBuf,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let read = |name: &str| Out::read(&args.folder, name);
    println!("| what | figure | yardstick of the same run | ratio |");
    println!("|---|---|---|---|");
    for calls in measured(&args.folder)? {
        if let Some(result) = read(&format!("calls-{calls}")) {
            calls_rows(calls, &result, read(&format!("floor-{calls}")).as_ref());
        }
    }
    for name in ["browsers-pcmu", "browsers-opus"] {
        if let Some(result) = read(name) {
            browser_rows(&result);
        }
    }
    if let Some(result) = read("rate") {
        rate_rows(&result);
    }
    if let Some(result) = read("registrations") {
        registration_rows(&result);
        bindings_row(&result);
    }
    if let Some(result) = read("endurance") {
        endurance_row(&result);
    }
    if let Some(result) = read("proxy") {
        proxy_rows(&result);
    }
    if let Some(result) = read("start") {
        let (ours, node) = (
            number(&result, "/membrane_help_ms/median"),
            number(&result, "/node_ms/median"),
        );
        row(
            "`membrane --help`, median",
            &format!("{ours:.1} ms"),
            &format!("`node -e 0` {node:.1} ms"),
            &format!("{:.2}", ours / node),
        );
    }
    Ok(())
}

/// The numbers of calls that there are results for.
fn measured(folder: &Path) -> std::io::Result<Vec<usize>> {
    let names = std::fs::read_dir(folder)?
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok());
    let mut found: Vec<usize> = names
        .filter_map(|name| {
            name.strip_prefix("calls-")?
                .strip_suffix(".json")?
                .parse()
                .ok()
        })
        .collect();
    found.sort_unstable();
    Ok(found)
}

fn row(what: &str, figure: &str, yardstick: &str, ratio: &str) {
    println!("| {what} | {figure} | {yardstick} | {ratio} |");
}

fn number(value: &Value, pointer: &str) -> f64 {
    value
        .pointer(pointer)
        .and_then(Value::as_f64)
        .unwrap_or(f64::NAN)
}

fn calls_rows(calls: usize, result: &Value, floor: Option<&Value>) {
    let at = |pointer: &str| number(result, pointer);
    let none = Value::Null;
    let floor = floor.unwrap_or(&none);
    let name = format!("{calls} recorded calls");
    let late = at("/generator_late_ms/p99");
    if late > 20.0 {
        row(
            &format!("{name}: **not valid**"),
            &format!("the generator itself was late, p99 {late:.0} ms"),
            "",
            "",
        );
    }
    row(
        &format!("{name}: failed"),
        &format!("{}", at("/failed")),
        "",
        "",
    );
    let (ours, least) = (
        at("/server/core_percent_per_call"),
        number(floor, "/core_percent_per_call"),
    );
    row(
        &format!("{name}: processor per call"),
        &format!("{ours:.3} % of a core"),
        &format!("bare loop {least:.3} %"),
        &format!("{:.2}", ours / least),
    );
    row(
        &format!("{name}: memory per call"),
        &format!(
            "{:.0} KB (idle {:.0} MB)",
            at("/server/memory/kb_per_call"),
            at("/server/memory/idle_mb")
        ),
        "",
        "",
    );
    let (expected, lost) = (
        at("/packets/to_agent/expected") + at("/packets/to_caller/expected"),
        at("/packets/to_agent/lost") + at("/packets/to_caller/lost"),
    );
    let floor_lost = format!(
        "bare loop {} of {}",
        number(floor, "/packets_lost"),
        number(floor, "/packets_expected")
    );
    row(
        &format!("{name}: packets lost"),
        &format!("{lost} of {expected} ({:.4} %)", lost * 100.0 / expected),
        &floor_lost,
        "",
    );
    let delay = at("/packets/to_agent/delay_ms/p99").max(at("/packets/to_caller/delay_ms/p99"));
    let floor_delay = number(floor, "/delay_ms/p99");
    row(
        &format!("{name}: added delay, p99"),
        &format!("{delay:.2} ms"),
        &format!("bare loop {floor_delay:.2} ms"),
        &format!("{:.2}", delay / floor_delay),
    );
    row(
        &format!("{name}: recordings with a gap"),
        &format!(
            "{} of {}",
            at("/recordings/with_gaps"),
            at("/recordings/judged")
        ),
        "",
        "",
    );
    row(
        &format!("{name}: sides apart; length off"),
        &format!(
            "max {:.1} ms; max {:.0} ms",
            at("/recordings/misaligned_ms/max"),
            at("/recordings/length_off_ms/max")
        ),
        "",
        "",
    );
    row(
        &format!("{name}: set-up"),
        &format!(
            "p50 {:.1}, p99 {:.1} ms",
            at("/set_up_ms/p50"),
            at("/set_up_ms/p99")
        ),
        "",
        "",
    );
}

fn browser_rows(result: &Value) {
    let at = |pointer: &str| number(result, pointer);
    let speech = result["speech"].as_str().unwrap_or_default();
    let (browsers, calls) = (at("/browsers"), at("/calls"));
    let lost = |of: &str| {
        let part = |name: &str| {
            at(&format!("/{of}/to_agent/{name}")) + at(&format!("/{of}/to_caller/{name}"))
        };
        format!("{} of {}", part("lost"), part("expected"))
    };
    let delay = |of: &str| {
        let slower = at(&format!("/{of}/to_agent/delay_ms/p99"))
            .max(at(&format!("/{of}/to_caller/delay_ms/p99")));
        // Packets that are encoded anew on their way carry no stamp.
        if slower.is_nan() {
            "not measured".to_owned()
        } else {
            format!("{slower:.2} ms")
        }
    };
    let name = format!("{browsers} browsers ({speech}) beside {}", calls - browsers);
    row(
        &format!("{name}: failed"),
        &format!("{}", at("/failed")),
        "",
        "",
    );
    row(
        &format!("{name}: packets lost"),
        &format!("{} of browsers'", lost("browser_packets")),
        &format!("{} of the others'", lost("packets")),
        "",
    );
    row(
        &format!("{name}: added delay, p99"),
        &delay("browser_packets"),
        &format!("the others {}", delay("packets")),
        "",
    );
    row(
        &format!("{name}: ICE and DTLS took"),
        &format!(
            "p50 {:.0}, p99 {:.0} ms",
            at("/browser_ready_ms/p50"),
            at("/browser_ready_ms/p99")
        ),
        "",
        "",
    );
    row(
        &format!("{name}: processor, all calls"),
        &format!("{:.2} of a core", at("/server/cores")),
        "",
        "",
    );
    row(
        &format!("{name}: recordings with a gap"),
        &format!(
            "{} of {}",
            at("/recordings/with_gaps"),
            at("/recordings/judged")
        ),
        "",
        "",
    );
}

fn steps(result: &Value) -> impl Iterator<Item = &Value> {
    result["steps"].as_array().into_iter().flatten()
}

fn rate_rows(result: &Value) {
    for step in steps(result) {
        let at = |pointer: &str| number(step, pointer);
        let figure = format!(
            "{} of {} failed; set-up p50 {:.1}, p99 {:.1} ms; {:.2} ms processor each",
            at("/failed"),
            at("/calls"),
            at("/set_up_ms/p50"),
            at("/set_up_ms/p99"),
            at("/cpu_ms_per_call")
        );
        row(
            &format!("{} calls a second", at("/per_second")),
            &figure,
            "",
            "",
        );
    }
}

fn registration_rows(result: &Value) {
    for step in steps(result) {
        let at = |pointer: &str| number(step, pointer);
        let figure = format!(
            "{} of {} failed; p50 {:.1}, p99 {:.1} ms; {:.2} ms processor each",
            at("/failed"),
            at("/registrations"),
            at("/took_ms/p50"),
            at("/took_ms/p99"),
            at("/cpu_ms_each")
        );
        row(
            &format!("{} registrations a second", at("/per_second")),
            &figure,
            "",
            "",
        );
    }
}

fn bindings_row(result: &Value) {
    let Some(result) = result.get("bindings") else {
        return;
    };
    let at = |pointer: &str| number(result, pointer);
    row(
        &format!("{} phones registered at once", at("/registered")),
        &format!(
            "{:.0} MB, {:.1} KB each; {:.0} MB after all registered again",
            at("/rss_mb/registered"),
            at("/kb_each"),
            at("/rss_mb/refreshed")
        ),
        &format!("{:.0} MB before", at("/rss_mb/before")),
        "",
    );
}

fn endurance_row(result: &Value) {
    let at = |pointer: &str| number(result, pointer);
    row(
        &format!("{} calls at {} a second", at("/calls"), at("/per_second")),
        &format!(
            "{} failed; set-up p99 {:.1} ms; {:.0} MB at the end",
            at("/failed"),
            at("/set_up_ms/p99"),
            at("/rss_mb/last")
        ),
        &format!("{:.0} MB after the first tenth", at("/rss_mb/first")),
        &format!("{:.2}", at("/rss_mb/last") / at("/rss_mb/first")),
    );
}

fn proxy_rows(result: &Value) {
    for connections in [1, 16] {
        let at = |pointer: &str| number(result, &format!("/connections_{connections}/{pointer}"));
        let (direct, proxied) = (at("direct/p50_us"), at("proxied/p50_us"));
        let name = format!(
            "proxy, {connections} connection{}, {} bytes",
            if connections == 1 { "" } else { "s" },
            number(result, "/bytes")
        );
        row(
            &format!("{name}: p50"),
            &format!("{proxied:.0} us ({:+.0} us)", proxied - direct),
            &format!("direct {direct:.0} us"),
            &format!("{:.2}", proxied / direct),
        );
        let (direct, proxied) = (at("direct/per_second"), at("proxied/per_second"));
        row(
            &format!("{name}: a second"),
            &format!("{proxied:.0}"),
            &format!("direct {direct:.0}"),
            &format!("{:.2}", proxied / direct),
        );
    }
}
