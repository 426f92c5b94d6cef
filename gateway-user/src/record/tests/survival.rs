//! Death of the daemon, a full disk, other processes and other files.

use std::os::unix::fs::PermissionsExt;

use super::*;

#[test]
fn a_killed_daemon_leaves_no_open_entry() {
    let (_folder, path) = place();
    let (mut acknowledged, mut closed_before) = (Vec::new(), Vec::new());
    for round in 0..20 {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let (report, reports) = std::sync::mpsc::channel();
        runtime.block_on(async {
            let ledger = open_when_free(&path).await;
            for _ in 0..20 {
                let (ledger, report) = (ledger.clone(), report.clone());
                tokio::spawn(async move {
                    let session = ledger.session(session_start()).await.unwrap();
                    // The next start has to write all of it.
                    for _ in 0..50 {
                        let exchange = session.exchange(exchange_start()).await.unwrap();
                        let id = exchange.id();
                        report.send((id, false)).unwrap();
                        exchange.close(closed(Outcome::Completed)).await.unwrap();
                        report.send((id, true)).unwrap();
                    }
                });
            }
            tokio::time::sleep(Duration::from_millis(3 * round)).await;
        });
        // The runtime goes away in the middle of whatever the writer is doing.
        runtime.shutdown_background();
        drop(report);
        for (id, ended) in reports {
            match ended {
                false => acknowledged.push(id),
                true => closed_before.push(id),
            }
        }
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let ledger = open_when_free(&path).await;
        let sessions = ledger.reader().sessions(&all()).await.unwrap();
        assert!(sessions.iter().all(|session| session.ended.is_some()));
        let ended: std::collections::HashMap<Id, Outcome> = sessions
            .iter()
            .flat_map(|session| &session.exchanges)
            .map(|exchange| (exchange.id, exchange.outcome.unwrap()))
            .collect();
        assert!(!acknowledged.is_empty());
        for id in &acknowledged {
            assert!(ended.contains_key(id), "{id} was acknowledged and is gone");
        }
        for id in &closed_before {
            assert_eq!(ended[id], Outcome::Completed, "{id} was closed and is not");
        }
    });
}

#[tokio::test]
async fn what_a_dead_daemon_left_open_is_unknown() {
    let (_folder, path) = place();
    let ledger = Ledger::open(&path).await.unwrap();
    let session = ledger.session(session_start()).await.unwrap();
    let exchange = session.exchange(exchange_start()).await.unwrap();
    let (_copies, copy) = killed(&path);
    let reopened = Ledger::open(&copy).await.unwrap();
    let replay = only(&reopened).await;
    assert_eq!(replay.session.id, session.id());
    assert!(replay.session.ended.is_some());
    let recorded = &replay.session.exchanges[0];
    assert_eq!(recorded.id, exchange.id());
    assert_eq!(recorded.decision, Decision::Permit);
    assert_eq!(recorded.outcome, Some(Outcome::Unknown));
    assert_eq!(
        recorded.reason.as_deref(),
        Some("the daemon stopped before it ended")
    );
}

