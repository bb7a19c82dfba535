#include "trainer/engine/attention.hpp"

#include <c10/core/InferenceMode.h>

#include <algorithm>

#include "trainer/engine/tensor_cores.hpp"

namespace fathom::trainer {
namespace {

constexpr std::uint32_t kAttentionBatch = 64;  // rows of one pass

}  // namespace

AttentionPass::AttentionPass(const Network& network, std::shared_ptr<const OpenTask> task, std::uint32_t depth,
                             bool mask_padding, Gang& gang)
    : network_(network),
      gang_(gang),
      task_(std::move(task)),
      depth_(depth),
      mask_padding_(mask_padding),
      batches_(batches_by_length(task_->rows, kAttentionBatch)),
      shared_(gang.size() > 1 && batches_.size() >= static_cast<std::size_t>(gang.size())) {}

bool AttentionPass::advance() {
  if (next_ == batches_.size()) return false;
  const auto mine = next_ + static_cast<std::size_t>(shared_ ? gang_.rank() : 0);
  if (mine < batches_.size()) measure(batches_[mine]);
  next_ = std::min(batches_.size(), next_ + static_cast<std::size_t>(shared_ ? gang_.size() : 1));
  if (next_ < batches_.size()) return true;
  if (shared_) means_.sum_over(gang_);
  return false;
}

void AttentionPass::measure(const std::vector<std::uint32_t>& chosen) {
  const c10::InferenceMode inference;
  const auto batch = on_device(make_batch(task_->rows, chosen), network_.base->word_embeddings.device());
  ForwardOptions options;
  options.drop_depth = depth_;
  options.fusion_attention = true;
  options.precision = network_.precision;
  const TensorCores products(network_.precision);
  const auto result = forward(*network_.base, batch.input, network_.setup, options);
  means_.add(result.fusion_attention, mask_padding_ ? batch.input.attention_mask : at::Tensor());
}

std::vector<AttentionRow> attention_rows(const std::vector<AttentionMeans::Row>& means,
                                         const std::vector<std::vector<std::string>>& kept) {
  std::vector<AttentionRow> rows;
  for (const auto& mean : means) {
    AttentionRow row{static_cast<std::uint32_t>(mean.layer), site_name(mean.site), mean.adapter, mean.mean_weight,
                     static_cast<std::uint32_t>(mean.rank),  std::nullopt};
    // Without `kept` nothing was pruned and every kept_at stays empty.
    if (row.layer < kept.size()) {
      const auto& names = kept[row.layer];
      if (std::find(names.begin(), names.end(), row.adapter) != names.end())
        row.kept_at = static_cast<std::uint32_t>(names.size());
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace fathom::trainer
