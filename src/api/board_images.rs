//! The images of one board or several, from which themes are found.

use pgrx::notice;
use taste::{Theme, ThemeOptions, Vectors, weights};

use super::board::known;
use crate::errors::{Failure, Kind};
use crate::postgres::memory::{out_of_memory, room_for};
use crate::postgres::vector::{DIMENSION, Vector};
use crate::store::board::KnownBoard;
use crate::store::board_images::{self, BoardImage, ImageKey};

/// Raises the ERROR of a pending interrupt.
pub fn check() {
    pgrx::check_for_interrupts!();
}

/// The embedded images of boards.
pub struct BoardImages {
    /// The boards, each once.
    pub boards: Vec<KnownBoard>,
    /// The images, each with the index of its board in [`BoardImages::boards`].
    pub images: Vec<(usize, BoardImage)>,
    /// The embeddings of the images, in their order.
    pub vectors: Vectors,
    /// Pins disclosed as made or changed with AI are left out.
    skip_ai: bool,
}

impl BoardImages {
    /// The images of a board, perhaps none, with `skip_ai` without those of pins that are disclosed as made or changed
    /// with AI.
    ///
    /// # Errors
    ///
    /// OutOfMemory.
    pub fn of_board(board: KnownBoard, skip_ai: bool) -> Result<Self, Failure> {
        Self::of_boards(vec![board], skip_ai)
    }

    /// The images of the boards with these ids, titles or addresses, in the caller's order.
    ///
    /// # Errors
    ///
    /// Those of [`known`]; OutOfMemory.
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
        for (index, board) in boards.iter().enumerate() {
            let section_id = board.section.as_ref().map(|section| section.section_id.as_str());
            let found = board_images::of(board.account_id, &board.board_id, section_id, skip_ai)?;
            // A second time, beside the first, and what themes take; vectors grow by doubling.
            let all = vectors.len() + found.len();
            room_for(all.saturating_mul(2 * size_of::<[f32; DIMENSION]>()))?;
            vectors.reserve(found.len()).map_err(|_| out_of_memory(found.len() * size_of::<[f32; DIMENSION]>()))?;
            for (image, embedding) in found {
                check();
                push(&mut vectors, &embedding)?;
                images.push((index, image));
            }
        }
        Ok(Self { boards, images, vectors, skip_ai })
    }

    /// Refuses boards without any image. If only some boards have none, a NOTICE reports them, so that a couple gets an
    /// answer although one of their boards is still empty.
    ///
    /// # Errors
    ///
    /// NotReady.
    pub fn not_empty(self) -> Result<Self, Failure> {
        let is_empty = |index: usize| self.images.iter().all(|(board, _)| *board != index);
        let boards = self.boards.iter().enumerate();
        let empty: Vec<&KnownBoard> = boards.filter(|(index, _)| is_empty(*index)).map(|(_, board)| board).collect();
        if self.images.is_empty() {
            return Err(without_images(&empty, self.skip_ai));
        }
        for board in empty {
            notice!("{} has no embedded image{} and is left out", board.named(), besides_ai(self.skip_ai));
        }
        Ok(self)
    }

    /// Weights of the images with which every board counts the same, however many pins it has.
    pub fn even_weights(&self) -> Vec<f64> {
        weights::even(self.images.iter().map(|(board, _)| *board))
    }

    /// The model of all embeddings; `None` without images.
    ///
    /// # Errors
    ///
    /// ModelsMixed.
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

    /// The key of an image.
    pub fn key(&self, row: usize) -> ImageKey {
        let (board, image) = &self.images[row];
        (self.boards[*board].account_id, image.pin_id.clone(), image.position)
    }
}

/// Adds an embedding, which is a direction.
///
/// # Errors
///
/// Internal if it is not.
pub fn push(vectors: &mut Vectors, embedding: &Vector) -> Result<(), Failure> {
    vectors.push(embedding.values()).map_err(|error| Failure::new(Kind::Internal, error.to_string()))
}

/// The boards, as a message names them.
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

/// The words in a message for images that `skip_ai` leaves out.
fn besides_ai(skip_ai: bool) -> &'static str {
    if skip_ai { " besides those disclosed as made with AI" } else { "" }
}

/// The refusal of boards without images.
pub fn without_images(boards: &[&KnownBoard], skip_ai: bool) -> Failure {
    let message = match boards {
        [board] => format!("{} has no embedded image{}", board.named(), besides_ai(skip_ai)),
        boards => {
            let boards: Vec<KnownBoard> = boards.iter().copied().cloned().collect();
            format!("none of the {} has an embedded image{}", named(&boards), besides_ai(skip_ai))
        }
    };
    Failure::new(Kind::NotReady, message)
        .with_hint(
            "Import it with pinterest_import_board(). The view pinterest.imports shows the progress, and how many images an import found.",
        )
}
