//! Memory whose amount depends on the input is requested before it is used: a lack of it is an error and does not end the
//! process.

use crate::Error;

/// Allocates and frees this number of bytes. Code that cannot handle a lack of memory then finds them, in a process in which
/// nothing else runs at the same time.
///
/// # Errors
///
/// [`OutOfMemory`](crate::ErrorKind::OutOfMemory).
pub fn ask(bytes: usize) -> Result<(), Error> {
    reserved::<u8>(bytes).map(drop)
}

/// An empty vector with room for this number of items.
///
/// # Errors
///
/// [`OutOfMemory`](crate::ErrorKind::OutOfMemory).
pub fn reserved<T>(items: usize) -> Result<Vec<T>, Error> {
    let mut vector = Vec::new();
    match vector.try_reserve_exact(items) {
        Ok(()) => Ok(vector),
        Err(_) => Err(Error::out_of_memory(items.saturating_mul(size_of::<T>()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn too_much_is_an_error() {
        ask(1 << 20).unwrap();
        let error = ask(isize::MAX as usize).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfMemory);
        assert_eq!(reserved::<u64>(usize::MAX).unwrap_err().kind(), ErrorKind::OutOfMemory);
    }
}
