//! Messages by the format's description: made by hand here, so that parser and writer cannot agree on a
//! mistake.

use proptest::prelude::*;

use super::*;

/// The checksum, bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    })
}

fn by_hand(headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut out = ((16 + headers.len() + payload.len()) as u32).to_be_bytes().to_vec();
    out.extend((headers.len() as u32).to_be_bytes());
    out.extend(crc(&out).to_be_bytes());
    out.extend(headers);
    out.extend(payload);
    out.extend(crc(&out).to_be_bytes());
    out
}

fn header(name: &str, kind: u8, value: &[u8]) -> Vec<u8> {
    let mut out = vec![name.len() as u8];
    out.extend(name.as_bytes());
    out.push(kind);
    if matches!(kind, 6 | 7) {
        out.extend((value.len() as u16).to_be_bytes());
    }
    out.extend(value);
    out
}

/// Event, data and raw of a message.
type Owned = (String, Vec<u8>, Vec<u8>);

/// Every message, pushed in chunks of `size`, and what broke.
fn parse(bytes: &[u8], size: usize) -> (Vec<Owned>, Option<Broken>) {
    let mut parser = EventStreamParser::new();
    let mut frames = Vec::new();
    for chunk in bytes.chunks(size.max(1)) {
        parser.push(chunk);
        while let Some(frame) = parser.next_frame() {
            frames.push((frame.event.to_owned(), frame.data.to_vec(), frame.raw.to_vec()));
        }
    }
    assert!(parser.finish().is_none());
    (frames, parser.broken())
}

fn one(bytes: &[u8]) -> Result<(String, String), Broken> {
    let (frames, broken) = parse(bytes, bytes.len());
    match (frames.as_slice(), broken) {
        ([(event, data, _)], None) => Ok((event.clone(), String::from_utf8(data.clone()).unwrap())),
        (_, broken) => Err(broken.unwrap()),
    }
}

#[test]
fn an_event_is_written_as_the_format_says() {
    let headers = [
        header(":event-type", 7, b"messageStart"),
        header(":content-type", 7, b"application/json"),
        header(":message-type", 7, b"event"),
    ]
    .concat();
    let mut out = Vec::new();
    write_message(&mut out, "messageStart", b"{\"role\":\"assistant\"}");
    assert_eq!(out, by_hand(&headers, b"{\"role\":\"assistant\"}"));
    assert_eq!(one(&out), Ok(("messageStart".to_owned(), "{\"role\":\"assistant\"}".to_owned())));
}

/// The vendor's own test vector: no headers, no payload.
#[test]
fn the_smallest_message_is_sixteen_bytes() {
    let vector = [0, 0, 0, 0x10, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff];
    assert_eq!(one(&vector), Ok((String::new(), String::new())));
    assert_eq!(by_hand(b"", b""), vector);
}

#[test]
fn headers_of_every_type_are_stepped_over() {
    let sizes: [(u8, usize); 10] =
        [(0, 0), (1, 0), (2, 1), (3, 2), (4, 4), (5, 8), (6, 5), (7, 3), (8, 8), (9, 16)];
    let mut headers: Vec<u8> =
        sizes.iter().flat_map(|(kind, size)| header("x", *kind, &vec![b'a'; *size])).collect();
    headers.extend(header(":event-type", 7, b"metadata"));
    assert_eq!(one(&by_hand(&headers, b"{}")), Ok(("metadata".to_owned(), "{}".to_owned())));
}

#[test]
fn exceptions_and_errors_are_told_and_never_empty() {
    let told = |bytes: &[u8]| {
        let mut parser = EventStreamParser::new();
        parser.push(bytes);
        let frame = parser.next_frame().unwrap();
        (frame.event.to_owned(), String::from_utf8(frame.data.to_vec()).unwrap(), is_exception(&frame))
    };
    let mut out = Vec::new();
    write_exception(&mut out, "throttlingException", b"{\"message\":\"slow\"}");
    assert_eq!(told(&out), ("throttlingException".into(), "{\"message\":\"slow\"}".into(), true));
    let exception = [header(":message-type", 7, b"exception"), header(":exception-type", 7, b"odd")].concat();
    assert_eq!(told(&by_hand(&exception, b"")), ("odd".into(), "{}".into(), true));
    let error = [
        header(":message-type", 7, b"error"),
        header(":error-code", 7, b"InternalFailure"),
        header(":error-message", 7, b"it broke"),
    ]
    .concat();
    assert_eq!(told(&by_hand(&error, b"")), ("InternalFailure".into(), "it broke".into(), true));
    out.clear();
    write_message(&mut out, "chunk", b"{}");
    assert!(!told(&out).2);
}

