//! What a process has used, as the kernel counts it.

use std::collections::BTreeMap;

use anyhow::Context;

/// Linux counts processor time in hundredths of a second for every program (`USER_HZ`).
const TICKS: f64 = 100.0;

/// A look at a process.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    /// Seconds of processor time, its own and the kernel's for it.
    pub cpu: f64,
    /// The same by thread name, without the numbers at their ends.
    pub by_thread: BTreeMap<String, f64>,
    pub resident_kb: u64,
    pub open_files: usize,
}

impl Usage {
    pub fn of(pid: u32) -> anyhow::Result<Self> {
        let root = format!("/proc/{pid}");
        let stat = std::fs::read_to_string(format!("{root}/stat"))
            .with_context(|| format!("process {pid} is gone"))?;
        let (_, cpu) = parse_stat(&stat).context("/proc/PID/stat is not understood")?;
        let mut by_thread = BTreeMap::new();
        for task in std::fs::read_dir(format!("{root}/task"))?.flatten() {
            // A thread may end between the listing and the look.
            let Ok(stat) = std::fs::read_to_string(task.path().join("stat")) else {
                continue;
            };
            if let Some((name, cpu)) = parse_stat(&stat) {
                let name = name
                    .trim_end_matches(|c: char| c.is_ascii_digit() || c == '-')
                    .to_owned();
                *by_thread.entry(name).or_insert(0.0) += cpu;
            }
        }
        let status = std::fs::read_to_string(format!("{root}/status"))?;
        let resident_kb = status
            .lines()
            .find_map(|line| {
                line.strip_prefix("VmRSS:")?
                    .split_whitespace()
                    .next()?
                    .parse()
                    .ok()
            })
            .unwrap_or(0);
        let open_files = std::fs::read_dir(format!("{root}/fd")).map_or(0, Iterator::count);
        Ok(Self {
            cpu,
            by_thread,
            resident_kb,
            open_files,
        })
    }

    /// Processor seconds since an earlier look, the largest users first.
    pub fn threads_since(&self, before: &Self) -> Vec<(String, f64)> {
        let mut used: Vec<_> = self
            .by_thread
            .iter()
            .map(|(name, cpu)| {
                (
                    name.clone(),
                    cpu - before.by_thread.get(name).unwrap_or(&0.0),
                )
            })
            .filter(|(_, cpu)| *cpu > 0.0)
            .collect();
        used.sort_by(|a, b| b.1.total_cmp(&a.1));
        used
    }
}

/// Name and processor seconds; the name may hold spaces and brackets, so fields count from its end.
fn parse_stat(stat: &str) -> Option<(String, f64)> {
    let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let kernel: f64 = fields.next()?.parse().ok()?;
    Some((name.to_owned(), (user + kernel) / TICKS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 1 0 0 0 250 50 0 0 20 0 1 0 1 1 1";
        assert_eq!(parse_stat(stat), Some(("a) b".to_owned(), 3.0)));
    }

    #[test]
    fn this_process_is_seen() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.resident_kb > 0 && usage.open_files > 0);
    }
}
