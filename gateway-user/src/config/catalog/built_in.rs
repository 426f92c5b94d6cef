//! The built-in catalog of providers of models. `*` in a name stands for one label, or a part of one.

/// Providers a first policy can name without a `[[service]]`.
pub(super) const BUILT_IN: &[(&str, &[&str])] = &[
    (
        "openai",
        &["api.openai.com", "eu.api.openai.com", "us.api.openai.com"],
    ),
    ("anthropic", &["api.anthropic.com"]),
    (
        "gemini",
        &[
            "generativelanguage.googleapis.com",
            "cloudcode-pa.googleapis.com",
        ],
    ),
    ("mistral", &["api.mistral.ai", "codestral.mistral.ai"]),
    ("groq", &["api.groq.com"]),
    ("deepseek", &["api.deepseek.com"]),
    ("openrouter", &["openrouter.ai"]),
    ("xai", &["api.x.ai"]),
    ("together", &["api.together.xyz"]),
    ("fireworks", &["api.fireworks.ai"]),
    ("cohere", &["api.cohere.com", "api.cohere.ai"]),
    (
        "azure-openai",
        &[
            "*.openai.azure.com",
            "*.services.ai.azure.com",
            "*.cognitiveservices.azure.com",
        ],
    ),
    ("huggingface", &["router.huggingface.co"]),
    (
        "vertex",
        &["aiplatform.googleapis.com", "*-aiplatform.googleapis.com"],
    ),
    ("ollama", &["ollama.com"]),
    (
        "bedrock",
        &[
            "bedrock-runtime.*.amazonaws.com",
            "bedrock-runtime-fips.*.amazonaws.com",
            "bedrock-runtime.*.api.aws",
            "bedrock-runtime-fips.*.api.aws",
            "bedrock-runtime.*.amazonaws.com.cn",
        ],
    ),
];
