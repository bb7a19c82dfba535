#include <algorithm>
#include <array>
#include <numeric>

#include "sweeps/schema/schema.hpp"

namespace fathom::sweeps {
namespace {

// Optimal string alignment distance: insert, delete, replace, swap of neighbours.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  std::iota(above.begin(), above.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(above);
    above.swap(row);
  }
  return above[b.size()];
}

struct Alias {
  const char* theirs;
  const char* ours;
};
constexpr std::array kAliases = {
    Alias{"learning_rate", "lr"},
    Alias{"num_train_epochs", "epochs"},
    Alias{"num_epochs", "epochs"},
    Alias{"batch_size", "batch"},
    Alias{"train_batch_size", "batch"},
    Alias{"per_device_train_batch_size", "batch"},
    Alias{"global_batch_size", "batch"},
    Alias{"max_seq_length", "max_length"},
    Alias{"warmup_ratio", "warmup"},
    Alias{"warmup_steps", "warmup"},
    Alias{"lr_scheduler_type", "schedule"},
    Alias{"max_grad_norm", "clip"},
    Alias{"gradient_accumulation_steps", "gradient_accumulation"},
    Alias{"reduction_factor", "reduction"},
    Alias{"adapter_config", "config"},
};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

}  // namespace

std::string alias_of(std::string_view written) {
  for (const Alias& alias : kAliases) {
    if (written == alias.theirs) return alias.ours;
  }
  return "";
}

std::string nearest(std::string_view written, const std::vector<std::string>& known) {
  if (written.size() > 64) return "";  // no typing mistake, and the distance is quadratic
  const std::string alias = alias_of(written);
  const std::string small = lower(written);
  std::string best;
  for (const std::string& word : known) {
    if (word == alias || (small == lower(word) && word != written)) return word;
  }
  std::size_t least = std::max<std::size_t>(written.size() / 3, 1) + 1;
  for (const std::string& word : known) {
    const std::size_t here = distance(written, word);
    if (here < least && here < word.size()) {
      least = here;
      best = word;
    }
  }
  if (!best.empty() || written.size() < 4) return best;
  for (const std::string& word : known) {  // `reduction_factor` for `reduction`, `learning` for `learning_rate`
    const std::size_t shared = std::min(word.size(), written.size());
    if (shared >= 4 && written.substr(0, shared) == std::string_view(word).substr(0, shared)) return word;
  }
  return "";
}

std::string hint(std::string_view written, const std::vector<std::string>& known) {
  const std::string word = nearest(written, known);
  return word.empty() ? "" : " (did you mean '" + word + "'?)";
}

std::vector<std::string> split_words(std::string_view words) {
  std::vector<std::string> out;
  while (!words.empty()) {
    const std::size_t bar = std::min(words.find('|'), words.size());
    std::string_view word = words.substr(0, bar);
    if (!word.empty() && word.front() == '!') word.remove_prefix(1);
    out.emplace_back(word.substr(0, word.find(':')));
    words.remove_prefix(std::min(bar + 1, words.size()));
  }
  return out;
}

}  // namespace fathom::sweeps
