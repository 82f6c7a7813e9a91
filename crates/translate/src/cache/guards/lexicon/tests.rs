use super::*;

#[test]
fn every_line_is_understood() {
    let lexicon = Lexicon::read().unwrap();
    assert!(lexicon.words.len() > 3_000, "{} words", lexicon.words.len());
}

#[test]
fn no_phrase_is_longer_than_is_looked_for() {
    for word in Lexicon::read().unwrap().words.keys() {
        let unspaced = word.chars().next().is_some_and(super::super::text::is_unspaced);
        let parts = if unspaced { word.chars().count() } else { word.split('_').count() };
        assert!(parts <= LONGEST, "{word}");
    }
}

#[test]
fn a_word_is_looked_up_as_it_is_folded() {
    for word in Lexicon::read().unwrap().words.keys() {
        let lower = word.to_lowercase();
        assert_eq!(*word, lower, "the texts are looked up in small letters");
    }
}

#[test]
fn every_language_negates_and_asks() {
    let lexicon = Lexicon::read().unwrap();
    for language in Language::ALL {
        let count = |wanted: fn(&Tag) -> bool| {
            let entries = lexicon.words.values().flatten();
            entries.filter(|entry| entry.languages == language.bit() && wanted(&entry.tag)).count()
        };
        assert!(count(|tag| matches!(tag, Tag::Negation)) >= 3, "{}", language.name());
        assert!(count(|tag| matches!(tag, Tag::Kind(_))) >= 3, "{}", language.name());
        assert!(count(|tag| matches!(tag, Tag::Side(..))) >= 20, "{}", language.name());
        assert!(count(|tag| matches!(tag, Tag::Unit(_))) >= 3, "{}", language.name());
    }
}
