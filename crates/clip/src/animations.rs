/// What becomes of a picture of several frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Animations {
    /// Its first frame is taken for the picture.
    #[default]
    FirstFrame,
    /// It is refused, as [`Animated`](crate::ErrorKind::Animated).
    Refuse,
}
