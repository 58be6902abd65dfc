//! The tokens of msgpack: one marker and what belongs to it, borrowed from the message.

use rmp::Marker;

use super::codec_error::Problem;

/// One token. Arrays and maps are announced by their length; their elements follow as tokens of their own.
pub(super) enum Token<'a> {
    Nil,
    Bool(bool),
    Int(i64),
    /// Beyond the range of `Int`.
    Uint(u64),
    Float(f64),
    Str(&'a [u8]),
    Bin(&'a [u8]),
    Array(usize),
    Map(usize),
    Ext(i8, &'a [u8]),
}

impl Token<'_> {
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "null",
            Self::Bool(_) => "a bool",
            Self::Int(_) | Self::Uint(_) | Self::Float(_) => "a number",
            Self::Str(_) => "a string",
            Self::Bin(_) => "a run of bytes",
            Self::Array(_) => "a list",
            Self::Map(_) => "a map",
            Self::Ext(..) => "unknown",
        }
    }
}

/// What has not been read yet.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Problem> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Problem::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Problem::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn length8(&mut self) -> Result<usize, Problem> {
        Ok(usize::from(u8::from_be_bytes(self.array()?)))
    }

    fn length16(&mut self) -> Result<usize, Problem> {
        Ok(usize::from(u16::from_be_bytes(self.array()?)))
    }

    fn length32(&mut self) -> Result<usize, Problem> {
        usize::try_from(u32::from_be_bytes(self.array()?)).map_err(|_too_long| Problem::TooLong)
    }

    /// An announced number of elements, each of which takes a byte at least: a lie is caught before anything is allocated.
    fn counted(&self, count: usize, bytes_each: usize) -> Result<usize, Problem> {
        if count.saturating_mul(bytes_each) > self.rest.len() { Err(Problem::Truncated) } else { Ok(count) }
    }

    fn text(&mut self, length: usize) -> Result<Token<'a>, Problem> {
        Ok(Token::Str(self.take(length)?))
    }

    fn bin(&mut self, length: usize) -> Result<Token<'a>, Problem> {
        Ok(Token::Bin(self.take(length)?))
    }

    fn list(&self, count: usize) -> Result<Token<'a>, Problem> {
        Ok(Token::Array(self.counted(count, 1)?))
    }

    fn map(&self, count: usize) -> Result<Token<'a>, Problem> {
        Ok(Token::Map(self.counted(count, 2)?))
    }

    fn ext(&mut self, length: usize) -> Result<Token<'a>, Problem> {
        let kind = i8::from_be_bytes(self.array()?);
        Ok(Token::Ext(kind, self.take(length)?))
    }

    /// The next token.
    pub(super) fn token(&mut self) -> Result<Token<'a>, Problem> {
        let [first] = self.array()?;
        let token = match Marker::from_u8(first) {
            Marker::Null => Token::Nil,
            Marker::True => Token::Bool(true),
            Marker::False => Token::Bool(false),
            Marker::FixPos(int) => Token::Int(int.into()),
            Marker::FixNeg(int) => Token::Int(int.into()),
            Marker::U8 => Token::Int(u8::from_be_bytes(self.array()?).into()),
            Marker::U16 => Token::Int(u16::from_be_bytes(self.array()?).into()),
            Marker::U32 => Token::Int(u32::from_be_bytes(self.array()?).into()),
            Marker::U64 => {
                let uint = u64::from_be_bytes(self.array()?);
                i64::try_from(uint).map_or(Token::Uint(uint), Token::Int)
            }
            Marker::I8 => Token::Int(i8::from_be_bytes(self.array()?).into()),
            Marker::I16 => Token::Int(i16::from_be_bytes(self.array()?).into()),
            Marker::I32 => Token::Int(i32::from_be_bytes(self.array()?).into()),
            Marker::I64 => Token::Int(i64::from_be_bytes(self.array()?)),
            Marker::F32 => Token::Float(f32::from_be_bytes(self.array()?).into()),
            Marker::F64 => Token::Float(f64::from_be_bytes(self.array()?)),
            marker => return self.long_token(marker),
        };
        Ok(token)
    }

    fn long_token(&mut self, marker: Marker) -> Result<Token<'a>, Problem> {
        match marker {
            Marker::FixStr(length) => self.text(length.into()),
            Marker::Str8 => self.length8().and_then(|length| self.text(length)),
            Marker::Str16 => self.length16().and_then(|length| self.text(length)),
            Marker::Str32 => self.length32().and_then(|length| self.text(length)),
            Marker::Bin8 => self.length8().and_then(|length| self.bin(length)),
            Marker::Bin16 => self.length16().and_then(|length| self.bin(length)),
            Marker::Bin32 => self.length32().and_then(|length| self.bin(length)),
            Marker::FixArray(count) => self.list(count.into()),
            Marker::Array16 => self.length16().and_then(|count| self.list(count)),
            Marker::Array32 => self.length32().and_then(|count| self.list(count)),
            Marker::FixMap(count) => self.map(count.into()),
            Marker::Map16 => self.length16().and_then(|count| self.map(count)),
            Marker::Map32 => self.length32().and_then(|count| self.map(count)),
            Marker::FixExt1 => self.ext(1),
            Marker::FixExt2 => self.ext(2),
            Marker::FixExt4 => self.ext(4),
            Marker::FixExt8 => self.ext(8),
            Marker::FixExt16 => self.ext(16),
            Marker::Ext8 => self.length8().and_then(|length| self.ext(length)),
            Marker::Ext16 => self.length16().and_then(|length| self.ext(length)),
            Marker::Ext32 => self.length32().and_then(|length| self.ext(length)),
            _ => Err(Problem::NotMsgpack),
        }
    }

    /// Passes over one value, however it is nested, without recursion.
    pub(super) fn skip(&mut self) -> Result<(), Problem> {
        let mut pending: usize = 1;
        while let Some(left) = pending.checked_sub(1) {
            pending = match self.token()? {
                Token::Array(count) => left.saturating_add(count),
                Token::Map(count) => left.saturating_add(count.saturating_mul(2)),
                _ => left,
            };
        }
        Ok(())
    }
}
