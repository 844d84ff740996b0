//! One open model, whatever its form: its shape, its tokenizer and its tensors by GGUF name.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use tokenizers::Tokenizer;

use super::facts::Known;
use super::folder::Folder;
use super::gguf::{self, Header, Value};
use super::layout::{self, Entries, Entry};
use super::mapped::Mapped;
use super::template::Templates;
use super::{Architecture, Config, Facts, Matrix, Special, WeightsError, vocabulary};

/// One open model. The file stays mapped; tensors are copied out when asked for.
pub struct Checkpoint {
    path: PathBuf,
    files: Vec<Mapped>,
    entries: Entries,
    config: Config,
    tokenizer: Tokenizer,
    templates: Templates,
    special: Special,
    facts: Facts,
    header: Option<Header>,
}

impl Checkpoint {
    /// Opens a GGUF file, a safetensors file with config.json and tokenizer.json beside it, or a Hugging Face folder.
    ///
    /// `tokenizer` names a tokenizer.json to use in place of the model's own. Reads every weight once, for its digest.
    pub fn open(path: &Path, tokenizer: Option<&Path>) -> Result<Self, WeightsError> {
        let given = tokenizer.map(vocabulary::from_file).transpose()?;
        // A tokenizer that doesn't fit is the fault of the file that was named, not of the model.
        Self::open_with(path, given).map_err(|error| match (error, tokenizer) {
            (WeightsError::Tokenizer { problem, .. }, Some(named)) => WeightsError::tokenizer(named, problem),
            (error, _) => error,
        })
    }

    fn open_with(path: &Path, tokenizer: Option<Tokenizer>) -> Result<Self, WeightsError> {
        if path.is_dir() || has_extension(path, "safetensors") {
            return Self::from_folder(Folder::open(path)?, tokenizer);
        }
        let mut magic = [0; 4];
        let read = |source| WeightsError::Read { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(read)?;
        if file.read(&mut magic).map_err(read)? == 4 && magic == *gguf::MAGIC {
            return Self::from_gguf(path, tokenizer);
        }
        let problem = "it neither begins with GGUF nor is named .safetensors".to_owned();
        Err(WeightsError::NotAModel { path: path.to_owned(), problem })
    }

    fn from_folder(folder: Folder, tokenizer: Option<Tokenizer>) -> Result<Self, WeightsError> {
        let Folder { files, entries, config, json, templates, path } = folder;
        let entries = layout::canonical(&path, &config, entries)?;
        layout::check(&path, &config, &entries)?;
        let tokenizer = match tokenizer {
            Some(tokenizer) => tokenizer,
            None => vocabulary::from_file(&path.join("tokenizer.json"))?,
        };
        vocabulary::check_size(&path, &tokenizer, &config)?;
        let [config_json, generation, settings] = &json;
        let special = Special::from_json(&path, [config_json, generation, settings], &tokenizer)?;
        let (quantization, quantizer) = (None, None);
        let known = Known { path: &path, tokenizer: &tokenizer, templates: &templates, quantization, quantizer };
        let facts = Facts::gather(&files, &entries, known)?;
        Ok(Self { path, files, entries, config, tokenizer, templates, special, facts, header: None })
    }

    /// Opens a GGUF file with a tokenizer that is already at hand, or else the file's own.
    pub(super) fn from_gguf(path: &Path, tokenizer: Option<Tokenizer>) -> Result<Self, WeightsError> {
        let file = Mapped::open(path)?;
        let header = gguf::parse(path, &file)?;
        let config = Config::from_header(path, &header, &file)?;
        let entry = |tensor: &gguf::TensorInfo| {
            let (bytes, kind, shape) = (tensor.bytes.clone(), tensor.kind, tensor.shape.clone());
            (tensor.name.clone(), Entry { file: 0, bytes, kind, shape })
        };
        let entries = layout::canonical(path, &config, header.tensors.iter().map(entry).collect())?;
        layout::check(path, &config, &entries)?;
        let tokenizer = match tokenizer {
            Some(tokenizer) => vocabulary::check_same(path, &header, tokenizer)?,
            None => vocabulary::from_header(path, &header)?,
        };
        vocabulary::check_size(path, &tokenizer, &config)?;
        let special = Special::from_header(path, &header, &tokenizer)?;
        let text = |key: &str| header.get(key).and_then(Value::text).map(str::to_owned);
        let templates = Templates::of_header(&header);
        let number = header.get("general.file_type").and_then(Value::integer);
        let known = Known {
            path,
            tokenizer: &tokenizer,
            templates: &templates,
            quantization: number.and_then(file_type).map(str::to_owned),
            quantizer: text("quantgate.quantizer"),
        };
        let files = vec![file];
        let facts = Facts::gather(&files, &entries, known)?;
        let header = Some(header);
        Ok(Self { path: path.to_owned(), files, entries, config, tokenizer, templates, special, facts, header })
    }

    /// For tests: the same vocabulary around another shape, whose named f32 tensors lie one after the other in a file.
    #[cfg(test)]
    pub(crate) fn reshaped(mut self, config: Config, file: &Path, tensors: &[(String, Vec<usize>)]) -> Self {
        self.files = vec![Mapped::open(file).expect("the file is there")];
        self.config = config;
        let mut start = 0;
        let entry = |(name, shape): &(String, Vec<usize>)| {
            let bytes = start..start + 4 * shape.iter().product::<usize>();
            start = bytes.end;
            (name.clone(), Entry { file: 0, bytes, kind: gguf::TensorType::F32, shape: shape.clone() })
        };
        self.entries = tensors.iter().map(entry).collect();
        self
    }

    /// The model's shape.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The tokenizer; asked for special tokens it adds those that the file says (BOS). It never truncates or pads.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The chat template, in Jinja.
    pub fn chat_template(&self) -> Option<&str> {
        self.templates.plain.as_deref()
    }

    /// The chat template for conversations with tools, where it is another one.
    pub fn tool_template(&self) -> Option<&str> {
        self.templates.tools.as_deref()
    }

    /// Both templates.
    pub(super) fn templates(&self) -> &Templates {
        &self.templates
    }

    /// The tokens with a role.
    pub fn special(&self) -> &Special {
        &self.special
    }

    /// Digests, size and quantization.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Whether the model has a tensor of this GGUF name.
    pub fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// A tensor in f32 on the CPU, de-quantized; shape `[rows, columns]` or `[n]`.
    ///
    /// Names are GGUF's, one matrix each: `token_embd.weight`, `blk.N.attn_q.weight`, `blk.N.ffn_gate.E.weight` of expert E and
    /// so on. The rows of q and k are in the file's own order: see [`Config::rope`]. Gemma's norms come with the 1 that Hugging Face files leave out.
    pub fn tensor(&self, name: &str) -> Result<Tensor, WeightsError> {
        let fail = WeightsError::compute(&self.path, name);
        let matrix = self.matrix(name)?;
        if matrix.kind.dtype().is_none() {
            let (path, tensor, kind) = (self.path.clone(), name.to_owned(), matrix.kind.to_string());
            return Err(WeightsError::TensorType { path, tensor, kind });
        }
        let mut values = vec![0.0; matrix.rows * matrix.columns];
        matrix.read(&mut values).map_err(&fail)?;
        let tensor = Tensor::from_vec(values, self.entry(name)?.shape.clone(), &Device::Cpu).map_err(&fail)?;
        let short = self.header.is_none() && self.config.architecture == Architecture::Gemma2;
        if short && name.ends_with("norm.weight") { (tensor + 1.0).map_err(fail) } else { Ok(tensor) }
    }

    /// A matrix as it lies in the file, nothing copied.
    pub fn matrix(&self, name: &str) -> Result<Matrix<'_>, WeightsError> {
        let entry = self.entry(name)?;
        let Some((columns, rows)) = entry.shape.split_last() else {
            return Err(WeightsError::malformed(&self.path, format!("tensor `{name}` has no dimensions")));
        };
        Ok(Matrix { kind: entry.kind, rows: rows.iter().product(), columns: *columns, bytes: self.bytes(entry) })
    }

