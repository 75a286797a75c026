//! How much models take in, where that is known of their family.

/// Tokens that models take in, the answer included, by how their names begin: of those that fit the longest counts. Where a
/// family's models differ and their names do not tell, it is the least of them. As their makers published it by November 2025.
const WINDOWS: [(&str, u64); 40] = [
    ("chatgpt-", 128_000),
    ("claude", 200_000),
    ("claude-2.0", 100_000),
    ("claude-instant", 100_000),
    ("codestral", 32_000),
    ("command", 4_096),
    ("command-a", 256_000),
    ("command-r", 128_000),
    ("deepseek", 64_000),
    ("gemini", 1_048_576),
    ("gemini-1.0", 32_760),
    ("gemini-pro", 32_760),
    ("gemma", 8_192),
    ("gpt-3.5", 16_385),
    ("gpt-4", 8_192),
    ("gpt-4-0125", 128_000),
    ("gpt-4-1106", 128_000),
    ("gpt-4-32k", 32_768),
    ("gpt-4-turbo", 128_000),
    ("gpt-4.1", 1_047_576),
    ("gpt-4.5", 128_000),
    ("gpt-4o", 128_000),
    ("gpt-5", 400_000),
    ("gpt-5-chat", 128_000),
    ("gpt-oss", 131_072),
    ("grok", 131_072),
    ("llama-2", 4_096),
    ("llama-3", 8_192),
    ("llama-3.1", 128_000),
    ("llama-3.3", 128_000),
    ("llama2", 4_096),
    ("llama3", 8_192),
    ("llama3.", 128_000),
    ("mistral", 32_000),
    ("mixtral", 32_768),
    ("o1", 128_000),
    ("o3", 200_000),
    ("o4", 200_000),
    ("phi", 4_096),
    ("qwen", 32_768),
];

/// Tokens that a model takes in, its answer included, where its family is known; who provides it does not matter.
pub(crate) fn window_of(model: &str) -> Option<u64> {
    let name = model.rsplit('/').next()?.to_ascii_lowercase();
    let fitting = WINDOWS
        .iter()
        .filter(|(begins, _)| name.starts_with(begins));
    let longest = fitting.max_by_key(|(begins, _)| begins.len());
    longest.map(|(_, tokens)| *tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_window_is_that_of_the_nearest_family() {
        for (model, window) in [
            ("gpt-4", Some(8_192)),
            ("gpt-4-0613", Some(8_192)),
            ("openai/gpt-4-turbo-2024-04-09", Some(128_000)),
            ("gpt-4o-mini", Some(128_000)),
            ("openrouter/openai/gpt-4.1-nano", Some(1_047_576)),
            ("anthropic/claude-sonnet-4.5", Some(200_000)),
            ("Qwen/Qwen3-8B", Some(32_768)),
            ("llama3.2:3b", Some(128_000)),
            ("house-blend", None),
            ("", None),
        ] {
            assert_eq!(window_of(model), window, "{model}");
        }
    }
}
