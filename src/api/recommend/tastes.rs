//! What the boards are about: their themes, what speaks against, and the model that all of it was made by.

use taste::{Direction, Taste};

use crate::api::board_images::{Collected, named};
use crate::api::label_embeddings::{embedded, labels};
use crate::errors::{Failure, Kind};

/// The tastes of the boards to go by, and of those to keep away from.
pub struct Tastes {
    /// The images of the boards to go by.
    pub liked: Collected,
    /// Weight of each of them; 0: not about the topic.
    pub weights: Vec<f64>,
    /// The themes of both sides.
    pub taste: Taste,
    model: Option<i64>,
}

impl Tastes {
    /// Finds the themes. `only` keeps the images that fit it better than `contrasts`; with `skip_ai` pins that are disclosed
    /// as made or changed with AI speak neither for nor against anything.
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
            return Err(Failure::new(Kind::BadArgument, "contrasts are what only is held against: give both"));
        }
        let liked = Collected::named(boards, account_id, skip_ai)?;
        let disliked = Collected::named(not_boards, account_id, skip_ai)?;
        if let Some(both) = liked.boards.iter().find(|board| disliked.boards.iter().any(|other| board.overlaps(other)))
        {
            return Err(Failure::new(
                Kind::BadArgument,
                format!("{} is both among the boards and among not_boards", both.named()),
            ));
        }
        let liked = liked.some()?;
        let disliked = if disliked.boards.is_empty() { disliked } else { disliked.some()? };
        let model = one_model(&liked, &disliked)?;

        // One board's images count the same as they are; the sum of equal weights would only round.
        let mut weights = if liked.boards.len() > 1 { liked.even_weights() } else { vec![1.0; liked.images.len()] };
        if let Some(only) = only {
            gate(&mut weights, &liked, model, only, contrasts)?;
        }
        let themes = liked.themes(Some(&weights), None);
        let against = disliked.themes(Some(&disliked.even_weights()), None);
        Ok(Self { liked, weights, taste: Taste { themes, against }, model })
    }

    /// Refuses a table whose embeddings others have made. Of a table that is not tracked nothing is known.
    pub fn check_models(&self, of_table: &[i64], table: &str) -> Result<(), Failure> {
        let refuse = |message: String| {
            Err(Failure::new(Kind::ModelsMixed, message).with_hint(
                "SELECT * FROM pinterest.models tells which is the present one. pinterest_track() called again brings the \
                 table to it, pinterest_reembed_board() a board.",
            ))
        };
        match (of_table, self.model) {
            ([], _) | (_, None) => Ok(()),
            ([one], Some(model)) if *one == model => Ok(()),
            ([_], Some(_)) => {
                refuse(format!("{table} and {} were embedded by different models", named(&self.liked.boards)))
            }
            (several, _) => refuse(format!("the rows of {table} were embedded by {} different models", several.len())),
        }
    }
}

fn one_model(liked: &Collected, disliked: &Collected) -> Result<Option<i64>, Failure> {
    match (liked.model()?, disliked.model()?) {
        (Some(left), Some(right)) if left != right => Err(Failure::new(
            Kind::ModelsMixed,
            format!("{} and {} were embedded by different models", named(&liked.boards), named(&disliked.boards)),
        )),
        (left, right) => Ok(left.or(right)),
    }
}

/// Takes the weight from images that are not about the topic.
fn gate(
    weights: &mut [f64],
    liked: &Collected,
    model: Option<i64>,
    only: &str,
    contrasts: Option<Vec<Option<String>>>,
) -> Result<(), Failure> {
    let contrasts = match contrasts {
        Some(contrasts) => labels(contrasts)?,
        None => taste::contrast_prompts(only).into_iter().map(str::to_owned).collect(),
    };
    let count = contrasts.len();
    let prompts = embedded(contrasts.into_iter().chain([only.to_owned()]).collect())?;
    if let Some(model) = model {
        prompts.check_model(model, &format!("the images of {}", named(&liked.boards)))?;
    }
    let internal = |error: taste::Error| Failure::new(Kind::Internal, error.to_string());
    let wanted = Direction::normalised(prompts.vectors.row(count)).map_err(internal)?;
    let mut others = taste::Vectors::new(prompts.vectors.dimension());
    for other in 0..count {
        others.push(prompts.vectors.row(other)).map_err(internal)?;
    }
    let gated = taste::gate(&liked.vectors, &wanted, &others);
    if gated.kept == 0 {
        return Err(Failure::new(
            Kind::NotReady,
            format!("none of the {} images of {} is about \"{only}\"", weights.len(), named(&liked.boards)),
        )
        .with_hint("Leave only out, word it otherwise, or say with contrasts what else the boards show."));
    }
    for (weight, gated) in weights.iter_mut().zip(gated.weights) {
        *weight *= gated;
    }
    Ok(())
}
