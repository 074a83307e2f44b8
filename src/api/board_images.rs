//! The images of one board or several, as everything that looks for tastes takes them.

use pgrx::notice;
use taste::{Theme, ThemeOptions, Vectors};

use super::board::known;
use crate::errors::{Failure, Kind};
use crate::postgres::memory::{out_of_memory, room_for};
use crate::postgres::vector::{DIMENSION, Vector};
use crate::store::board::KnownBoard;
use crate::store::board_images::{self, BoardImage, ImageKey};

/// Raises the ERROR of an interrupt that has come.
pub fn check() {
    pgrx::check_for_interrupts!();
}

/// The embedded images of boards, row for row.
pub struct Collected {
    /// The boards, each once.
    pub boards: Vec<KnownBoard>,
    /// The images with the place of their board among [`Collected::boards`].
    pub images: Vec<(usize, BoardImage)>,
    /// Their embeddings.
    pub vectors: Vectors,
    /// Pins disclosed as made or changed with AI are not among them.
    skip_ai: bool,
}

impl Collected {
    /// The images of a board that the caller may see, with `skip_ai` without those of pins that are disclosed as made or
    /// changed with AI; there may be none.
    pub fn of_board(board: KnownBoard, skip_ai: bool) -> Result<Self, Failure> {
        Self::of_boards(vec![board], skip_ai)
    }

    /// The images of the boards that these words mean, in the caller's order.
    pub fn named(references: &[String], account_id: Option<i64>, skip_ai: bool) -> Result<Self, Failure> {
        let mut boards: Vec<KnownBoard> = Vec::new();
        for reference in references {
            let board = known(reference, account_id)?;
            if !boards.iter().any(|other| other.is_same_board(&board) && other.section == board.section) {
                boards.push(board);
            }
        }
        Self::of_boards(boards, skip_ai)
    }

    fn of_boards(boards: Vec<KnownBoard>, skip_ai: bool) -> Result<Self, Failure> {
        let mut images = Vec::new();
        let mut vectors = Vectors::new(DIMENSION);
        for (place, board) in boards.iter().enumerate() {
            let section_id = board.section.as_ref().map(|section| section.section_id.as_str());
            let found = board_images::of(board.account_id, &board.board_id, section_id, skip_ai)?;
            // A second time, beside the first, and what looks for themes among them; vectors grow by doubling.
            let all = vectors.len() + found.len();
            room_for(all.saturating_mul(2 * size_of::<[f32; DIMENSION]>()))?;
            vectors.reserve(found.len()).map_err(|_| out_of_memory(found.len() * size_of::<[f32; DIMENSION]>()))?;
            for (image, embedding) in found {
                check();
                push(&mut vectors, &embedding)?;
                images.push((place, image));
            }
        }
        Ok(Self { boards, images, vectors, skip_ai })
    }

    /// Refuses boards without an image. Where some have images and others none, says which are left out: a couple should
    /// not go without an answer because one of their boards is still empty.
    pub fn some(self) -> Result<Self, Failure> {
        let empty: Vec<&KnownBoard> =
            self.boards.iter().enumerate().filter(|(place, _)| self.images_of(*place) == 0).map(|(_, b)| b).collect();
        if self.images.is_empty() {
            return Err(without_images(&empty, self.skip_ai));
        }
        for board in empty {
            notice!("{} has no embedded image{} and is left out", board.named(), besides_ai(self.skip_ai));
        }
        Ok(self)
    }

    /// How many images a board has, by its place among the boards.
    fn images_of(&self, place: usize) -> usize {
        self.images.iter().filter(|(of, _)| *of == place).count()
    }

    /// Gives every board the same voice, however many pins it has: the weight of each image.
    pub fn even_weights(&self) -> Vec<f64> {
        let mut counts = vec![0u32; self.boards.len()];
        self.images.iter().for_each(|(place, _)| counts[*place] += 1);
        self.images.iter().map(|(place, _)| 1.0 / f64::from(counts[*place])).collect()
    }

    /// The model that made all embeddings, `None` where there are none; refuses several.
    pub fn model(&self) -> Result<Option<i64>, Failure> {
        let mut models: Vec<i64> = self.images.iter().map(|(_, image)| image.model_id).collect();
        models.sort_unstable();
        models.dedup();
        match models.as_slice() {
            [] => Ok(None),
            [model] => Ok(Some(*model)),
            several => Err(Failure::new(
                Kind::ModelsMixed,
                format!("the images of {} were embedded by {} different models", named(&self.boards), several.len()),
            )),
        }
    }

    /// The themes of all images together.
    pub fn themes(&self, weights: Option<&[f64]>, count: Option<usize>) -> Vec<Theme> {
        let options = ThemeOptions { count, ..ThemeOptions::default() };
        taste::themes(&self.vectors, weights, &options, &mut check)
    }

    /// How an image is named.
    pub fn place(&self, row: usize) -> ImageKey {
        let (board, image) = &self.images[row];
        (self.boards[*board].account_id, image.pin_id.clone(), image.position)
    }
}

/// Adds an embedding, which is a direction.
pub fn push(vectors: &mut Vectors, embedding: &Vector) -> Result<(), Failure> {
    vectors.push(embedding.values()).map_err(|error| Failure::new(Kind::Internal, error.to_string()))
}

/// The boards in a sentence.
pub fn named(boards: &[KnownBoard]) -> String {
    match boards {
        [board] => board.named(),
        boards if boards.iter().all(|board| board.section.is_none()) => {
            let names: Vec<String> = boards.iter().map(|board| format!("\"{}\"", board.name)).collect();
            format!("boards {}", names.join(", "))
        }
        boards => boards.iter().map(KnownBoard::named).collect::<Vec<_>>().join(", "),
    }
}

/// What else is said of a board without an image, where some of them do not count.
fn besides_ai(skip_ai: bool) -> &'static str {
    if skip_ai { " besides those disclosed as made with AI" } else { "" }
}

/// The refusal of boards without an image.
pub fn without_images(boards: &[&KnownBoard], skip_ai: bool) -> Failure {
    let message = match boards {
        [board] => format!("{} has no embedded image{}", board.named(), besides_ai(skip_ai)),
        boards => {
            let boards: Vec<KnownBoard> = boards.iter().map(|board| (*board).clone()).collect();
            format!("none of the {} has an embedded image{}", named(&boards), besides_ai(skip_ai))
        }
    };
    Failure::new(Kind::NotReady, message)
        .with_hint("Import it with pinterest_import_board(); the view pinterest.imports shows how far it is.")
}
