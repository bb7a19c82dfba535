// `fathom-trainer train`: a job out of a YAML file, and the trace of its steps.
#include <gtest/gtest.h>

#include <sstream>

#include "tests/unit/trainer/engine_fixture.hpp"
#include "trainer/batches/random.hpp"
#include "trainer/engine/train_file.hpp"

namespace fathom::trainer::testing_support {
namespace {

class TraceTest : public EngineTest {
 protected:
  struct Done {
    int code = 0;
    std::vector<json> trace, items;
    std::string bytes;  // of the trace
  };

  // Runs the settings as `text`, a file of any form.
  Done train(const std::string& name, const std::string& text, const json& inputs = {}) {
    fs::create_directories(folder(name));
    TrainFileOptions options;
    options.job = write(name + ".yaml", text);
    options.root = root_;
    options.folder = folder(name);
    options.trace = root_ / (name + ".jsonl");
    options.json = true;
    if (!inputs.is_null()) options.inputs = write(name + ".inputs", inputs.dump());
    std::ostringstream out;
    Done done;
    done.code = train_file(options, out);
    done.items = lines(out.str());
    std::ifstream in(options.trace);
    done.bytes.assign(std::istreambuf_iterator<char>(in), {});
    done.trace = lines(done.bytes);
    return done;
  }

  // The points of one curve that the job reported, by step.
  static std::map<std::uint64_t, double> curve(const Done& done, const std::string& name) {
    std::map<std::uint64_t, double> points;
    for (const json& item : done.items) {
      for (const json& point : item.value("points", json::array())) {
        // Protobuf writes 64-bit numbers as text and leaves zeros out.
        if (point.value("name", "") == name) points[std::stoull(point.value("step", "0"))] = point.value("value", 0.0);
      }
    }
    return points;
  }

 private:
  fs::path write(const std::string& name, const std::string& text) {
    std::ofstream(root_ / name) << text;
    return root_ / name;
  }
  static std::vector<json> lines(const std::string& text) {
    std::vector<json> out;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) out.push_back(json::parse(line));
    return out;
  }
};

TEST_F(TraceTest, TheTraceIsWhatTheJobReportsAndIsReproducible) {
  auto settings = adapter_settings();
  settings["drop"] = {{"kind", "robust"}, {"lo", 0}, {"hi", 2}};
  const auto first = train("first", settings.dump());
  ASSERT_EQ(first.code, 0);
  ASSERT_EQ(first.trace.size(), 18U);  // 48 rows, 8 a step, 3 epochs
  for (const auto& [name, key] : std::map<std::string, std::string>{
           {"train/loss", "loss"}, {"train/lr", "lr"}, {"train/grad_norm", "grad_norm"}}) {
    const auto points = curve(first, name);
    ASSERT_EQ(points.size(), first.trace.size()) << name;
    for (const json& step : first.trace)
      EXPECT_EQ(points.at(step["step"].get<std::uint64_t>()), step[key].get<double>()) << name << step;
  }
  for (std::size_t i = 0; i < first.trace.size(); ++i) {
    EXPECT_EQ(first.trace[i]["step"], i + 1);
    EXPECT_EQ(first.trace[i]["epoch"], i / 6 + 1);
    EXPECT_EQ(first.trace[i]["n"], drawn_depth(0, 2, settings["seed"].get<std::uint64_t>(), i));
    EXPECT_FALSE(first.trace[i].contains("reg_loss"));
  }
  EXPECT_EQ(train("second", settings.dump()).bytes, first.bytes);
  settings["seed"] = settings["seed"].get<int>() + 1;
  EXPECT_NE(train("third", settings.dump()).bytes, first.bytes);
}

TEST_F(TraceTest, YamlIsReadAndMistakesHaveAPlace) {
  auto settings = adapter_settings();
  settings["train"]["epochs"] = 1;
  // Block style with flow values: what people write.
  std::string yaml = "# a job\n";
  for (const auto& [key, value] : settings.items()) yaml += key + ": " + value.dump() + "\n";
  const auto done = train("yaml", yaml);
  ASSERT_EQ(done.code, 0);
  EXPECT_EQ(done.bytes, train("json", settings.dump(1, '\t')).bytes);
  EXPECT_TRUE(done.trace.front()["n"].is_null());
  testing::internal::CaptureStderr();
  EXPECT_EQ(train("wrong", "kind: adapter\n  model: x\n").code, 1);
  EXPECT_NE(testing::internal::GetCapturedStderr().find("wrong.yaml:2:"), std::string::npos);
}

TEST_F(TraceTest, FusionsTellTheirRegulariser) {
  json members = json::array();
  for (const std::string name : {"a", "b"}) {
    ASSERT_EQ(train("member-" + name, adapter_settings(name).dump()).code, 0);
    fs::create_directories(folder("fused") / "inputs");
    fs::copy(folder("member-" + name) / "final", folder("fused") / "inputs" / name);
    members.push_back({{"name", name}, {"job", "0"}, {"folder", "inputs/" + name}});
  }
  auto settings = adapter_settings("a");
  settings["kind"] = "fusion";
  settings.erase("adapter");
  settings["fusion"] = {{"set", {"a", "b"}}, {"config", "dynamic"}, {"head", "fresh"}};
  const auto done = train("fused", settings.dump(), {{"members", members}});
  ASSERT_EQ(done.code, 0);
  ASSERT_FALSE(done.trace.empty());
  // The value matrices start as the identity but for 1e-6: 0.01 · 4 layers · (16² − 16) · 1e-12.
  EXPECT_NEAR(done.trace.front()["reg_loss"].get<double>(), 0.01 * 4 * 240 * 1e-12, 1e-13);
  EXPECT_GT(done.trace.back()["reg_loss"].get<double>(), 1e-9);
}

TEST_F(TraceTest, ATraceThatCannotBeWrittenFailsBeforeTheJob) {
  TrainFileOptions options;
  std::ofstream(root_ / "job.json") << adapter_settings().dump();
  options.job = root_ / "job.json";
  options.root = root_;
  options.folder = folder("none");
  options.trace = root_ / "no" / "folder" / "trace.jsonl";
  std::ostringstream out;
  testing::internal::CaptureStderr();
  EXPECT_EQ(train_file(options, out), 1);
  EXPECT_NE(testing::internal::GetCapturedStderr().find("trace.jsonl"), std::string::npos);
  EXPECT_FALSE(fs::exists(folder("none")));
}

}  // namespace
}  // namespace fathom::trainer::testing_support
