//! An account's books: the order of use, debt, holds, expiry; and a million movements against plain integers.

use domain::money::ledger::{
    ADJUSTED, AMOUNT_MAX, Account, Entry, Grant, Kind, Movement, Refused, apply,
};
use domain::values::credits::Credits;
use domain::values::time::Timestamp;

use crate::chance::{Chance, rounds};

const NOW: Timestamp = Timestamp(1_000);

fn nano(nano: i64) -> Credits {
    Credits::from_nano(nano)
}

fn grant(key: &str, amount: i64) -> Grant {
    Grant {
        key: key.to_owned(),
        remaining: nano(amount),
        priority: 50,
        expires_at: None,
        created_at: NOW,
    }
}

fn give(account: &mut Account, grant: Grant) -> Entry {
    apply(account, Movement::Grant(grant), NOW).unwrap()
}

fn settle(account: &mut Account, hold: i64, charge: i64) -> Entry {
    let movement = Movement::Settle {
        hold: nano(hold),
        charge: nano(charge),
    };
    apply(account, movement, NOW).unwrap()
}

fn hold(account: &mut Account, amount: i64) -> Result<Entry, Refused> {
    let movement = Movement::Hold {
        amount: nano(amount),
        must_fit: true,
    };
    apply(account, movement, NOW)
}

/// Books in which these were given, one after the other; less than nothing was used before it was covered.
fn with(grants: &[i64]) -> Account {
    let mut account = Account::default();
    for (place, &amount) in grants.iter().enumerate() {
        if amount > 0 {
            give(&mut account, grant(&format!("g{place}"), amount));
        } else {
            settle(&mut account, 0, -amount);
        }
    }
    account
}

/// The table of another engine's consumption as it was executed there, and what each line should have been.
#[test]
fn codebuff_every_line_of_its_table_changes_the_balance_by_what_was_used() {
    for (before, used, balance) in [
        (&[100][..], 40, 60),
        (&[50, 100], 70, 80),
        (&[25, 50, 100], 60, 115),
        (&[30, 0], 100, -70),
        (&[100], 150, -50),
        (&[30, 10], 100, -60),
        (&[-30], 20, -50),
        (&[-30], 50, -80),
        (&[-50, 100], 80, -30),
        (&[100, -50], 30, 20),
        (&[], 50, -50),
        (&[-50], 30, -80),
        (&[10], 30, -20),
    ] {
        let mut account = with(before);
        let start = account.balance().nano();
        assert_eq!(start, before.iter().sum::<i64>(), "{before:?}");
        let entry = settle(&mut account, 0, used);
        assert_eq!(entry.amount.nano(), -used, "{before:?} less {used}");
        assert_eq!(
            entry.balance_after.nano(),
            balance,
            "{before:?} less {used}"
        );
    }
}

#[test]
fn codebuff_debt_spending_while_in_debt_does_not_raise_the_balance() {
    let mut account = with(&[-50]);
    let entry = settle(&mut account, 0, 50);
    assert_eq!(entry.balance_after, nano(-100), "50 used at -50");
    assert_eq!(account.debt, nano(100));
}

#[test]
fn codebuff_debt_what_no_grant_covers_is_owed_in_full_and_a_grant_pays_it_once() {
    let mut account = with(&[30, 10]);
    settle(&mut account, 0, 100);
    assert_eq!(account.balance(), nano(-60), "no overspend is free");
    let entry = give(&mut account, grant("top-up", 50));
    assert_eq!((entry.amount, entry.balance_after), (nano(50), nano(-10)));
    let again = apply(&mut account, Movement::Grant(grant("top-up", 50)), NOW);
    assert_eq!(again, Err(Refused::Repeated("top-up".to_owned())));
    assert_eq!(
        account.balance(),
        nano(-10),
        "a repeated grant pays no debt again"
    );
    give(&mut account, grant("more", 25));
    assert_eq!((account.debt, account.balance()), (nano(0), nano(15)));
}

#[test]
fn grants_are_used_by_priority_then_by_expiry_then_by_age() {
    let mut account = Account::default();
    let dated = |key: &str, priority, expires: Option<i64>, created| Grant {
        priority,
        expires_at: expires.map(Timestamp),
        created_at: Timestamp(created),
        ..grant(key, 10)
    };
    for grant in [
        dated("never", 50, None, 1),
        dated("late", 50, Some(9_000), 2),
        dated("soon", 50, Some(5_000), 3),
        dated("first", 20, None, 9),
        dated("young", 50, Some(9_000), 4),
    ] {
        give(&mut account, grant);
    }
    let order: Vec<&str> = account.grants.iter().map(|grant| &grant.key[..]).collect();
    assert_eq!(order, ["first", "soon", "late", "young", "never"]);
    settle(&mut account, 0, 25);
    let left: Vec<i64> = account
        .grants
        .iter()
        .map(|grant| grant.remaining.nano())
        .collect();
    assert_eq!(left, [0, 0, 5, 10, 10]);
}

