//! What PostgreSQL said, as what it means; and values on its wire.

use bytes::BytesMut;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::error::StoreError;
use crate::record::Value;

/// What PostgreSQL said, as what it means.
pub(crate) fn failed(name: &str, error: &tokio_postgres::Error) -> StoreError {
    let database = name.to_owned();
    let Some(db) = error.as_db_error() else {
        let cause = std::error::Error::source(error);
        let lost = error.is_closed() || cause.is_some_and(|c| c.is::<std::io::Error>());
        let detail = match cause {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        };
        return if lost {
            StoreError::Lost { database, detail }
        } else {
            StoreError::Other { database, detail }
        };
    };
    let detail = db.message().to_owned();
    let code = db.code();
    let class = code.code().get(..2).unwrap_or("");
    match class {
        _ if *code == SqlState::DISK_FULL => StoreError::DiskFull { database },
        _ if *code == SqlState::READ_ONLY_SQL_TRANSACTION => StoreError::ReadOnly { database },
        _ if *code == SqlState::LOCK_NOT_AVAILABLE => StoreError::Locked { database },
        _ if *code == SqlState::TOO_MANY_CONNECTIONS => {
            StoreError::CannotConnect { database, detail }
        }
        "40" => StoreError::Contended { database },
        "23" => StoreError::Constraint { database, detail },
        "28" | "3D" => StoreError::CannotConnect { database, detail },
        // A statement that took too long, or that someone stopped: the connection stands.
        _ if *code == SqlState::QUERY_CANCELED => StoreError::Other { database, detail },
        _ if *code == SqlState::DATABASE_DROPPED => StoreError::CannotConnect { database, detail },
        // A program that stood still in a transaction finds itself put out.
        _ if *code == SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => {
            StoreError::Lost { database, detail }
        }
        "57" | "08" => StoreError::Lost { database, detail },
        "XX" => StoreError::Corrupt { database, detail },
        _ => StoreError::Other { database, detail },
    }
}

impl StoreError {
    /// While opening, a lost connection is one that never was.
    pub(crate) fn at_open(self) -> Self {
        match self {
            Self::Lost { database, detail } | Self::Other { database, detail } => {
                Self::CannotConnect { database, detail }
            }
            other => other,
        }
    }
}

type Trouble = Box<dyn std::error::Error + Sync + Send>;

impl ToSql for Value {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Trouble> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            // What a text compares with a literal is an INT4 for the server.
            Self::Int(v) if *ty == Type::INT4 => i32::try_from(*v)?.to_sql(ty, out),
            Self::Int(v) => v.to_sql(ty, out),
            Self::Text(v) => v.to_sql(ty, out),
            Self::Bytes(v) => v.to_sql(ty, out),
        }
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::INT4 | Type::INT8 | Type::TEXT | Type::BYTEA)
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Trouble> {
        match *ty {
            Type::INT4 => i32::from_sql(ty, raw).map(|v| Self::Int(i64::from(v))),
            Type::INT8 => i64::from_sql(ty, raw).map(Self::Int),
            Type::TEXT => String::from_sql(ty, raw).map(Self::Text),
            _ => Vec::from_sql(ty, raw).map(Self::Bytes),
        }
    }

    fn from_sql_null(_: &Type) -> Result<Self, Trouble> {
        Ok(Self::Null)
    }

    fn accepts(ty: &Type) -> bool {
        <Self as ToSql>::accepts(ty)
    }
}
