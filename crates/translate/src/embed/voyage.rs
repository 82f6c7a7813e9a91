//! Voyage's and Jina's `/v1/embeddings`: OpenAI's answer to a question with other names. Both refuse what they
//! do not know.

use super::{Encoding, Format, Input, Piece, Request, Task, Truncate, lose, refused, write_rest};
use crate::ir::Source;
use crate::loss::Losses;
use crate::wire::BadRequest;
use crate::wire::fields::Path;
use crate::wire::tree::{Node, Object, to_bytes};

pub(super) fn encode_request(
    format: Format,
    request: &Request,
    model: &str,
    losses: &mut Losses,
) -> Result<Vec<u8>, BadRequest> {
    let voyage = format == Format::Voyage;
    let at = Path::Body.field("input");
    let mut list: Vec<Node<'_>> = Vec::with_capacity(request.inputs.len());
    for (index, input) in request.inputs.iter().enumerate() {
        let at = at.item(index);
        list.push(if voyage { input.only_text(&at)?.into() } else { text_or_image(input, &at)? });
    }
    let mut body = Object::new().with("model", model).with("input", list);
    let word = request.task.as_ref().and_then(|task| if voyage { use_of(task) } else { word(task) });
    let cut = match request.truncate {
        Some(Truncate::None) => Some(false),
        Some(Truncate::End) => Some(true),
        Some(Truncate::Start) | None => None,
    };
    body.put_some(if voyage { "input_type" } else { "task" }, word);
    body.put_some(if voyage { "output_dimension" } else { "dimensions" }, request.dimensions);
    body.put_some(if voyage { "truncation" } else { "truncate" }, cut);
    let quantised = |encoding: &Encoding| !matches!(encoding, Encoding::Float | Encoding::Base64);
    let given = [
        ("title", request.inputs.iter().any(|input| input.title.is_some())),
        ("task", request.task.is_some() && word.is_none()),
        ("truncate", request.truncate == Some(Truncate::Start)),
        ("user", request.user.is_some()),
        ("encoding_format", request.encodings.iter().any(quantised)),
    ];
    lose(format, &given, losses);
    let own: &[&str] =
        if voyage { &["truncation", "output_dtype"] } else { &["late_chunking", "normalized"] };
    write_rest(&mut body, request, format, own, losses);
    Ok(to_bytes(&body))
}

/// Jina's newer models take images in the place of texts, by URL or as base64.
fn text_or_image<'a>(input: &'a Input, path: &Path<'_>) -> Result<Node<'a>, BadRequest> {
    match input.pieces.as_slice() {
        [Piece::Image(Source::Url(url))] => Ok(Object::new().with("image", url.as_str()).into()),
        [Piece::Image(Source::Base64 { data, .. })] => Ok(Object::new().with("image", data.as_str()).into()),
        [Piece::Image(_)] => Err(refused(path, "an image by reference, which must be inlined")),
        _ => input.only_text(path).map(Node::from),
    }
}

/// Voyage knows questions and what answers them.
fn use_of(task: &Task) -> Option<&str> {
    match task {
        Task::SearchQuery | Task::QuestionAnswering | Task::FactVerification | Task::CodeQuery => {
            Some("query")
        }
        Task::SearchDocument => Some("document"),
        _ => None,
    }
}

/// Jina's words.
fn word(task: &Task) -> Option<&str> {
    Some(match task {
        Task::SearchQuery | Task::QuestionAnswering | Task::FactVerification => "retrieval.query",
        Task::SearchDocument => "retrieval.passage",
        Task::Similarity => "text-matching",
        Task::Classification => "classification",
        Task::Clustering => "separation",
        Task::CodeQuery => "code.query",
        Task::Other(word) => word,
        Task::Image => return None,
    })
}
