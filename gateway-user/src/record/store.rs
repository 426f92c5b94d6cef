//! Opening the ledger file: folder, permissions, lock, schema, and the entries that a dead daemon left open.

use std::borrow::Cow;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, SqlSafeStr, query, query_scalar};

use super::error::LedgerError;
use super::time::Time;

/// Makes the ledger's folder and file if they are missing, readable by their owner only, and takes the right to write.
pub(super) fn claim(path: &Path) -> Result<File, LedgerError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|source| prepare(folder, source))?;
    let mode = folder
        .metadata()
        .map_err(|source| prepare(folder, source))?
        .permissions()
        .mode();
    if mode & 0o022 != 0 {
        return Err(LedgerError::Exposed {
            path: folder.to_owned(),
            mode: mode & 0o777,
        });
    }
    let lock_path = beside(path, ".lock");
    let lock = private_file(&lock_path)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(LedgerError::InUse {
                path: path.to_owned(),
            });
        }
        Err(TryLockError::Error(source)) => return Err(prepare(&lock_path, source)),
    }
    // SQLite gives its -wal and -shm files the permissions of this one.
    private_file(path)?;
    Ok(lock)
}

/// The writer's connection, with the newest schema, and the number of the last change of the spool that is in it.
pub(super) async fn writer(
    path: &Path,
    options: SqliteConnectOptions,
) -> Result<(SqliteConnection, u64), LedgerError> {
    let failed = |source| LedgerError::Open {
        path: path.to_owned(),
        source: Arc::new(source),
    };
    let mut db = options.connect().await.map_err(failed)?;
    migrations()
        .run(&mut db)
        .await
        .map_err(|error| failed(error.into()))?;
    let applied: i64 = query_scalar("SELECT applied FROM spool")
        .fetch_one(&mut db)
        .await
        .map_err(failed)?;
    Ok((db, applied.max(0).cast_unsigned()))
}

/// How the writer opens the file.
pub(super) fn writer_options(path: &Path) -> SqliteConnectOptions {
    common_options(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .foreign_keys(true)
        .pragma("journal_size_limit", WAL_LIMIT)
}

/// A few connections that only read; WAL lets them read while the writer writes.
pub(super) fn readers(path: &Path) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(READERS)
        .connect_lazy_with(common_options(path).read_only(true))
}

fn common_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY)
        .disable_statement_logging()
}

fn migrations() -> Migrator {
    let migration = |number, name, sql: &'static str| {
        let (kind, sql) = (MigrationType::Simple, sql.into_sql_str());
        Migration::new(number, Cow::Borrowed(name), kind, sql, false)
    };
    Migrator::with_migrations(vec![
        migration(1, "ledger", include_str!("migrations/0001_ledger.sql")),
        migration(
            2,
            "approval used",
            include_str!("migrations/0002_approval_used.sql"),
        ),
        migration(3, "spool", include_str!("migrations/0003_spool.sql")),
        migration(
            4,
            "direction",
            include_str!("migrations/0004_direction.sql"),
        ),
        migration(5, "spend", include_str!("migrations/0005_spend.sql")),
        migration(
            6,
            "imported root",
            include_str!("migrations/0006_imported_root.sql"),
        ),
        migration(
            7,
            "surrogate",
            include_str!("migrations/0007_surrogate.sql"),
        ),
    ])
}

/// Closes what a dead daemon left open.
pub(super) async fn close_leftovers(db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let now = Time::now().unix_ms();
    query("BEGIN IMMEDIATE").execute(&mut *db).await?;
    query(
        "UPDATE exchange SET outcome = 'unknown', reason = COALESCE(reason, 'the daemon stopped before it ended')
         WHERE outcome IS NULL",
    )
    .execute(&mut *db)
    .await?;
    query("UPDATE session SET ended = ?1 WHERE ended IS NULL")
        .bind(now)
        .execute(&mut *db)
        .await?;
    query(
        "UPDATE approval SET state = 'expired', at = expires WHERE state = 'pending' AND expires <= ?1",
    )
    .bind(now)
    .execute(&mut *db)
    .await?;
    query("COMMIT").execute(db).await.map(drop)
}

pub(super) fn private_file(path: &Path) -> Result<File, LedgerError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|source| prepare(path, source))
}

pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

pub(super) fn prepare(path: &Path, source: io::Error) -> LedgerError {
    LedgerError::Prepare {
        path: path.to_owned(),
        source: Arc::new(source),
    }
}

/// Nobody else writes, so this covers only a checkpoint or a person's SQL shell.
const BUSY: Duration = Duration::from_secs(5);

/// Readers are people and their tools.
const READERS: u32 = 4;

/// A burst may grow the write-ahead log; it shrinks to this many bytes afterwards.
const WAL_LIMIT: &str = "67108864";
