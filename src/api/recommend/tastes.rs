//! The themes of the boards, liked and disliked, and the model of their embeddings.

use taste::Taste;

use crate::api::board_images::{BoardImages, named};
use crate::api::label_embeddings::{embedded, labels};
use crate::errors::{Failure, Kind};
use crate::statistics::embedder;

/// The tastes of the liked and the disliked boards.
pub struct Tastes {
    /// The images of the liked boards.
    pub liked: BoardImages,
    /// The weight of each of them; 0 if it is not about the topic.
    pub weights: Vec<f64>,
    /// The themes of both.
    pub taste: Taste,
    model: Option<i64>,
}

impl Tastes {
    /// Finds the themes. `only` keeps the images that fit it better than `contrasts`; `skip_ai` leaves out pins that are
    /// disclosed as made or changed with AI.
    ///
    /// # Errors
    ///
    /// BadArgument for arguments that contradict each other, NotReady for boards without images, or without images about
    /// `only`, ModelsMixed for embeddings of different models; those of the look-up of boards.
    pub fn of(
        boards: &[String],
        not_boards: &[String],
        only: Option<&str>,
        contrasts: Option<Vec<Option<String>>>,
        account_id: Option<i64>,
        skip_ai: bool,
    ) -> Result<Self, Failure> {
        if boards.is_empty() {
            return Err(Failure::new(Kind::BadArgument, "boards must name at least one board"));
        }
        if only.is_none() && contrasts.is_some() {
            return Err(Failure::new(Kind::BadArgument, "contrasts requires only"));
        }
        let liked = BoardImages::named(boards, account_id, skip_ai)?;
        let disliked = BoardImages::named(not_boards, account_id, skip_ai)?;
        if let Some(both) = liked.boards.iter().find(|board| disliked.boards.iter().any(|other| board.overlaps(other)))
        {
            return Err(Failure::new(
                Kind::BadArgument,
                format!("{} is both among the boards and among not_boards", both.named()),
            ));
        }
        let liked = liked.not_empty()?;
        let disliked = if disliked.boards.is_empty() { disliked } else { disliked.not_empty()? };
        let model = match (liked.model()?, disliked.model()?) {
            (Some(left), Some(right)) if left != right => {
                let (left, right) = (named(&liked.boards), named(&disliked.boards));
                let message = format!("{left} and {right} were embedded by different models");
                return Err(Failure::new(Kind::ModelsMixed, message));
            }
            (left, right) => left.or(right),
        };

        // Images of one board count the same; a sum of equal weights would only add rounding errors.
        let mut weights = if liked.boards.len() > 1 { liked.even_weights() } else { vec![1.0; liked.images.len()] };
        if let Some(only) = only {
            gate(&mut weights, &liked, model, only, contrasts)?;
        }
        let themes = liked.themes(Some(&weights), None);
        let against = disliked.themes(Some(&disliked.even_weights()), None);
        Ok(Self { liked, weights, taste: Taste { themes, against }, model })
    }

    /// Refuses a table whose embeddings are of other models, as far as known: `of_table` is empty if it is not tracked.
    ///
    /// # Errors
    ///
    /// ModelsMixed.
    pub fn check_models(&self, of_table: &[i64], table: &str) -> Result<(), Failure> {
        let message = match (of_table, self.model) {
            ([], _) | (_, None) => return Ok(()),
            ([one], Some(model)) if *one == model => return Ok(()),
            ([_], Some(_)) => format!("{table} and {} were embedded by different models", named(&self.liked.boards)),
            (several, _) => format!("the rows of {table} were embedded by {} different models", several.len()),
        };
        Err(Failure::new(Kind::ModelsMixed, message).with_hint(
            "SELECT * FROM pinterest.models shows the present model. To embed again with it, call pinterest_track() for a \
             table, pinterest_reembed_board() for a board.",
        ))
    }
}

/// Sets the weights of images that are not about the topic to 0.
fn gate(
    weights: &mut [f64],
    liked: &BoardImages,
    model: Option<i64>,
    only: &str,
    contrasts: Option<Vec<Option<String>>>,
) -> Result<(), Failure> {
    let contrasts = match contrasts {
        Some(contrasts) => labels(contrasts)?,
        None => taste::contrast_prompts(only).into_iter().map(str::to_owned).collect(),
    };
    let prompts = embedded(contrasts.into_iter().chain([only.to_owned()]).collect())?;
    if let Some(model) = model {
        prompts.check_model(model, &format!("the images of {}", named(&liked.boards)))?;
    }
    let (others, wanted) =
        prompts.vectors.clone().split_last().ok_or_else(|| Failure::new(Kind::Internal, "a text has no embedding"))?;
    let gated = taste::gate(&liked.vectors, &wanted, &others);
    if gated.kept == 0 {
        return Err(Failure::new(
            Kind::NotReady,
            format!("none of the {} images of {} is about \"{only}\"", weights.len(), named(&liked.boards)),
        )
        .with_hint(if embedder::is_untrained() {
            "The model's weights are untrained: its embeddings of texts and images are unrelated. Omit only, or download \
             trained weights by pinterest-clip-weights."
        } else {
            "Omit only, rephrase it, or list the boards' other topics in contrasts."
        }));
    }
    weights.iter_mut().zip(gated.weights).for_each(|(weight, gated)| *weight *= gated);
    Ok(())
}
