// Comparisons of one case: each within its tolerance, the tightest kept for the report.
// Thread: plain value.
#pragma once

#include <set>
#include <string>

#include "trainer/check/cases.hpp"
#include "trainer/checkpoint/tensors.hpp"

namespace fathom::trainer::check {

// The largest absolute difference in double precision; infinity for other shapes, NaN on one side only, or an infinity.
double difference(const at::Tensor& a, const at::Tensor& b);

class Comparison {
 public:
  void number(const std::string& at, double got, double expected, double tolerance);
  void tensor(const std::string& at, const at::Tensor& got, const at::Tensor& expected, double tolerance);
  // Something that is either so or not: `message` says what is wrong when it is not.
  void require(bool so, const std::string& message);

  // failed when anything was beyond its tolerance or nothing was compared.
  [[nodiscard]] Outcome outcome() const;

 private:
  void add(const std::string& at, double error, double tolerance);
  Outcome worst_;
  double worst_share_ = -1;  // error / tolerance
  std::string problem_;      // the first
};

// The tensors that a file expects, each of which must be compared.
class Expected {
 public:
  explicit Expected(const std::filesystem::path& file);
  [[nodiscard]] bool has(const std::string& key) const { return tensors_.contains(key); }
  // Compares when the file has the key; the others are ours alone.
  void compare(Comparison& comparison, const std::string& key, const at::Tensor& got, double tolerance);
  // For a comparison of another kind.
  const at::Tensor& take(const std::string& key);
  // Fails `comparison` for tensors that nothing was compared with.
  void finish(Comparison& comparison) const;
  [[nodiscard]] const NamedTensors& tensors() const { return tensors_; }

 private:
  std::string name_;
  NamedTensors tensors_;
  std::set<std::string> seen_;
};

}  // namespace fathom::trainer::check
