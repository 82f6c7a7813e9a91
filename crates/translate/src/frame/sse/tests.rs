use proptest::prelude::*;

use super::*;

type Owned = (Vec<u8>, String, Vec<u8>);

const NASTY: &[u8] = b"\xEF\xBB\xBF\r\n: hello\r\n\r\nevent: a\r\ndata: {\"x\":1}\r\n\r\n\n\n\ndata:no space\n\n\
id: 7\nretry: 10\ndata: one\ndata:\ndata:  two\n\ndata\n\nevent\n\nevent: b\rdata: cr\r\rdata: \xE2\x82\xAC\xF0\x9F\x98\x80\n\n\
event: \xFF\ndata: bad name\n\ndatax: no\n\n\xEF\xBB\xBFdata: late mark\n\ndata: [DONE]\n\n\ndata: open";

fn owned(frame: &Frame<'_>) -> Owned {
    (frame.raw.to_vec(), frame.event.to_owned(), frame.data.to_vec())
}

/// The frames of `chunks`, through the buffer only.
fn buffered<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Owned> {
    let mut parser = SseParser::new();
    let mut frames = Vec::new();
    for chunk in chunks {
        parser.push(chunk);
        while let Some(frame) = parser.next_frame() {
            frames.push(owned(&frame));
        }
    }
    while let Some(frame) = parser.finish() {
        frames.push(owned(&frame));
    }
    frames
}

/// The frames of `chunks`, straight from the chunk where possible.
fn direct<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Owned> {
    let mut parser = SseParser::new();
    let mut frames = Vec::new();
    for mut chunk in chunks {
        while parser.is_drained()
            && let Some(frame) = parser.frame_in(chunk)
        {
            let used = frame.raw.len();
            frames.push(owned(&frame));
            chunk = &chunk[used..];
        }
        parser.push(chunk);
        while let Some(frame) = parser.next_frame() {
            frames.push(owned(&frame));
        }
    }
    while let Some(frame) = parser.finish() {
        frames.push(owned(&frame));
    }
    frames
}

fn one(input: &[u8]) -> Owned {
    let frames = buffered([input]);
    assert_eq!(frames.len(), 1, "{frames:?}");
    frames.into_iter().next().unwrap()
}

#[test]
fn nasty_sample_reads_as_the_standard_says() {
    let frames = buffered([NASTY]);
    let seen: Vec<(&str, &[u8])> = frames.iter().map(|(_, e, d)| (e.as_str(), d.as_slice())).collect();
    let expected: Vec<(&str, &[u8])> = vec![
        ("", b""),
        ("a", b"{\"x\":1}"),
        ("", b"no space"),
        ("", b"one\n\n two"),
        ("", b""),
        ("", b""),
        ("b", b"cr"),
        ("", "€😀".as_bytes()),
        ("", b"bad name"),
        ("", b""),
        ("", b""),
        ("", b"[DONE]"),
        ("", b"open"),
    ];
    assert_eq!(seen, expected);
    assert_eq!(frames.iter().flat_map(|f| f.0.clone()).collect::<Vec<_>>(), NASTY);
}

#[test]
fn every_offset_of_the_nasty_sample_gives_the_same_frames() {
    let whole = buffered([NASTY]);
    assert_eq!(direct([NASTY]), whole);
    for cut in 0..=NASTY.len() {
        let (left, right) = NASTY.split_at(cut);
        assert_eq!(buffered([left, right]), whole, "cut at {cut}");
        assert_eq!(direct([left, right]), whole, "direct, cut at {cut}");
    }
    assert_eq!(buffered(NASTY.chunks(1)), whole);
    assert_eq!(direct(NASTY.chunks(1)), whole);
}

#[test]
fn frame_comes_out_with_its_last_line_feed_not_later() {
    let mut parser = SseParser::new();
    parser.push(b"data: x\r\n\r");
    assert!(parser.next_frame().is_none(), "the CR may be half of a CR LF");
    parser.push(b"\n");
    assert_eq!(parser.next_frame().unwrap().raw, b"data: x\r\n\r\n");
    parser.push(b"data: y\n\n");
    assert_eq!(parser.next_frame().unwrap().data, b"y");
    assert!(parser.finish().is_none());
}

#[test]
fn cr_lf_split_over_pushes_is_one_line_end() {
    let frames = buffered([&b"data: a\r"[..], b"\ndata: b\r", b"\n\r", b"\n", b"data: c\r", b"\r", b"d"]);
    let data: Vec<&[u8]> = frames.iter().map(|f| f.2.as_slice()).collect();
    assert_eq!(data, [&b"a\nb"[..], b"c", b""]);
}

#[test]
fn trailing_blank_lines_keep_their_place() {
    let frames = buffered([&b"data: a\n\n\n\r\n"[..]]);
    assert_eq!(frames.len(), 2);
    assert_eq!(frames[1].0, b"\n\r\n");
    assert!(frames[1].2.is_empty());
    assert_eq!(one(b"\n\n\ndata: a\n\n").0, b"\n\n\ndata: a\n\n");
    assert!(buffered([&b""[..]]).is_empty());
}

#[test]
fn last_event_field_wins_and_one_space_is_taken_off() {
    assert_eq!(
        one(b"event: a\nevent:  b\ndata:\n\n"),
        (b"event: a\nevent:  b\ndata:\n\n".to_vec(), " b".into(), vec![])
    );
}

#[test]
fn too_long_an_event_overflows_however_it_is_cut() {
    let mut long = b"data: first\n\ndata: ".to_vec();
    long.resize(long.len() + MAX_EVENT, b'x');
    long.extend_from_slice(b"\n\ndata: after\n\n");
    for size in [long.len(), 1 << 20, 65_537] {
        let mut parser = SseParser::new();
        let mut count = 0;
        for chunk in long.chunks(size) {
            parser.push(chunk);
            while parser.next_frame().is_some() {
                count += 1;
            }
        }
        assert!(parser.overflowed());
        assert!(parser.finish().is_none());
        assert_eq!(count, 1);
    }
    let mut direct = SseParser::new();
    assert_eq!(direct.frame_in(&long).unwrap().data, b"first");
    assert!(direct.frame_in(&long[13..]).is_none());
    assert!(direct.overflowed());
}

#[test]
fn event_of_just_the_limit_passes() {
    let mut event = b"data: ".to_vec();
    event.resize(MAX_EVENT - 2, b'x');
    event.extend_from_slice(b"\n\n");
    let mut parser = SseParser::new();
    parser.push(&event);
    assert_eq!(parser.next_frame().unwrap().raw.len(), MAX_EVENT);
}

fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"data:".to_vec()),
        Just(b"data: ".to_vec()),
        Just(b"event: ".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\n\n".to_vec()),
        Just(b":".to_vec()),
        Just(BYTE_ORDER_MARK.to_vec()),
        Just("ü€😀".as_bytes().to_vec()),
        proptest::collection::vec(any::<u8>(), 0..4),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_frames(input in pieces(), cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..8)) {
        let mut offsets: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
        offsets.extend([0, input.len()]);
        offsets.sort_unstable();
        let chunks = || offsets.windows(2).map(|pair| &input[pair[0]..pair[1]]);
        let whole = buffered([input.as_slice()]);
        prop_assert_eq!(&buffered(chunks()), &whole);
        prop_assert_eq!(&direct(chunks()), &whole);
        let raw: Vec<u8> = whole.iter().flat_map(|frame| frame.0.clone()).collect();
        prop_assert_eq!(raw, input);
    }
}
