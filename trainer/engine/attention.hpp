// The mean attention that each fusion layer gives to its adapters, over the training rows of a task: one call, one
// batch.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "trainer/adapters/prune.hpp"
#include "trainer/engine/network.hpp"
#include "trainer/report/result.hpp"

namespace fathom::trainer {

class AttentionPass {
 public:
  // `network` (with a fusion) and `gang` must outlive it. depth: layers 0..depth-1 are skipped and have no rows.
  // mask_padding: pad tokens do not count. The ranks of a gang take turns with the batches.
  AttentionPass(const Network& network, std::shared_ptr<const OpenTask> task, std::uint32_t depth, bool mask_padding,
                Gang& gang = alone());

  // One batch of each rank. False: there is none left.
  bool advance();

  [[nodiscard]] std::vector<AttentionMeans::Row> means() const { return means_.rows(); }

 private:
  void measure(const std::vector<std::uint32_t>& chosen);

  const Network& network_;
  Gang& gang_;
  std::shared_ptr<const OpenTask> task_;
  std::uint32_t depth_;
  bool mask_padding_;
  std::vector<std::vector<std::uint32_t>> batches_;
  bool shared_;  // fewer batches than ranks: everyone computes them all
  std::size_t next_ = 0;
  AttentionMeans means_;
};

// As result rows. `kept`, where given, names the adapters that stay in each layer.
std::vector<AttentionRow> attention_rows(const std::vector<AttentionMeans::Row>& means,
                                         const std::vector<std::vector<std::string>>& kept = {});

}  // namespace fathom::trainer
