#include "cli/plan_graph.hpp"

#include <map>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "sweeps/elsewhere.hpp"

namespace fathom::cli {
namespace {

using sweeps::JobIndex;

// What the jobs of one stage take from another.
struct Link {
  std::size_t models = 0;               // needs that look at it
  std::size_t most = 0;                 // jobs of it that one need looks at
  std::set<JobIndex> jobs, candidates;  // that take, and that may be taken
};
// By (taking stage, giving stage).
using Links = std::map<std::pair<std::uint32_t, std::uint32_t>, Link>;

Links links_of(const sweeps::Plan& plan) {
  Links links;
  for (JobIndex i = 0; i < plan.jobs.size(); ++i) {
    for (const sweeps::Need& need : plan.jobs[i].needs) {
      std::map<std::uint32_t, std::size_t> looked_at;
      for (const sweeps::Contender& contender : need.contenders) {
        for (const JobIndex from : contender.jobs) {
          const std::uint32_t stage = plan.jobs[from].stage;
          ++looked_at[stage];
          links[{plan.jobs[i].stage, stage}].candidates.insert(from);
        }
      }
      for (const auto& [stage, count] : looked_at) {
        Link& link = links[{plan.jobs[i].stage, stage}];
        ++link.models;
        link.most = std::max(link.most, count);
        link.jobs.insert(i);
      }
    }
  }
  return links;
}

// What a stage takes that no job of the file makes, with how many models.
std::map<std::string, std::size_t> outside_of(const sweeps::Plan& plan, const sweeps::Stage& stage) {
  std::map<std::string, std::size_t> out;
  for (JobIndex i = stage.first; i < stage.first + stage.count; ++i) {
    for (const sweeps::Need& need : plan.jobs[i].needs) {
      for (const auto& asked : need.elsewhere) ++out[sweeps::name_of(*asked)];
    }
    for (const sweeps::Folder& folder : plan.jobs[i].folders) ++out["folder " + folder.path];
  }
  return out;
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) out += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  return out + "\"";
}

std::string label_of(const sweeps::Job& job) {
  std::string out = job.task + (job.drop.empty() ? "" : " " + job.drop) + (job.set.empty() ? "" : " " + job.set);
  if (job.keep > 0) out += fmt::format(" keep {}", job.keep);
  for (const auto& [name, value] : job.parameters) out += " " + name.substr(name.find('.') + 1) + "=" + value.dump();
  if (job.search != sweeps::kNoSearch) out += fmt::format(" trial {}", job.trial);
  return out + fmt::format(" seed {}", job.seed);
}

void add_nodes(const sweeps::Plan& plan, std::string& out) {
  for (std::size_t s = 0; s < plan.stages.size(); ++s) {
    const sweeps::Stage& stage = plan.stages[s];
    out += fmt::format("  subgraph cluster_{} {{\n    label={};\n", s, quoted(stage.name));
    for (JobIndex i = stage.first; i < stage.first + stage.count; ++i)
      out += fmt::format("    {} [label={}];\n", quoted(plan.jobs[i].id.text()), quoted(label_of(plan.jobs[i])));
    out += "  }\n";
  }
  for (const sweeps::Job& job : plan.jobs) {
    for (const sweeps::Need& need : job.needs) {
      const bool chosen =
          !need.elsewhere.empty() || need.contenders.size() > 1 || need.contenders.front().jobs.size() > 1;
      for (const auto& asked : need.elsewhere)
        out += fmt::format("  {} -> {} [style=dashed];\n", quoted(sweeps::name_of(*asked)), quoted(job.id.text()));
      for (const sweeps::Contender& contender : need.contenders) {
        for (const JobIndex from : contender.jobs)
          out += fmt::format("  {} -> {}{};\n", quoted(plan.jobs[from].id.text()), quoted(job.id.text()),
                             chosen ? " [style=dashed]" : "");
      }
    }
    for (const sweeps::Folder& folder : job.folders)
      out += fmt::format("  {} -> {};\n", quoted(folder.path), quoted(job.id.text()));
  }
}

void add_stages(const sweeps::Plan& plan, std::string& out) {
  for (const sweeps::Stage& stage : plan.stages)
    out += fmt::format("  {} [label={}];\n", quoted(stage.name),
                       quoted(fmt::format("{}: {} jobs", stage.name, stage.count)));
  for (const auto& [ends, link] : links_of(plan))
    out += fmt::format("  {} -> {} [label={}];\n", quoted(plan.stages[ends.second].name),
                       quoted(plan.stages[ends.first].name), quoted(std::to_string(link.models)));
}

}  // namespace

std::string graph_text(const sweeps::Plan& plan) {
  const Links links = links_of(plan);
  std::string out;
  for (std::uint32_t s = 0; s < plan.stages.size(); ++s) {
    const sweeps::Stage& stage = plan.stages[s];
    out += fmt::format("{} ({}): {} jobs\n", stage.name, sweeps::name_of(stage.kind), stage.count);
    for (const auto& [ends, link] : links) {
      if (ends.first != s) continue;
      out += fmt::format(
          "  takes {} models from {}, each {}, for {} jobs\n", link.models, plan.stages[ends.second].name,
          link.most == 1 ? "a certain job" : fmt::format("the best of up to {} jobs", link.most), link.jobs.size());
    }
    for (const auto& [from, models] : outside_of(plan, stage))
      out += fmt::format("  takes {} models from {}\n", models, from);
  }
  return out;
}

std::string graph_dot(const sweeps::Plan& plan) {
  std::string out = fmt::format("digraph {} {{\n  rankdir=LR;\n  node [shape=box];\n", quoted(plan.name));
  if (plan.jobs.size() > kMostNodes) {
    add_stages(plan, out);
  } else {
    add_nodes(plan, out);
  }
  return out + "}\n";
}

}  // namespace fathom::cli
