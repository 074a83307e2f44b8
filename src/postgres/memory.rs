//! Memory whose amount a caller decides. Rust ends the process where memory cannot be had, and the end of one process of
//! the server is the end of all sessions; so it is asked for before, by calls that can fail, and its lack is an ERROR.

use crate::errors::{Failure, Kind};

/// What a call may take on the way beyond what it asks for: small pieces, and those of libraries.
const SLACK: usize = 4 << 20;

/// Makes sure that this many bytes can be had, and gives them back at once. What comes next, from code that cannot be told
/// of a lack, finds them there: nothing else runs in this process meanwhile.
pub fn room_for(bytes: usize) -> Result<(), Failure> {
    reserved::<u8>(bytes.saturating_add(SLACK)).map(drop)
}

/// An empty vector with room for so many items.
pub fn reserved<T>(items: usize) -> Result<Vec<T>, Failure> {
    let mut vector = Vec::new();
    match vector.try_reserve_exact(items) {
        Ok(()) => Ok(vector),
        Err(_) => Err(out_of_memory(items.saturating_mul(size_of::<T>()))),
    }
}

/// The refusal of what has no room.
pub fn out_of_memory(bytes: usize) -> Failure {
    Failure::new(Kind::OutOfMemory, format!("out of memory: {bytes} more bytes cannot be had"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_much_is_a_refusal() {
        room_for(1 << 20).unwrap();
        assert_eq!(room_for(isize::MAX as usize).unwrap_err().sqlstate(), "53200");
        assert_eq!(reserved::<u64>(usize::MAX).unwrap_err().kind, Kind::OutOfMemory);
    }
}
