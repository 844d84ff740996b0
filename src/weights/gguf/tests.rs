//! Headers that are sound, cut off, twisted or plain noise.

use std::path::Path;
use std::sync::OnceLock;

use proptest::prelude::*;

use super::{Array, Header, TensorPlan, TensorType, Value, Writer, parse};
use crate::weights::WeightsError;

/// A small sound file with several kinds of values and types.
fn sound() -> Vec<u8> {
    static SOUND: OnceLock<Vec<u8>> = OnceLock::new();
    SOUND.get_or_init(write_sound).clone()
}

fn write_sound() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sound.gguf");
    let text = |text: &str| Value::Text(text.to_owned());
    let metadata = [
        ("general.architecture", text("llama")),
        ("count", Value::U32(7)),
        ("rate", Value::F32(0.5)),
        ("flag", Value::Bool(true)),
        ("large", Value::U64(1 << 40)),
        ("words", Value::Array(Array::of_texts(["a", "", "Ġthe"]))),
        ("numbers", Value::Array(Array::of_integers(&[3, -1, 2]))),
    ];
    let metadata: Vec<_> = metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let tensor = |name: &str, shape: &[usize], kind| TensorPlan { name: name.to_owned(), shape: shape.to_vec(), kind };
    let tensors = [
        tensor("first", &[3, 32], TensorType::Q8_0),
        tensor("other", &[5], TensorType::F32),
        tensor("third", &[2, 256], TensorType::Q4_K),
    ];
    let mut writer = Writer::create(&path, &metadata, &tensors).unwrap();
    for (index, tensor) in tensors.iter().enumerate() {
        writer.tensor(&vec![index as u8 + 1; tensor.size() as usize]).unwrap();
    }
    writer.finish().unwrap();
    std::fs::read(&path).unwrap()
}

fn read(file: &[u8]) -> Result<Header, WeightsError> {
    parse(Path::new("test.gguf"), file)
}

fn problem(file: &[u8]) -> String {
    read(file).unwrap_err().to_string()
}

/// The place of a text in a file.
fn find(file: &[u8], text: &str) -> usize {
    file.windows(text.len()).position(|window| window == text.as_bytes()).unwrap()
}

/// The file with some bytes replaced.
fn patched(mut file: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    file[at..at + bytes.len()].copy_from_slice(bytes);
    file
}

#[test]
fn what_is_written_is_read_back() {
    let file = sound();
    let header = read(&file).unwrap();
    assert_eq!(header.get("count").unwrap().integer(), Some(7));
    assert_eq!(header.get("large").unwrap().integer(), Some(1 << 40));
    assert_eq!(header.get("rate").unwrap().real(), Some(0.5));
    assert_eq!(header.get("general.architecture").unwrap().text(), Some("llama"));
    let Some(Value::Array(words)) = header.get("words") else { panic!("words are an array") };
    assert_eq!(words.texts().unwrap(), ["a", "", "Ġthe"]);
    let Some(Value::Array(numbers)) = header.get("numbers") else { panic!("numbers are an array") };
    assert_eq!(numbers.integers().unwrap(), [3, -1, 2]);
    let shapes: Vec<_> = header.tensors.iter().map(|tensor| (tensor.name.as_str(), tensor.shape.as_slice())).collect();
    assert_eq!(shapes, [("first", &[3, 32][..]), ("other", &[5]), ("third", &[2, 256])]);
    for (index, tensor) in header.tensors.iter().enumerate() {
        assert!(file[tensor.bytes.clone()].iter().all(|byte| *byte == index as u8 + 1), "{}", tensor.name);
        assert!(tensor.bytes.start.is_multiple_of(32));
    }
}

#[test]
fn a_file_that_is_cut_off_names_the_tensor_and_the_missing_bytes() {
    let file = sound();
    let third = read(&file).unwrap().tensors[2].bytes.clone();
    let message = problem(&file[..third.end - 10]);
    assert!(message.contains("`third`") && message.contains(" 10 bytes are missing"), "{message}");
    let second = read(&file).unwrap().tensors[1].bytes.clone();
    let message = problem(&file[..=second.start]);
    assert!(message.contains("`other`") && message.contains(&format!(" {} bytes", third.end - second.start - 1)), "{message}");
}

