//! Server-sent events, read from pieces that end anywhere.

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub id: Option<String>,
    pub name: String,
    pub data: String,
}

/// What came and is not an event yet.
#[derive(Debug, Default)]
pub struct Reader {
    rest: Vec<u8>,
    id: Option<String>,
    name: String,
    data: String,
}

impl Reader {
    /// The events that are complete with this piece.
    pub fn push(&mut self, piece: &[u8]) -> Vec<Event> {
        self.rest.extend_from_slice(piece);
        let mut events = Vec::new();
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            events.extend(self.line(line.trim_end_matches(['\r', '\n'])));
        }
        events
    }

    fn line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let (id, name, data) =
                (self.id.take(), std::mem::take(&mut self.name), std::mem::take(&mut self.data));
            return (!data.is_empty()).then_some(Event { id, name, data });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut self.name),
            "data" if self.data.is_empty() => value.clone_into(&mut self.data),
            "data" => {
                self.data.push('\n');
                self.data.push_str(value);
            }
            // Comments, and what is not for us.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_the_same_however_their_bytes_are_cut() {
        let text = "retry: 9\nid: 1-2\nevent: hello\ndata: {\"a\":\ndata: 1}\n\n: still here\n\nevent: é\r\ndata:x\r\n\r\ndata";
        let whole = Reader::default().push(text.as_bytes());
        assert_eq!(whole.len(), 2);
        assert_eq!(
            whole[0],
            Event { id: Some("1-2".into()), name: "hello".into(), data: "{\"a\":\n1}".into() }
        );
        assert_eq!(whole[1], Event { id: None, name: "é".into(), data: "x".into() });
        for size in 1..text.len() {
            let mut reader = Reader::default();
            let cut: Vec<Event> = text.as_bytes().chunks(size).flat_map(|piece| reader.push(piece)).collect();
            assert_eq!(cut, whole, "{size}");
        }
    }
}
