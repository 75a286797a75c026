//! An account's books: the order of use, debt, holds, expiry, and what they refuse.

use domain::money::ledger::{
    ADJUSTED, AMOUNT_MAX, Account, Entry, Grant, Kind, Movement, Refused, apply,
};
use domain::values::credits::Credits;
use domain::values::time::Timestamp;

pub const NOW: Timestamp = Timestamp(1_000);

pub fn nano(nano: i64) -> Credits {
    Credits::from_nano(nano)
}

pub fn grant(key: &str, amount: i64) -> Grant {
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
        must_fit: false,
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

/// Beyond it a row would count no more, and nobody would be told.
#[test]
fn no_account_is_given_or_owes_more_than_can_be_counted() {
    let mut account = with(&[10]);
    let much = AMOUNT_MAX.nano();
    let mut given = 0;
    let refused = loop {
        let gift = Movement::Grant(grant(&format!("gift-{given}"), much));
        match apply(&mut account, gift, NOW) {
            Ok(entry) => assert_eq!(entry.amount, nano(much)),
            Err(refused) => break refused,
        }
        given += 1;
    };
    assert_eq!((refused, given), (Refused::Balance, 9));
    assert_eq!(account.balance(), nano(10 + 9 * much));
    let by = |key: i64, amount| Movement::Adjust {
        key: format!("by-{key}"),
        amount: nano(amount),
    };
    assert_eq!(apply(&mut account, by(0, much), NOW), Err(Refused::Balance));
    let taken = (1..).find(|n| apply(&mut account, by(*n, -much), NOW).is_err());
    assert_eq!(taken, Some(20));
    assert_eq!(account.balance(), nano(10 - 10 * much));
}

#[test]
fn what_nothing_was_held_for_is_taken_only_where_there_is_enough() {
    let mut account = with(&[10]);
    hold(&mut account, 4).unwrap();
    let alone = |charge| Movement::Settle {
        hold: nano(0),
        charge: nano(charge),
        must_fit: true,
    };
    let short = Refused::Short {
        needed: nano(7),
        available: nano(6),
    };
    assert_eq!(apply(&mut account, alone(7), NOW), Err(short));
    assert_eq!(apply(&mut account, alone(6), NOW).unwrap().amount, nano(-6));
    assert_eq!((account.balance(), account.held), (nano(4), nano(4)));
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