#[test]
fn what_is_wrong_breaks_the_stream_for_good() {
    let mut good = Vec::new();
    write_message(&mut good, "chunk", b"{\"a\":1}");
    let broken = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes.extend(&good);
        one(&bytes).unwrap_err()
    };
    assert_eq!([broken(0), broken(7), broken(9)], [Broken::PreludeChecksum; 3]);
    assert_eq!([broken(20), broken(good.len() - 6), broken(good.len() - 1)], [Broken::Checksum; 3]);
    let lengths = |total: u32, headers: u32| {
        let mut bytes = [total.to_be_bytes(), headers.to_be_bytes()].concat();
        bytes.extend(crc(&bytes).to_be_bytes());
        one(&bytes).unwrap_err()
    };
    for (total, headers) in [(0, 0), (15, 0), (20, 5), (u32::MAX, 0), (1 << 20, (1 << 17) + 1), (9, u32::MAX)]
    {
        assert_eq!(lengths(total, headers), Broken::Length, "{total} {headers}");
    }
    let odd = [&[3, b'a'][..], &[1, b'a', 10], &[1, b'a', 7, 0, 9, b'b'], &[1, b'a']];
    for headers in odd {
        assert_eq!(one(&by_hand(headers, b"")), Err(Broken::Headers), "{headers:?}");
    }
    let not_text = header(":event-type", 7, b"\xff");
    assert_eq!(one(&by_hand(&not_text, b"")), Err(Broken::Headers));
    assert_eq!(one(&by_hand(&header(":event-type", 0, b""), b"")), Err(Broken::Headers));
}

#[test]
fn a_payload_is_replaced_and_the_headers_stay() {
    let headers = [header("x", 9, &[7; 16]), header(":event-type", 7, b"metadata")].concat();
    let mut out = b"before".to_vec();
    assert!(write_with_payload(&mut out, &by_hand(&headers, b"{}"), b"{\"more\":1}"));
    assert_eq!(out, [b"before".to_vec(), by_hand(&headers, b"{\"more\":1}")].concat());
    assert!(!write_with_payload(&mut out, b"short", b"{}"));
}

#[test]
fn a_message_longer_than_the_format_allows_is_not_written() {
    let mut out = Vec::new();
    write_message(&mut out, "chunk", &vec![b'x'; MAX_MESSAGE]);
    assert!(out.is_empty());
    write_message(&mut out, &"é".repeat(40_000), b"");
    let (event, _) = one(&out).unwrap();
    assert_eq!(event.len(), 65_534, "cut at a character");
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_messages_and_no_byte_is_lost(
        messages in prop::collection::vec((".{0,20}", prop::collection::vec(any::<u8>(), 0..60)), 0..6),
        size in 1..80_usize,
    ) {
        let mut bytes = Vec::new();
        messages.iter().for_each(|(event, payload)| write_message(&mut bytes, event, payload));
        let (frames, broken) = parse(&bytes, size);
        prop_assert_eq!(broken, None);
        let raw: Vec<u8> = frames.iter().flat_map(|frame| frame.2.clone()).collect();
        prop_assert_eq!(&raw, &bytes);
        let read: Vec<_> = frames.into_iter().map(|(event, data, _)| (event, data)).collect();
        prop_assert_eq!(read, messages);
    }

    #[test]
    fn broken_bytes_break_alike_wherever_they_are_cut(
        payload in prop::collection::vec(any::<u8>(), 0..60),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        size in 1..80_usize,
    ) {
        let mut bytes = Vec::new();
        write_message(&mut bytes, "chunk", &payload);
        write_message(&mut bytes, "chunk", &payload);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        prop_assert_eq!(parse(&bytes, size), parse(&bytes, bytes.len()));
    }
}