#[test]
fn every_shorter_file_is_refused_and_not_only_those_that_lack_whole_tensors() {
    let file = sound();
    let end = read(&file).unwrap().tensors[2].bytes.end;
    for length in 0..end {
        assert!(matches!(read(&file[..length]), Err(WeightsError::Truncated { .. })), "{length} bytes");
    }
}

#[test]
fn a_tensor_of_an_unknown_type_is_listed() {
    let file = sound();
    // After the name come the number of dimensions and the dimension, then the type.
    let at = find(&file, "other") + "other".len() + 4 + 8;
    let header = read(&patched(file, at, &77_u32.to_le_bytes())).unwrap();
    assert_eq!(header.tensors[1].kind.to_string(), "ggml type 77");
    assert_eq!(header.tensors[1].kind.dtype(), None);
}

#[test]
fn names_that_occur_twice_are_refused() {
    let file = sound();
    let other = find(&file, "other");
    assert!(problem(&patched(file.clone(), other, b"third")).contains("`third` occurs twice"));
    let flag = find(&file, "rate");
    let message = problem(&patched(file, flag, b"flag"));
    assert!(message.contains("`flag` occurs twice"), "{message}");
}

#[test]
fn offsets_that_are_odd_or_on_another_tensor_are_refused() {
    let file = sound();
    let offset = find(&file, "third") + "third".len() + 4 + 16 + 4;
    assert!(problem(&patched(file.clone(), offset, &193_u64.to_le_bytes())).contains("no multiple of 32"));
    assert!(problem(&patched(file.clone(), offset, &96_u64.to_le_bytes())).contains("lies on"));
    assert!(read(&patched(file, offset, &(u64::MAX - 31).to_le_bytes())).is_err());
}

#[test]
fn absurd_counts_are_refused_before_anything_is_reserved_for_them() {
    let file = sound();
    let text_length = find(&file, "general.architecture") - 8;
    let elements = find(&file, "words") + "words".len() + 4 + 4;
    let dimension = find(&file, "other") + "other".len() + 4;
    for at in [8, 16, text_length, elements, dimension] {
        for huge in [u64::MAX, u64::MAX / 8, 1 << 62, 1 << 41, file.len() as u64] {
            assert!(read(&patched(file.clone(), at, &huge.to_le_bytes())).is_err(), "{huge} at {at}");
        }
    }
}

#[test]
fn other_versions_and_byte_orders_are_refused_by_name() {
    let version = |bytes: [u8; 4]| problem(&patched(sound(), 4, &bytes));
    assert!(version(1_u32.to_le_bytes()).contains("version 1"));
    assert!(version(9_u32.to_le_bytes()).contains("version 9"));
    assert!(version(3_u32.to_be_bytes()).contains("big-endian"));
    assert!(read(&patched(sound(), 4, &2_u32.to_le_bytes())).is_ok());
    assert!(problem(b"GGML and so on").contains("GGUF"));
}

#[test]
fn arrays_nested_without_end_are_refused() {
    let mut file = sound()[..8].to_vec();
    file.extend(0_u64.to_le_bytes());
    file.extend(1_u64.to_le_bytes());
    file.extend(1_u64.to_le_bytes());
    file.extend(b"k");
    file.extend(9_u32.to_le_bytes());
    for _ in 0..10_000 {
        file.extend(9_u32.to_le_bytes());
        file.extend(1_u64.to_le_bytes());
    }
    assert!(problem(&file).contains("arrays within arrays"));
}

proptest! {
    #[test]
    fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut file = sound()[..8].to_vec();
        file.extend(&noise);
        let _ = read(&file);
        let _ = read(&noise);
    }

    #[test]
    fn a_twisted_header_never_panics_and_its_tensors_lie_within_the_file(
        twists in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        length in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut file = sound();
        let header = read(&file).unwrap().tensors[0].bytes.start;
        for (place, byte) in twists {
            file[place.index(header)] = byte;
        }
        if cut {
            file.truncate(length.index(file.len()));
        }
        if let Ok(header) = read(&file) {
            for tensor in header.tensors {
                prop_assert!(file.get(tensor.bytes).is_some());
            }
            for (_, value) in header.metadata {
                if let Value::Array(array) = value {
                    let _ = (array.texts(), array.integers());
                }
            }
        }
    }
}
