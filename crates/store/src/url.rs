//! Which database: a file, or a PostgreSQL server.

use std::fmt;
use std::path::PathBuf;

use crate::error::StoreError;

/// Where the store is. Its `Display` leaves the password out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL connection URL.
    Postgres(String),
}

impl DatabaseUrl {
    /// Reads a plain path, `sqlite:PATH`, `sqlite://PATH` or `postgres://…` / `postgresql://…`.
    ///
    /// # Errors
    /// `UnknownUrl` for an empty text or another scheme.
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        let unknown = || StoreError::UnknownUrl {
            url: without_password(text),
        };
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        let path = match text.strip_prefix("sqlite:") {
            Some(rest) => rest.strip_prefix("//").unwrap_or(rest),
            None if text.contains("://") => return Err(unknown()),
            None => text,
        };
        if path.is_empty() || path.contains('\0') {
            return Err(unknown());
        }
        Ok(Self::Sqlite(PathBuf::from(path)))
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "{}", path.display()),
            Self::Postgres(url) => f.write_str(&without_password(url)),
        }
    }
}

/// `scheme://user:secret@host` becomes `scheme://user@host`; a query may hold a password too and is dropped.
fn without_password(url: &str) -> String {
    let base = url.split('?').next().unwrap_or(url);
    let Some((scheme, rest)) = base.split_once("://") else {
        return base.to_owned();
    };
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    match authority.rsplit_once('@') {
        Some((user, host)) => {
            let user = user.split(':').next().unwrap_or(user);
            format!("{scheme}://{user}@{host}{path}")
        }
        None => format!("{scheme}://{authority}{path}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn reads_each_form() {
        for text in ["a/b.db", "sqlite:a/b.db", "sqlite://a/b.db"] {
            assert_eq!(
                DatabaseUrl::parse(text).unwrap(),
                DatabaseUrl::Sqlite(PathBuf::from("a/b.db"))
            );
        }
        assert!(matches!(
            DatabaseUrl::parse("postgresql://h/d").unwrap(),
            DatabaseUrl::Postgres(_)
        ));
        assert!(DatabaseUrl::parse("mysql://h/d").is_err());
        assert!(DatabaseUrl::parse("").is_err());
    }

    #[test]
    fn a_password_is_never_shown() {
        let url = DatabaseUrl::parse("postgres://ann:s3:cr@t@host:5432/db?password=s3").unwrap();
        assert_eq!(url.to_string(), "postgres://ann@host:5432/db");
        let refused = DatabaseUrl::parse("mysql://ann:s3cret@host/db").unwrap_err();
        assert!(!refused.to_string().contains("s3cret"));
    }
}
