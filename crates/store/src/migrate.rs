//! Migrations: the schema's history as numbered texts, applied once each and remembered with their checksum.

use crate::chain::content_hash;
use crate::error::StoreError;
use crate::rows::Hash;

/// One migration of one database.
pub(crate) struct Migration {
    /// 1, 2, 3, …
    pub(crate) number: i64,
    /// Its file's name.
    pub(crate) name: &'static str,
    /// Its text.
    pub(crate) text: &'static str,
}

macro_rules! migrations {
    ($database:literal: $($number:literal $name:literal),+) => {
        &[$(Migration {
            number: $number,
            name: $name,
            text: include_str!(concat!("../migrations/", $database, "/", $name, ".sql")),
        }),+]
    };
}

pub(crate) const SQLITE: &[Migration] = migrations!(
    "sqlite": 1 "0001_start", 2 "0002_service", 3 "0003_packed", 4 "0004_own_data", 5 "0005_money",
    6 "0006_few_rows", 7 "0007_turns", 8 "0008_one_index"
);
pub(crate) const POSTGRES: &[Migration] = migrations!(
    "postgres": 1 "0001_start", 2 "0002_service", 3 "0003_packed", 4 "0004_own_data", 5 "0005_money",
    6 "0006_few_rows", 7 "0007_turns", 8 "0008_one_index"
);

/// The table that remembers, in words that both databases know.
pub(crate) const TABLE_SQLITE: &str = "
    create table if not exists schema_migration (
      number integer primary key, name text not null, checksum blob not null
    ) strict";
pub(crate) const TABLE_POSTGRES: &str = "
    create table if not exists schema_migration (
      number bigint primary key, name text not null, checksum bytea not null
    )";
pub(crate) const APPLIED: &str = "select number, checksum from schema_migration order by number";
pub(crate) const REMEMBER_SQLITE: &str =
    "insert into schema_migration (number, name, checksum) values (?1, ?2, ?3)";
pub(crate) const REMEMBER_POSTGRES: &str =
    "insert into schema_migration (number, name, checksum) values ($1, $2, $3)";

impl Migration {
    /// SHA-256 of its text.
    pub(crate) fn checksum(&self) -> Hash {
        content_hash(self.text.as_bytes())
    }
}

/// What is still to be applied, given what was.
///
/// # Errors
/// `Newer` when the database has a migration that is unknown here, `Altered` when one was applied with another text.
pub(crate) fn missing<'a>(
    database: &str,
    known: &'a [Migration],
    applied: &[(i64, Vec<u8>)],
) -> Result<Vec<&'a Migration>, StoreError> {
    let newest = known.last().map_or(0, |m| m.number);
    if let Some((found, _)) = applied.iter().find(|(number, _)| *number > newest) {
        return Err(StoreError::Newer {
            database: database.to_owned(),
            found: applied.last().map_or(*found, |(number, _)| *number),
            known: newest,
        });
    }
    let mut missing = Vec::new();
    for migration in known {
        match applied
            .iter()
            .find(|(number, _)| *number == migration.number)
        {
            None => missing.push(migration),
            Some((_, checksum)) if *checksum == migration.checksum() => {}
            Some(_) => {
                return Err(StoreError::Altered {
                    database: database.to_owned(),
                    migration: migration.name.to_owned(),
                });
            }
        }
    }
    Ok(missing)
}
