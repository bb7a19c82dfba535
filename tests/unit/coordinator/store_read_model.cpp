// The read model against the core that made the events: same states, same counters, however it came to them.
#include "coordinator/store/read_model.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include <nlohmann/json.hpp>

#include "tests/unit/coordinator/store_driver.hpp"
#include "tests/unit/coordinator/store_testing.hpp"

namespace fathom::store {
namespace {

using fathom::testing::CoreDriver;
using fathom::testing::TempFolder;
using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ReadModelTest : public ::testing::Test {
 protected:
  ReadModelTest() : driver_(events_) { open(); }

  void open() {
    model_.reset();
    auto opened = open_read_model(folder_ / "readmodel.db", events_);
    EXPECT_TRUE(opened.ok()) << opened.error().message;
    model_ = std::move(opened).value();
  }
  // Everything that the driver did is in the answers after this.
  void follow() {
    model_->notify(events_.last_durable());
    const Status done = model_->wait_for(events_.last_durable(), Millis(10000));
    EXPECT_TRUE(done.ok()) << done.error().message;
  }
  json ok(const Result<json>& answer) {
    EXPECT_TRUE(answer.ok()) << answer.error().message;
    return answer ? *answer : json::object();
  }
  json jobs(JobsQuery query) { return ok(model_->jobs("small", query)); }
  std::vector<std::string> ids(const json& page) {
    std::vector<std::string> all;
    for (const auto& item : page["items"]) all.push_back(item["id"]);
    return all;
  }
  // Every answer there is, for comparing two read models.
  json everything() {
    JobsQuery all;
    all.page.limit = 1000;
    json dump = {{"sweeps", ok(model_->sweeps({}))},
                 {"jobs", jobs(all)},
                 {"results", ok(model_->results("small", {1000, ""}))},
                 {"workers", ok(model_->workers())}};
    for (const std::string& id : ids(dump["jobs"])) {
      dump["details"].push_back(ok(model_->job("small", id)));
      dump["events"].push_back(ok(model_->job_events("small", id, {1000, ""})));
    }
    return dump;
  }
  void expect_states_of_core() {
    JobsQuery all;
    all.page.limit = 1000;
    const json page = jobs(all);
    std::map<std::string, int> counts;
    for (const auto& job : page["items"]) {
      const core::Job* known = driver_.state().job(JobNumber(job["number"].get<std::uint64_t>()));
      ASSERT_NE(known, nullptr);
      EXPECT_EQ(job["state"], core::name_of(core::phase_of(*known)));
      ++counts[job["state"]];
    }
    EXPECT_EQ(ok(model_->sweep("small"))["counts"], json(counts));
  }

  TempFolder folder_;
  MemoryEventStore events_;
  CoreDriver driver_;
  std::unique_ptr<ReadModel> model_;
};

TEST_F(ReadModelTest, ShowsASubmittedSweep) {
  const core::Submitted submitted = driver_.submit();
  follow();
  const json sweep = ok(model_->sweep("small"));
  EXPECT_EQ(sweep["state"], "running");
  EXPECT_EQ(sweep["jobs"], submitted.jobs);
  EXPECT_EQ(sweep["tasks"], json({"mr", "sms"}));
  EXPECT_EQ(sweep["counts"]["ready"], 8);
  EXPECT_EQ(sweep["stages"][0]["name"], "adapter");
  EXPECT_EQ(sweep["stages"][0]["counts"], json({{"ready", 8}}));
  EXPECT_EQ(sweep["stages"][1]["counts"], json({{"blocked", 1}}));
  EXPECT_EQ(*model_->sweep_yaml("small"), fathom::testing::kSweep);
  EXPECT_TRUE(ok(model_->sweep_resolved("small")).is_object());
  EXPECT_EQ(ok(model_->sweeps({}))["total"], 1);
  EXPECT_EQ(model_->sweep("large").error().code, Errc::not_found);
  EXPECT_THAT(model_->sweep("large").error().message, HasSubstr("large"));
  expect_states_of_core();
}

TEST_F(ReadModelTest, FollowsAWholeSweep) {
  driver_.submit();
  driver_.join();
  driver_.run_all();
  follow();
  expect_states_of_core();
  const json sweep = ok(model_->sweep("small"));
  EXPECT_EQ(sweep["state"], "succeeded");
  EXPECT_EQ(sweep["counts"], json({{"succeeded", sweep["jobs"]}}));
  EXPECT_FALSE(sweep["ended"].is_null());
  JobsQuery fusion;
  fusion.stage = "fusion";
  const json page = jobs(fusion);
  ASSERT_EQ(page["total"], 1);
  const json job = ok(model_->job("small", page["items"][0]["id"]));
  EXPECT_EQ(job["set"], "mr+sms");
  ASSERT_EQ(job["needs"].size(), 2U);
  EXPECT_EQ(job["needs"][0]["name"], "mr");
  EXPECT_EQ(job["needs"][0]["jobs"].size(), 2U);
  EXPECT_FALSE(job["needs"][0]["chosen"].is_null());
  EXPECT_EQ(job["settings"]["kind"], "fusion");
  EXPECT_EQ(job["result"]["steps"], 32);
  EXPECT_EQ(job["files"][0]["path"], "adapter.safetensors");
  EXPECT_EQ(job["attempts"][0]["outcome"], "succeeded");
  EXPECT_EQ(job["attempts"][0]["worker"], "host-uid-1");
  EXPECT_EQ(job["epoch"], 2);
  EXPECT_EQ(job["stats"]["seconds"], 1.5);
}

TEST_F(ReadModelTest, TellsAJobsHistoryInWords) {
  driver_.submit();
  driver_.join();
  const core::SendAssign first = driver_.assigned.front();
  driver_.item(first, core::item::Started{"cpu:0", "base", "data", 0});
  driver_.item(first, core::item::Failed{"oom", "not enough memory", 3, false});
  follow();
  std::vector<std::string> types;
  std::string texts;
  const json page = ok(model_->job_events("small", first.job_id, {}));
  for (const auto& event : page["items"]) {
    types.push_back(event["type"]);
    texts += event["text"].get<std::string>() + "\n";
  }
  EXPECT_THAT(types, ElementsAre("lease_granted", "job_started", "job_backed_off"));
  EXPECT_THAT(texts, HasSubstr("attempt 1 given to host-uid-1 on cpu:0\n"));
  EXPECT_THAT(texts, HasSubstr("not enough memory; tries again in "));
  const json job = ok(model_->job("small", first.job_id));
  EXPECT_EQ(job["state"], "backoff");
  EXPECT_EQ(job["cause"], "oom: not enough memory");
  EXPECT_THAT(job["explain"].get<std::string>(), HasSubstr("not enough memory"));
}

TEST_F(ReadModelTest, CancelMovesEveryJobAsTheCoreDoes) {
  const core::Submitted submitted = driver_.submit();
  driver_.join();
  driver_.finish(driver_.assigned.front(), 0.8);
  driver_.give(core::CancelSweep{submitted.sweep});
  follow();
  expect_states_of_core();
  const json sweep = ok(model_->sweep("small"));
  EXPECT_EQ(sweep["counts"]["succeeded"], 1);
  EXPECT_GT(sweep["counts"]["stopping"], 0);
  JobsQuery cancelled;
  cancelled.state = "cancelled,stopping";
  const json page = jobs(cancelled);
  EXPECT_EQ(page["total"], sweep["jobs"].get<int>() - 1);
  EXPECT_EQ(page["items"][0]["cause"], "cancelled by a person");
  for (const core::SendStop& stop : std::deque(driver_.stops)) {
    for (const core::SendAssign& assign : std::deque(driver_.assigned)) {
      if (assign.fence == stop.fence) driver_.item(assign, core::item::Stopped{1, 16, "", {}});
    }
  }
  follow();
  expect_states_of_core();
  EXPECT_EQ(ok(model_->sweep("small"))["state"], "cancelled");
}

TEST_F(ReadModelTest, RebuildGivesTheSameAnswers) {
  driver_.submit();
  driver_.join();
  driver_.finish(driver_.assigned.front(), 0.9);
  driver_.later(Millis(60000));  // every other lease expires
  driver_.run_all();
  follow();
  const json before = everything();
  open();  // goes on where it was
  EXPECT_EQ(model_->applied(), events_.last_durable());
  EXPECT_EQ(everything(), before);
  model_.reset();
  std::filesystem::remove(folder_ / "readmodel.db");
  open();
  follow();
  EXPECT_EQ(everything(), before);
}

TEST_F(ReadModelTest, AFileOfAnotherLogIsMadeAnew) {
  driver_.submit();
  follow();
  model_.reset();
  MemoryEventStore other;
  auto opened = open_read_model(folder_ / "readmodel.db", other);
  ASSERT_TRUE(opened.ok());
  EXPECT_EQ((*opened)->applied(), 0U);  // it was ahead of this log
  EXPECT_EQ((*opened)->sweep("small").error().code, Errc::not_found);
}

TEST_F(ReadModelTest, PagesFiltersAndSorts) {
  driver_.submit();
  driver_.join();
  driver_.run_all();
  follow();
  JobsQuery query;
  query.page.limit = 3;
  std::vector<std::string> paged;
  for (int pages = 0; pages < 100; ++pages) {
    const json page = jobs(query);
    const auto part = ids(page);
    EXPECT_LE(part.size(), 3U);
    paged.insert(paged.end(), part.begin(), part.end());
    if (page["next"].is_null()) break;
    query.page.cursor = page["next"];
  }
  EXPECT_EQ(paged.size(), driver_.state().jobs());
  EXPECT_EQ(std::set<std::string>(paged.begin(), paged.end()).size(), paged.size());

  JobsQuery filtered;
  filtered.stage = "adapter";
  filtered.task = "mr";
  EXPECT_EQ(jobs(filtered)["total"], 4);
  filtered.drop = "specialized";
  EXPECT_EQ(jobs(filtered)["total"], 2);
  filtered.drop = "standard,specialized-02";
  EXPECT_EQ(jobs(filtered)["total"], 4);
  filtered.q = "0.003";
  EXPECT_EQ(jobs(filtered)["total"], 2);
  filtered.q = "100%";
  EXPECT_EQ(jobs(filtered)["total"], 0);

  JobsQuery sorted;
  sorted.stage = "adapter";
  sorted.sort = "objective";
  sorted.descending = true;
  sorted.page.limit = 5;
  const json first = jobs(sorted);
  sorted.page.cursor = first["next"];
  const json second = jobs(sorted);
  EXPECT_EQ(first["items"].size() + second["items"].size(), 8U);
  EXPECT_GT(first["items"][0]["objective"], first["items"][4]["objective"]);
  EXPECT_GT(first["items"][4]["objective"], second["items"][0]["objective"]);
  sorted.page.cursor.clear();
  sorted.sort = "train.lr";
  EXPECT_EQ(jobs(sorted)["items"][0]["parameters"]["train.lr"], 0.003);
}

TEST_F(ReadModelTest, RefusesWhatItCannotSortOrGoOnFrom) {
  driver_.submit();
  follow();
  JobsQuery query;
  query.sort = "number; DROP TABLE jobs";
  EXPECT_EQ(model_->jobs("small", query).error().code, Errc::invalid_argument);
  query.sort = "x.y\"') --";
  EXPECT_EQ(model_->jobs("small", query).error().code, Errc::invalid_argument);
  query.sort = "number";
  for (const char* cursor : {"x", "n", "n1x", "o5", "n-1", "n99999999999999999999"}) {
    query.page.cursor = cursor;
    EXPECT_EQ(model_->jobs("small", query).error().code, Errc::invalid_argument) << cursor;
  }
}

TEST_F(ReadModelTest, GivesResultRowsInPages) {
  driver_.submit();
  driver_.join();
  driver_.run_all();
  follow();
  Page page{3, ""};
  std::vector<json> rows;
  std::int64_t total = 0;
  while (true) {
    const json part = ok(model_->results("small", page));
    total = part["total"];
    for (const auto& row : part["items"]) rows.push_back(row);
    if (part["next"].is_null()) break;
    page.cursor = part["next"];
  }
  ASSERT_EQ(static_cast<std::int64_t>(rows.size()), total);
  ASSERT_EQ(rows.size(), driver_.state().jobs() * 2);
  EXPECT_EQ(rows[0]["drop"], "standard");
  EXPECT_EQ(rows[0]["n"], 0);
  EXPECT_TRUE(rows[0]["lo"].is_null());
  EXPECT_EQ(rows[0]["depth"], 0);
  EXPECT_EQ(rows[1]["depth"], 2);
  EXPECT_EQ(rows[0]["param.train.lr"], 0.003);
  EXPECT_EQ(rows[0]["recipe"], "fast");
  EXPECT_EQ(rows[0]["status"], "succeeded");
  EXPECT_EQ(rows[0]["sha256"], std::string(64, 'a'));
  EXPECT_EQ(rows[4]["n"], 2);
}

TEST_F(ReadModelTest, SaysWhatChanged) {
  std::mutex mutex;
  std::set<std::string> sweeps;
  std::set<std::uint64_t> numbers;
  model_->subscribe([&](const Changes& changes) {
    const std::lock_guard lock(mutex);
    sweeps.insert(changes.sweeps.begin(), changes.sweeps.end());
    for (const JobNumber job : changes.jobs) numbers.insert(job.value());
  });
  driver_.submit();
  follow();
  const std::uint64_t submitted = events_.last_durable();
  driver_.join();
  const core::SendAssign first = driver_.assigned.front();
  driver_.finish(first, 0.7);
  follow();
  const json changes = ok(model_->changes_after(submitted, "small", 100));
  EXPECT_EQ(changes["seq"], events_.last_durable());
  EXPECT_EQ(changes["sweeps"].size(), 1U);
  std::set<std::string> changed;
  for (const auto& job : changes["jobs"]) changed.insert(job["id"]);
  EXPECT_TRUE(changed.contains(first.job_id));
  EXPECT_LT(changed.size(), 8U);
  EXPECT_EQ(ok(model_->changes_after(events_.last_durable(), "", 100))["jobs"].size(), 0U);
  model_.reset();  // its thread is done with the callback
  EXPECT_THAT(sweeps, ElementsAre("small"));
  EXPECT_TRUE(numbers.contains(first.fence.job.value()));
}

TEST_F(ReadModelTest, KnowsWorkersAndCurves) {
  driver_.submit();
  driver_.join();
  driver_.item(driver_.assigned.front(), core::item::Started{"cpu:0", "base", "data", 0});
  follow();
  json worker = ok(model_->workers())["items"][0];
  EXPECT_EQ(worker["state"], "ready");
  EXPECT_EQ(worker["devices"][0]["running"], 2);
  const auto curves = model_->curve_jobs("small", {}, 10);
  ASSERT_TRUE(curves.ok());
  ASSERT_EQ(curves->size(), 1U);
  EXPECT_EQ(curves->front().label, "mr standard lr=0.003 seed 1");
  driver_.give(core::WorkerGone{WorkerNumber(1), false});
  follow();
  EXPECT_EQ(ok(model_->workers())["items"][0]["state"], "gone");
}

TEST_F(ReadModelTest, AnUnreadableEventStopsItWithAReason) {
  driver_.submit();
  follow();
  const std::uint64_t next = events_.last_durable() + 1;
  events_.append({{next, "\xff\xff\xff"}}, {});
  model_->notify(next);
  const Status waited = model_->wait_for(next, Millis(5000));
  ASSERT_FALSE(waited.ok());
  EXPECT_EQ(waited.error().code, Errc::corrupt);
  EXPECT_EQ(ok(model_->sweep("small"))["state"], "running");  // what was applied can still be read
}

// `sampler: tpe`: parameters come while the sweep runs, for all seeds at once, and jobs that measure a model have its
// own.
TEST_F(ReadModelTest, DrawnParametersAreThoseOfAllSeedsAndOfTheirEvaluations) {
  std::string yaml = fathom::testing::kSweep;
  const auto put = [&](const std::string& from, const std::string& to) {
    yaml.replace(yaml.find(from), from.size(), to);
  };
  put("lr: {values: [0.003, 0.001]}", "lr: {min: 1e-5, max: 1e-2, scale: log}\nsearch: {sampler: tpe, trials: 2}");
  put("seeds: [1]", "seeds: [1, 2]");
  put("from: [adapter, fusion], best: 1, per: [task, drop]", "from: [adapter]");
  driver_.submit(yaml);
  follow();
  JobsQuery all;
  all.page.limit = 1000;
  const json drawn_later = jobs(all);
  for (const auto& job : drawn_later["items"]) EXPECT_TRUE(job["parameters"].empty());
  driver_.join("uid-1", 4);
  driver_.run_all();
  follow();
  std::map<std::string, std::set<std::string>> by_setting;
  std::size_t evaluations = 0;
  const json page = jobs(all);
  for (const auto& job : page["items"]) {
    if (job["kind"] == "adapter") {
      const json detail = ok(model_->job("small", job["id"]));
      EXPECT_EQ(detail["settings"]["train"]["lr"], job["parameters"]["train.lr"]);
      EXPECT_FALSE(detail["settings"].contains("search"));
      by_setting[job["parameters"].dump() + job["task"].dump() + job["drop"].dump()].insert(job["seed"].dump());
    }
    evaluations += job["kind"] == "evaluate" && job["parameters"].contains("train.lr") ? 1 : 0;
  }
  EXPECT_EQ(by_setting.size(), 8u);  // two tasks, two drops, two trials
  for (const auto& [setting, seeds] : by_setting) EXPECT_EQ(seeds.size(), 2u) << setting;
  EXPECT_EQ(evaluations, 16u);
}

}  // namespace
}  // namespace fathom::store
