//! One budget, two servers: the real program twice on one PostgreSQL, each with room for 32 attempts at one time, and
//! agents that are asked over real sockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::network::{Served, Stub};
use crate::shell::{Schema, Shell};

/// Steps of one orchestration; as many agents.
const STEPS: usize = 64;

/// Orchestrations at one time.
const TOGETHER: usize = 4;

/// What the account gets for each round, in nano-credits; 256 steps would use about 13 credits.
const ROUND: i128 = 8_000_000_000;

/// What one orchestration may cost: 64 steps would use about 3.2.
const BUDGET: i128 = 3_000_000_000;

/// How often: few in every test of the project, a hundred when there is time.
fn rounds() -> i128 {
    let long = std::env::var("AFTERPLAN_LONG").is_ok_and(|long| long == "1");
    if long { 100 } else { 3 }
}

/// Each may use up to a tenth of a credit and uses half of that on average: 1,000 tokens of gpt-4 are 0.03 credits.
fn reader(n: usize) -> String {
    format!(
        "id = \"reader-{n}\"\ndisplayName = \"Reader {n}\"\nmodel = \"gpt-4\"\ncostMode = \"token-based\"\nceiling = 0.1\nmaxRetries = 0\n\
         inputSchema = {{ fields = [\"plan\"] }}\n"
    )
}

/// More at one time than one server has room for.
const BOTH: usize = 40;

/// Agents that take 10 to 40 ms and use up to 3,333 tokens, the first of them until so many are asked that both servers are
/// at it; and the most that were asked at one time.
fn stub() -> (Stub, Arc<AtomicUsize>) {
    let (now, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let seen = most.clone();
    let stub = Stub::answering(move |number| {
        seen.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        // Multiplied and cut: as good as chance, and the same each time.
        let chance = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        std::thread::sleep(Duration::from_millis(10 + (chance % 31) as u64));
        let begun = Instant::now();
        while seen.load(Ordering::SeqCst) < BOTH && begun.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(1));
        }
        now.fetch_sub(1, Ordering::SeqCst);
        format!("{{\"tokensUsed\":{}}}", chance % 3_334)
    });
    (stub, most)
}

fn nano(exact: &Value) -> i128 {
    let text = exact.as_str().unwrap();
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{}{part:0<9}", whole.trim_start_matches('-'));
    let amount: i128 = digits.parse().unwrap();
    if whole.starts_with('-') {
        -amount
    } else {
        amount
    }
}

/// LiteLLM #34732, #40095: requests that come together pass the cap; #34238: so does each pod by its own count. Here 64
/// workers of two servers share an account's credits and each orchestration's budget, and neither is ever passed.
#[test]
fn sixty_four_workers_of_two_servers_pass_no_cap_litellm_34732() {
    let Some(schema) = Schema::new() else {
        return;
    };
    let (shell, (stub, most)) = (Shell::on(&schema.url), stub());
    std::fs::create_dir(shell.at("readers")).unwrap();
    for n in 0..STEPS {
        std::fs::write(shell.at(format!("readers/{n}.toml")), reader(n)).unwrap();
    }
    std::fs::write(
        shell.at("afterplan.toml"),
        "slots = 32\nagents = [\"readers\"]\n[credits]\ninitialGrant = \"1\"\n[access]\nrequestsPerSecond = 0\n",
    )
    .unwrap();
    let base = stub.url();
    let arguments = ["--config", "afterplan.toml", "--agents-base-url", &base];
    let servers = [
        Served::start(&shell, &arguments),
        Served::start(&shell, &arguments),
    ];
    let mut granted = 1_000_000_000;
    for round in 0..rounds() {
        let order =
            json!({"key": format!("round-{round}"), "amount": (ROUND / 1_000_000_000).to_string()});
        servers[0].ask(
            201,
            "POST",
            "/api/accounts/system/credits/grants",
            Some(&order),
        );
        granted += ROUND;
        let ids = submit(&servers, round);
        for id in &ids {
            let path = format!("/api/orchestrations/{id}");
            let ended = servers[1].wait_for(&path, |shown| !shown["endedAt"].is_null());
            let credits = servers[0].ask(200, "GET", &format!("{path}/credits"), None);
            let used = nano(&credits["creditsUsedExact"]);
            assert!(used <= BUDGET, "round {round}: {used} of {BUDGET}: {ended}");
        }
        let stands = servers[0].ask(200, "GET", "/api/accounts/system/credits", None);
        let balance = nano(&stands["balanceExact"]);
        assert_eq!(stands["held"], json!(0), "round {round}: {stands}");
        assert!(balance >= 0, "round {round}: {stands}");
        // And nobody was refused while there was enough for another attempt in either budget.
        assert!(balance < 100_000_000, "round {round}: {stands}");
    }
    let most = most.load(Ordering::SeqCst);
    assert!((BOTH..=64).contains(&most), "{most} workers at one time");
    let told = shell.call(&["credits", "history", "--form", "ndjson"]);
    let mut settled = 0;
    for line in told.out.lines() {
        let movement: Value = serde_json::from_str(line).unwrap();
        assert!(
            nano(&movement["balance"]) >= nano(&movement["held"]),
            "more was held than there was: {line}"
        );
        if movement["kind"] == "settle" {
            settled -= nano(&movement["amount"]);
        }
    }
    assert!(
        settled <= granted && settled > granted - 100_000_000,
        "{settled} of {granted}"
    );
    drop(servers);
    let checked = shell.call(&["check"]);
    assert_eq!(checked.exit, 0, "{checked}");
}

/// Orchestrations of 64 steps each, begun at both servers at once.
fn submit(servers: &[Served; 2], round: i128) -> Vec<String> {
    let agents: Vec<String> = (0..STEPS).map(|n| format!("reader-{n}")).collect();
    let begin = |n: usize| {
        let body = json!({
            "planArtifact": {"id": format!("plan-{round}-{n}"), "plan": {"title": format!("Plan {n} of round {round}")}},
            "enrichmentRequest": {"userId": "ann", "agents": agents, "budget": 3, "maxSteps": STEPS},
        });
        let accepted = servers[n % 2].ask(202, "POST", "/api/orchestrate?wait=0", Some(&body));
        accepted["orchestrationId"].as_str().unwrap().to_owned()
    };
    std::thread::scope(|scope| {
        let begin = &begin;
        let beginning: Vec<_> = (0..TOGETHER)
            .map(|n| scope.spawn(move || begin(n)))
            .collect();
        beginning
            .into_iter()
            .map(|each| each.join().unwrap())
            .collect()
    })
}
