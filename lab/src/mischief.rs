//! What a relay does to one byte or message that passes, and how it finds that byte.

/// Which end of a relayed connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Who connected to the relay.
    Client,
    /// Whom the relay connected to.
    Server,
}

/// Where in what one side says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spot {
    /// That byte, counted from 0.
    Byte(u64),
    /// A byte of a message of SSH that passes in the clear, both counted from 0: message 0 is the version line, 1 the list of algorithms
    /// (KEXINIT), and what follows are the key exchange and NEWKEYS, behind which everything is encrypted.
    SshMessage(u64, u64),
}

/// What happens there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// One bit of the byte is flipped.
    Flip,
    /// What came before is passed on; then both ends are closed in an orderly way.
    Cut,
    /// What came before is passed on; then both ends are reset.
    Reset,
    /// What came before is passed on, and nothing any more; nobody is closed.
    Swallow,
    /// The first of these words is replaced by the second wherever it stands at or behind the spot, in the same piece.
    Replace(Vec<u8>, Vec<u8>),
}

/// One act, in each new connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mischief {
    /// Who speaks.
    pub side: Side,
    /// Where.
    pub spot: Spot,
    /// What.
    pub act: Act,
}

/// How the passing goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Cut,
    Reset,
    Swallow,
}

/// What is done to one direction of one connection.
pub(crate) struct Plan {
    mischief: Vec<Mischief>,
    position: u64,
    frames: Frames,
}

impl Plan {
    pub(crate) fn new(all: &[Mischief], side: Side) -> Plan {
        let mischief = all.iter().filter(|mischief| mischief.side == side).cloned().collect();
        Plan { mischief, position: 0, frames: Frames::default() }
    }

    /// Does to a piece what is planned for it. What is left in it is to be passed on; then the end, if there is one.
    pub(crate) fn apply(&mut self, piece: &mut Vec<u8>) -> Option<End> {
        if self.mischief.is_empty() {
            return None;
        }
        let mut index = 0;
        while index < piece.len() {
            let at = self.frames.take(piece[index]);
            let reached = |mischief: &&Mischief| match mischief.spot {
                Spot::Byte(byte) => byte == self.position,
                Spot::SshMessage(message, byte) => at == Some((message, byte)),
            };
            let act = self.mischief.iter().find(reached).map(|mischief| mischief.act.clone());
            self.position += 1;
            let end = match act {
                None => None,
                Some(Act::Flip) => {
                    piece[index] ^= 1;
                    None
                }
                Some(Act::Replace(old, new)) => {
                    replace(piece, index, &old, &new);
                    None
                }
                Some(Act::Cut) => Some(End::Cut),
                Some(Act::Reset) => Some(End::Reset),
                Some(Act::Swallow) => Some(End::Swallow),
            };
            if end.is_some() {
                piece.truncate(index);
                return end;
            }
            index += 1;
        }
        None
    }
}

/// Only words of equal length leave the messages whole, so nothing else is replaced.
fn replace(piece: &mut [u8], from: usize, old: &[u8], new: &[u8]) {
    let mut at = from;
    while old.len() == new.len() && at + old.len() <= piece.len() {
        if &piece[at..at + old.len()] == old {
            piece[at..at + old.len()].copy_from_slice(new);
        }
        at += 1;
    }
}

/// Follows one side of an SSH connection from message to message (RFC 4253, 4.2 and 6) until it is encrypted.
#[derive(Default)]
struct Frames {
    message: u64,
    offset: u64,
    line: Vec<u8>,
    length: u64,
    newkeys: bool,
    encrypted: bool,
}

/// The message number of NEWKEYS (RFC 4253, 12), which stands behind the length and the length of the padding.
const NEWKEYS: (u64, u8) = (5, 21);

impl Frames {
    /// Where this byte is: message and byte in it.
    fn take(&mut self, byte: u8) -> Option<(u64, u64)> {
        if self.encrypted {
            return None;
        }
        let at = (self.message, self.offset);
        self.offset += 1;
        if self.message == 0 {
            self.line.push(byte);
            if byte == b'\n' {
                // Other lines may come before the version.
                if self.line.starts_with(b"SSH-") {
                    (self.message, self.offset) = (1, 0);
                }
                self.line.clear();
            }
            return Some(at);
        }
        if at.1 < 4 {
            self.length = (if at.1 == 0 { 0 } else { self.length << 8 }) | u64::from(byte);
        }
        self.newkeys |= at.1 == NEWKEYS.0 && byte == NEWKEYS.1;
        if self.offset >= 4 && self.offset == self.length + 4 {
            self.encrypted = self.newkeys;
            (self.message, self.offset) = (self.message + 1, 0);
        }
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A version line, a packet of type 20 and NEWKEYS, then bytes that are no packets.
    fn said() -> Vec<u8> {
        [&b"SSH-2.0-x\r\n"[..], &[0, 0, 0, 6, 1, 20, 7, 8, 9, 0], &[0, 0, 0, 4, 2, 21, 0, 0], b"secret"].concat()
    }

    fn done(spot: Spot, act: Act) -> (Vec<u8>, Option<End>) {
        let mut plan = Plan::new(&[Mischief { side: Side::Server, spot, act }], Side::Server);
        let (mut passed, mut end) = (Vec::new(), None);
        // In pieces that end nowhere in particular.
        for piece in said().chunks(7) {
            let mut piece = piece.to_vec();
            end = end.or(plan.apply(&mut piece));
            passed.extend(piece);
            if end.is_some() {
                break;
            }
        }
        (passed, end)
    }

    #[test]
    fn bytes_and_messages_are_found() {
        let (passed, end) = done(Spot::Byte(1), Act::Flip);
        assert!(passed.starts_with(b"SRH-2.0-x") && passed.len() == said().len() && end.is_none());
        assert_eq!(done(Spot::SshMessage(0, 3), Act::Cut), (b"SSH".to_vec(), Some(End::Cut)));
        assert_eq!(done(Spot::SshMessage(1, 0), Act::Reset), (b"SSH-2.0-x\r\n".to_vec(), Some(End::Reset)));
        let (passed, end) = done(Spot::SshMessage(2, 4), Act::Swallow);
        assert_eq!((passed.len(), end), (11 + 10 + 4, Some(End::Swallow)));
        let (passed, end) = done(Spot::SshMessage(3, 0), Act::Cut);
        assert_eq!((passed, end), (said(), None), "what is encrypted has no messages");
        let (passed, _) = done(Spot::SshMessage(1, 6), Act::Flip);
        assert_eq!(passed[11..21], [0, 0, 0, 6, 1, 20, 6, 8, 9, 0]);
    }

    #[test]
    fn words_are_replaced_by_equally_long_ones() {
        assert!(done(Spot::Byte(0), Act::Replace(b"2.0-".to_vec(), b"9.9-".to_vec())).0.starts_with(b"SSH-2.0"), "not across pieces");
        let mut plan = Plan::new(
            &[Mischief { side: Side::Client, spot: Spot::Byte(2), act: Act::Replace(b"ab".to_vec(), b"xy".to_vec()) }],
            Side::Client,
        );
        let mut piece = b"abababc".to_vec();
        assert_eq!(plan.apply(&mut piece), None);
        assert_eq!(piece, b"abxyxyc");
    }

    #[test]
    fn the_other_side_is_left_alone() {
        let mut plan = Plan::new(&[Mischief { side: Side::Client, spot: Spot::Byte(0), act: Act::Cut }], Side::Server);
        assert_eq!(plan.apply(&mut said()), None);
    }
}
