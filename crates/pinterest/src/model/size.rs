//! The image host's size names, and the content hash in its paths.

/// The order in which the sizes of an image are stored, the one to show first. [`Ladder`](super::Ladder) has the order in
/// which they are downloaded.
///
/// `600x` first: it suits a page. The host may refuse originals although it serves the sizes. Fixed boxes are crops, so they
/// come last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Width600,
    Width1200,
    Originals,
    /// Another width; larger ones sort first.
    Width(std::cmp::Reverse<u32>),
    /// An unknown name.
    Unknown,
    /// A video's frame.
    Cover,
    /// A fixed box, by its area; larger ones sort first.
    Crop(std::cmp::Reverse<u64>),
}

impl Rank {
    pub(super) fn of(size: &str) -> Self {
        match size {
            "600x" => return Self::Width600,
            "1200x" => return Self::Width1200,
            "originals" => return Self::Originals,
            _ => {}
        }
        match size.split_once('x').map(|(width, height)| (number(width), height, number(height))) {
            Some((Some(width), "", _)) => Self::Width(std::cmp::Reverse(width)),
            Some((Some(width), _, Some(height))) => Self::Crop(std::cmp::Reverse(u64::from(width) * u64::from(height))),
            _ => Self::Unknown,
        }
    }

    pub(super) fn is_crop(self) -> bool {
        matches!(self, Self::Crop(_))
    }
}

fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// The content hash in a path of the image host: `…/{aa}/{bb}/{cc}/{32 hex digits}.{ext}`, where the folders repeat its
/// first three bytes; a video's frame has `.0000000` after it. `None` for any other path.
pub(super) fn content_hash(url: &str) -> Option<String> {
    let path = url.split(['?', '#']).next()?;
    let mut parts = path.rsplit('/');
    let hash = parts.next()?.split('.').next()?;
    let is_hash = hash.len() == 32 && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !is_hash {
        return None;
    }
    let folders = [parts.next()?, parts.next()?, parts.next()?];
    (folders == [&hash[4..6], &hash[2..4], &hash[0..2]]).then(|| hash.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_stored_in_this_order() {
        let mut sizes = ["150x150", "236x", "weird", "400x300", "1200x", "736x", "originals", "600x", "x", "5x5x5"];
        sizes.sort_by_key(|size| Rank::of(size));
        assert_eq!(sizes, ["600x", "1200x", "originals", "736x", "236x", "weird", "x", "5x5x5", "400x300", "150x150"]);
        assert!(Rank::of("weird") < Rank::Cover && Rank::Cover < Rank::of("400x300"));
    }

    #[test]
    fn only_the_hosts_own_path_form_has_a_hash() {
        let hash = "0df6f1f0bfe7aaca849c1bbc3607a34b";
        for url in [
            format!("https://i.pinimg.com/600x/0d/f6/f1/{hash}.jpg"),
            format!("https://i.pinimg.com/videos/thumbnails/originals/0d/f6/f1/{hash}.0000000.jpg?x=1"),
        ] {
            assert_eq!(content_hash(&url).as_deref(), Some(hash), "{url}");
        }
        for url in [
            "".to_owned(),
            format!("https://i.pinimg.com/600x/0d/f6/f2/{hash}.jpg"),
            format!("https://i.pinimg.com/{hash}.jpg"),
            format!("https://i.pinimg.com/600x/0d/f6/f1/{}.jpg", &hash[..31]),
            format!("https://i.pinimg.com/600x/0D/F6/F1/{}.jpg", hash.to_uppercase()),
        ] {
            assert_eq!(content_hash(&url), None, "{url}");
        }
    }
}
