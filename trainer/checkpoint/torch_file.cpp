#include "trainer/checkpoint/torch_file.hpp"

#include <cstring>
#include <functional>
#include <map>

#include <ATen/ops/as_strided.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include "common/files.hpp"
#include "trainer/checkpoint/unpickler.hpp"
#include "trainer/checkpoint/zip.hpp"

namespace fathom::trainer {
namespace {

using Kind = PickleNode::Kind;

constexpr std::uint64_t kMaxFile = std::uint64_t{16} << 30;

Error broken(const std::string& file, const std::string& what) {
  return Error{Errc::corrupt, file + ": not a torch weights file, or a damaged one: " + what};
}

// Elements that a strided tensor reaches: 1 + offset + Σ (size − 1) · stride, or nothing on overflow.
std::optional<std::uint64_t> reach(const PickleNode& tensor) {
  constexpr std::uint64_t kLimit = std::uint64_t{1} << 60;
  std::uint64_t end = static_cast<std::uint64_t>(tensor.integer), count = 1;
  if (end > kLimit) return std::nullopt;
  for (std::size_t i = 0; i < tensor.sizes.size(); ++i) {
    const auto size = static_cast<std::uint64_t>(tensor.sizes[i]),
               stride = static_cast<std::uint64_t>(tensor.strides[i]);
    if (size > kLimit || stride > kLimit) return std::nullopt;
    if (size == 0) return 0;
    if (count > kLimit / size) return std::nullopt;
    count *= size;
    if (size > 1 && stride > (kLimit - end) / (size - 1)) return std::nullopt;
    end += (size - 1) * stride;
  }
  // An expanded tensor (stride 0) would make a huge one out of a small file. No saved weight is one.
  return std::max(end + 1, count);
}

// Where the raw data of a storage is: key → bytes.
using Storages = std::map<std::string, Bytes, std::less<>>;

// Turns the dict of a finished pickle into tensors.
class Materialiser {
 public:
  Materialiser(const Unpickler& pickle, const Storages& storages, std::string file)
      : pickle_(pickle), storages_(storages), file_(std::move(file)) {}

  Result<NamedTensors> dict(std::uint32_t number) {
    const PickleNode& dict = pickle_.node(number);
    if (dict.kind != Kind::dict) return broken(file_, "it does not hold a dict");
    NamedTensors out;
    for (std::size_t i = 0; i + 1 < dict.items.size(); i += 2) {
      const PickleNode& key = pickle_.node(dict.items[i]);
      const PickleNode& value = pickle_.node(dict.items[i + 1]);
      if (key.kind != Kind::text) return broken(file_, "a key of the dict is no string");
      if (value.kind != Kind::tensor) {
        return broken(file_, fmt::format("\"{}\" is no tensor", key.text.substr(0, 200)));
      }
      FATHOM_ASSIGN(at::Tensor made, tensor(value, key.text));
      out.insert_or_assign(std::string(key.text), std::move(made));
    }
    return out;
  }

 private:
  Result<at::Tensor> tensor(const PickleNode& spec, std::string_view key) {
    const PickleNode& storage = pickle_.node(spec.items[0]);
    FATHOM_ASSIGN(const at::Tensor data, storage_tensor(storage));
    const auto needed = reach(spec);
    if (!needed || *needed > static_cast<std::uint64_t>(storage.integer)) {
      return broken(file_, fmt::format("\"{}\" is larger than its storage", key.substr(0, 200)));
    }
    if (*needed == 0) return at::empty(spec.sizes, data.options());
    return at::as_strided(data, spec.sizes, spec.strides, spec.integer);
  }

