/// How an image of several frames is handled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Animations {
    /// Its first frame is used.
    #[default]
    FirstFrame,
    /// It is refused, as [`Animated`](crate::ErrorKind::Animated).
    Refuse,
}
