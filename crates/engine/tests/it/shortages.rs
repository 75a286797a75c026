//! Steps that wait for what others have: a short account, a quota.

use domain::money::budget::AtLimit;
use domain::values::credits::Credits;
use domain::values::time::Millis;
use engine::claims::claim;
use engine::credits::{balance, set_at_limit};
use engine::handle::Scope;
use engine::waits::wait_of;

use crate::house::{House, Setup, agent, clock, done, id, performer, state, until};
use crate::money::{begin_for, flat, give, rich};
use crate::place::on_both;

/// Hundreds wait for one short account: they are not looked at again until it has enough, others of the account go on, and so
/// many go on as there is enough for, whoever gives it.
#[tokio::test]
async fn those_who_wait_for_one_account_are_looked_at_when_it_has_enough() {
    on_both(async |place| {
        const MANY: u128 = 300;
        let clock = clock();
        let agents = vec![flat("dear", "5"), agent("free", "")];
        let house = House::open(&place, &clock, agents, performer(async |_| done())).await;
        let (engine, ann) = (&house.engine, rich(&house.engine, "ann", "1").await);
        set_at_limit(engine, &ann, AtLimit::Pause).await.unwrap();
        for n in 1..=MANY {
            begin_for(engine, n, &ann).await;
        }
        let standing = async || {
            let (mut parked, mut free, mut done) = (0, 0, 0);
            for n in 1..=MANY {
                let state = state(engine, id(n)).await;
                let [dear, other] = &state.steps[..] else {
                    panic!("two steps")
                };
                parked += u128::from(dear.waits_for_account());
                free += u128::from(other.enrichment.is_some());
                done += u128::from(dear.enrichment.is_some());
            }
            (parked, free, done)
        };
        until("all wait, and what costs nothing is done", async || {
            standing().await == (MANY, MANY, 0)
        })
        .await;
        until("nobody is left to look at", async || {
            claim(engine).await.unwrap() == 0
        })
        .await;
        for _ in 0..5 {
            let looked_at = claim(engine).await.unwrap();
            assert_eq!(looked_at, 0, "they were looked at, and nothing has changed");
        }
        let why = wait_of(engine, &state(engine, id(1)).await, 0).await;
        assert_eq!(
            why.unwrap().unwrap(),
            "it waits for credits: the account has 1 credits available, and it needs 5"
        );
        // Given elsewhere: this replica hears of it by the looks that it takes anyway.
        let shell = Setup {
            scope: Scope::Nothing,
            ..Setup::new(&clock, Vec::new(), performer(async |_| done()))
        };
        let elsewhere = shell.engine(&place).await;
        give(&elsewhere, &ann, "for seven", "34").await;
        until("so many went on as there is enough for", async || {
            clock.advance(Millis(100));
            standing().await == (MANY - 7, MANY, 7)
        })
        .await;
        assert_eq!(balance(engine, &ann).await.unwrap().balance, Credits::ZERO);
        elsewhere.store.close().await;
        house.close().await;
    })
    .await;
}
