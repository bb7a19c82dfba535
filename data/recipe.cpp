#include "data/recipe.hpp"

#include <algorithm>
#include <filesystem>
#include <set>

#include <fmt/format.h>

#include "common/config.hpp"
#include "common/yaml_json.hpp"

namespace fathom::data {

using Json = nlohmann::ordered_json;

namespace {

const std::vector<std::string> kKeys = {"name",  "source", "format", "header",     "encoding", "where",      "text",
                                        "label", "labels", "split",  "split_seed", "limit",    "deduplicate"};

// A YAML scalar as the text that data files hold: 1 is "1".
std::optional<std::string> as_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number() || value.is_boolean()) return value.dump();
  return std::nullopt;
}

// Reads one recipe; each step returns the error of the key it reads.
class RecipeReader {
 public:
  explicit RecipeReader(const YamlDocument& document) : document_(document), root_(document.value) {}

  Result<Recipe> read() {
    FATHOM_TRY(known_keys("", root_, kKeys));
    recipe_.name = std::filesystem::path(document_.name).stem().string();
    FATHOM_TRY(read_text("name", recipe_.name, false));
    FATHOM_TRY(name_is_plain());
    FATHOM_TRY(read_text("source", recipe_.source, true));
    FATHOM_TRY(read_table());
    FATHOM_TRY(read_where());
    FATHOM_TRY(read_columns());
    FATHOM_TRY(read_labels());
    FATHOM_TRY(read_split());
    FATHOM_TRY(read_flag("deduplicate", recipe_.deduplicate));
    return std::move(recipe_);
  }

 private:
  const Json* find(const std::string& key) const {
    const auto found = root_.find(key);
    return found == root_.end() || found->is_null() ? nullptr : &*found;
  }
  Error wrong(const std::string& pointer, const std::string& message) const {
    return document_.error_at(pointer, message);
  }

  Status known_keys(const std::string& pointer, const Json& object, const std::vector<std::string>& keys) const {
    if (!object.is_object())
      return wrong(pointer, fmt::format("{}expected keys and values ({})",
                                        pointer.empty() ? "" : pointer.substr(1) + ": ", fmt::join(keys, ", ")));
    for (const auto& [key, value] : object.items()) {
      if (std::find(keys.begin(), keys.end(), key) != keys.end()) continue;
      const std::string near = nearest(key, keys);
      const std::string hint =
          near.empty() ? "the keys are " + fmt::format("{}", fmt::join(keys, ", ")) : "did you mean " + near + "?";
      return wrong(pointer + "/" + key, "unknown key \"" + key + "\"; " + hint);
    }
    return success();
  }

  Status read_text(const std::string& key, std::string& field, bool required) const {
    const Json* value = find(key);
    if (value == nullptr) return required ? Status(wrong("", "the key " + key + " is missing")) : success();
    const auto text = as_text(*value);
    if (!text || text->empty()) return wrong("/" + key, key + ": expected a text");
    field = *text;
    return success();
  }

  Status read_flag(const std::string& key, bool& field) const {
    const Json* value = find(key);
    if (value == nullptr) return success();
    if (!value->is_boolean()) return wrong("/" + key, key + ": expected true or false");
    field = value->get<bool>();
    return success();
  }

  Status read_whole(const std::string& pointer, const Json& value, std::uint64_t& field) const {
    const bool good = value.is_number_integer() && value.get<std::int64_t>() >= 0;
    if (!good) return wrong(pointer, pointer.substr(1) + ": expected a whole number from 0");
    field = value.get<std::uint64_t>();
    return success();
  }

  // The name becomes a folder below the root.
  Status name_is_plain() const {
    const bool plain = !recipe_.name.empty() && recipe_.name.size() <= 100 && recipe_.name[0] != '.' &&
                       recipe_.name.find_first_of("/\\:*?\"<>| ") == std::string::npos;
    return plain ? success() : Status(wrong("/name", "name: expected a word that can name a folder"));
  }

  Status read_table() {
    std::string format;
    FATHOM_TRY(read_text("format", format, false));
    if (!format.empty()) {
      recipe_.table.format = format_named(format);
      if (!recipe_.table.format) return wrong("/format", "format: expected csv, tsv or jsonl, got " + format);
    } else if (const auto known = format_of(recipe_.source); !known) {
      return wrong("/source", known.error().message);
    }
    FATHOM_TRY(read_flag("header", recipe_.table.header));
    return read_text("encoding", recipe_.table.encoding, false);
  }

