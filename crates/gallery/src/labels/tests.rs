use super::*;

fn words(texts: &[&str]) -> Vec<Words> {
    texts.iter().map(|text| Words { section: None, texts: vec![(*text).to_owned()] }).collect()
}

fn labelled(themes: &[Vec<Words>]) -> Vec<Option<String>> {
    labels(themes, &mut || {}).unwrap()
}

fn label_of(label: &str) -> Option<String> {
    Some(label.to_owned())
}

#[test]
fn words_that_distinguish_a_theme_label_it() {
    let barn = words(&["Barn with string lights", "A barn, and string lights", "The barn: String lights!", "barn"]);
    let beach = words(&["The beach at sunset", "Beach with lights", "A beach", "On the beach"]);
    assert_eq!(labelled(&[barn, beach]), [label_of("barn, string lights"), label_of("beach")]);
}

#[test]
fn words_of_the_whole_board_label_nothing() {
    let same = words(&["Wedding ideas", "A wedding with flowers", "The wedding", "Wedding"]);
    assert_eq!(labelled(&[same.clone(), same]), [None, None]);
    assert_eq!(labelled(&[words(&["barn", "barn", "barn"])]), [None], "nothing to compare with");
    assert!(labelled(&[]).is_empty());
    assert_eq!(labelled(&[vec![], vec![Words::default()]]), [None, None]);
}

#[test]
fn a_word_of_one_image_is_no_label() {
    let themes = [words(&["tent", "", "", ""]), words(&["", "", "", ""])];
    assert_eq!(labelled(&themes), [None, None]);
}

#[test]
fn a_section_is_one_term() {
    let of = |section: &str| vec![Words { section: Some(section.to_owned()), texts: vec!["Lovely".into()] }; 4];
    assert_eq!(labelled(&[of("Tables & chairs"), of("Flowers")]), [label_of("Tables & chairs"), label_of("Flowers")]);
}

#[test]
fn other_scripts_and_spellings_are_kept() {
    let themes = [
        words(&["Scheune", "scheune am See", "Scheune", "Scheune"]),
        words(&["砂浜", "海辺の砂浜", "ビーチ", "ビーチ", "ビーチ"]),
    ];
    assert_eq!(labelled(&themes), [label_of("Scheune"), label_of("ビーチ")]);
}

#[test]
fn equal_labels_are_given_once() {
    let barn = || words(&["barn", "barn", "barn", "barn"]);
    let labels = labelled(&[barn(), barn(), words(&["beach"; 20])]);
    assert_eq!(labels, [label_of("barn"), None, label_of("beach")]);
}

#[test]
fn any_text_is_read() {
    let long = "x".repeat(1 << 20);
    let many = "word ".repeat(100_000);
    let texts = [&*long, &*many, "'''", "---a---", "e\u{301}te\u{301} e\u{301}te\u{301}", "\0\u{7f}"];
    for label in labelled(&[words(&texts), words(&["other"; 6])]).into_iter().flatten() {
        assert!(label.chars().count() < 120, "{label}");
    }
}

#[test]
fn a_hostile_board_takes_little_memory_and_time() {
    // No word occurs twice, besides one per theme, with a quarter of its images.
    let of = |theme: usize, own: &str| -> Vec<Words> {
        let image = |number: usize| {
            let words = (0..20).map(|word| format!("w{theme}x{number}x{word} ")).collect::<String>();
            let own = if number.is_multiple_of(4) { own } else { "" };
            Words { section: Some(format!("s{theme}x{number}")), texts: vec![words + own] }
        };
        (0..25_000).map(image).collect()
    };
    let themes = [of(0, "barn"), of(1, "beach"), of(2, "tent"), of(3, "garden")];
    let sampled: Vec<Vec<&Words>> = themes.iter().map(|images| sample(images).collect()).collect();
    assert!(sampled.iter().all(|images| images.len() == MOST_IMAGES));
    let terms = counted(&sampled, &mut || {}).unwrap();
    assert!(terms.len() <= 8, "{} terms are left to count", terms.len());
    let mut checks = 0;
    let found = labels(&themes, &mut || checks += 1).unwrap();
    assert!((2 * 4 * MOST_IMAGES..3 * 4 * MOST_IMAGES).contains(&checks), "{checks}: once for each image that is read");
    // Every 25th image is read, so that the same share of them has the word.
    assert_eq!(found, ["barn", "beach", "tent", "garden"].map(label_of));
}

#[test]
fn many_terms_do_not_hide_a_frequent_one() {
    let of = |theme: usize, own: &str| -> Vec<Words> {
        let image = |number: usize| {
            let own = if number.is_multiple_of(4) { own } else { "other" };
            let words = (0..199).map(|word| format!(" w{theme}x{number}x{word}")).collect::<String>();
            Words { section: Some(format!("s{theme}x{number}")), texts: vec![own.to_owned() + &words] }
        };
        (0..MOST_IMAGES).map(image).collect()
    };
    assert_eq!(labelled(&[of(0, "barn"), of(1, "beach")]), [label_of("barn"), label_of("beach")]);
}

#[test]
fn many_frequent_terms_are_counted_in_little_memory() {
    // The greatest number of terms that all have the least share.
    let images = |theme: usize| -> Vec<Words> {
        let text = |image: usize| (0..200).map(|word| format!("w{theme}x{}x{word} ", image % 4)).collect::<String>();
        (0..MOST_IMAGES).map(|image| Words { section: None, texts: vec![text(image)] }).collect()
    };
    let themes: Vec<Vec<Words>> = (0..2).map(images).collect();
    let sampled: Vec<Vec<&Words>> = themes.iter().map(|images| sample(images).collect()).collect();
    assert!(counted(&sampled, &mut || {}).unwrap().len() <= 2 * counts::MOST_COUNTERS);
    assert!(labelled(&themes).iter().all(Option::is_some));
}

#[test]
fn interrupts_are_checked_between_images_and_terms() {
    let mut checks = 0;
    labels(&[words(&["barn"; 10]), words(&["beach"; 10])], &mut || checks += 1).unwrap();
    assert!(checks >= 2 * 20 + 2, "{checks}: for each image in both passes, and for each theme");
}

#[test]
fn a_sample_is_spread_evenly() {
    let all: Vec<usize> = (0..10 * MOST_IMAGES).collect();
    assert!(sample(&all).copied().eq((0..MOST_IMAGES).map(|number| 10 * number)));
    assert_eq!(sample(&all[..MOST_IMAGES]).count(), MOST_IMAGES);
    assert_eq!(sample(&all[..MOST_IMAGES + 1]).count(), MOST_IMAGES);
    assert_eq!(sample::<usize>(&[]).count(), 0);
}

#[test]
fn the_most_frequent_spelling_is_shown() {
    let themes = [words(&["BARN", "Barn", "Barn", "bArn", "barn", "barn"]), words(&["other"; 6])];
    assert_eq!(labelled(&themes), [label_of("Barn"), label_of("other")]);
}
