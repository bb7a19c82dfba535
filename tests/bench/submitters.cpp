// Clients that submit one sweep file again and again, each on a thread and over a connection of its own that is kept,
// in one process: POST /api/v1/sweeps with TLS 1.3, the token and a new Idempotency-Key each time, the next as soon as
// the answer is there. A client in Python would be the limit of what is measured with it (bench_submit.py).
//
// Standard output, one line: {"submits": N, "seconds": from the first request to the last answer, "p50_ms", "p99_ms":
// of one answer, "client_cpu_us": of this process, for one submit}.
#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <deque>
#include <future>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "common/files.hpp"
#include "common/net/endpoint.hpp"
#include "common/net/secrets.hpp"
#include "common/net/stream.hpp"
#include "common/net/tls.hpp"

namespace fathom {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using std::chrono::steady_clock;

template <class T>
T need(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(result).value();
}

double cpu_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

// What all clients of the process share.
struct Run {
  net::Endpoint coordinator;
  net::TlsContext tls;
  std::string token, body, prefix;
  std::string keys;                   // of this run: no two runs share a key
  std::size_t submits = 0;            // in all
  std::atomic<std::size_t> begun{0};  // of them
};

class Client {
 public:
  explicit Client(Run& run) : run_(run), stream_(beast::tcp_stream(io_), *run.tls) {
    asio::ip::tcp::resolver resolver(io_);
    auto& tcp = beast::get_lowest_layer(stream_);
    tcp.connect(resolver.resolve(run_.coordinator.host, std::to_string(run_.coordinator.port)));
    tcp.socket().set_option(asio::ip::tcp::no_delay(true));
    stream_.handshake(asio::ssl::stream_base::client);
    buffer_.reserve(16'384);
    head_ = "POST /api/v1/sweeps HTTP/1.1\r\nHost: " + net::to_text(run_.coordinator) +
            "\r\nUser-Agent: fathom\r\nAuthorization: Bearer " + run_.token +
            "\r\nContent-Type: application/json\r\nIdempotency-Key: " + run_.keys;
  }

  // Until all are submitted.
  void submit() {
    for (std::size_t number = ++run_.begun; number <= run_.submits; number = ++run_.begun) {
      const std::string body = fmt::format("{},\"name\":\"{}{}\"}}", run_.body, run_.prefix, number);
      const std::string request =
          fmt::format("{}-{}\r\nContent-Length: {}\r\n\r\n{}", head_, number, body.size(), body);
      const auto begun = steady_clock::now();
      asio::write(stream_, asio::buffer(request));
      http::response<http::string_body> answer;
      http::read(stream_, buffer_, answer);
      seconds.push_back(std::chrono::duration<double>(steady_clock::now() - begun).count());
      if (answer.result_int() != 201)
        throw std::runtime_error(fmt::format("{} {}", answer.result_int(), answer.body()));
    }
  }

  std::vector<double> seconds;  // of each answer

 private:
  Run& run_;
  asio::io_context io_{1};
  net::TlsStream stream_;
  beast::flat_buffer buffer_;
  std::string head_;
};

double percentile_ms(const std::vector<double>& ordered, double share) {
  const auto place = static_cast<std::size_t>(share * static_cast<double>(ordered.size()));
  return 1e3 * ordered.at(std::min(place, ordered.size() - 1));
}

int submit_all(Run& run, std::size_t clients) {
  std::deque<Client> all;
  for (std::size_t i = 0; i < clients; ++i) all.emplace_back(run);  // connected before the clock starts
  const double used = cpu_seconds();
  const auto begin = steady_clock::now();
  std::vector<std::future<void>> ends;
  for (Client& client : all) ends.push_back(std::async(std::launch::async, [&client] { client.submit(); }));
  for (auto& end : ends) end.get();
  const std::chrono::duration<double> took = steady_clock::now() - begin;
  std::vector<double> seconds;
  for (const Client& client : all) seconds.insert(seconds.end(), client.seconds.begin(), client.seconds.end());
  std::sort(seconds.begin(), seconds.end());
  const double cpu_us = 1e6 * (cpu_seconds() - used) / static_cast<double>(seconds.size());
  fmt::print(
      "{{\"submits\": {}, \"seconds\": {:.6f}, \"p50_ms\": {:.4f}, \"p99_ms\": {:.4f}, \"client_cpu_us\": {:.2f}}}\n",
      seconds.size(), took.count(), percentile_ms(seconds, 0.5), percentile_ms(seconds, 0.99), cpu_us);
  return 0;
}

}  // namespace
}  // namespace fathom

int main(int argc, char** argv) {
  CLI::App app("Clients that submit one sweep file again and again.", "submitters");
  std::string coordinator, token, ca, sweep, prefix = "s";
  std::size_t clients = 1, submits = 1000;
  app.add_option("--coordinator", coordinator, "HOST:PORT")->required();
  app.add_option("--token", token, "File with a token that may submit")->required();
  app.add_option("--ca", ca, "File with the coordinator's CA")->required();
  app.add_option("--sweep", sweep, "File that is submitted")->required();
  app.add_option("--name", prefix, "What the sweeps' names begin with; a number follows");
  app.add_option("--clients", clients, "How many at once")->check(CLI::Range(1, 1000));
  app.add_option("--submits", submits, "How many in all")->check(CLI::Range(1, 10'000'000));
  CLI11_PARSE(app, argc, argv);
  try {
    fathom::Run run;
    run.coordinator = fathom::need(fathom::net::parse_endpoint(coordinator));
    run.tls = fathom::need(fathom::net::client_context({ca, ""}, fathom::net::kAlpnHttp));
    run.token = fathom::need(fathom::read_file(token, 4096));
    run.token.erase(run.token.find_last_not_of(" \r\n") + 1);
    run.body = nlohmann::json{{"yaml", fathom::need(fathom::read_file(sweep, 1U << 20))}}.dump();
    run.body.pop_back();  // the name of each follows
    run.prefix = prefix;
    run.keys = fathom::need(fathom::net::random_hex());
    run.submits = submits;
    return fathom::submit_all(run, clients);
  } catch (const std::exception& error) {
    fmt::print(stderr, "submitters: {}\n", error.what());
    return 1;
  }
}
