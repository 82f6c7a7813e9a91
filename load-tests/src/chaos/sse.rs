//! Server-sent events, read as the standard says: any line end, comments, several `data:` lines, a byte order
//! mark. What a strict client would see, no more and no less.

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub name: String,
    pub data: String,
}

/// The events of a body that has ended. What follows the last empty line is no event.
///
/// # Errors
/// The body is not UTF-8.
pub fn read(body: &[u8]) -> Result<Vec<Event>, &'static str> {
    let text = std::str::from_utf8(body).map_err(|_| "the stream is not UTF-8")?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let (mut events, mut name, mut data) = (Vec::new(), String::new(), Vec::<&str>::new());
    let Some(end) = text.rfind('\n') else { return Ok(events) };
    for line in text.get(..end).unwrap_or_default().split('\n') {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" if line.is_empty() => {
                if !data.is_empty() {
                    events.push(Event { name: std::mem::take(&mut name), data: data.join("\n") });
                }
                name.clear();
                data.clear();
            }
            "event" => value.clone_into(&mut name),
            "data" => data.push(value),
            _ => {}
        }
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn any_line_end_comments_and_several_data_lines() {
        let events = read(b"\xef\xbb\xbf: hi\r\n\r\nevent: a\ndata: {\ndata:1}\n\ndata: x\r\r").unwrap();
        let told: Vec<_> = events.iter().map(|event| (event.name.as_str(), event.data.as_str())).collect();
        assert_eq!(told, [("a", "{\n1}"), ("", "x")]);
    }

    #[test]
    fn an_event_without_its_empty_line_is_none() {
        assert_eq!(read(b"data: x\n").unwrap(), []);
        assert_eq!(read(b"data: x").unwrap(), []);
        assert!(read(b"\xff\n\n").is_err());
    }
}
