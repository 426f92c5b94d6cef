//! Budgets hold across identities, groups, periods and threads.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::config::Config;

const NOON: &str = "2026-11-30T12:00:00.000Z";

fn at(text: &str) -> Time {
    text.parse().unwrap()
}

fn book(budgets: &str) -> Arc<Book> {
    let identities = "[[identity]]\nid = \"a\"\ngroups = [\"g\"]\n[[identity]]\nid = \"b\"\ngroups = [\"g\"]\n[[identity]]\nid = \"c\"\n";
    let text = format!("{identities}{budgets}");
    let config = Config::parse(&text, std::path::Path::new("/")).unwrap();
    Arc::new(Book::new(&config.budgets, &config.identities))
}

fn left(book: &Book, now: &str) -> Vec<u64> {
    let accounts = book.accounts(at(now));
    let limited = accounts.iter().filter_map(Account::left);
    limited.collect()
}

const TREE: &str = "
    [[budget]]\nname = \"all\"\nusd = 3\nper = \"month\"
    [[budget]]\nname = \"g\"\ngroup = \"g\"\nusd = 2\nper = \"day\"
    [[budget]]\nname = \"a\"\nidentity = \"a\"\nusd = 1\nper = \"day\"\n";

#[test]
fn a_call_is_charged_to_every_budget_it_belongs_to_or_to_none() {
    let book = book(TREE);
    let dollar = 1_000_000_000;
    let hold = book.reserve("a", dollar, at(NOON)).unwrap();
    assert_eq!(left(&book, NOON), [2 * dollar, dollar, 0]);
    let error = book.reserve("a", 1, at(NOON)).unwrap_err();
    assert_eq!(error.budget, "a");
    hold.settle(dollar / 4);
    assert_eq!(
        left(&book, NOON),
        [2_750_000_000, 1_750_000_000, 750_000_000]
    );
    let error = book.reserve("b", 2 * dollar, at(NOON)).unwrap_err();
    assert_eq!(error.budget, "g");
    assert_eq!(
        left(&book, NOON),
        [2_750_000_000, 1_750_000_000, 750_000_000]
    );
    drop(book.reserve("c", dollar, at(NOON)).unwrap());
    assert_eq!(left(&book, NOON)[0], 1_750_000_000, "unsettled is spent");
    assert_eq!(book.spent("c", at(NOON)), (dollar, dollar));
}

#[test]
fn a_day_and_a_month_end_and_calls_belong_to_where_they_began() {
    let book = book(TREE);
    let hold = book.reserve("a", 1_000_000_000, at(NOON)).unwrap();
    let next = "2026-12-01T00:00:00.000Z";
    assert_eq!(
        left(&book, next),
        [3_000_000_000, 2_000_000_000, 1_000_000_000]
    );
    hold.settle(900_000_000);
    assert_eq!(
        left(&book, next),
        [3_000_000_000, 2_000_000_000, 1_000_000_000]
    );
    // The clock goes back: the new day stays.
    book.reserve("a", 1_000_000_000, at(NOON))
        .unwrap()
        .settle(0);
    assert_eq!(book.accounts(at(NOON))[2].period, "2026-12-01");
}

#[test]
fn what_is_on_record_counts_where_it_belongs() {
    let book = book(TREE);
    let spent = |identity: &str, when: &str, cost| DaySpent {
        identity: identity.to_owned(),
        at: at(when),
        cost,
    };
    let past = [
        spent("a", "2026-11-30T00:00:00.000Z", 1),
        spent("a", "2026-11-29T23:59:59.999Z", 10),
        spent("b", "2026-11-30T11:00:00.000Z", 100),
        spent("a", "2026-10-31T23:59:59.999Z", 1000),
        spent("gone", "2026-11-30T11:00:00.000Z", 10_000),
    ];
    book.restore(past, at(NOON));
    let spent: Vec<u64> = book.accounts(at(NOON)).iter().map(|a| a.spent).collect();
    assert_eq!(
        spent[..3],
        [10_111, 101, 1],
        "what an identity spent that is gone is spent by everybody"
    );
    assert_eq!(book.spent("gone", at(NOON)), (0, 0));
}

#[test]
fn a_thousand_at_once_never_pass_a_budget() {
    let book = book("[[budget]]\nname = \"one\"\nusd = 1\nper = \"day\"\n");
    let calls = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                let book = &book;
                scope.spawn(move || {
                    let mut passed = 0;
                    for call in 0..250 {
                        let Ok(hold) = book.reserve("a", 7_000_000, at(NOON)) else {
                            continue;
                        };
                        let account = &book.accounts(at(NOON))[0];
                        assert!(account.used() <= 1_000_000_000);
                        passed += 1;
                        hold.settle(if (thread + call) % 2 == 0 {
                            7_000_000
                        } else {
                            3_000_000
                        });
                    }
                    passed
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum::<u32>()
    });
    let account = &book.accounts(at(NOON))[0];
    assert!(account.spent <= 1_000_000_000 && account.reserved == 0);
    assert!(
        account.spent > 990_000_000,
        "{} after {calls}",
        account.spent
    );
}