#[tokio::test]
async fn a_full_disk_fails_closed_and_recovers() {
    let (_folder, path) = place();
    let options = store::writer_options(&path).pragma("max_page_count", "120");
    let ledger = Ledger::open_with(&path, options).await.unwrap();
    let session = ledger.session(session_start()).await.unwrap();
    let survivor = session.exchange(exchange_start()).await.unwrap();
    let survivor_id = survivor.id();
    let mut filler = session.exchange(exchange_start()).await.unwrap();
    filler.request(&noise(200_000));
    filler.close(closed(Outcome::Completed)).await.unwrap();

    let mut written = 0;
    while ledger.flush().await.is_ok() {
        let exchange = session.exchange(exchange_start()).await.unwrap();
        exchange.close(closed(Outcome::Completed)).await.unwrap();
        written += 1;
    }
    let error = session.exchange(exchange_start()).await.unwrap_err();
    assert!(matches!(error, LedgerError::Write(_)), "{error}");
    assert!(error.to_string().contains("full"), "{error}");
    assert!(ledger.is_broken());
    assert!(written > 0);

    // How it ends is on record, and in the store when that works again.
    let mut late = survivor;
    late.response(&noise(50_000));
    late.close(closed(Outcome::Completed)).await.unwrap();
    assert!(matches!(ledger.flush().await, Err(LedgerError::Behind(_))));
    assert!(session.exchange(exchange_start()).await.is_err());

    let mut other = connect(&path).await;
    sqlx::query("DELETE FROM body")
        .execute(&mut other)
        .await
        .unwrap();
    let start = Instant::now();
    while ledger.flush().await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!ledger.is_broken());
    session.exchange(exchange_start()).await.unwrap();
    let replay = ledger
        .reader()
        .session_of(&survivor_id.to_string())
        .await
        .unwrap();
    assert_eq!(
        replay.session.exchanges[0].outcome,
        Some(Outcome::Completed)
    );
    assert_eq!(
        replay.session.exchanges[0].response.as_ref().unwrap().bytes,
        50_000
    );
}

/// A kill can cut the spool anywhere: what is left of it is what the ledger has, and nothing that was whole is lost.
#[tokio::test]
async fn a_kill_anywhere_loses_nothing_that_was_whole() {
    let (_folder, path) = place();
    let ledger = Ledger::open(&path).await.unwrap();
    let session = ledger.session(session_start()).await.unwrap();
    ledger.flush().await.unwrap();
    let spool = path.with_file_name("ledger.db.spool-0");
    let mut ends = Vec::new();
    for n in 0..2 {
        let exchange = session.exchange(exchange_start()).await.unwrap();
        ends.push((std::fs::metadata(&spool).unwrap().len(), n + 1, n));
        exchange.close(closed(Outcome::Completed)).await.unwrap();
        ends.push((std::fs::metadata(&spool).unwrap().len(), n + 1, n + 1));
    }
    // Before the writer has gathered them, so that the spool alone has them.
    let (_copies, killed) = killed(&path);
    let bytes = std::fs::read(killed.with_file_name("ledger.db.spool-0")).unwrap();
    assert_eq!(bytes.len() as u64, ends[3].0);
    let mut step = 0;
    for cut in (0..=bytes.len()).rev() {
        let whole = ends.iter().rev().find(|(end, ..)| *end <= cut as u64);
        let (boundary, opened, completed) = whole.copied().unwrap_or_default();
        // Around every boundary each byte, elsewhere some.
        step += 1;
        if (cut as u64).abs_diff(boundary) > 1 && step % 397 != 0 {
            continue;
        }
        let (_copies, copy) = self::killed(&killed);
        std::fs::write(copy.with_file_name("ledger.db.spool-0"), &bytes[..cut]).unwrap();
        let replay = only(&Ledger::open(&copy).await.unwrap()).await;
        let exchanges = &replay.session.exchanges;
        assert_eq!(exchanges.len(), opened, "cut at {cut}");
        let done = |e: &&Exchange| e.outcome == Some(Outcome::Completed);
        assert_eq!(
            exchanges.iter().filter(done).count(),
            completed,
            "cut at {cut}"
        );
        let open = |e: &&Exchange| e.outcome.is_none();
        assert_eq!(exchanges.iter().filter(open).count(), 0, "cut at {cut}");
    }
}

