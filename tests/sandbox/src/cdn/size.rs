//! The sizes of images.

use crate::world::Picture;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Size {
    /// As uploaded.
    Original,
    /// This width, with the aspect ratio of the original.
    Width(u32),
    /// The centre, cropped to fill a box.
    Box { width: u32, height: u32 },
}

/// Supported widths; images are not scaled up.
const WIDTHS: std::ops::RangeInclusive<u32> = 16..=1200;

impl Size {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "originals" => Some(Self::Original),
            "150x150" => Some(Self::Box { width: 150, height: 150 }),
            "400x300" => Some(Self::Box { width: 400, height: 300 }),
            _ => {
                let digits = name.strip_suffix('x')?;
                let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
                let width = digits.parse().ok().filter(|width| WIDTHS.contains(width))?;
                plain.then_some(Self::Width(width))
            }
        }
    }

    /// Width and height of a picture in this size.
    pub(crate) fn of(self, picture: Picture) -> (u32, u32) {
        match self {
            Self::Original => (picture.width, picture.height),
            Self::Width(width) => {
                let height = (picture.height * width + picture.width / 2) / picture.width;
                (width, height.max(1))
            }
            Self::Box { width, height } => (width, height),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_by_name() {
        assert_eq!(Size::parse("600x"), Some(Size::Width(600)));
        assert_eq!(Size::parse("originals"), Some(Size::Original));
        for name in ["", "x", "+600x", "0x", "9999x", "600", "600x600", "99999999999x"] {
            assert_eq!(Size::parse(name), None, "{name}");
        }
    }
}
