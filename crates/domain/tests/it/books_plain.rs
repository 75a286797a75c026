//! A million movements against plain integers, which also say what must be refused.

use domain::money::ledger::{ADJUSTED, AMOUNT_MAX, Account, Grant, Movement, apply};
use domain::values::credits::Credits;
use domain::values::time::Timestamp;

use crate::books::{NOW, grant, nano};
use crate::chance::{Chance, rounds};

/// The same books as a list of plain integers, by another way of reckoning.
#[derive(Clone, Default)]
struct Plain {
    /// Priority, expiry, age, key, what is left.
    grants: Vec<(i32, i64, i64, String, i128)>,
    debt: i128,
    /// What each attempt in flight holds.
    holds: Vec<i128>,
    /// What was declared to go beyond: overages, holds that need not fit, corrections down.
    beyond: i128,
}

impl Plain {
    fn balance(&self) -> i128 {
        self.grants.iter().map(|grant| grant.4).sum::<i128>() - self.debt
    }

    fn held(&self) -> i128 {
        self.holds.iter().sum()
    }

    fn expirable(&self, now: i64) -> i128 {
        let due = self.grants.iter().filter(|grant| grant.1 <= now);
        let due: i128 = due.map(|grant| grant.4).sum();
        due.min(self.balance() - self.held()).max(0)
    }

    /// Takes nano by nano in thought: the cheapest rank first.
    fn take(&mut self, mut amount: i128, of: impl Fn(i64) -> bool) -> i128 {
        self.grants.sort();
        for grant in self.grants.iter_mut().filter(|grant| of(grant.1)) {
            let taken = grant.4.min(amount);
            (grant.4, amount) = (grant.4 - taken, amount - taken);
        }
        amount
    }

    fn give(&mut self, grant: &Grant) {
        let amount = i128::from(grant.remaining.nano());
        let paid = amount.min(self.debt);
        self.debt -= paid;
        let expires = grant.expires_at.map_or(i64::MAX, |at| at.0);
        let rank = (grant.priority, expires, grant.created_at.0);
        self.grants
            .push((rank.0, rank.1, rank.2, grant.key.clone(), amount - paid));
    }
}

