#include "trainer/adapters/setup.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace fathom::trainer {

Setup Setup::single(std::shared_ptr<const Adapter> adapter) {
  Setup setup;
  setup.kind = SetupKind::single;
  setup.adapter = std::move(adapter);
  return setup;
}

Setup Setup::fuse(std::shared_ptr<const Fusion> fusion, const std::vector<std::shared_ptr<const Adapter>>& members) {
  Setup setup;
  setup.kind = SetupKind::fuse;
  setup.fusion = std::move(fusion);
  for (const auto& member : members) setup.children.push_back(single(member));
  return setup;
}

Setup Setup::stack(std::vector<Setup> children) {
  Setup setup;
  setup.kind = SetupKind::stack;
  setup.children = std::move(children);
  return setup;
}

bool Setup::active(std::int64_t layer, Site site) const {
  if (kind == SetupKind::single) return adapter->at(layer, site) != nullptr;
  return std::any_of(children.begin(), children.end(), [&](const Setup& child) { return child.active(layer, site); });
}

namespace {

void collect(const Setup& setup, std::vector<std::shared_ptr<const Adapter>>& out) {
  if (setup.adapter && std::find(out.begin(), out.end(), setup.adapter) == out.end()) out.push_back(setup.adapter);
  for (const Setup& child : setup.children) collect(child, out);
}

const char* kind_name(SetupKind kind) {
  switch (kind) {
    case SetupKind::none:
      return "none";
    case SetupKind::single:
      return "single";
    case SetupKind::stack:
      return "stack";
    case SetupKind::fuse:
      return "fuse";
    case SetupKind::average:
      return "average";
    case SetupKind::parallel:
      return "parallel";
    case SetupKind::batch_split:
      return "batch_split";
  }
  return "?";
}

// The library's table of nestings, less parallel and batch_split below other blocks, plus `none` and `fuse` rows.
bool may_hold(SetupKind parent, SetupKind child) {
  using enum SetupKind;
  if (child == single) return true;
  switch (parent) {
    case stack:
      return child == fuse || child == average;
    case fuse:
      return child == stack;
    case average:
      return child == stack;
    case parallel:
    case batch_split:
      return child == none || child == stack || child == fuse || child == average || child == batch_split;
    case none:
    case single:
      return false;
  }
  return false;
}

Error wrong(const std::string& what) { return Error{Errc::invalid_argument, "adapter setup: " + what}; }

Status check_adapter(const Adapter& adapter, const ModelConfig& model) {
  if (static_cast<std::int64_t>(adapter.modules.size()) != model.layers) {
    return wrong(fmt::format("adapter \"{}\" is made for {} layers, the model has {}", adapter.name,
                             adapter.modules.size(), model.layers));
  }
  for (const auto& sites : adapter.modules) {
    for (const auto& module : sites) {
      if (module && module->up.weight.size(0) != model.hidden) {
        return wrong(fmt::format("adapter \"{}\" is made for width {}, the model has {}", adapter.name,
                                 module->up.weight.size(0), model.hidden));
      }
    }
  }
  return success();
}

// Whether two members of a fusion take the same steps before and after it.
bool same_frame(const AdapterConfig& a, const AdapterConfig& b) {
  return a.mh_adapter == b.mh_adapter && a.output_adapter == b.output_adapter &&
         a.original_ln_before == b.original_ln_before && a.original_ln_after == b.original_ln_after &&
         a.residual_before_ln == b.residual_before_ln && a.is_parallel == b.is_parallel;
}

Status check_fuse(const Setup& setup, const ModelConfig& model) {
  if (!setup.fusion) return wrong("a fuse has no fusion weights");
  const auto members = setup.adapters();
  for (const auto& member : members) {
    if (!same_frame(member->config, members.back()->config)) {
      return wrong(
          fmt::format("adapters \"{}\" and \"{}\" differ in place, LayerNorm or residual settings and cannot "
                      "be fused",
                      member->name, members.back()->name));
    }
  }
  for (std::int64_t layer = 0; layer < model.layers; ++layer) {
    for (const Site site : {Site::attention, Site::output}) {
      if (setup.active(layer, site) && !setup.fusion->at(layer, site)) {
        return wrong(
            fmt::format("fusion \"{}\" has no weights for layer {}, {}", setup.fusion->name, layer, site_name(site)));
      }
    }
  }
  return success();
}

// A mean over fewer children in some layers would weigh them differently there.
Status check_average(const Setup& setup, const ModelConfig& model) {
  for (std::int64_t layer = 0; layer < model.layers; ++layer) {
    for (const Site site : {Site::attention, Site::output}) {
      if (!setup.active(layer, site)) continue;
      for (const Setup& child : setup.children) {
        if (child.active(layer, site)) continue;
        return wrong(
            fmt::format("average: \"{}\" has no module in layer {}, {}, where others have one; use adapters of "
                        "one place and drop depth",
                        child.adapters().front()->name, layer, site_name(site)));
      }
    }
  }
  return success();
}

Status check_sizes(const Setup& setup) {
  const std::size_t children = setup.children.size();
  if (setup.kind == SetupKind::batch_split) {
    const bool positive = std::all_of(setup.batch_sizes.begin(), setup.batch_sizes.end(), [](auto n) { return n > 0; });
    if (setup.batch_sizes.size() != children || !positive) return wrong("batch_split needs a size of each child");
  }
  if (setup.kind == SetupKind::average && setup.weights.size() != children) {
    return wrong("average needs a weight of each child");
  }
  return success();
}

}  // namespace

std::vector<std::shared_ptr<const Adapter>> Setup::adapters() const {
  std::vector<std::shared_ptr<const Adapter>> out;
  collect(*this, out);
  return out;
}

Status check_setup(const Setup& setup, const ModelConfig& model) {
  if (setup.kind == SetupKind::none) return success();
  if (setup.kind == SetupKind::single) {
    return setup.adapter ? check_adapter(*setup.adapter, model) : wrong("a single without adapter");
  }
  if (setup.children.empty()) return wrong(std::string(kind_name(setup.kind)) + " without children");
  for (const Setup& child : setup.children) {
    if (!may_hold(setup.kind, child.kind)) {
      return wrong(fmt::format("{} cannot stand inside {}", kind_name(child.kind), kind_name(setup.kind)));
    }
    FATHOM_TRY(check_setup(child, model));
  }
  FATHOM_TRY(check_sizes(setup));
  if (setup.kind == SetupKind::average) return check_average(setup, model);
  return setup.kind == SetupKind::fuse ? check_fuse(setup, model) : success();
}

}  // namespace fathom::trainer
