#include "trainer/model/config.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "common/files.hpp"
#include "trainer/checkpoint/json_text.hpp"

namespace fathom::trainer {
namespace {

using nlohmann::json;

constexpr std::int64_t kMaxLayers = 64;     // well above any encoder; bounds what a broken file can ask for
constexpr std::int64_t kMaxSize = 1 << 24;  // rows or columns of one tensor

// Collects the first problem, so that reading a dozen keys stays a list.
class Keys {
 public:
  Keys(const json& object, std::string file) : object_(object), file_(std::move(file)) {}

  std::int64_t size(const char* key, std::int64_t absent) { return object_.contains(key) ? size(key) : absent; }
  std::int64_t size(const char* key) {
    if (!object_.contains(key)) return fail(fmt::format("key \"{}\" is missing", key));
    const json& value = object_[key];
    if (!value.is_number_integer()) return fail(fmt::format("key \"{}\" must be an integer", key));
    const auto number = value.get<std::int64_t>();
    if (number < 1 || number > kMaxSize) return fail(fmt::format("key \"{}\": {} is out of range", key, number));
    return number;
  }
  double number(const char* key, double absent) {
    if (!object_.contains(key) || object_[key].is_null()) return absent;
    if (object_[key].is_number()) return object_[key].get<double>();
    fail(fmt::format("key \"{}\" must be a number", key));
    return absent;
  }
  std::int64_t id(const char* key, std::int64_t absent) {
    const double value = number(key, static_cast<double>(absent));
    if (value >= 0 && value < kMaxSize && value == std::floor(value)) return static_cast<std::int64_t>(value);
    return fail(fmt::format("key \"{}\": {} is no token's id", key, value));
  }
  double probability(const char* key, double absent) {
    const double p = number(key, absent);
    if (!(p >= 0.0 && p < 1.0)) fail(fmt::format("key \"{}\": {} is not a dropout probability", key, p));
    return p;
  }
  std::string text(const char* key, const char* absent) {
    if (!object_.contains(key) || object_[key].is_null()) return absent;
    if (object_[key].is_string()) return object_[key].get<std::string>();
    fail(fmt::format("key \"{}\" must be a string", key));
    return absent;
  }
  std::int64_t fail(const std::string& what) {
    if (problem_.empty()) problem_ = file_ + ": " + what;
    return 1;
  }
  [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
  const json& object_;
  std::string file_;
  std::string problem_;
};

void check(Keys& keys, const ModelConfig& c, const std::string& position_type) {
  if (c.hidden % c.heads != 0) {
    keys.fail(fmt::format("hidden_size {} is not divisible by num_attention_heads {}", c.hidden, c.heads));
  }
  if (c.layers > kMaxLayers) keys.fail(fmt::format("num_hidden_layers {} is above {}", c.layers, kMaxLayers));
  if (position_type != "absolute") {
    keys.fail("position_embedding_type \"" + position_type + "\" is not supported, only \"absolute\" is");
  }
  if (c.pad_token_id < 0 || c.pad_token_id >= c.vocabulary) keys.fail("pad_token_id lies outside the vocabulary");
  // The buckets are numbered 0 to 31 whatever the table's size is, as transformers does it.
  if (c.family == ModelFamily::mpnet && c.relative_buckets < 32) {
    keys.fail(fmt::format("relative_attention_num_buckets {} is below 32", c.relative_buckets));
  }
  if (c.max_length() < 1) keys.fail("max_position_embeddings leaves no room for a token");
}

ModelConfig from_keys(Keys& keys, ModelFamily family) {
  ModelConfig c;
  c.family = family;
  c.hidden = keys.size("hidden_size");
  c.layers = keys.size("num_hidden_layers");
  c.heads = keys.size("num_attention_heads");
  c.intermediate = keys.size("intermediate_size");
  c.vocabulary = keys.size("vocab_size");
  c.positions = keys.size("max_position_embeddings");
  if (family == ModelFamily::mpnet) {
    c.relative_buckets = keys.size("relative_attention_num_buckets", 32);
  } else {
    c.token_types = keys.size("type_vocab_size");
  }
  // Defaults are transformers', where the families differ only in the pad id.
  c.pad_token_id = keys.id("pad_token_id", family == ModelFamily::bert ? 0 : 1);
  c.layer_norm_eps = keys.number("layer_norm_eps", 1e-12);
  c.hidden_dropout = keys.probability("hidden_dropout_prob", 0.1);
  c.attention_dropout = keys.probability("attention_probs_dropout_prob", 0.1);
  if (const double p = keys.number("classifier_dropout", -1); p >= 0) c.classifier_dropout = p;
  c.initializer_range = keys.number("initializer_range", 0.02);
  if (auto activation = parse_activation(keys.text("hidden_act", "gelu"))) {
    c.activation = *activation;
  } else {
    keys.fail("hidden_act: " + activation.error().message);
  }
  check(keys, c, keys.text("position_embedding_type", "absolute"));
  return c;
}

struct FamilyNames {
  ModelFamily family;
  const char* type;
  const char* prefix;
  const char* model_class;
};

constexpr std::array<FamilyNames, 3> kFamilies = {{{ModelFamily::bert, "bert", "bert.", "BertAdapterModel"},
                                                   {ModelFamily::roberta, "roberta", "roberta.", "RobertaAdapterModel"},
                                                   {ModelFamily::mpnet, "mpnet", "mpnet.", "MPNetAdapterModel"}}};

const FamilyNames& names_of(ModelFamily family) { return kFamilies[static_cast<std::size_t>(family)]; }

}  // namespace

const char* ModelConfig::prefix() const { return names_of(family).prefix; }
const char* ModelConfig::model_type() const { return names_of(family).type; }
const char* ModelConfig::model_class() const { return names_of(family).model_class; }

Result<ModelConfig> parse_model_config(std::string_view text, const std::string& file) {
  FATHOM_ASSIGN(const json object, parse_json_object(text, file));
  Keys keys(object, file);
  const std::string type = keys.text("model_type", "");
  const auto family = std::find_if(kFamilies.begin(), kFamilies.end(), [&](const auto& f) { return type == f.type; });
  if (family == kFamilies.end()) {
    return Error{Errc::invalid_argument,
                 fmt::format("{}: model_type is \"{}\"; supported are bert, roberta and mpnet", file, type)};
  }
  ModelConfig config = from_keys(keys, family->family);
  if (!keys.problem().empty()) return Error{Errc::invalid_argument, keys.problem()};
  return config;
}

Result<ModelConfig> read_model_config(const std::filesystem::path& folder) {
  const std::string file = (folder / "config.json").string();
  FATHOM_ASSIGN(const std::string text, read_file(file, 16u << 20));
  FATHOM_ASSIGN(ModelConfig config, parse_model_config(text, file));
  // "models/minilm/" has an empty last part.
  config.name = folder.filename().empty() ? folder.parent_path().filename().string() : folder.filename().string();
  return config;
}

Status check_tokenizer(const ModelConfig& config, std::int64_t size) {
  if (size <= config.vocabulary) return success();
  return Error{Errc::invalid_argument,
               fmt::format("the tokenizer has {} entries but model \"{}\" has embeddings for {}: "
                           "tokenizer and model do not belong together",
                           size, config.name, config.vocabulary)};
}

}  // namespace fathom::trainer
