// The settings of a benchmark job (docs/protocol.md, "settings") as typed values: what is measured, at which shape, how
// often. A mistake is a JobError of class config that names the key. Plain values; thread: none shared.
#pragma once

#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

#include "trainer/engine/spec.hpp"

namespace fathom::trainer {

// finetune: the whole model. adapter: one adapter. fusion: AdapterFusion of `members` adapters. parallel: `members`
// tasks' adapters answer the same input in one pass that shares the layers below them; separate: the same by a pass
// for each.
enum class Subject { finetune, adapter, fusion, parallel, separate };

struct BenchmarkSpec {
  nlohmann::json settings;  // as received; goes into fathom.json
  std::string model;        // as Resources::model() takes it
  std::string device;       // class that was asked for: "cpu" | "cuda"
  Subject subject = Subject::adapter;
  bool train = false;           // else inference
  std::uint32_t depth = 0;      // layers 0 … depth-1 have no adapters
  bool all_depths = false;      // each of 0 … L-1, one after the other; `depth` is the one that is measured now
  std::uint32_t members = 1;    // fusion, parallel, separate
  bool trained = false;         // the members are final trees among the inputs; else they are drawn
  std::uint32_t batch = 0;      // rows of a step
  std::uint32_t length = 0;     // tokens of every row
  std::uint32_t warmup = 0;     // steps that are not measured, at the start of each round
  std::uint32_t steps = 0;      // measured ones of a round
  std::uint32_t repeat = 1;     // rounds, each with fresh weights in fresh memory
  bool frozen_dropout = false;  // recipe "hf"
  Precision precision = Precision::fp32;

  // What the networks are made from.
  [[nodiscard]] JobSpec network_spec() const;
  nlohmann::json adapter;  // config name and overrides; null for finetune
};

BenchmarkSpec parse_benchmark(const nlohmann::json& settings);

}  // namespace fathom::trainer
