//! The people that the other measurements ring.

use std::time::{Duration, Instant};

use anyhow::bail;

use super::Server;
use crate::{
    api::{self, Api},
    demo::Demo,
};

/// The password of every phone that is added here. The company is a throwaway one.
pub const PASSWORD: &str = "load-of-phones-1";
/// Whom they join.
pub const GROUP: &str = "Sales";
/// The number with the menu.
pub const MENU: usize = 0;
/// The number that is made to ring the group at once.
pub const DIRECT: usize = 2;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: Server,
    /// How many agents there are to be beside those of the demo.
    #[arg(long, default_value_t = 100)]
    agents: usize,
    /// Fail when agents are not online afterwards.
    #[arg(long)]
    check: bool,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let demo = Demo::load(&args.server.data)?;
    let mut api = Api::new(&demo)?;
    let group = api.group(GROUP)?;
    let since = Instant::now();
    let added = api::populate(&demo, PASSWORD, group, args.agents)?;
    if let Some(number) = demo.sip.numbers.get(DIRECT) {
        api.route_to_group(&number.e164, group)?;
    }
    api.nudge()?;
    println!(
        "{added} agents added to {GROUP} in {:.1} s",
        since.elapsed().as_secs_f64()
    );
    if args.check {
        // The queues read the company in the background after an edit.
        std::thread::sleep(Duration::from_secs(2));
        let offline = api.agents_offline()?;
        if offline > 0 {
            bail!("{offline} agents are switched off: nobody would ring their phones");
        }
    }
    Ok(())
}
