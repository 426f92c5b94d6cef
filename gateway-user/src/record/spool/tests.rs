//! What is read back after cuts, flips, aborted appends and turns of the files.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use tempfile::TempDir;

use super::super::transcript::Body;
use super::super::types::{Closed, Outcome};
use super::*;
use crate::record::id::{Id, Ids};
use crate::record::step::End;
use crate::record::{LedgerError, Time};

fn open(folder: &TempDir, applied: u64) -> (Spool, Vec<(u64, Step)>) {
    let path = folder.path().join("ledger.db");
    let lock = Arc::new(tempfile::tempfile().unwrap());
    Spool::open(&path, lock, Arc::new(AtomicU64::new(applied))).unwrap()
}

fn fresh(folder: &TempDir) -> Spool {
    let (mut spool, left) = open(folder, 0);
    assert!(left.is_empty());
    spool.clear().unwrap();
    spool
}

fn end(id: Id, sizes: [usize; 2]) -> Step {
    let body = |size| {
        (size > 0).then(|| Body {
            zstd: vec![0xA5; size],
            total: size as u64,
            truncated: false,
        })
    };
    Step::ExchangeClosed(Box::new(End {
        id,
        closed: Closed {
            outcome: Outcome::Completed,
            status: Some(200),
            usage: None,
            findings: Vec::new(),
            reason: None,
            cost: None,
        },
        findings: Vec::new(),
        ms: 1,
        request: body(sizes[0]),
        response: body(sizes[1]),
    }))
}

fn id() -> Id {
    Ids::default().next().unwrap()
}

fn numbers(left: &[(u64, Step)]) -> Vec<u64> {
    left.iter().map(|(number, _)| *number).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_cut_or_a_flip_leaves_a_whole_beginning(
        sizes in proptest::collection::vec((0usize..300, 0usize..300), 1..8),
        place in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let folder = TempDir::new().unwrap();
        let mut spool = fresh(&folder);
        let mut ends = vec![0];
        for (request, answer) in &sizes {
            spool.append(&end(id(), [*request, *answer])).unwrap();
            ends.push(spool.files[0].length);
        }
        let path = folder.path().join("ledger.db.spool-0");
        let mut bytes = std::fs::read(&path).unwrap();
        let at = place.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] ^= 0x10;
        }
        std::fs::write(&path, &bytes).unwrap();
        let whole = ends.iter().filter(|end| **end <= at as u64).count() - 1;
        let (_, left) = open(&folder, 0);
        prop_assert_eq!(numbers(&left), (1..=whole as u64).collect::<Vec<_>>());
        for ((_, step), (request, answer)) in left.iter().zip(&sizes) {
            let lengths = step.bodies().map(|body| body.map_or(0, |body| body.zstd.len()));
            prop_assert_eq!(lengths, [*request, *answer]);
        }
    }
}

#[test]
fn an_aborted_append_is_written_over() {
    let folder = TempDir::new().unwrap();
    let mut spool = fresh(&folder);
    spool.append(&end(id(), [10, 0])).unwrap();
    let length = spool.files[0].length;
    // What a full disk leaves: a frame of which only a part was written, and of which nobody was told.
    spool.append(&end(id(), [500, 500])).unwrap();
    spool.files[0].file.set_len(length + 700).unwrap();
    spool.files[0].length = length;
    spool.next -= 1;
    spool.append(&end(id(), [0, 0])).unwrap();
    let (_, left) = open(&folder, 0);
    assert_eq!(numbers(&left), [1, 2]);
    assert!(left[1].1.bodies()[0].is_none());
}

#[test]
fn a_full_disk_is_an_error_and_nothing_else() {
    let folder = TempDir::new().unwrap();
    let mut spool = fresh(&folder);
    let good = std::mem::replace(
        &mut spool.files[0].file,
        File::options().write(true).open("/dev/full").unwrap(),
    );
    let error = spool.append(&end(id(), [1, 1])).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    spool.files[0].file = good;
    assert_eq!(spool.append(&end(id(), [1, 1])).unwrap(), 1);
}

#[test]
fn files_take_turns_once_the_store_has_caught_up() {
    let folder = TempDir::new().unwrap();
    let mut spool = fresh(&folder);
    let big = || end(id(), [1 << 20, 1 << 20]);
    let append = |spool: &mut Spool| spool.append(&big()).unwrap();
    for _ in 0..3 {
        append(&mut spool);
    }
    // The other file is empty.
    assert_eq!(spool.active, 1);
    for _ in 0..4 {
        append(&mut spool);
    }
    // The store has nothing yet, so nothing is given up.
    assert_eq!(spool.active, 1);
    assert_eq!(numbers(&open(&folder, 0).1), [1, 2, 3, 4, 5, 6, 7]);
    spool.applied.store(5, Ordering::Release);
    append(&mut spool);
    assert_eq!(spool.active, 0);
    assert_eq!(numbers(&open(&folder, 5).1), [6, 7, 8]);
    // Numbers go on where they were.
    let (mut again, _) = open(&folder, 8);
    again.clear().unwrap();
    assert_eq!(append(&mut again), 9);
}

#[tokio::test]
async fn the_end_of_an_entry_reaches_the_store_without_the_spool() {
    use super::super::op::Op;
    use super::super::queue::{Queue, State};
    let folder = TempDir::new().unwrap();
    let mut spool = fresh(&folder);
    spool.files[0].file = File::options().write(true).open("/dev/full").unwrap();
    let (queue, mut writes) = Queue::new(spool, Arc::new(State::default()));
    let room = queue.room().await.unwrap();
    let refused = queue.put(Step::SessionEnded(id(), Time::now()), Some(room));
    assert!(matches!(refused, Err(LedgerError::Spool(_))));
    assert!(writes.try_recv().is_err());
    queue.end(queue.reserve().unwrap(), end(id(), [0, 0]));
    let write = writes.try_recv().unwrap();
    assert!(matches!(write.op, Op::Step(_, None)));
}
