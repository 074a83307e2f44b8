//! Allocations whose size a caller determines. Rust aborts the process if an allocation fails, and the crash of one server process
//! ends all sessions. So these allocations are tried first by calls that can fail, and a failure is an ERROR.

use crate::errors::{Failure, Kind};

/// Memory that a call may need beyond the amount that it checks: small allocations, and those of libraries.
const SLACK: usize = 4 << 20;

/// Checks that this many bytes can be allocated, and frees them at once. The allocations that follow, in code that cannot handle
/// a failure, find them available: nothing else allocates in this process meanwhile.
///
/// # Errors
/// [`Kind::OutOfMemory`].
pub fn room_for(bytes: usize) -> Result<(), Failure> {
    reserved::<u8>(bytes.saturating_add(SLACK)).map(drop)
}

/// An empty vector with capacity for this many items.
///
/// # Errors
/// [`Kind::OutOfMemory`].
pub fn reserved<T>(items: usize) -> Result<Vec<T>, Failure> {
    let mut vector = Vec::new();
    match vector.try_reserve_exact(items) {
        Ok(()) => Ok(vector),
        Err(_) => Err(out_of_memory(items.saturating_mul(size_of::<T>()))),
    }
}

/// The error for an allocation that failed.
pub fn out_of_memory(bytes: usize) -> Failure {
    Failure::new(Kind::OutOfMemory, format!("out of memory: could not allocate {bytes} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_large_an_allocation_is_an_error() {
        room_for(1 << 20).unwrap();
        assert_eq!(room_for(isize::MAX as usize).unwrap_err().sqlstate(), "53200");
        assert_eq!(reserved::<u64>(usize::MAX).unwrap_err().kind, Kind::OutOfMemory);
    }
}
