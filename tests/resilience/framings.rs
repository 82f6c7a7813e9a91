//! Answers in every way that HTTP and event streams allow: row 25b. The text arrives whole.

use crate::rig::{Rig, each_tagged, tag};
use crate::support::answers::{chunk, end, events, head, stream_head, whole};
use crate::support::upstream::{Act, Hit, Script};

const OF_STREAM: [&str; 8] = ["bytes", "chunks", "comments", "crlf", "lines", "bom", "extensions", "close"];
const OF_WHOLE: [&str; 4] = ["bytes", "chunks", "extensions", "close"];

const CHUNKED: (&str, &str) = ("transfer-encoding", "chunked");

fn answer(hit: &Hit) -> Script {
    let kind = if hit.streams() { "text/event-stream" } else { "application/json" };
    let frames = match hit.streams() {
        true => events(hit.wire(), hit.model()),
        false => vec![whole(hit.wire(), hit.model()).to_string()],
    };
    let plain = frames.concat();
    match tag(hit) {
        // The TCP stream cut after every byte, head included.
        "bytes" => {
            let length = plain.len().to_string();
            let mut bytes = head(200, &[("content-type", kind), ("content-length", &length)]);
            bytes.extend_from_slice(plain.as_bytes());
            bytes.iter().map(|byte| Act::Send(vec![*byte])).collect()
        }
        // A chunk for every byte.
        "chunks" => {
            let mut script = vec![Act::Send(head(200, &[("content-type", kind), CHUNKED]))];
            script.extend(plain.as_bytes().chunks(1).map(chunk));
            script.push(end());
            script
        }
        "extensions" => {
            let mut bytes = head(200, &[("content-type", kind), CHUNKED, ("trailer", "x-sum")]);
            for frame in &frames {
                bytes.extend(format!("{:X};note=\"a;b\"\r\n{frame}\r\n", frame.len()).into_bytes());
            }
            bytes.extend_from_slice(b"0;last=1\r\nx-sum: 1\r\n\r\n");
            vec![Act::Send(bytes)]
        }
        "close" => {
            let mut bytes = head(200, &[("content-type", kind), ("connection", "close")]);
            bytes.extend_from_slice(plain.as_bytes());
            vec![Act::Send(bytes), Act::Close]
        }
        how => {
            let dressed = frames.iter().enumerate().map(|(nth, frame)| dress(how, nth, frame));
            let mut script = vec![stream_head()];
            script.extend(dressed.map(chunk));
            script.push(end());
            script
        }
    }
}

/// A frame in another of the ways that the event stream format allows.
fn dress(how: &str, nth: usize, frame: &str) -> String {
    match how {
        "comments" => format!(": still here\n\n:\n{frame}"),
        "crlf" => frame.replace('\n', "\r\n"),
        "lines" => frame.replacen("data: {", "data: {\ndata:", 1),
        "bom" if nth == 0 => format!("\u{feff}{frame}"),
        _ => frame.to_owned(),
    }
}

#[test]
fn row_25b_an_answer_in_any_framing_arrives_whole() {
    let rig = Rig::new(answer);
    for (stream, tags) in [(true, &OF_STREAM[..]), (false, &OF_WHOLE[..])] {
        each_tagged(stream, tags, |case| {
            let told = rig.ask_alone(case);
            rig.expect_primary(case, &told);
            rig.expect_attempts(case, &told, &[(case.primary(), "success")]);
            assert_eq!(rig.hits(case).len(), 1);
        });
    }
    for provider in ["oa", "an"] {
        let skipped = rig.gateway.metric("bifrost_stream_events_skipped_total", &[("provider", provider)]);
        assert_eq!(skipped, 0.0, "{provider}");
    }
}
