//! A response's bytes to its pieces: server-sent events, JSON lines, Amazon's event stream.

use std::collections::VecDeque;

use aws_smithy_eventstream::frame::read_message_from;
use serde_json::json;

use super::super::Failure;
#[cfg(test)]
use super::exchange::{Draft, Flow};
use super::exchange::{Frame, Framing, malformed};

/// Most bytes of one piece of a stream.
const PIECE_LIMIT: usize = 16 << 20;
/// Most bytes of a response that comes whole: probabilities of a long prompt's tokens are a large document.
const WHOLE_LIMIT: usize = 64 << 20;
/// The byte order mark that a text may begin with.
const MARK: &[u8] = b"\xEF\xBB\xBF";
/// The shortest message of an event stream: its lengths, their checksum, and the message's.
const SHORTEST: usize = 16;

/// One piece of a response, with bytes of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OwnedFrame {
    /// Its type, where the framing has types and this piece told one.
    pub(super) event: Option<String>,
    /// What it carries, without the framing.
    pub(super) data: Vec<u8>,
}

impl OwnedFrame {
    /// The piece as a dialect reads it.
    pub(super) fn as_frame(&self) -> Frame<'_> {
        Frame { event: self.event.as_deref(), data: &self.data }
    }
}

/// Divides a body into frames, however the network cut it.
///
/// Server-sent events are read as the WHATWG's HTML standard says (section 9.2.6), Amazon's messages as its
/// event-stream encoding says: checksums are checked, and an exception is a frame with its type as the event.
/// After an error nothing more is to be expected of it; the frames before the error are still there.
#[derive(Debug)]
pub(super) struct Frames {
    framing: Framing,
    limit: usize,
    /// Whether it is settled that no byte order mark begins the text.
    begun: bool,
    /// Whether the last byte was a carriage return: a line feed after it ends no second line.
    returned: bool,
    /// Bytes that are no whole line, message or document yet.
    rest: Vec<u8>,
    /// The type and the data of the server-sent event that is being read.
    event: String,
    data: Option<Vec<u8>>,
    ready: VecDeque<OwnedFrame>,
}

impl Frames {
    /// For a body of this framing, before its first byte.
    pub(super) fn new(framing: Framing) -> Self {
        Self {
            framing,
            limit: if framing == Framing::Whole { WHOLE_LIMIT } else { PIECE_LIMIT },
            begun: framing == Framing::AwsEvents,
            returned: false,
            rest: Vec::new(),
            event: String::new(),
            data: None,
            ready: VecDeque::new(),
        }
    }

    /// Takes the next bytes of the body, of any number.
    ///
    /// # Errors
    /// [`CauseKind::Malformed`](crate::domain::CauseKind::Malformed) where they are not of this framing, or a piece is too large.
    pub(super) fn push(&mut self, chunk: &[u8]) -> Result<(), Failure> {
        if self.begun {
            return self.feed(chunk);
        }
        self.rest.extend_from_slice(chunk);
        if self.rest.len() < MARK.len() && MARK.starts_with(&self.rest) {
            return Ok(());
        }
        self.begin()
    }

    /// The next frame that is complete. Comments, blank lines and events without data are none.
    pub(super) fn next(&mut self) -> Option<OwnedFrame> {
        self.ready.pop_front()
    }

    /// Says that the body is over; a last frame may be ready then.
    ///
    /// # Errors
    /// [`CauseKind::Malformed`](crate::domain::CauseKind::Malformed) where it ended inside a frame, or a document is empty.
    pub(super) fn finish(&mut self) -> Result<(), Failure> {
        if !self.begun {
            self.begin()?;
        }
        let rest = std::mem::take(&mut self.rest);
        let last = rest.trim_ascii();
        let torn = match self.framing {
            Framing::Whole if last.is_empty() => return Err(malformed("its body is empty")),
            // A document's reader says better than this what is wrong with it.
            Framing::Whole => false,
            // The last line may lack its end: it is complete if its document is.
            Framing::Lines => !last.is_empty() && serde_json::from_slice::<serde::de::IgnoredAny>(last).is_err(),
            Framing::Sse => self.data.is_some() || rest.first().is_some_and(|&byte| byte != b':'),
            Framing::AwsEvents => !rest.is_empty(),
        };
        if torn {
            return Err(malformed("it ended in the middle of a piece"));
        }
        if matches!(self.framing, Framing::Whole | Framing::Lines) {
            self.line(last);
        }
        Ok(())
    }

