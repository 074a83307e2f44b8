//! An embedding does not depend on the rest of the batch or on the number of threads.

use std::cell::RefCell;

use clip::standin::Size;
use clip::{Embedding, Precision, TextEngine};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::families::{FAMILIES, draw};
use crate::support::{self, png, preprocess};

const PICTURES: usize = 35;

#[test]
fn pictures_give_the_same_bits_in_every_batch_and_on_any_number_of_threads() {
    let pictures: Vec<_> =
        (0..PICTURES).map(|seed| preprocess(&png(&draw(FAMILIES[seed % FAMILIES.len()], seed as u64)))).collect();
    for (precision, kernels) in support::variants() {
        let engine = |threads| {
            let options = support::options(precision, kernels, threads);
            clip::load(&support::standin_directory(Size::Tiny), &options).unwrap()
        };
        let mut single = engine(1);
        let alone: Vec<Embedding> =
            pictures.iter().flat_map(|picture| single.embed_images(std::slice::from_ref(picture)).unwrap()).collect();
        // Of two and three threads each computes images by itself, of five none.
        for threads in [1, 2, 3, 5] {
            let mut engine = engine(threads);
            for batch in [PICTURES, 7, 2] {
                let found: Vec<Embedding> =
                    pictures.chunks(batch).flat_map(|batch| engine.embed_images(batch).unwrap()).collect();
                assert_eq!(found, alone, "{precision} {kernels}, {threads} threads, batches of {batch}");
            }
        }
    }
}

#[test]
fn texts_in_the_breaks_of_a_pass_change_nothing() {
    let pictures: Vec<_> = (0..19).map(|seed| preprocess(&png(&draw(FAMILIES[0], seed)))).collect();
    let texts: Vec<Vec<u32>> = (0..9).map(|text| vec![49_406, 320 + text, 2368, 49_407]).collect();
    for (precision, kernels) in support::variants() {
        for threads in [1, 2, 3] {
            let options = support::options(precision, kernels, threads);
            let mut engine = clip::load(&support::standin_directory(Size::Tiny), &options).unwrap();
            let (images_alone, texts_alone) =
                (engine.embed_images(&pictures).unwrap(), engine.embed_texts(&texts).unwrap());
            let mut breaks = 0;
            let mut at_break = |engine: &mut dyn TextEngine| {
                let count = breaks % texts.len() + 1;
                assert!(engine.is_current());
                assert_eq!(engine.embed_texts(&texts[..count]).unwrap(), texts_alone[..count]);
                assert!(engine.embed_texts(&[vec![0]]).is_err(), "no end mark");
                breaks += 1;
            };
            let found = engine.embed_images_with_breaks(&pictures, &mut at_break).unwrap();
            let which = format!("{precision} {kernels}, {threads} threads");
            assert!(found == images_alone, "{which}");
            assert!(breaks >= 4, "{which}: {breaks} breaks");
        }
    }
    // The reference engine has breaks between its batches of eight.
    let mut breaks = 0;
    support::standin(Size::Tiny).embed_images_with_breaks(&pictures, &mut |_| breaks += 1).unwrap();
    assert_eq!(breaks, 2);
}

#[test]
fn texts_give_the_same_bits_in_every_batch() {
    let token = 0..49_406u32;
    let text = prop::collection::vec(token, 0..=75);
    let batch = prop::collection::vec(text, 1..40);
    for (precision, kernels) in support::variants() {
        let options = support::options(precision, kernels, 2);
        let engine = RefCell::new(clip::load(&support::standin_directory(Size::Tiny), &options).unwrap());
        TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(20) })
            .run(&batch, |texts| {
                let texts: Vec<Vec<u32>> =
                    texts.into_iter().map(|text| [vec![49_406], text, vec![49_407]].concat()).collect();
                let together = engine.borrow_mut().embed_texts(&texts).unwrap();
                for (text, together) in texts.iter().zip(&together) {
                    let alone = engine.borrow_mut().embed_texts(std::slice::from_ref(text)).unwrap();
                    prop_assert_eq!(&alone[0], together, "{} {}", precision, kernels);
                }
                Ok(())
            })
            .unwrap();
    }
}

#[test]
fn tokens_after_the_end_mark_change_nothing() {
    for (precision, kernels) in support::variants() {
        let options = support::options(precision, kernels, 1);
        let mut engine = clip::load(&support::standin_directory(Size::Tiny), &options).unwrap();
        let text = vec![49_406, 320, 2368, 49_407];
        let padded = [text.clone(), vec![49_407; 73]].concat();
        let followed = [text.clone(), vec![17; 73]].concat();
        let [text, padded, followed] =
            [text, padded, followed].map(|text| engine.embed_texts(&[text]).unwrap().remove(0));
        assert_eq!(text, padded);
        assert_eq!(text, followed);
    }
}

/// Vectors of the same precision on different kernels are comparable. By AMX, attention is in bf16, too, which the others compute in
/// f32.
#[test]
fn kernels_of_one_precision_agree() {
    let picture = preprocess(&support::picture("landscape.jpg"));
    for precision in [Precision::F32, Precision::Bf16] {
        let embeddings: Vec<Embedding> = support::variants()
            .into_iter()
            .filter(|variant| variant.0 == precision)
            .map(|(precision, kernels)| {
                let options = support::options(precision, kernels, 2);
                let mut engine = clip::load(&support::standin_directory(Size::Full), &options).unwrap();
                engine.embed_images(std::slice::from_ref(&picture)).unwrap().remove(0)
            })
            .collect();
        for pair in embeddings.windows(2) {
            let cosine = pair[0].cosine(&pair[1]);
            println!("{precision}: {cosine:.8}");
            assert!(cosine > 0.9999, "{precision}: {cosine}");
        }
    }
}
