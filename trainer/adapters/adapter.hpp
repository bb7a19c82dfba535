// One bottleneck adapter: a module per layer and site where its config wants one.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/result.hpp"
#include "trainer/adapters/adapter_config.hpp"
#include "trainer/checkpoint/tensors.hpp"
#include "trainer/model/base_model.hpp"

namespace at {
struct Generator;
}

namespace fathom::trainer {

// The tensors of one module. H = hidden size, b = bottleneck width.
struct Bottleneck {
  Linear down;                           // [b, H], [b]
  Linear up;                             // [H, b], [H]
  std::optional<LayerNorm> norm_before;  // ln_before, eps 1e-5
  std::optional<LayerNorm> norm_after;   // ln_after, eps 1e-5
  at::Tensor scaling;                    // learned: [1]; channel: [H]; else undefined
  std::optional<Linear> gate;            // [1, H], [1]
};

// Whether layers have weights of their own or all the same ones (AdapterDrop's appendix, "parameter sharing").
enum class Share { none, layers };

// A value whose tensors are shared handles: a copy is another view of the same weights (prune uses that). Layers that
// share their weights hold handles to the same tensors; files repeat them in each layer.
struct Adapter {
  std::string name;
  AdapterConfig config;
  // modules[layer][site]; empty where config leaves out the layer or does not have the site.
  std::vector<std::array<std::optional<Bottleneck>, 2>> modules;

  [[nodiscard]] const Bottleneck* at(std::int64_t layer, Site site) const;
  // Keys PREFIXencoder.layer.L.[attention.]output.adapters.NAME.… in the library's order, every layer's, shared or not.
  [[nodiscard]] Parameters parameters(const ModelConfig& model) const;
  // What files hold: the parameters, with the ln_before norm under both of its names.
  [[nodiscard]] NamedTensors tensors(const ModelConfig& model) const;
};

// A fresh adapter, drawn from `generator` in the library's order (default init of both linears, then the re-draw; layer
// by layer, attention before output), so that torch.manual_seed(s); model.add_adapter(...) gives the same bits.
// Tensors require gradients. Share::layers draws one module per site, as the library does for a model of one layer.
// invalid_argument: bad name, leave_out or reduction map that does not fit the model or the sharing.
Result<Adapter> make_adapter(const std::string& name, const AdapterConfig& config, const ModelConfig& model,
                             at::Generator& generator, Share share = Share::none);

// An adapter from file tensors: exactly the keys that the config asks for, with their shapes; anything missing, left
// over or misshapen is an error that names the key. Keys of left-out layers may be present and are ignored when
// `ignore_left_out`. The tensors are cloned, float32, without gradient.
Result<Adapter> adapter_from_tensors(const std::string& name, const AdapterConfig& config, const ModelConfig& model,
                                     const NamedTensors& tensors, bool ignore_left_out = false);

// check_part_name() of names.hpp, and no comma.
Status check_adapter_name(const std::string& name);

}  // namespace fathom::trainer
