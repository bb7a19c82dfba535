#include "trainer/engine/rows_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <nlohmann/json.hpp>

#include "common/descriptor.hpp"
#include "common/files.hpp"
#include "common/sha256.hpp"

namespace fathom::trainer {
namespace {

using nlohmann::json;

constexpr std::uint64_t kLine = 64;

struct Header {
  std::array<char, 8> magic = {'F', 'T', 'H', 'R', 'O', 'W', 'S', '1'};
  std::array<char, 64> key{}, content{};  // SHA-256 in hex, of the key and of all that follows the header
  std::uint64_t offsets = 0, tokens = 0, labels = 0, targets = 0, text = 0;  // entries; text: bytes
};

constexpr std::uint64_t rounded(std::uint64_t bytes) { return (bytes + kLine - 1) / kLine * kLine; }

constexpr std::uint64_t kBegin = rounded(sizeof(Header));

// Where the parts lie: offsets, ids, types, labels, targets, a JSON object with the rest.
struct Places {
  explicit Places(const Header& header) {
    ids = kBegin + rounded(header.offsets * sizeof(std::uint64_t));
    types = ids + rounded(header.tokens * sizeof(std::int32_t));
    labels = types + rounded(header.tokens * sizeof(std::int32_t));
    targets = labels + rounded(header.labels * sizeof(std::int32_t));
    text = targets + rounded(header.targets * sizeof(double));
    end = text + rounded(header.text);
  }
  std::uint64_t ids, types, labels, targets, text, end;
};

// A mapped file that is closed, and with that unlocked, with the last column that points into it.
class Mapping {
 public:
  Mapping(int fd, std::byte* memory, std::uint64_t size) : file_(fd), memory_(memory), size_(size) {}
  ~Mapping() { ::munmap(memory_, size_); }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  [[nodiscard]] const std::byte* data() const { return memory_; }
  [[nodiscard]] std::string_view bytes(std::uint64_t from) const {
    return {reinterpret_cast<const char*>(memory_) + from, size_ - from};
  }

 private:
  Descriptor file_;
  std::byte* memory_;
  std::uint64_t size_;
};

std::filesystem::path path_of(const std::filesystem::path& folder, const std::string& key) {
  return folder / (key.substr(0, 32) + ".rows");
}

// False for counts that no file of `size` bytes has: they come from a file.
bool plausible(const Header& header, std::uint64_t size) {
  for (const auto count : {header.offsets, header.tokens, header.labels, header.targets, header.text}) {
    if (count > size) return false;
  }
  return header.offsets >= 1 && Places(header).end == size;
}

template <class T>
Column<T> column(const std::shared_ptr<const Mapping>& mapping, std::uint64_t at, std::uint64_t count) {
  return {std::span(reinterpret_cast<const T*>(mapping->data() + at), count), mapping};
}

template <class T>
void append(std::string& out, const Column<T>& values) {
  out.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
  out.resize(rounded(out.size()));
}

}  // namespace

std::shared_ptr<OpenTask> load_rows(const std::filesystem::path& folder, const std::string& key) {
  Descriptor file(::open(path_of(folder, key).c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status {};
  Header header;
  const Header wanted;
  if (file.get() < 0 || ::flock(file.get(), LOCK_SH) != 0 || ::fstat(file.get(), &status) != 0 ||
      ::pread(file.get(), &header, sizeof header, 0) != static_cast<ssize_t>(sizeof header))
    return nullptr;
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (header.magic != wanted.magic || std::memcmp(header.key.data(), key.data(), header.key.size()) != 0 ||
      !plausible(header, size))
    return nullptr;
  ::futimens(file.get(), nullptr);  // used now
  auto* memory = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.get(), 0);
  if (memory == MAP_FAILED) return nullptr;
  const auto mapping = std::make_shared<const Mapping>(file.release(), static_cast<std::byte*>(memory), size);
  if (sha256_hex(mapping->bytes(kBegin)) != std::string_view(header.content.data(), header.content.size()))
    return nullptr;
  const Places places(header);
  const auto rest = json::parse(mapping->bytes(places.text).substr(0, header.text), nullptr, false);
  if (!rest.is_object()) return nullptr;
  auto task = std::make_shared<OpenTask>();
  task->rows.offsets = column<std::size_t>(mapping, kBegin, header.offsets);
  task->rows.ids = column<std::int32_t>(mapping, places.ids, header.tokens);
  task->rows.types = column<std::int32_t>(mapping, places.types, header.tokens);
  task->rows.labels = column<std::int32_t>(mapping, places.labels, header.labels);
  task->rows.targets = column<double>(mapping, places.targets, header.targets);
  task->rows.pad_id = rest.value("pad_id", 0);
  task->rows.sha256 = rest.value("tokens", "");
  task->labels = rest.value("labels", std::vector<std::string>());
  task->regression = rest.value("regression", false);
  task->skipped = rest.value("skipped", std::uint64_t{0});
  return task;
}

void save_rows(const std::filesystem::path& folder, const std::string& key, const OpenTask& task, std::uint64_t limit) {
  const auto& rows = task.rows;
  const json rest = {{"pad_id", rows.pad_id},
                     {"tokens", rows.sha256},
                     {"labels", task.labels},
                     {"regression", task.regression},
                     {"skipped", task.skipped}};
  const std::string text = rest.dump(-1, ' ', false, json::error_handler_t::replace);
  Header header;
  header.offsets = rows.offsets.size();
  header.tokens = rows.ids.size();
  header.labels = rows.labels.size();
  header.targets = rows.targets.size();
  header.text = text.size();
  std::error_code error;
  std::uint64_t taken = Places(header).end;
  std::filesystem::create_directories(folder, error);
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::error_code gone;
    const auto bytes = it->file_size(gone);
    if (!gone) taken += bytes;
  }
  if (error || taken > limit) return;
  std::string body;
  append(body, rows.offsets);
  append(body, rows.ids);
  append(body, rows.types);
  append(body, rows.labels);
  append(body, rows.targets);
  body += text;
  body.resize(rounded(body.size()));
  std::copy_n(key.begin(), header.key.size(), header.key.begin());
  const auto content = sha256_hex(body);
  std::copy_n(content.begin(), header.content.size(), header.content.begin());
  std::string head(kBegin, '\0');
  std::memcpy(head.data(), &header, sizeof header);
  (void)write_file_atomic(path_of(folder, key).string(), head + body);
}

}  // namespace fathom::trainer
