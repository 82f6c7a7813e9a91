//! What is billed, how it was served and where: closed sets, spelled as in tables and logs.

/// What a price is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Class {
    /// Input tokens.
    Input,
    /// Audio tokens of the input. Else `Input`.
    AudioInput,
    /// Image tokens of the input. Else `Input`.
    ImageInput,
    /// Input tokens read from a cache. Else `Input`.
    CacheRead,
    /// Audio tokens read from a cache. Else `CacheRead`.
    CacheReadAudio,
    /// Input tokens written to a cache for five minutes, or for as long as it likes. Else `Input`.
    CacheWrite,
    /// Input tokens written to a cache for an hour. Else `CacheWrite`.
    CacheWrite1h,
    /// Output tokens.
    Output,
    /// Reasoning tokens of the output. Else `Output`.
    Reasoning,
    /// Audio tokens of the output. Else `Output`.
    AudioOutput,
    /// Image tokens of the output. Else `Output`.
    ImageOutput,
    /// Images sent, by the piece.
    ImageIn,
    /// Images made, by the piece.
    ImageOut,
    /// A request.
    Request,
    /// A ranking.
    Query,
    /// Searches by how much of what they find the model reads. Each: else `SearchMedium`.
    SearchLow,
    SearchMedium,
    SearchHigh,
}

impl Class {
    /// The word in logs and answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::AudioInput => "audio_input",
            Self::ImageInput => "image_input",
            Self::CacheRead => "cache_read",
            Self::CacheReadAudio => "cache_read_audio",
            Self::CacheWrite => "cache_write",
            Self::CacheWrite1h => "cache_write_1h",
            Self::Output => "output",
            Self::Reasoning => "reasoning",
            Self::AudioOutput => "audio_output",
            Self::ImageOutput => "image_output",
            Self::ImageIn => "image_in",
            Self::ImageOut => "image_out",
            Self::Request => "request",
            Self::Query => "query",
            Self::SearchLow => "search_low",
            Self::SearchMedium => "search",
            Self::SearchHigh => "search_high",
        }
    }

    /// Whose price holds where this class has none.
    #[must_use]
    pub fn family(self) -> Option<Self> {
        match self {
            Self::AudioInput | Self::ImageInput | Self::CacheRead | Self::CacheWrite => Some(Self::Input),
            Self::CacheReadAudio => Some(Self::CacheRead),
            Self::CacheWrite1h => Some(Self::CacheWrite),
            Self::Reasoning | Self::AudioOutput | Self::ImageOutput => Some(Self::Output),
            Self::SearchLow | Self::SearchHigh => Some(Self::SearchMedium),
            _ => None,
        }
    }

    /// Billed by the token: prices are shown per million.
    #[must_use]
    pub fn is_tokens(self) -> bool {
        self <= Self::ImageOutput
    }
}

/// How a request was served, where that has a price of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Service {
    #[default]
    Standard,
    /// Some time within a day.
    Batch,
    /// When there is room.
    Flex,
    /// Before others.
    Priority,
    /// On the fastest machines.
    Ultrafast,
}

impl Service {
    /// All that have fields of their own.
    pub const PRICED: [Self; 4] = [Self::Batch, Self::Flex, Self::Priority, Self::Ultrafast];

    /// The word in tables' field names, in logs and in answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Batch => "batch",
            Self::Flex => "flex",
            Self::Priority => "priority",
            Self::Ultrafast => "ultrafast",
        }
    }

    /// The service a provider names in its answer, in any case. Words that say nothing of the price (`default`, `auto`,
    /// `scale`) and unknown ones are the standard service.
    #[must_use]
    pub fn named(word: &str) -> Self {
        let is = |name: &str| word.eq_ignore_ascii_case(name);
        if is("batches") {
            return Self::Batch;
        }
        Self::PRICED.into_iter().find(|service| is(service.name())).unwrap_or_default()
    }
}

/// What makes all tokens dearer, where that is published as a factor. Places whose prices are listed one by
/// one are models of their own in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Uplift {
    /// Inference was kept in the United States, as the answer says.
    InferenceUs,
    /// The answer was made at a higher speed, as it says.
    Fast,
    /// The provider's service for data that stays in the United States.
    ProcessingUs,
    /// The same for the European Union.
    ProcessingEu,
    /// An endpoint of one region, not the global one.
    Endpoint,
}

impl Uplift {
    pub const ALL: [Self; 5] =
        [Self::InferenceUs, Self::Fast, Self::ProcessingUs, Self::ProcessingEu, Self::Endpoint];

    /// The word in logs and answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::InferenceUs => "inference_us",
            Self::Fast => "fast",
            Self::ProcessingUs => "processing_us",
            Self::ProcessingEu => "processing_eu",
            Self::Endpoint => "regional_endpoint",
        }
    }
}

/// Those that apply to one answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Uplifts(u8);

impl Uplifts {
    /// These and one more.
    #[must_use]
    pub fn with(self, uplift: Uplift) -> Self {
        Self(self.0 | (1 << uplift as u8))
    }

    #[must_use]
    pub fn has(self, uplift: Uplift) -> bool {
        self.0 & (1 << uplift as u8) != 0
    }
}

/// How much of what a search finds the model reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum SearchSize {
    Low,
    #[default]
    Medium,
    High,
}

impl SearchSize {
    #[must_use]
    pub fn class(self) -> Class {
        match self {
            Self::Low => Class::SearchLow,
            Self::Medium => Class::SearchMedium,
            Self::High => Class::SearchHigh,
        }
    }

    /// The size of that name; medium for any other word.
    #[must_use]
    pub fn named(word: &str) -> Self {
        match word {
            "low" => Self::Low,
            "high" => Self::High,
            _ => Self::Medium,
        }
    }
}
