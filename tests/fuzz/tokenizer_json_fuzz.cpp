// Any bytes as tokenizer.json: an error, or a tokenizer whose ids are all below vocab_size().
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "trainer/tokenizer/files.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace fathom::trainer;
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  auto parts = parse_tokenizer_json(text, "fuzz");
  if (!parts) return 0;
  const Pipeline tokenizer(std::move(parts).value());
  for (const std::string_view sample : {std::string_view("Hello, wörld [SEP] 你好 <mask> x"), text.substr(0, 256)}) {
    const Encoding encoding = tokenizer.encode(sample, sample, 64);
    if (encoding.ids.size() != encoding.type_ids.size()) std::abort();
    for (const auto id : encoding.ids) {
      if (id < 0 || id >= tokenizer.vocab_size()) std::abort();
    }
  }
  return 0;
}