  Result<Column> column(const std::string& pointer, const Json& value) const {
    if (value.is_string() && !value.get<std::string>().empty()) return Column{value.get<std::string>(), 0};
    const bool number =
        value.is_number_integer() && value.get<std::int64_t>() >= 1 && value.get<std::int64_t>() <= 4096;
    if (number) return Column{"", value.get<std::uint32_t>()};
    return wrong(pointer, "expected a column's name, or its number from 1");
  }

  Status read_where() {
    const Json* where = find("where");
    if (where == nullptr) return success();
    if (!where->is_object()) return wrong("/where", "where: expected {column: value}");
    for (const auto& [key, value] : where->items()) {
      const auto text = as_text(value);
      if (!text) return wrong("/where/" + key, "where: expected one value for each column");
      const bool number = !recipe_.table.header && !key.empty() && key.size() < 5 &&
                          key.find_first_not_of("0123456789") == std::string::npos;
      recipe_.where.emplace_back(number ? Column{"", static_cast<std::uint32_t>(std::stoul(key))} : Column{key, 0},
                                 *text);
    }
    return success();
  }

  Status read_columns() {
    const Json* text = find("text");
    const Json* label = find("label");
    if (text == nullptr || label == nullptr) return wrong("", "text and label have to name columns");
    if (text->is_array()) {
      if (text->empty() || text->size() > 2) return wrong("/text", "text: expected one column or two");
      for (const Json& item : *text) {
        FATHOM_ASSIGN(Column read, column("/text", item));
        recipe_.text.push_back(std::move(read));
      }
    } else {
      FATHOM_ASSIGN(Column read, column("/text", *text));
      recipe_.text.push_back(std::move(read));
    }
    FATHOM_ASSIGN(recipe_.label, column("/label", *label));
    return success();
  }

  // labels: [a, b] keeps the names; labels: {"0": neg, "1": pos} gives new ones; labels: number is a regression.
  Status read_labels() {
    const Json* labels = find("labels");
    if (labels == nullptr) return success();
    recipe_.regression = *labels == Json("number");
    if (recipe_.regression) return success();
    const Error expected = wrong("/labels", "labels: expected [name, …], {value in the file: name, …} or number");
    if (!labels->is_array() && !labels->is_object()) return expected;
    std::set<std::string> names;
    for (const auto& [key, value] : labels->items()) {
      const auto name = as_text(value);
      if (!name || name->empty()) return expected;
      if (!names.insert(*name).second) return wrong("/labels", "labels: the name \"" + *name + "\" is given twice");
      recipe_.labels.emplace_back(labels->is_array() ? *name : key, *name);
    }
    return names.size() < 2 ? Status(wrong("/labels", "labels: expected two names at least")) : success();
  }

  Status read_split() {
    if (const Json* split = find("split"); split != nullptr) {
      const bool good = split->is_number() && split->get<double>() > 0;
      if (!good) return wrong("/split", "split: expected a share below 1 or a number of dev rows");
      recipe_.split = split->get<double>();
    }
    if (const Json* seed = find("split_seed"); seed != nullptr) {
      FATHOM_TRY(read_whole("/split_seed", *seed, recipe_.split_seed));
    }
    const Json* limit = find("limit");
    if (limit == nullptr) return success();
    FATHOM_TRY(known_keys("/limit", *limit, {"train", "dev"}));
    for (const auto& [key, value] : limit->items()) {
      FATHOM_TRY(
          read_whole("/limit/" + key, value, (key == "train" ? recipe_.limit_train : recipe_.limit_dev).emplace()));
    }
    return success();
  }

  const YamlDocument& document_;
  const Json& root_;
  Recipe recipe_;
};

}  // namespace

Result<Recipe> parse_recipe(std::string_view yaml, const std::string& file) {
  FATHOM_ASSIGN(const YamlDocument document, parse_yaml(yaml, file));
  if (!document.value.is_object()) return document.error_at("", "the recipe is empty; expected source, text and label");
  return RecipeReader(document).read();
}

}  // namespace fathom::data