    /// Drops the byte order mark, if there is one, and reads what waited for that.
    fn begin(&mut self) -> Result<(), Failure> {
        self.begun = true;
        let first = std::mem::take(&mut self.rest);
        self.feed(first.strip_prefix(MARK).unwrap_or(&first))
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match self.framing {
            Framing::Whole if self.rest.is_empty() => self.keep(bytes.trim_ascii_start()),
            Framing::Whole => self.keep(bytes),
            Framing::Lines => self.lines(bytes),
            Framing::Sse => self.events(bytes),
            Framing::AwsEvents => self.messages(bytes),
        }
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        check(self.rest.len() + bytes.len(), self.limit)?;
        self.rest.extend_from_slice(bytes);
        Ok(())
    }

    fn lines(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.keep(part)?;
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.rest);
                self.line(line.trim_ascii());
            }
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8]) {
        if !line.is_empty() {
            self.ready.push_back(OwnedFrame { event: None, data: line.to_vec() });
        }
    }

    fn events(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        for part in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let returned = std::mem::replace(&mut self.returned, part.ends_with(b"\r"));
            if returned && part == b"\n" {
                continue;
            }
            match part.split_last() {
                Some((b'\n' | b'\r', text)) => {
                    self.keep(text)?;
                    let line = std::mem::take(&mut self.rest);
                    self.field(&line)?;
                }
                _ => self.keep(part)?,
            }
        }
        Ok(())
    }

    /// Reads one line of a server-sent event; an empty one ends the event.
    fn field(&mut self, line: &[u8]) -> Result<(), Failure> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            if let Some(data) = self.data.take() {
                self.ready.push_back(OwnedFrame { event: (!event.is_empty()).then_some(event), data });
            }
            return Ok(());
        }
        let colon = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &line[..colon] {
            b"event" => self.event = String::from_utf8_lossy(value).into_owned(),
            b"data" => {
                check(self.data.as_ref().map_or(0, |data| data.len() + 1) + value.len(), self.limit)?;
                match &mut self.data {
                    Some(data) => {
                        data.push(b'\n');
                        data.extend_from_slice(value);
                    }
                    None => self.data = Some(value.to_vec()),
                }
            }
            // A comment has no name; ids and waits are for connections that are made again, which no answer is.
            _ => {}
        }
        Ok(())
    }

    fn messages(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.rest.extend_from_slice(bytes);
        let mut rest = self.rest.as_slice();
        while let Some((length, _)) = rest.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*length) as usize;
            check(length, self.limit)?;
            if length < SHORTEST {
                return Err(malformed("a message of its event stream is shorter than any can be"));
            }
            let Some((message, after)) = rest.split_at_checked(length) else { break };
            self.ready.push_back(message_of(message)?);
            rest = after;
        }
        let read = self.rest.len() - rest.len();
        self.rest.drain(..read);
        Ok(())
    }
}

fn check(bytes: usize, limit: usize) -> Result<(), Failure> {
    if bytes > limit { Err(malformed(format!("a piece of it has more than {limit} bytes"))) } else { Ok(()) }
}

