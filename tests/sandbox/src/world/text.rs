//! Titles, descriptions and links, similar to real ones.

use crate::random::Random;
use crate::scene::Family;

const MOODS: [&str; 10] =
    ["Dreamy", "Rustic", "Elegant", "Relaxed", "Romantic", "Bright", "Quiet", "Golden hour", "Intimate", "Simple"];

const ENDINGS: [&str; 8] = [
    "ceremony",
    "reception",
    "wedding inspiration",
    "venue",
    "evening",
    "celebration",
    "dinner for sixty",
    "first dance",
];

fn place(family: Family) -> &'static str {
    match family {
        Family::Beach => "beach",
        Family::Barn => "barn",
        Family::Ballroom => "ballroom",
        Family::Garden => "garden",
    }
}

pub(super) fn title(random: &mut Random, family: Family) -> Option<String> {
    // Many pins have no title.
    random.chance(0.8).then(|| {
        let (mood, ending) = (random.pick(&MOODS), random.pick(&ENDINGS));
        format!("{mood} {} {ending}", place(family))
    })
}

pub(super) fn description(random: &mut Random, family: Family) -> Option<String> {
    random.chance(0.5).then(|| {
        let ending = random.pick(&ENDINGS);
        let place = place(family);
        // With quotes, other scripts and emoji.
        match random.integer(0, 3) {
            0 => format!("Ideas for a {place} {ending} — colours, flowers, light ✨"),
            1 => format!("“{place}” {ending}: saved for later"),
            2 => format!("It's the {place} {ending} we keep coming back to. ¿Qué te parece? 💛"),
            _ => format!("#{place} #{}", ending.replace(' ', "")),
        }
    })
}

pub(super) fn link(random: &mut Random, family: Family) -> Option<String> {
    random.chance(0.7).then(|| {
        let number = random.integer(1, 400);
        format!("https://www.example.com/venues/{}-{number}", place(family))
    })
}

pub(super) fn alt_text(random: &mut Random, family: Family) -> Option<String> {
    random.chance(0.3).then(|| format!("A picture of a {} set for a wedding", place(family)))
}
