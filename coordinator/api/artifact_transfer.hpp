// Files to and from one worker in chunks of at most 1 MiB. An upload goes on where it stopped, is checked by its hash
// and answered when it starts, when it is committed and when it fails. Downloads are sent one after another, never more
// than the connection's low-water mark ahead of the network.
//
// Thread: the connection's strand; it reads and writes the artifact store's files there. Owner: the worker's session.
// Bounds: 256 downloads that wait.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>

#include "common/net/connection.hpp"
#include "common/sha256.hpp"

namespace fathom::artifacts {
class ArtifactReader;
class ArtifactStore;
}  // namespace fathom::artifacts
namespace fathom::wire {
class ArtifactChunk;
class ArtifactGet;
class ArtifactPut;
}  // namespace fathom::wire

namespace fathom::api {

class ArtifactKeeper;

class ArtifactTransfer {
 public:
  ArtifactTransfer(artifacts::ArtifactStore& store, ArtifactKeeper& keeper, net::Connection& connection);
  ~ArtifactTransfer();

  void put(const wire::ArtifactPut& put);
  void chunk(const wire::ArtifactChunk& chunk);
  void get(const wire::ArtifactGet& get);
  // The connection has room: sends what is asked for.
  void pump();

 private:
  struct Download {
    std::string sha256;
    std::uint64_t offset = 0;
    std::unique_ptr<artifacts::ArtifactReader> reader;
    std::optional<Sha256> hash;  // of what was sent; none where the peer had a part already
  };
  void answer(const std::string& sha256, std::uint64_t offset, bool committed, const std::string& error);
  void refuse(const std::string& sha256, std::uint64_t offset, const std::string& error);
  bool send_piece(Download& download);
  bool damaged(Download& download);

  artifacts::ArtifactStore& store_;
  ArtifactKeeper& keeper_;
  net::Connection& connection_;
  std::deque<Download> downloads_;
  std::unordered_set<std::string> failed_;  // uploads whose chunks on the way are dropped until the next Put
};

}  // namespace fathom::api
