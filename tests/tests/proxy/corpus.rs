//! Every fuzz target over its committed corpus.

use std::{collections::BTreeSet, fs, path::Path};

use tests::fuzz::TARGETS;

#[test]
fn every_fuzz_target_holds_on_its_corpus() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut folders: BTreeSet<String> = BTreeSet::new();
    for folder in fs::read_dir(&root)? {
        folders.insert(folder?.file_name().to_string_lossy().into_owned());
    }
    let names: BTreeSet<String> = TARGETS
        .iter()
        .map(|target| target.name.to_owned())
        .collect();
    assert_eq!(
        folders, names,
        "a corpus without a target, or the other way round"
    );
    for target in TARGETS {
        let mut replayed = 0;
        for file in fs::read_dir(root.join(target.name))? {
            let path = file?.path();
            // Shown only if it fails.
            println!("{}", path.display());
            (target.run)(&fs::read(&path)?);
            replayed += 1;
        }
        assert!(replayed > 0, "{} has no corpus", target.name);
    }
    Ok(())
}