/// A kill between the store's commit and whatever comes next: nothing is written twice, and numbers go on.
#[tokio::test]
async fn what_the_store_has_is_not_written_again() {
    let (_folder, path) = place();
    let mut at = path.clone();
    let mut folders = Vec::new();
    for round in 1..4 {
        let ledger = Ledger::open(&at).await.unwrap();
        let session = ledger.session(session_start()).await.unwrap();
        let mut exchange = session.exchange(exchange_start()).await.unwrap();
        exchange.request(b"said");
        exchange.close(closed(Outcome::Completed)).await.unwrap();
        ledger.flush().await.unwrap();
        // The spool still holds what the store has by now.
        let spool = at.with_file_name("ledger.db.spool-0");
        assert!(std::fs::metadata(spool).unwrap().len() > 0);
        let sessions = ledger.reader().sessions(&all()).await.unwrap();
        assert_eq!(sessions.len(), round);
        let (folder, copy) = killed(&at);
        folders.push(folder);
        at = copy;
    }
}

#[tokio::test]
async fn one_process_writes_and_nobody_else_reads() {
    let (_folder, path) = place();
    let ledger = Ledger::open(&path).await.unwrap();
    let _session = ledger.session(session_start()).await.unwrap();
    assert!(matches!(
        Ledger::open(&path).await,
        Err(LedgerError::InUse { .. })
    ));
    let folder = path.parent().unwrap();
    assert_eq!(mode(folder), 0o700);
    let mut files = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
        files += 1;
    }
    assert_eq!(files, 6, "ledger, lock, -wal, -shm, two of the spool");
    // Reading needs no lock.
    ledger.flush().await.unwrap();
    let beside = Reader::open(&path).sessions(&all()).await.unwrap();
    assert_eq!(beside.len(), 1);
}

#[tokio::test]
async fn a_folder_that_others_write_is_refused() {
    let (_folder, path) = place();
    let folder = path.parent().unwrap();
    std::fs::create_dir(folder).unwrap();
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777)).unwrap();
    let error = Ledger::open(&path).await.unwrap_err();
    assert!(matches!(error, LedgerError::Exposed { mode: 0o777, .. }));
}

#[tokio::test]
async fn what_is_no_ledger_is_refused() {
    let (_folder, path) = place();
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    std::fs::set_permissions(
        path.parent().unwrap(),
        std::fs::Permissions::from_mode(0o700),
    )
    .unwrap();
    std::fs::write(
        &path,
        "not a database, but long enough to be looked at".repeat(100),
    )
    .unwrap();
    let error = Ledger::open(&path).await.unwrap_err();
    assert!(matches!(error, LedgerError::Open { .. }), "{error}");
}

/// After a runtime is gone its connection may live a moment longer in SQLite's own thread.
async fn open_when_free(path: &Path) -> Ledger {
    let start = Instant::now();
    loop {
        match Ledger::open(path).await {
            Ok(ledger) => return ledger,
            Err(LedgerError::InUse { .. }) if start.elapsed() < Duration::from_secs(5) => {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Bytes that do not compress.
fn noise(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    bytes
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn surrogates_outlive_the_daemon_and_the_latest_meaning_counts() {
    let (_folder, path) = place();
    let kept = |identity: &str, surrogate: &str, sealed: &str| Surrogate {
        identity: identity.to_owned(),
        surrogate: surrogate.to_owned(),
        detector: "email".to_owned(),
        class: "pii".to_owned(),
        sealed: sealed.to_owned(),
    };
    let all = [
        kept("a", "x@surrogate.example", "00"),
        kept("b", "x@surrogate.example", "01"),
        kept("a", "y@surrogate.example", "02"),
        kept("a", "x@surrogate.example", "03"),
        kept("a", "v@surrogate.example", "04"),
        kept("a", "w@surrogate.example", "05"),
    ];
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let ledger = Ledger::open(&path).await.unwrap();
        for one in &all {
            ledger.keep_surrogate(one.clone()).unwrap();
        }
    });
    // Killed before the store has them, or not.
    runtime.shutdown_background();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        for _ in 0..2 {
            let ledger = open_when_free(&path).await;
            let found = ledger.reader().surrogates().await.unwrap();
            // Of each identity the newest three.
            assert_eq!(found, [&all[1..2], &all[3..]].concat());
        }
    });
}
