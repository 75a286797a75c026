//! The shim under all reads: parameters and records in the three kinds of value that both databases share.

use crate::error::StoreError;
use crate::text::unpack_text;

/// A parameter or a column: the only kinds that the schema has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// SQL null.
    Null,
    /// BIGINT; a boolean is 0 or 1.
    Int(i64),
    /// TEXT.
    Text(String),
    /// BLOB or BYTEA.
    Bytes(Vec<u8>),
}

impl From<i64> for Value {
    fn from(v: i64) -> Self {
        Self::Int(v)
    }
}
impl From<&str> for Value {
    fn from(v: &str) -> Self {
        Self::Text(v.to_owned())
    }
}
impl<const N: usize> From<&[u8; N]> for Value {
    fn from(v: &[u8; N]) -> Self {
        Self::Bytes(v.to_vec())
    }
}
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(v: Option<T>) -> Self {
        v.map_or(Self::Null, Into::into)
    }
}

/// One row of an answer, taken column by column from the left.
#[derive(Debug)]
pub struct Record {
    columns: std::vec::IntoIter<Value>,
}

impl Record {
    pub(crate) fn new(columns: Vec<Value>) -> Self {
        Self {
            columns: columns.into_iter(),
        }
    }

    /// The next column, an integer.
    pub(crate) fn int(&mut self, column: &'static str) -> Result<i64, StoreError> {
        self.opt_int(column)?.ok_or(StoreError::Decode { column })
    }

    /// The next column, an integer or null.
    pub(crate) fn opt_int(&mut self, column: &'static str) -> Result<Option<i64>, StoreError> {
        match self.columns.next() {
            Some(Value::Int(v)) => Ok(Some(v)),
            Some(Value::Null) => Ok(None),
            _ => Err(StoreError::Decode { column }),
        }
    }

    /// The next column, 0 or 1.
    pub(crate) fn flag(&mut self, column: &'static str) -> Result<bool, StoreError> {
        Ok(self.int(column)? != 0)
    }

    /// The next column, a text.
    pub(crate) fn text(&mut self, column: &'static str) -> Result<String, StoreError> {
        self.opt_text(column)?.ok_or(StoreError::Decode { column })
    }

    /// The next column, a text or null.
    pub(crate) fn opt_text(&mut self, column: &'static str) -> Result<Option<String>, StoreError> {
        match self.columns.next() {
            Some(Value::Text(v)) => Ok(Some(v)),
            Some(Value::Null) => Ok(None),
            _ => Err(StoreError::Decode { column }),
        }
    }

    /// The next column, bytes of any length.
    pub(crate) fn bytes(&mut self, column: &'static str) -> Result<Vec<u8>, StoreError> {
        match self.columns.next() {
            Some(Value::Bytes(v)) => Ok(v),
            _ => Err(StoreError::Decode { column }),
        }
    }

    /// The next column, bytes of any length or null.
    pub(crate) fn opt_bytes(
        &mut self,
        column: &'static str,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        match self.columns.next() {
            Some(Value::Bytes(v)) => Ok(Some(v)),
            Some(Value::Null) => Ok(None),
            _ => Err(StoreError::Decode { column }),
        }
    }

    /// The next column, a text that was packed.
    pub(crate) fn packed(&mut self, column: &'static str) -> Result<String, StoreError> {
        unpack_text(self.bytes(column)?, column)
    }

    /// The next column, an id or a hash.
    pub(crate) fn fixed<const N: usize>(
        &mut self,
        column: &'static str,
    ) -> Result<[u8; N], StoreError> {
        self.opt_fixed(column)?.ok_or(StoreError::Decode { column })
    }

    /// The next column, an id or a hash or null.
    pub(crate) fn opt_fixed<const N: usize>(
        &mut self,
        column: &'static str,
    ) -> Result<Option<[u8; N]>, StoreError> {
        match self.columns.next() {
            Some(Value::Bytes(v)) => v
                .try_into()
                .map(Some)
                .map_err(|_| StoreError::Decode { column }),
            Some(Value::Null) => Ok(None),
            _ => Err(StoreError::Decode { column }),
        }
    }
}
