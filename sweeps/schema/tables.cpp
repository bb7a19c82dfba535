// The schema for people: the tables of docs/sweeps.md.
#include <cmath>

#include <nlohmann/json.hpp>

#include "sweeps/schema/fields.hpp"

namespace fathom::sweeps {
namespace {

using nlohmann::json;

constexpr Section kOrder[] = {Section::root,
                              Section::model,
                              Section::objective,
                              Section::task,
                              Section::data,
                              Section::adapter,
                              Section::train,
                              Section::parameter,
                              Section::search,
                              Section::stage,
                              Section::drop,
                              Section::stop,
                              Section::needs,
                              Section::subjects,
                              Section::subject_adapter,
                              Section::subject_fusion,
                              Section::subject_parallel,
                              Section::shape,
                              Section::resources,
                              Section::limits,
                              Section::retry,
                              Section::checkpoint,
                              Section::keep,
                              Section::notify,
                              Section::cache};

const char* type_text(Type type) {
  switch (type) {
    case Type::integer:
      return "integer";
    case Type::number:
      return "number";
    case Type::boolean:
      return "true, false";
    case Type::word:
      return "word";
    case Type::text:
      return "text";
    case Type::name:
      return "name";
    case Type::path:
      return "path";
    case Type::duration:
      return "time";
    case Type::integers:
      return "integers";
    case Type::words:
      return "words";
    case Type::texts:
      return "text or list";
    case Type::section:
      return "map";
    case Type::special:
      return "see right";
  }
  return "";
}

// "`fast`, `hf`"; those of a later version in brackets.
std::string words_text(std::string_view words) {
  const std::string wrapped = "|" + std::string(words) + "|";
  std::string out;
  std::string later;
  for (const std::string& word : split_words(words)) {
    std::string& list = wrapped.find("|" + word + "|") == std::string::npos ? later : out;
    list += (list.empty() ? "`" : ", `") + word + "`";
  }
  return later.empty() ? out : out + " (not in this version: " + later + ")";
}

std::string type_cell(const Key& key) {
  if (!key.available) return "not in this version";
  if (*key.words) return std::string(key.type == Type::words ? "list of " : "") + words_text(key.words);
  if (key.type == Type::boolean && key.one_value) return key.fallback;
  std::string out = type_text(key.type);
  const bool low = std::isfinite(key.low);
  if (low && std::isfinite(key.high) && key.high < 1e9 && !key.open) {
    return out + (key.low == key.high ? " " + number_json(key.low).dump()
                                      : " " + number_json(key.low).dump() + " to " + number_json(key.high).dump());
  }
  if (low) out += (key.open ? " above " : " from ") + number_json(key.low).dump();
  return out;
}

std::string default_cell(const Key& key) {
  if (key.required) return key.optional == 0 ? "required" : "required but in " + kinds_text(key.optional);
  if (!*key.fallback || std::string_view(key.fallback) == "null") return "absent";
  const json value = json::parse(key.fallback);
  if (value.is_number()) return "`" + number_json(value.get<double>()).dump() + "`";
  return "`" + (value.is_string() ? value.get<std::string>() : value.dump()) + "`";
}

std::string where_cell(Section section, const Key& key) {
  if (section != Section::stage) return info_of(section).where;
  return key.kinds == kAnyKind ? "every stage" : kinds_text(key.kinds);
}

}  // namespace

std::string key_tables() {
  std::string out;
  for (const Section section : kOrder) {
    const SectionInfo info = info_of(section);
    out += std::string("### ") + (*info.title ? "`" + std::string(info.title) + "`" : "root") + "\n\n";
    out += "| key | type | default | where | in the identity | meaning |\n|---|---|---|---|---|---|\n";
    for (const Key& key : keys_of(section)) {
      out += std::string("| `") + key.name + "` | " + type_cell(key) + " | " + default_cell(key) + " | " +
             where_cell(section, key) + " | " + (key.identity ? "yes" : "no") + " | " + key.doc + " |\n";
    }
    out += "\n";
  }
  return out;
}

}  // namespace fathom::sweeps
