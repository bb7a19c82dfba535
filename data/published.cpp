#include "data/published.hpp"

#include <map>

namespace fathom::data {

namespace {

using Sets = std::map<std::string, Published, std::less<>>;

Published sentences(std::vector<std::vector<std::string>> synonyms) {
  return {{{"sentence", 0}}, {"label", 0}, std::move(synonyms)};
}

Published pairs(const char* first, const char* second, std::vector<std::vector<std::string>> synonyms) {
  return {{{first, 0}, {second, 0}}, {"label", 0}, std::move(synonyms)};
}

// GLUE (Wang et al. 2018). The exported ids of MNLI are not in the order of the original loaders: only names are safe.
Sets make_table() {
  const std::vector<std::vector<std::string>> entailment = {{"entailment", "0"}, {"not_entailment", "1"}};
  Sets table = {
      {"glue/cola", sentences({{"0", "unacceptable"}, {"1", "acceptable"}})},
      {"glue/sst2", sentences({{"0", "negative"}, {"1", "positive"}})},
      {"glue/mrpc", pairs("sentence1", "sentence2", {{"0", "not_equivalent"}, {"1", "equivalent"}})},
      {"glue/stsb", pairs("sentence1", "sentence2", {})},
      {"glue/qqp", pairs("question1", "question2", {{"0", "not_duplicate"}, {"1", "duplicate"}})},
      {"glue/mnli", pairs("premise", "hypothesis", {{"entailment", "0"}, {"neutral", "1"}, {"contradiction", "2"}})},
      {"glue/qnli", pairs("question", "sentence", entailment)},
      {"glue/rte", pairs("sentence1", "sentence2", entailment)},
      {"glue/wnli", pairs("sentence1", "sentence2", {{"0", "not_entailment"}, {"1", "entailment"}})},
  };
  // QQP's questions hold stray tabs and line breaks; transformers' loader leaves such rows out too.
  table["glue/qqp"].skip_malformed = true;
  table["glue/mnli"].two_evals = true;
  return table;
}

}  // namespace

const Published* published(std::string_view preset) {
  static const Sets table = make_table();
  const auto found = table.find(preset);
  return found == table.end() ? nullptr : &found->second;
}

}  // namespace fathom::data