  // One copy per storage (tensors that share one share the copy), so memory stays below the file's size.
  Result<at::Tensor> storage_tensor(const PickleNode& storage) {
    if (const auto found = made_.find(storage.text); found != made_.end()) {
      const bool same = found->second.scalar_type() == storage.dtype->type && found->second.numel() == storage.integer;
      if (!same) return broken(file_, "one storage with two types or sizes");
      return found->second;
    }
    const auto raw = storages_.find(storage.text);
    const auto bytes = byte_size({storage.integer}, *storage.dtype);
    if (raw == storages_.end() || !bytes || raw->second.size() < *bytes) {
      return broken(file_, fmt::format("storage \"{}\" is missing or truncated", storage.text.substr(0, 100)));
    }
    at::Tensor data = at::empty({storage.integer}, at::TensorOptions().dtype(storage.dtype->type));
    if (*bytes > 0) std::memcpy(data.mutable_data_ptr(), raw->second.data(), *bytes);
    made_.emplace(std::string(storage.text), data);
    return data;
  }

  const Unpickler& pickle_;
  const Storages& storages_;
  std::string file_;
  std::map<std::string, at::Tensor, std::less<>> made_;
};

Result<NamedTensors> parse_zip(Bytes bytes, const std::string& file) {
  FATHOM_ASSIGN(const auto entries, read_stored_zip(bytes, file));
  std::string root;
  for (const auto& [name, data] : entries) {
    if (name.ends_with("/data.pkl")) root = name.substr(0, name.size() - 8);
  }
  const auto pickle = entries.find(root + "data.pkl");
  if (root.empty() || pickle == entries.end()) return broken(file, "no data.pkl in the archive");
  const auto order = entries.find(root + "byteorder");
  if (order != entries.end() && order->second.size() == 3) return broken(file, "written on a big-endian machine");
  Storages storages;
  for (const auto& [name, data] : entries) {
    if (name.starts_with(root + "data/")) storages.emplace(name.substr(root.size() + 5), data);
  }
  Unpickler unpickler(pickle->second);
  std::size_t at = 0;
  const auto result = unpickler.load(at);
  if (!result) return broken(file, result.error().message);
  return Materialiser(unpickler, storages, file).dict(*result);
}

// The data after the pickles of an old file: for each key in the order of the last pickle's list, a 64-bit number of
// elements and the elements. Their size comes from the storages that the dict's pickle mentions.
Result<Storages> legacy_storages(const Unpickler& pickle, std::uint32_t dict, std::uint32_t keys, Bytes rest,
                                 const std::string& file) {
  std::map<std::string_view, const PickleNode*> mentioned;
  const PickleNode& object = pickle.node(dict);
  for (std::size_t i = 1; object.kind == Kind::dict && i < object.items.size(); i += 2) {
    const PickleNode& value = pickle.node(object.items[i]);
    if (value.kind == Kind::tensor) mentioned[pickle.node(value.items[0]).text] = &pickle.node(value.items[0]);
  }
  Storages out;
  for (const std::uint32_t item : pickle.node(keys).items) {
    const auto storage = mentioned.find(pickle.node(item).text);
    if (storage == mentioned.end()) return broken(file, "data of a storage that no tensor uses");
    const auto bytes = byte_size({storage->second->integer}, *storage->second->dtype);
    std::int64_t count = 0;
    if (rest.size() < sizeof(count)) return broken(file, "truncated before the data of a storage");
    std::memcpy(&count, rest.data(), sizeof(count));
    rest = rest.subspan(sizeof(count));
    if (count != storage->second->integer || !bytes || *bytes > rest.size()) {
      return broken(file, "truncated inside the data of a storage");
    }
    out.emplace(std::string(storage->first), rest.first(*bytes));
    rest = rest.subspan(*bytes);
  }
  return out;
}

// Before torch 1.6: pickles of a magic number, a version, system facts, the object and its storage keys; then data.
Result<NamedTensors> parse_legacy(Bytes bytes, const std::string& file) {
  Unpickler unpickler(bytes);
  std::size_t at = 0;
  std::uint32_t results[5] = {};
  for (std::uint32_t& result : results) {
    const auto loaded = unpickler.load(at);
    if (!loaded) return broken(file, loaded.error().message);
    result = *loaded;
  }
  FATHOM_ASSIGN(const Storages storages, legacy_storages(unpickler, results[3], results[4], bytes.subspan(at), file));
  return Materialiser(unpickler, storages, file).dict(results[3]);
}

// --- writing: pickle protocol 2, no memo ---

void put_text(std::string& out, std::string_view text) {
  const auto size = static_cast<std::uint32_t>(text.size());
  out += 'X';
  out.append(reinterpret_cast<const char*>(&size), sizeof(size));
  out += text;
}

// LONG1 with eight bytes holds every size.
void put_integer(std::string& out, std::int64_t value) {
  if (value >= 0 && value < 256) {
    out += 'K';
    out += static_cast<char>(value);
    return;
  }
  out += "\x8a\x08";
  out.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

void put_integers(std::string& out, at::IntArrayRef values) {
  out += '(';
  for (const std::int64_t value : values) put_integer(out, value);
  out += 't';
}

// key → torch._utils._rebuild_tensor_v2(storage NUMBER, 0, sizes, strides, False, OrderedDict())
void put_tensor(std::string& out, const std::string& key, const at::Tensor& tensor, const DType& dtype,
                std::size_t number) {
  put_text(out, key);
  out += "ctorch._utils\n_rebuild_tensor_v2\n((";
  put_text(out, "storage");
  out += std::string("ctorch\n") + dtype.storage + "\n";
  put_text(out, std::to_string(number));
  put_text(out, "cpu");
  put_integer(out, tensor.numel());
  out += "tQ";
  put_integer(out, 0);
  put_integers(out, tensor.sizes());
  put_integers(out, tensor.strides());
  out += "\x89";
  out += "ccollections\nOrderedDict\n)RtR";
}

}  // namespace

Result<NamedTensors> parse_torch_file(std::span<const std::byte> bytes, const std::string& file) {
  if (bytes.size() >= 2 && bytes[0] == std::byte{'P'} && bytes[1] == std::byte{'K'}) return parse_zip(bytes, file);
  if (!bytes.empty() && bytes[0] == std::byte{0x80}) return parse_legacy(bytes, file);
  return broken(file, "neither a zip archive nor a pickle");
}

Result<NamedTensors> read_torch_file(const std::filesystem::path& file) {
  FATHOM_ASSIGN(const std::string bytes, read_file(file.string(), kMaxFile));
  return parse_torch_file(std::as_bytes(std::span(bytes)), file.string());
}

Status write_torch_file(const std::filesystem::path& file, const NamedTensors& tensors) {
  std::string pickle = "\x80\x02}(";
  std::vector<at::Tensor> flat;
  std::uint64_t total = 0;
  for (const auto& [key, tensor] : tensors) {
    const DType* dtype = dtype_by_type(tensor.scalar_type());
    if (!dtype) return Error{Errc::invalid_argument, "tensor \"" + key + "\" has a dtype that torch files lack"};
    flat.push_back(tensor.detach().cpu().contiguous());
    put_tensor(pickle, key, flat.back(), *dtype, flat.size() - 1);
    total += flat.back().nbytes() + key.size() + 1024;
  }
  pickle += "u.";
  if (!ZipWriter::fits(total)) {
    return Error{Errc::unsupported, file.string() + ": more than 4 GB of weights do not fit a .bin; use safetensors"};
  }
  const std::string root = file.stem().string() + "/";
  ZipWriter zip;
  zip.add(root + "data.pkl", pickle);
  zip.add(root + "byteorder", "little");
  for (std::size_t i = 0; i < flat.size(); ++i) {
    zip.add(root + "data/" + std::to_string(i), {static_cast<const char*>(flat[i].const_data_ptr()), flat[i].nbytes()});
  }
  zip.add(root + "version", "3\n");
  return write_file_atomic(file.string(), zip.finish());
}

}  // namespace fathom::trainer