/// The accounts on the other side, by [`Kind::other_side`].
#[derive(Default)]
struct Others(std::collections::BTreeMap<&'static str, i128>);

struct Pair {
    account: Account,
    plain: Plain,
    /// Nothing may go beyond what is there.
    strict: bool,
}

fn movement(pair: &Pair, chance: &mut Chance, now: Timestamp, serial: usize) -> Movement {
    let available = pair.account.available(now).nano();
    let below =
        |chance: &mut Chance, most: i64| chance.below(most.clamp(1, 1 << 40) as usize) as i64;
    let held = || pair.plain.holds.last().map(|held| nano(*held as i64));
    match chance.below(12) {
        0..4 => Movement::Hold {
            amount: nano(below(chance, available.max(8) * 5 / 4)),
            must_fit: pair.strict || !chance.once_in(10),
        },
        4..8 => {
            let Some(hold) = held() else {
                return Movement::Settle {
                    hold: nano(0),
                    charge: nano(below(chance, available.max(8) * 5 / 4)),
                    must_fit: true,
                };
            };
            let overage = if pair.strict || !chance.once_in(6) {
                0
            } else {
                below(chance, 5_000)
            };
            let charge = below(chance, hold.nano() + 1) + overage;
            Movement::Settle {
                hold,
                charge: nano(charge),
                must_fit: false,
            }
        }
        8 => Movement::Release {
            hold: held().unwrap_or_default(),
        },
        9 => Movement::Expire,
        10 => {
            let known = pair.account.grants.first();
            let key = match known.filter(|_| chance.once_in(5)) {
                Some(grant) => grant.key.clone(),
                None => format!("{serial:09}"),
            };
            let expires = now.0 - 200 + below(chance, 4_000);
            Movement::Grant(Grant {
                key,
                remaining: nano(below(chance, if pair.strict { 100_000 } else { 12_000 })),
                priority: 10 * below(chance, 9) as i32,
                expires_at: chance.once_in(2).then_some(Timestamp(expires)),
                created_at: now,
            })
        }
        _ => {
            let least = if pair.strict { 0 } else { 3_000 };
            Movement::Adjust {
                key: format!("{serial:09}"),
                amount: nano(below(chance, 9_000) - least),
            }
        }
    }
}

/// Whether the books must refuse it, by the plain integers alone.
fn must_refuse(plain: &Plain, movement: &Movement, now: Timestamp) -> bool {
    let known = |key: &str| plain.grants.iter().any(|grant| grant.3 == key);
    let meant =
        |amount: i64| amount != 0 && amount.unsigned_abs() <= AMOUNT_MAX.nano().unsigned_abs();
    match movement {
        Movement::Hold { amount, must_fit } => {
            let available = plain.balance() - plain.held() - plain.expirable(now.0);
            *must_fit && i128::from(amount.nano()) > available
        }
        Movement::Grant(grant) => {
            let amount = grant.remaining.nano();
            let past = grant.expires_at.is_some_and(|at| at <= now);
            amount < 0 || !meant(amount) || past || known(&grant.key)
        }
        Movement::Adjust { key, amount } => !meant(amount.nano()) || known(key),
        Movement::Settle {
            charge, must_fit, ..
        } => {
            let available = plain.balance() - plain.held() - plain.expirable(now.0);
            *must_fit && i128::from(charge.nano()) > available
        }
        Movement::Release { .. } | Movement::Expire => false,
    }
}

/// Does the same in plain integers; what should have been refused is not done there.
fn follow(plain: &mut Plain, movement: &Movement, now: Timestamp) {
    let available = plain.balance() - plain.held() - plain.expirable(now.0);
    match movement {
        Movement::Hold { amount, .. } => {
            let amount = i128::from(amount.nano());
            plain.beyond += (amount - available.max(0)).max(0);
            plain.holds.push(amount);
        }
        Movement::Settle {
            hold,
            charge,
            must_fit,
        } => {
            plain.holds.pop();
            let (hold, charge) = (i128::from(hold.nano()), i128::from(charge.nano()));
            if !must_fit {
                plain.beyond += (charge - hold).max(0);
            }
            plain.debt += plain.take(charge, |_| true);
        }
        Movement::Release { .. } => drop(plain.holds.pop()),
        Movement::Expire => {
            let taken = plain.expirable(now.0);
            plain.take(taken, |expires| expires <= now.0);
        }
        Movement::Grant(grant) => plain.give(grant),
        Movement::Adjust { key, amount } if amount.nano() > 0 => plain.give(&Grant {
            priority: ADJUSTED,
            created_at: now,
            ..grant(key, amount.nano())
        }),
        Movement::Adjust { amount, .. } => {
            let down = -i128::from(amount.nano());
            plain.beyond += down;
            plain.debt += plain.take(down, |_| true);
        }
    }
}

fn assert_same(pair: &Pair, now: Timestamp) {
    let Pair {
        account,
        plain,
        strict,
    } = pair;
    assert_eq!(i128::from(account.balance().nano()), plain.balance());
    assert_eq!(i128::from(account.held.nano()), plain.held());
    assert_eq!(i128::from(account.debt.nano()), plain.debt);
    let mut left: Vec<_> = plain.grants.iter().filter(|grant| grant.4 > 0).collect();
    left.sort();
    let left = left.iter().map(|grant| (&grant.3, grant.4));
    let theirs = account
        .grants
        .iter()
        .filter(|grant| grant.remaining > Credits::ZERO);
    assert!(left.eq(theirs.map(|grant| (&grant.key, i128::from(grant.remaining.nano())))));
    let available = i128::from(account.available(now).nano());
    assert!(
        available >= -plain.beyond,
        "{available} with {} declared",
        plain.beyond
    );
    if *strict {
        assert!(available >= 0 && account.debt == Credits::ZERO);
    }
}

#[test]
fn a_million_movements_sum_to_zero_and_agree_with_plain_integers() {
    let mut chance = Chance::of(7);
    let mut pairs: Vec<Pair> = (0..8)
        .map(|place| Pair {
            account: Account::default(),
            plain: Plain::default(),
            strict: place % 2 == 0,
        })
        .collect();
    let (mut others, mut sum) = (Others::default(), 0_i128);
    let (mut now, mut taken, mut refused, mut in_debt) = (NOW, 0_u64, 0_u64, 0_u64);
    for serial in 0..rounds(100_000) as usize {
        // The clock steps back now and then.
        now.0 += chance.below(40) as i64 - if chance.once_in(50) { 900 } else { 0 };
        let place = chance.below(pairs.len());
        let pair = &mut pairs[place];
        let movement = movement(pair, &mut chance, now, serial);
        let before = pair.account.clone();
        let to_be_refused = must_refuse(&pair.plain, &movement, now);
        let applied = apply(&mut pair.account, movement.clone(), now);
        assert_eq!(applied.is_err(), to_be_refused, "{movement:?}: {applied:?}");
        match applied {
            Err(_) => {
                refused += 1;
                assert_eq!(pair.account, before, "refused, and yet something changed");
            }
            Ok(entry) => {
                taken += 1;
                let amount = i128::from(entry.amount.nano());
                assert_eq!(entry.balance_after, pair.account.balance());
                assert_eq!(entry.held_after, pair.account.held);
                assert_eq!(
                    entry.balance_after.nano() - entry.amount.nano(),
                    before.balance().nano()
                );
                assert_eq!(
                    entry.held_after.nano() - entry.held.nano(),
                    before.held.nano()
                );
                match entry.kind.other_side() {
                    Some(side) => *others.0.entry(side).or_default() -= amount,
                    None => assert_eq!(amount, 0, "{movement:?} changes the balance"),
                }
                sum += amount;
                follow(&mut pair.plain, &movement, now);
            }
        }
        assert_same(pair, now);
        in_debt += u64::from(pair.account.debt > Credits::ZERO);
        assert_eq!(
            sum + others.0.values().sum::<i128>(),
            0,
            "the sum over all accounts"
        );
        if serial % 64 == 0 {
            pair.account
                .grants
                .retain(|grant| grant.remaining > Credits::ZERO);
            pair.plain.grants.retain(|grant| grant.4 > 0);
        }
    }
    let all = pairs.iter().map(|pair| pair.plain.balance()).sum::<i128>();
    assert_eq!(all, sum, "what all accounts have is what moved");
    assert!(
        taken > 50_000 && refused > 2_000 && in_debt > 2_000 && others.0.len() == 4,
        "the test has lost its subject: {taken} taken, {refused} refused, {in_debt} in debt"
    );
}
