//! Memory whose amount the caller decides, asked for before it is used: where there is none, that is an error and not the
//! end of the process.

use crate::Error;

/// Makes sure that so many bytes can be had, and gives them back at once. What is done next by code that cannot be told
/// of a lack finds them there: in a process where nothing else runs meanwhile.
pub fn ask(bytes: usize) -> Result<(), Error> {
    reserved::<u8>(bytes).map(drop)
}

/// An empty vector with room for so many items.
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
