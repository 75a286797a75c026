//! What the ledger adds to the program's CPU for a step: the same agents for a price and for nothing, in turn.

use std::path::Path;
use std::time::Duration;

use crate::host::{FREE, start_afterplan};
use crate::load::{Manner, Numbers, load};
use crate::plans::Plans;
use crate::shapes::Shape;
use crate::{median, share};

/// Pairs of rounds on each database.
const PAIRS: usize = 5;

/// Callers at once.
const CALLERS: usize = 64;

pub async fn ledger(
    folder: &Path,
    stub: u16,
    server: Option<(&str, u32)>,
    plans: &Plans,
    numbers: &Numbers,
    time: Duration,
) {
    for (database, server) in [("sqlite", None), ("postgres", server)] {
        if database == "postgres" && server.is_none() {
            continue;
        }
        let (mut priced, mut free) = (Vec::new(), Vec::new());
        for pair in 0..PAIRS {
            for path in ["agent", FREE] {
                let shape = Shape::named("chain10");
                let name = format!("ledger-{database}-{path}-{pair}");
                let mut host = start_afterplan(folder, &name, server, stub, path).await;
                let manner = Manner::Afterplan;
                load(&host, manner, shape, plans, numbers, 16, time / 4).await;
                let shown = load(&host, manner, shape, plans, numbers, CALLERS, time).await;
                host.stop();
                let costs = if path == FREE { &mut free } else { &mut priced };
                costs.push(shown.cpu_per_thousand(shape));
            }
        }
        println!(
            "bench ledger-{database}-cpu {:.3} s/1000-steps ratio {:.3} to free target ratio<=1.1",
            median(priced.clone()),
            share(&priced, &free)
        );
    }
}
