// A model that a job trains or measures: the frozen base, a setup of adapters on it and one head; or, for full
// fine-tuning, a whole model with a head. Built fresh from settings or loaded from a final/ tree. Tensors are owned by
// the network's adapters, fusion and head; the base is shared by all jobs and never changed, unless the network is a
// whole one, whose base is its own.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "trainer/adapters/head.hpp"
#include "trainer/adapters/setup.hpp"
#include "trainer/engine/resources.hpp"
#include "trainer/engine/spec.hpp"
#include "trainer/model/precision.hpp"

namespace fathom::trainer {

struct Network {
  std::shared_ptr<const BaseModel> base;
  Setup setup;
  std::shared_ptr<const Adapter> adapter;  // of an adapter network, else null
  std::shared_ptr<const Fusion> fusion;    // of a fusion network, else null
  std::shared_ptr<const Head> head;
  Parameters trained;                     // what the optimizer moves, in the library's order; empty for loaded networks
  Precision precision = Precision::fp32;  // of the frozen base's products; of every network computed together one
  bool whole = false;                     // fine-tuning: no setup; the base is a copy of this network's own and trains
  std::filesystem::path origin;           // whole: Hugging Face folder whose config and tokenizer are saved with it

  [[nodiscard]] std::uint32_t layers() const { return static_cast<std::uint32_t>(base->config.layers); }
};

// A fresh adapter and head named after the task. spec.drop is bound. Specialised: the lowest n layers are left out of
// the adapter's config.
Network make_adapter_network(const JobSpec& spec, const std::shared_ptr<const BaseModel>& base, const OpenTask& task);

// A trained adapter out of FOLDER/INPUT, which trains on, with a fresh head: for measuring speed. Of a specialised drop
// the lowest n layers are left out. JobError config: another configuration than spec.adapter asks for.
Network make_member_network(const JobSpec& spec, const std::shared_ptr<const BaseModel>& base, const OpenTask& task,
                            const Input& member, const std::filesystem::path& folder);

// Frozen members out of FOLDER/INPUT, a fresh fusion over them in the order of the set, and the head `fusion_TARGET`
// (fresh, or the weights of the target member's head).
Network make_fusion_network(const JobSpec& spec, const std::shared_ptr<const BaseModel>& base, const OpenTask& task,
                            const std::vector<Input>& members, const std::filesystem::path& folder);

// The same over fresh members m1 … mN of spec.adapter, which do not train and have no heads: what they say is no use,
// but they cost what trained ones cost. For measuring speed.
Network make_random_fusion_network(const JobSpec& spec, const std::shared_ptr<const BaseModel>& base,
                                   const OpenTask& task, std::uint32_t members);

// A copy of the whole base with the head that transformers gives its family. A pooler that the head needs and the base
// lacks is drawn, one that it does not need is left away.
Network make_finetune_network(const JobSpec& spec, const OpenModel& model, const OpenTask& task);

// In float32, which the caller may change. Any final/ tree: an adapter with its head in one folder, a setup with one
// fusion and one head, or a fine-tuned model (which has a base of its own). Throws JobError model when files are
// missing or do not fit the base.
Network load_network(const std::filesystem::path& folder, const std::shared_ptr<const BaseModel>& base);

// The drop of a model with so many layers. JobError config when it reaches beyond them.
Drop bound_drop(Drop drop, std::uint32_t layers);

// Copies of the trained tensors, and back: how a best epoch is kept.
std::vector<at::Tensor> snapshot(const Network& network);
void restore(const Network& network, const std::vector<at::Tensor>& values);

}  // namespace fathom::trainer
