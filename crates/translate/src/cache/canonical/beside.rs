//! Embeddings and rankings as trees: for exact hits only, nobody asks for a vector that means about the same.
//!
//! The model is always in: vectors and scores of two models have nothing to do with each other.

use super::form::Form;
use super::turns::source;
use super::{Target, begun, rest};
use crate::embed::{self, Encoding, Piece, Task, Truncate};
use crate::rerank;

/// The canonical form of a request for vectors. Without [`Target::model`] the model is the request's own.
#[must_use]
pub fn embeddings(request: &embed::Request, target: &Target<'_>) -> Vec<u8> {
    let mut form = begun("embeddings", &with_model(target, &request.model));
    form.object(|form| {
        form.field("inputs", |form| {
            form.list(|form| request.inputs.iter().for_each(|one| input(form, one)));
        });
        form.count_field("dimensions", request.dimensions);
        encodings(form, &request.encodings);
        form.text_field("task", request.task.as_ref().map(task));
        form.text_field("truncate", request.truncate.map(truncate));
        rest::of_request(form, &request.extra);
    });
    form.into_bytes()
}

/// The canonical form of a request for a ranking.
#[must_use]
pub fn ranking(request: &rerank::Request, target: &Target<'_>) -> Vec<u8> {
    let mut form = begun("ranking", &with_model(target, &request.model));
    form.object(|form| {
        form.text_field("query", Some(&request.query));
        form.field("documents", |form| {
            form.list(|form| {
                for document in &request.documents {
                    match document {
                        rerank::Document::Text(text) => form.text(text),
                        rerank::Document::Fields(fields) => form.members(fields, |_, _| true),
                    }
                }
            });
        });
        form.count_field("top_n", request.top_n);
        form.count_field("max_tokens_per_doc", request.max_tokens_per_doc);
        form.flag_field("return_documents", Some(request.return_documents).filter(|wanted| *wanted));
        // The first of them is read first.
        if !request.rank_fields.is_empty() {
            let names = &request.rank_fields;
            form.field("rank_fields", |form| {
                form.list(|form| names.iter().for_each(|name| form.text(name)));
            });
        }
        rest::of_request(form, &request.extra);
    });
    form.into_bytes()
}

fn with_model<'a>(target: &Target<'a>, own: &'a str) -> Target<'a> {
    Target { model: Some(target.model.unwrap_or(own)), ..*target }
}

fn input(form: &mut Form, input: &embed::Input) {
    form.object(|form| {
        form.text_field("title", input.title.as_deref());
        form.field("pieces", |form| {
            form.list(|form| input.pieces.iter().for_each(|one| piece(form, one)));
        });
    });
}

fn piece(form: &mut Form, piece: &Piece) {
    match piece {
        Piece::Text(text) => form.text(text),
        Piece::Tokens(tokens) => form.list(|form| tokens.iter().for_each(|token| form.count(*token))),
        Piece::Image(image) => source(form, image),
    }
}

/// Floats alone are what one gets without a word.
fn encodings(form: &mut Form, wanted: &[Encoding]) {
    if matches!(wanted, [] | [Encoding::Float]) {
        return;
    }
    let word = |encoding: &Encoding| match encoding {
        Encoding::Float => "float",
        Encoding::Base64 => "base64",
        Encoding::Int8 => "int8",
        Encoding::Uint8 => "uint8",
        Encoding::Binary => "binary",
        Encoding::Ubinary => "ubinary",
    };
    form.field("encodings", |form| {
        form.list(|form| wanted.iter().for_each(|one| form.text(word(one))));
    });
}

fn task(task: &Task) -> &str {
    match task {
        Task::SearchDocument => "search_document",
        Task::SearchQuery => "search_query",
        Task::Classification => "classification",
        Task::Clustering => "clustering",
        Task::Similarity => "similarity",
        Task::QuestionAnswering => "question_answering",
        Task::FactVerification => "fact_verification",
        Task::CodeQuery => "code_query",
        Task::Image => "image",
        Task::Other(word) => word,
    }
}

fn truncate(end: Truncate) -> &'static str {
    match end {
        Truncate::None => "none",
        Truncate::Start => "start",
        Truncate::End => "end",
    }
}
