// The first contact of a worker: a join token is traded for a certificate.
#pragma once

#include <string>

#include "common/result.hpp"
#include "worker/credentials.hpp"
#include "worker/link.hpp"

namespace fathom::worker {

struct Enrollment {
  LinkOptions link;        // where, and with which pauses; tls and expect_host are made here
  std::string ca;          // file; empty: the CA that the token pins
  std::string token_file;  // read again when its token turns out to be used: others of this machine take from it too
  std::string uid, name;
};

// Asks until the coordinator has answered, as long as that takes, and leaves the certificate in `credentials`. Blocks;
// called before there are other threads. invalid_argument: the file holds no token; unauthenticated or
// permission_denied: the coordinator refuses it.
[[nodiscard]] Status enroll(const Enrollment& enrollment, Credentials& credentials);

}  // namespace fathom::worker
