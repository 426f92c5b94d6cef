//! Numbers that only the name of their column announces.

use crate::tests::{found, is_found_however_cut};

/// Ten rows, so that the names are far from the last.
fn table(names: &str, row: &str, joint: &str) -> String {
    let rows: Vec<String> = (0..10).map(|_| row.to_owned()).collect();
    format!("{names}\n{}\n", rows.join(joint))
}

#[test]
fn a_column_announces_its_numbers_however_it_is_written() {
    for (names, row) in [
        ("id,name,ssn,city", "7,Ada,536904399,Paris"),
        ("id,name,ssn", "7,\"Lovelace, Ada\",536904399"),
        ("\"name\",\"ssn\"", "\"Ada\",\"536904399\""),
        ("id;customerSsn;city", "7;536904399;Paris"),
        ("name\tssn\tcity", "Ada\t536904399\tParis"),
        (
            "| Name | SSN | City |\n|:--|---|--:|",
            "| Ada | 536904399 | Paris |",
        ),
        (
            "+----+-----------+\n| id | ssn       |\n+----+-----------+",
            "|  7 | 536904399 |",
        ),
        (
            " id |    ssn    | city\n----+-----------+------",
            "  7 | 536904399 | Paris",
        ),
        ("ssn,born", "536904399,1815"),
        ("{\"content\":\"name,ssn", "Ada,536904399"),
    ] {
        let text = table(names, row, "\n");
        let all = found(&text);
        assert_eq!(all.len(), 10, "{text} has {all:?}");
        let ssn = ("us-ssn".to_owned(), "536904399".to_owned());
        assert!(all.iter().all(|one| *one == ssn), "{text} has {all:?}");
    }
    let text = table("id,name,ssn,city", "7,Ada,536904399,Paris", "\n");
    is_found_however_cut(&text);
    let text = table("card number|x", "378282246310005|y", "\n");
    assert_eq!(found(&text).len(), 10);
    let text = table("mobile phone,fax,x", "5125550187,,y", "\n");
    assert_eq!(found(&text).len(), 10, "{:?}", found(&text));
}

#[test]
fn other_columns_and_lines_that_are_no_table_announce_nothing() {
    let far = "x".repeat(100);
    for text in [
        table("id,name,total,city", "7,Ada,536904399,Paris", "\n"),
        format!("name,ssn,{far}\nAda,unknown,536904399\n"),
        // Another table, or none, has come between.
        format!("name,ssn\nAda,1\n\n{far}\nAda,536904399\n"),
        format!("name,ssn\nAda,1\n{far},y,z\nAda,536904399\n"),
        // Sentences are no names, and items no cells.
        format!("We ask for phone, then for the ssn. {far}\nsee, 536904399 items\n"),
        format!("id,ssn\n{far},536904399 items\n"),
        format!("id,ssn\n{far},x 536904399\n"),
        format!("id,ssn\n{}\n", format!("{far},536904399").repeat(30)),
    ] {
        assert_eq!(found(&text), [], "{text}");
    }
}
