#include "trainer/tokenizer/byte_bpe.hpp"

#include <queue>

#include "common/utf8.hpp"
#include "trainer/tokenizer/unicode.hpp"

namespace fathom::trainer {

std::array<std::string, 256> byte_characters() {
  std::array<std::string, 256> out;
  char32_t next = 256;  // bytes without a printable Latin-1 character take the next free code points
  for (std::size_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    append_utf8(out[byte], printable ? static_cast<char32_t>(byte) : next++);
  }
  return out;
}

ByteBpe::ByteBpe(const Vocabulary& vocabulary, const std::vector<std::pair<std::string, std::string>>& merges,
                 Options options)
    : options_(options) {
  const auto id_of = [&vocabulary](const std::string& token) {
    const auto found = vocabulary.find(token);
    return found == vocabulary.end() ? -1 : found->second;
  };
  const auto characters = byte_characters();
  for (std::size_t byte = 0; byte < 256; ++byte) byte_ids_[byte] = id_of(characters[byte]);
  std::uint32_t rank = 0;
  for (const auto& [left, right] : merges) {
    const std::int32_t a = id_of(left);
    const std::int32_t b = id_of(right);
    const std::int32_t whole = id_of(left + right);
    if (a >= 0 && b >= 0 && whole >= 0) {
      merges_.try_emplace(static_cast<std::uint64_t>(a) << 32 | static_cast<std::uint32_t>(b), Merge{rank, whole});
    }
    ++rank;
  }
}

const ByteBpe::Merge* ByteBpe::merge_of(std::int32_t left, std::int32_t right) const {
  const auto found = merges_.find(static_cast<std::uint64_t>(left) << 32 | static_cast<std::uint32_t>(right));
  return found == merges_.end() ? nullptr : &found->second;
}

// Bytes are bytes, except that what is no UTF-8 was U+FFFD before it came here.
std::string ByteBpe::normalize(std::string_view text) const {
  std::string out(text);
  repair_utf8(out);
  bool valid = true;
  std::size_t start = 0;
  if (options_.add_prefix_space && !out.empty() && !is_white_space(next_code_point(out, start, valid))) {
    out.insert(out.begin(), ' ');
  }
  return out;
}

void ByteBpe::append(std::string_view normalized, std::vector<std::int32_t>& ids) const {
  std::size_t begin = 0;
  for (const std::size_t end : gpt2_words(normalized)) {
    append_word(normalized.substr(begin, end - begin), ids);
    begin = end;
  }
}

// Merges by rank, leftmost first among equals. A heap over a linked list keeps a word of n bytes at O(n log n): a file
// without blanks must not cost a minute.
void ByteBpe::append_word(std::string_view word, std::vector<std::int32_t>& ids) const {
  struct Symbol {
    std::int32_t id, previous, next;
  };
  struct Candidate {
    std::uint32_t rank;
    std::int32_t at, left, right;
    bool operator<(const Candidate& other) const {  // the heap's top is the lowest rank, then the leftmost
      return rank != other.rank ? rank > other.rank : at > other.at;
    }
  };
  std::vector<Symbol> symbols;
  for (const char c : word) {
    const std::int32_t id = byte_ids_[static_cast<unsigned char>(c)];
    const std::int32_t known = id >= 0 ? id : options_.unknown;
    const auto place = static_cast<std::int32_t>(symbols.size());
    if (known >= 0) symbols.push_back({known, place - 1, place + 1});
  }
  if (symbols.empty()) return;
  symbols.back().next = -1;
  std::priority_queue<Candidate> heap;
  const auto consider = [&](std::int32_t at) {
    if (at < 0 || symbols[at].next < 0) return;
    const Symbol& right = symbols[symbols[at].next];
    if (const Merge* merge = merge_of(symbols[at].id, right.id)) heap.push({merge->rank, at, symbols[at].id, right.id});
  };
  for (std::int32_t i = 0; i < static_cast<std::int32_t>(symbols.size()); ++i) consider(i);
  while (!heap.empty()) {
    const Candidate top = heap.top();
    heap.pop();
    Symbol& left = symbols[top.at];
    // Outdated where either side has been merged since: its id differs, or it is gone (-1).
    if (left.id != top.left || left.next < 0 || symbols[left.next].id != top.right) continue;
    Symbol& right = symbols[left.next];
    left.id = merge_of(top.left, top.right)->id;
    right.id = -1;
    left.next = right.next;
    if (left.next >= 0) symbols[left.next].previous = top.at;
    consider(left.previous);
    consider(top.at);
  }
  for (std::int32_t i = 0; i >= 0; i = symbols[i].next) ids.push_back(symbols[i].id);
}

}  // namespace fathom::trainer
