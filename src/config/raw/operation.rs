//! The operations of the original, by name: once as switches, once as paths.
//!
//! One list makes both types, so that a new operation cannot be known to one and not to the other.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! operations {
    ($($name:ident),* $(,)?) => {
        /// Which operations a custom provider allows; absent ones are refused.
        #[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct AllowedRequests {
            $(
                #[doc = concat!("Allow `", stringify!($name), "`.")]
                pub $name: bool,
            )*
        }

        /// Paths, or URLs on the provider's host, that replace an operation's own.
        #[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct RequestPaths {
            $(
                #[doc = concat!("Path of `", stringify!($name), "`.")]
                pub $name: Option<String>,
            )*
        }

        impl RequestPaths {
            /// The paths that are set, by operation name.
            #[must_use]
            pub fn set(&self) -> Vec<(&'static str, &str)> {
                let all = [$((stringify!($name), self.$name.as_deref())),*];
                all.into_iter().filter_map(|(name, path)| path.map(|p| (name, p))).collect()
            }
        }
    };
}

operations!(
    list_models,
    text_completion,
    text_completion_stream,
    chat_completion,
    chat_completion_stream,
    responses,
    responses_stream,
    count_tokens,
    embedding,
    rerank,
    speech,
    speech_stream,
    transcription,
    transcription_stream,
    image_generation,
    image_generation_stream,
    image_edit,
    image_edit_stream,
    image_variation,
    video_generation,
    video_retrieve,
    video_download,
    video_delete,
    video_list,
    video_remix,
    batch_create,
    batch_list,
    batch_retrieve,
    batch_cancel,
    batch_delete,
    batch_results,
    file_upload,
    file_list,
    file_retrieve,
    file_delete,
    file_content,
    container_create,
    container_list,
    container_retrieve,
    container_delete,
    container_file_create,
    container_file_list,
    container_file_retrieve,
    container_file_content,
    container_file_delete,
    passthrough,
    passthrough_stream,
);