#[test]
fn a_hold_that_does_not_fit_is_refused_and_one_that_may_pass_is_not() {
    let mut account = with(&[100]);
    assert_eq!(hold(&mut account, 60).unwrap().held_after, nano(60));
    let before = account.clone();
    let refused = Refused::Short {
        needed: nano(41),
        available: nano(40),
    };
    assert_eq!(hold(&mut account, 41), Err(refused));
    assert_eq!(account, before);
    let unfit = Movement::Hold {
        amount: nano(41),
        must_fit: false,
    };
    let entry = apply(&mut account, unfit, NOW).unwrap();
    assert_eq!((entry.amount, entry.held), (nano(0), nano(41)));
    assert_eq!(account.available(NOW), nano(-1));
    let entry = settle(&mut account, 60, 75);
    assert_eq!(
        (entry.amount, entry.held, entry.balance_after),
        (nano(-75), nano(-60), nano(25))
    );
    let entry = apply(&mut account, Movement::Release { hold: nano(41) }, NOW).unwrap();
    assert_eq!(
        (entry.amount, entry.held, entry.held_after),
        (nano(0), nano(-41), nano(0))
    );
}

#[test]
fn expiry_takes_only_what_no_hold_needs() {
    let mut account = with(&[30]);
    let dated = Grant {
        expires_at: Some(Timestamp(2_000)),
        ..grant("dated", 100)
    };
    give(&mut account, dated);
    hold(&mut account, 90).unwrap();
    let late = Timestamp(2_000);
    assert_eq!(account.available(Timestamp(1_999)), nano(40));
    assert_eq!(
        account.available(late),
        nano(0),
        "what is past its time is not there"
    );
    assert!(account.is_due(late) && !account.is_due(Timestamp(1_999)));
    let entry = apply(&mut account, Movement::Expire, late).unwrap();
    assert_eq!((entry.amount, entry.balance_after), (nano(-40), nano(90)));
    assert!(!account.is_due(late), "the rest is held");
    let early = apply(&mut account, Movement::Expire, NOW).unwrap();
    assert_eq!(
        early.amount,
        nano(0),
        "a clock that steps back takes nothing"
    );
    settle(&mut account, 90, 20);
    let entry = apply(&mut account, Movement::Expire, late).unwrap();
    assert_eq!(
        entry.amount,
        nano(-40),
        "60 of it were left, 20 of them used"
    );
    assert_eq!(account.balance(), nano(30), "what never expires stands");
}

#[test]
fn what_cannot_be_meant_is_refused_and_changes_nothing() {
    let mut account = with(&[10]);
    let before = account.clone();
    let too_much = AMOUNT_MAX.nano() + 1;
    let mut refused = |movement| apply(&mut account, movement, NOW).unwrap_err();
    for amount in [0, -5, too_much, i64::MAX] {
        let odd = Movement::Grant(grant("odd", amount));
        assert_eq!(refused(odd), Refused::Amount(nano(amount)));
    }
    for amount in [0, too_much, -too_much, i64::MIN] {
        let odd = Movement::Adjust {
            key: "odd".to_owned(),
            amount: nano(amount),
        };
        assert!(matches!(refused(odd), Refused::Amount(_)), "{amount}");
    }
    for expires in [NOW, Timestamp(0), Timestamp(-1)] {
        let past = Grant {
            expires_at: Some(expires),
            ..grant("past", 5)
        };
        assert_eq!(refused(Movement::Grant(past)), Refused::Past(expires));
    }
    assert_eq!(account, before);
}

#[test]
fn an_adjustment_goes_both_ways_and_once() {
    let mut account = with(&[10]);
    let by = |key: &str, amount| Movement::Adjust {
        key: key.to_owned(),
        amount: nano(amount),
    };
    let entry = apply(&mut account, by("refund", 7), NOW).unwrap();
    assert_eq!((entry.kind, entry.balance_after), (Kind::Adjust, nano(17)));
    assert_eq!(account.grants.last().unwrap().priority, ADJUSTED);
    assert!(matches!(
        apply(&mut account, by("refund", 7), NOW),
        Err(Refused::Repeated(_))
    ));
    let entry = apply(&mut account, by("mistake", -20), NOW).unwrap();
    assert_eq!((entry.amount, account.balance()), (nano(-20), nano(-3)));
}

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
            let hold = held().unwrap_or_default();
            let overage = if pair.strict || !chance.once_in(6) {
                0
            } else {
                below(chance, 5_000)
            };
            let charge = below(chance, hold.nano() + 1) + overage;
            Movement::Settle {
                hold,
                charge: nano(charge),
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

/// Does the same in plain integers; what should have been refused is not done there.
fn follow(plain: &mut Plain, movement: &Movement, now: Timestamp) {
    let available = plain.balance() - plain.held() - plain.expirable(now.0);
    match movement {
        Movement::Hold { amount, .. } => {
            let amount = i128::from(amount.nano());
            plain.beyond += (amount - available.max(0)).max(0);
            plain.holds.push(amount);
        }
        Movement::Settle { hold, charge } => {
            plain.holds.pop();
            let (hold, charge) = (i128::from(hold.nano()), i128::from(charge.nano()));
            plain.beyond += (charge - hold).max(0);
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
        match apply(&mut pair.account, movement.clone(), now) {
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