/// One message of an event stream: its type as the event, its payload as the data. An error outside the service's model
/// has no payload: its code and message, which are headers, are written as one, under the event `error`.
fn message_of(bytes: &[u8]) -> Result<OwnedFrame, Failure> {
    let message =
        read_message_from(bytes).map_err(|fault| malformed(format!("a message of its event stream is broken: {fault}")))?;
    let header = |name: &str| {
        let found = message.headers().iter().find(|header| header.name().as_str() == name);
        found.and_then(|header| header.value().as_string().ok()).map(|text| text.as_str().to_owned())
    };
    let named = |name: &str| header(name).ok_or_else(|| malformed(format!("a message of its event stream has no {name}")));
    let event = match named(":message-type")?.as_str() {
        "event" => named(":event-type")?,
        "exception" => named(":exception-type")?,
        "error" => {
            let told = json!({ "code": named(":error-code")?, "message": header(":error-message") });
            return Ok(OwnedFrame { event: Some("error".to_owned()), data: told.to_string().into_bytes() });
        }
        other => return Err(malformed(format!("a message of its event stream is of the type {other:?}"))),
    };
    Ok(OwnedFrame { event: Some(event), data: message.payload().to_vec() })
}

/// Reads a body by a dialect's reader of pieces, cut at every byte and not at all, which must come to the same.
#[cfg(test)]
pub(super) fn read_in_pieces(
    framing: Framing,
    body: &[u8],
    piece: impl Fn(&Frame<'_>, &mut Draft) -> Result<Flow, Failure>,
) -> Result<(Draft, Flow), Failure> {
    let read = |size: usize| {
        let mut frames = Frames::new(framing);
        let mut draft = Draft::default();
        let chunks = body.chunks(size).map(Some).chain([None]);
        for chunk in chunks {
            match chunk {
                Some(chunk) => frames.push(chunk)?,
                None => frames.finish()?,
            }
            while let Some(frame) = frames.next() {
                if piece(&frame.as_frame(), &mut draft)? == Flow::Done {
                    return Ok((draft, Flow::Done));
                }
            }
        }
        Ok((draft, Flow::More))
    };
    let whole = read(body.len().max(1));
    for size in 1..6 {
        assert_eq!(read(size), whole, "in pieces of {size} bytes");
    }
    whole
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    use super::*;
    use crate::domain::CauseKind;

    /// Messages as the encoding's specification lays them out (smithy.io, "Amazon Event Stream Specification"): lengths of
    /// message and headers, CRC-32 of both, headers (length, name, type 7, length, text), payload, CRC-32 of all before;
    /// the checksums are zlib's. First `:event-type` contentBlockDelta, `:content-type` application/json, `:message-type` event.
    const DELTA: &str = concat!(
        "0000009d00000057b9bbf89f0b3a6576656e742d74797065070011636f6e74656e74426c6f636b44656c74610d3a636f6e74656e742d74",
        "7970650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d747970650700056576656e747b22636f6e74656e74426c",
        "6f636b496e646578223a302c2264656c7461223a7b2274657874223a224869227d2c2270223a226162227d8b38b268",
    );
    /// `:exception-type` throttlingException, `:content-type` application/json, `:message-type` exception.
    const THROTTLED: &str = concat!(
        "000000b0000000614f5086b30f3a657863657074696f6e2d747970650700137468726f74746c696e67457863657074696f6e0d3a636f6e",
        "74656e742d747970650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d74797065070009657863657074696f6e7b",
        "226d657373616765223a22546f6f206d616e7920746f6b656e732c20706c656173652077616974206265666f726520747279696e672061",
        "6761696e2e227df70ae57f",
    );
    /// `:error-code` `InternalError`, `:error-message`, `:message-type` error, and no payload.
    const UNMODELLED: &str = concat!(
        "0000006700000057bb3fb0630b3a6572726f722d636f646507000d496e7465726e616c4572726f720e3a6572726f722d6d657373616765",
        "070013416e2022696e7465726e616c22206572726f720d3a6d6573736167652d747970650700056572726f72c25075f8",
    );
    /// From the tests of Amazon's own reader in C (aws-c-event-stream, `message_deserializer_test.c`): no header at all.
    const HEADLESS: &str = "0000001d00000000fd528c5a7b27666f6f273a27626172277dc3653936";

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    /// What comes out of the chunks: the frames up to an error, and the error.
    fn read(framing: Framing, chunks: &[&[u8]]) -> (Vec<(Option<String>, String)>, Option<String>) {
        let mut frames = Frames::new(framing);
        let mut found = Vec::new();
        let mut fault = None;
        for chunk in chunks {
            fault = frames.push(chunk).err();
            if fault.is_some() {
                break;
            }
        }
        let fault = fault.or_else(|| frames.finish().err());
        while let Some(frame) = frames.next() {
            assert_eq!(frame.as_frame(), Frame { event: frame.event.as_deref(), data: &frame.data });
            found.push((frame.event, String::from_utf8_lossy(&frame.data).into_owned()));
        }
        assert!(fault.as_ref().is_none_or(|fault| fault.kind == CauseKind::Malformed));
        (found, fault.map(|fault| fault.message))
    }

    fn data(framing: Framing, body: &str) -> Vec<String> {
        let (found, fault) = read(framing, &[body.as_bytes()]);
        assert_eq!(fault, None, "{body:?}");
        found.into_iter().map(|(_, data)| data).collect()
    }

    #[test]
    fn the_standards_examples_of_server_sent_events_come_out_as_it_says() {
        // html.spec.whatwg.org, 9.2.6, from "The following event stream, once followed by a blank line" on.
        assert_eq!(data(Framing::Sse, "data: YHOO\ndata: +2\ndata: 10\n\n"), ["YHOO\n+2\n10"]);
        let four = ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n";
        assert_eq!(data(Framing::Sse, four), ["first event", "second event", " third event"]);
        assert_eq!(data(Framing::Sse, "data\n\ndata\ndata\n\n"), ["", "\n"]);
        assert_eq!(data(Framing::Sse, "data:test\n\ndata: test\n\n"), ["test", "test"]);
    }

    #[test]
    fn every_line_end_a_byte_order_mark_and_event_names_are_understood() {
        for end in ["\n", "\r", "\r\n"] {
            let body = "\u{FEFF}event: ping|data: {}||: keep-alive||event: lost||retry: 3|data: a||".replace('|', end);
            let expected = vec![(Some("ping".to_owned()), "{}".to_owned()), (None, "a".to_owned())];
            assert_eq!(read(Framing::Sse, &[body.as_bytes()]), (expected, None), "{end:?}");
        }
        assert_eq!(data(Framing::Sse, "data: a\r\n\r\n\r\rdata: b\n\r\n"), ["a", "b"]);
        assert_eq!(data(Framing::Sse, "\u{FEFF}\u{FEFF}data: not a field\n\n"), Vec::<String>::new());
    }

    #[test]
    fn an_event_cut_off_at_the_end_is_an_error_and_a_comment_is_not() {
        for torn in ["data: a", "data: a\n", "data: a\r", "data: a\n\nda"] {
            assert!(read(Framing::Sse, &[torn.as_bytes()]).1.is_some(), "{torn:?}");
        }
        for whole in ["", "\n", "data: a\n\n", "data: a\r\r", "data: a\n\n: keep-al", "data: a\n\nevent: x\n"] {
            assert_eq!(read(Framing::Sse, &[whole.as_bytes()]).1, None, "{whole:?}");
        }
    }

    #[test]
    fn blank_lines_are_no_documents_and_the_last_line_needs_no_end() {
        assert_eq!(
            data(Framing::Lines, "\u{FEFF}{\"a\":1}\r\n\r\n \n{\"b\":2}\n\n{\"c\":3}"),
            [r#"{"a":1}"#, r#"{"b":2}"#, r#"{"c":3}"#]
        );
        let (found, fault) = read(Framing::Lines, &[b"{\"a\":1}\n{\"b\":"]);
        assert_eq!((found.len(), fault.is_some()), (1, true));
        // A service that keeps the connection open with blank lines before its document (DeepSeek's rate limits).
        assert_eq!(data(Framing::Whole, "\n\n  \r\n{\"a\":\n\n1}\n"), ["{\"a\":\n\n1}"]);
        assert!(read(Framing::Whole, &[b"\n", b"\n"]).1.unwrap().contains("empty"));
    }

    #[test]
    fn amazons_messages_come_with_their_types() {
        let body = [DELTA, THROTTLED, UNMODELLED].map(bytes).concat();
        let expected = [
            ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"Hi"},"p":"ab"}"#),
            ("throttlingException", r#"{"message":"Too many tokens, please wait before trying again."}"#),
            ("error", r#"{"code":"InternalError","message":"An \"internal\" error"}"#),
        ];
        let expected = expected.map(|(event, data)| (Some(event.to_owned()), data.to_owned())).to_vec();
        let single: Vec<&[u8]> = body.chunks(1).collect();
        assert_eq!(read(Framing::AwsEvents, &single), (expected, None));
        let (found, fault) = read(Framing::AwsEvents, &[&bytes(HEADLESS)]);
        assert!(found.is_empty() && fault.unwrap().ends_with("has no :message-type"));
    }

    #[test]
    fn any_flipped_bit_of_a_message_is_noticed() {
        let whole = bytes(DELTA);
        for bit in 0..whole.len() * 8 {
            let mut body = whole.clone();
            body[bit / 8] ^= 1 << (bit % 8);
            let (found, fault) = read(Framing::AwsEvents, &[&body]);
            assert!(found.is_empty() && fault.is_some(), "bit {bit}");
        }
        assert!(read(Framing::AwsEvents, &[&whole[..whole.len() - 1]]).1.is_some());
        assert!(read(Framing::AwsEvents, &[b"<html>"]).1.is_some(), "a page is not waited for");
    }

    #[test]
    fn a_piece_beyond_the_limit_is_refused_however_it_comes() {
        for (framing, body) in [
            (Framing::Whole, "123456789"),
            (Framing::Lines, "12345678\n"),
            (Framing::Sse, "data: 789"),
            (Framing::Sse, "data:ab\ndata:cd\ndata:ef\ndata:gh\n"),
        ] {
            for cut in [1, 4, 100] {
                let mut frames = Frames::new(framing);
                frames.limit = 8;
                let refused = body.as_bytes().chunks(cut).any(|chunk| frames.push(chunk).is_err());
                assert!(refused && frames.next().is_none(), "{framing:?} by {cut}");
            }
        }
    }

    /// Bytes made of what the framings give a meaning to, of whole messages, and of anything.
    fn body() -> impl Strategy<Value = Vec<u8>> {
        let words = ["\n", "\r", "\r\n", "\n\n", "data: ", "data", "event: ", ":", " ", "{\"a\":1}", "[DONE]", "\u{FEFF}", "é"];
        let word = select(words.to_vec()).prop_map(|word| word.as_bytes().to_vec());
        let message = select(vec![DELTA, THROTTLED, UNMODELLED, HEADLESS]).prop_map(bytes);
        vec(prop_oneof![6 => word, 2 => message, 1 => vec(any::<u8>(), 0..6)], 0..24).prop_map(|parts| parts.concat())
    }

    fn framing() -> impl Strategy<Value = Framing> {
        select(vec![Framing::Whole, Framing::Sse, Framing::Lines, Framing::AwsEvents])
    }

    proptest! {
        #[test]
        fn any_cutting_gives_the_same_frames(framing in framing(), body in body(), cuts in vec(any::<Index>(), 0..12)) {
            let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
            places.extend([0, body.len()]);
            places.sort_unstable();
            let chunks: Vec<&[u8]> = places.windows(2).map(|pair| &body[pair[0]..pair[1]]).collect();
            let whole = read(framing, &[&body]);
            prop_assert_eq!(&read(framing, &chunks), &whole);
            let single: Vec<&[u8]> = body.chunks(1).collect();
            prop_assert_eq!(&read(framing, &single), &whole);
        }

        #[test]
        fn messages_before_a_broken_one_are_still_read(count in 0_usize..5, garbage in vec(any::<u8>(), 1..40)) {
            let mut body = bytes(DELTA).repeat(count);
            body.extend(garbage);
            let (found, fault) = read(Framing::AwsEvents, &[&body]);
            prop_assert_eq!((found.len(), fault.is_some()), (count, true));
        }
    }
}
