// A fine-tuned model on disk: a Hugging Face folder with a sequence classification head, which transformers'
// AutoModelForSequenceClassification loads whole and AutoModel and adapters' AutoAdapterModel as a base.
#pragma once

#include <filesystem>

#include "trainer/engine/network.hpp"

namespace fathom::trainer {

// The head that transformers puts on the family: BERT dropout and one linear on the pooled output; RoBERTa and MPNet
// dropout, dense, tanh, dropout and one linear on the first token.
HeadConfig classification_head(ModelFamily family);

// config.json (the base's, with architecture and labels), model.safetensors and the base's tokenizer files. `network`
// is a whole one. JobError disk when a file cannot be written, model when the base's folder is gone.
void save_model_folder(const std::filesystem::path& folder, const Network& network);

bool is_model_folder(const std::filesystem::path& folder);

// A network of its own base. JobError model when files are missing or do not fit each other.
Network load_model_folder(const std::filesystem::path& folder);

}  // namespace fathom::trainer