    /// Gives back the memory that reading a tensor took, where the system can; what is read again comes from the file again.
    pub fn forget(&self, name: &str) {
        if let Some(entry) = self.entries.get(name) {
            self.files[entry.file].forget(entry.bytes.clone());
        }
    }

    /// Where the model was found.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The GGUF header; none for Hugging Face files.
    pub(super) fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// Refuses a model with quantized tensors: quantizing twice would measure both steps.
    pub(super) fn must_be_plain(&self) -> Result<(), WeightsError> {
        let Some((name, entry)) = self.entries.iter().find(|(_, entry)| !entry.kind.is_plain()) else { return Ok(()) };
        let feature = format!("quantizing a model that is quantized already (tensor `{name}` is {})", entry.kind);
        Err(WeightsError::unsupported(&self.path, feature, "start from the f32, f16 or bf16 original"))
    }

    fn entry(&self, name: &str) -> Result<&Entry, WeightsError> {
        let missing = || WeightsError::MissingTensor { path: self.path.clone(), tensor: name.to_owned() };
        self.entries.get(name).ok_or_else(missing)
    }

    fn bytes(&self, entry: &Entry) -> &[u8] {
        &self.files[entry.file][entry.bytes.clone()]
    }
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

/// llama.cpp's names for `general.file_type`.
fn file_type(number: i64) -> Option<&'static str> {
    Some(match number {
        0 => "f32",
        1 => "f16",
        2 => "q4_0",
        3 => "q4_1",
        7 => "q8_0",
        8 => "q5_0",
        9 => "q5_1",
        10 => "q2_k",
        11 => "q3_k_s",
        12 => "q3_k_m",
        13 => "q3_k_l",
        14 => "q4_k_s",
        15 => "q4_k_m",
        16 => "q5_k_s",
        17 => "q5_k_m",
        18 => "q6_k",
        21 => "q2_k_s",
        32 => "bf16",
        _ => return None,
    })
}
